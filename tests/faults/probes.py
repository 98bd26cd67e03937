"""Somebody who asks for a page again and again while others make trouble, and who remembers how long it took."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

#: Seconds between two probes, and until one counts as lost.
PAUSE, LOST = 0.05, 5.0


class Probes:
    """What came of them."""

    def __init__(self, url: str, trust: ssl.SSLContext | None, path: str) -> None:
        self._address, self._trust, self._path = urlsplit(url), trust, path
        self._seconds: list[float] = []
        self.lost: list[str] = []
        self.ended = threading.Event()

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(self._seconds)

    def count(self) -> int:
        """How many have been answered well."""
        return len(self._seconds)

    def run(self) -> None:
        """Ask until it ends, each time over a connection of its own, as a visitor who comes does."""
        while not self.ended.wait(PAUSE):
            began = time.monotonic()
            try:
                status = self._ask()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{error!r} after {time.monotonic() - began:.1f} s")
            else:
                if status == 200:
                    self._seconds.append(time.monotonic() - began)
                else:
                    self.lost.append(str(status))

    def _ask(self) -> int:
        host, port = self._address.hostname or "", self._address.port
        if self._trust is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=LOST, context=self._trust)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=LOST)
        try:
            connection.request("GET", self._path)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


@contextmanager
def probing(url: str, trust: ssl.SSLContext | None = None, path: str = "/api/feed/public") -> Iterator[Probes]:
    """Somebody asks inside the block; at least one probe is answered or lost."""
    probes = Probes(url, trust, path)
    thread = threading.Thread(target=probes.run)
    thread.start()
    try:
        yield probes
        time.sleep(2 * PAUSE)
    finally:
        probes.ended.set()
        thread.join()
