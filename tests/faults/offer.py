"""Visitors who come whether or not the site is quick: a program of its own, so that the site's pace is not theirs.

``python -m tests.faults.offer HOST PORT PATH SECONDS closed N``: N visitors, each of whom comes again when answered.
``python -m tests.faults.offer HOST PORT PATH SECONDS open N``: N visitors a second, by the clock.

Each comes over a connection of its own.  The time of an answer counts from the moment at which the visitor was to come.
Prints JSON: answers by status, seconds of those with 200.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

#: Seconds that the last ones have.
PATIENCE = 15.0


@dataclass
class Visit:
    """One request under way."""

    due: float
    connection: socket.socket
    answer: bytearray = field(default_factory=bytearray)


class Visitors:
    """All of them, in one thread."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self._address = address
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        self._selector = selectors.DefaultSelector()
        self.under_way = 0
        self.statuses: Counter[str] = Counter()
        self.without_word = 0
        self.seconds: list[float] = []

    def come(self, due: float) -> None:
        """One more."""
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(self._address)
        self._selector.register(connection, selectors.EVENT_WRITE, Visit(due, connection))
        self.under_way += 1

    def turn(self, seconds: float) -> None:
        """Go on with whatever can go on."""
        for key, event in self._selector.select(seconds):
            visit: Visit = key.data
            try:
                if event & selectors.EVENT_WRITE:
                    visit.connection.send(self._request)
                    self._selector.modify(visit.connection, selectors.EVENT_READ, visit)
                elif data := visit.connection.recv(262_144):
                    visit.answer += data
                else:
                    self._leave(visit)
            except OSError as error:
                visit.answer[:] = f"- {type(error).__name__}".encode()
                self._leave(visit)

    def _leave(self, visit: Visit) -> None:
        self._selector.unregister(visit.connection)
        visit.connection.close()
        self.under_way -= 1
        status = bytes(visit.answer[:64]).split()[1].decode() if visit.answer else "cut"
        self.statuses[status] += 1
        if status == "200":
            self.seconds.append(time.monotonic() - visit.due)
        elif status == "503" and b"\r\nRetry-After:" not in visit.answer:
            self.without_word += 1


def offer(visitors: Visitors, seconds: float, due: Callable[[float, int], bool]) -> float:
    """Let them come as ``due(elapsed, come so far)`` says; gives the seconds until the last has been answered."""
    began, come = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        while due(elapsed, come):
            visitors.come(time.monotonic())
            come += 1
        visitors.turn(0.002)
    while visitors.under_way and time.monotonic() < began + seconds + PATIENCE:
        visitors.turn(0.01)
    return time.monotonic() - began


def main(host: str, port: str, path: str, seconds: str, kind: str, number: str) -> None:
    """See the top of this file."""
    visitors = Visitors((host, int(port)), path)
    if kind == "closed":
        took = offer(visitors, float(seconds), lambda elapsed, come: visitors.under_way < int(number))
    else:
        took = offer(visitors, float(seconds), lambda elapsed, come: come < elapsed * float(number))
    report = {
        "statuses": visitors.statuses,
        "seconds": sorted(visitors.seconds),
        "unanswered": visitors.under_way,
        "without_retry_after": visitors.without_word,
        "took": took,
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
