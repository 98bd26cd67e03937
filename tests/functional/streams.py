"""Listening in a test: the application's end of a stream, and what comes out of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webtest import TestApp

from mealshare.core.lines import HAND_OVER, Listener

#: Far longer than a stream may need, for machines that are busy.
PATIENCE = 20.0


def wait_until(condition: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> None:
    """Wait until ``condition()`` is true; fail after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass"
        time.sleep(0.02)


def events_in(text: str) -> list[dict[str, Any]]:
    """The events of a stream as a browser reads them: only blocks with data are events."""
    found: list[dict[str, Any]] = []
    last = ""
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        last = fields.get("id", last)
        if "data" in fields:
            found.append({"event": fields["event"], "id": last, "data": json.loads(fields["data"])})
    return found


def last_id_in(text: str) -> str:
    """What a browser would send as ``Last-Event-ID`` after this."""
    return [line[4:] for line in text.split("\n\n")[:-1] for line in line.split("\n") if line.startswith("id: ")][-1]


@dataclass
class Heard:
    """A stream, from the answer's first byte on; stands where a `mealshare.core.lines.Line` would."""

    text: str = ""
    backlog: int = 0
    ended: bool = False
    listener: Listener | None = None
    answer: Any = None
    _tail: list[bytes] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        self._tail.append(data)

    def end(self, data: bytes = b"") -> None:
        self._tail.append(data)
        self.close()

    def cut(self) -> None:
        self.close()

    def close(self) -> None:
        """The connection ends, whoever wanted that."""
        if not self.ended and self.listener is not None:
            self.ended = True
            self.listener.closed()

    @property
    def whole(self) -> str:
        """All that came."""
        return self.text + b"".join(self._tail).decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        return events_in(self.whole)

    @property
    def foods(self) -> list[str]:
        """The meals so far."""
        return [event["data"]["food"] for event in self.events if event["event"] == "meal"]

    @property
    def reason(self) -> str | None:
        """Why it ended, if it said so."""
        ends = [event["data"]["reason"] for event in self.events if event["event"] == "end"]
        return ends[0] if ends else None


def listen(app: TestApp, query: str = "", *, arrives: bool = True, **options: Any) -> Heard:
    """Open a stream; without ``arrives`` the connection is lost on its way to the listener."""
    heard = Heard()

    def hand_over(listener: Listener) -> None:
        heard.listener = listener
        if arrives:
            listener.opened(heard)

    environ = {HAND_OVER: hand_over, **options.pop("extra_environ", {})}
    heard.answer = app.get(f"/api/feed/stream{query}", extra_environ=environ, **options)
    heard.text = heard.answer.text
    return heard


def poll(app: TestApp, query: str = "", **options: Any) -> list[dict[str, Any]]:
    """The events that a server gives that keeps no connection open."""
    return events_in(app.get(f"/api/feed/stream{query}", **options).text)
