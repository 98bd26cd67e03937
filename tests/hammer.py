"""People who go on asking a site while a test takes something away from it, and who remember what was acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.people import PASSWORD
from tests.sites import RunningSite

KINDS = ("post", "meals", "home", "page", "notifications")


@dataclass
class Seen:
    """What came back."""

    #: By kind of request and status.
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: What should not have come back, in words.
    wrong: list[str] = field(default_factory=list)
    #: The food of each meal that was acknowledged.
    posted: list[str] = field(default_factory=list)
    slowest: float = 0.0
    #: By the monotonic clock.
    last_good: float = 0.0

    def count(self, status: int) -> int:
        """Answers with this status."""
        return sum(number for (_, found), number in self.answers.items() if found == status)


def ask(
    site: RunningSite, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", int(site.url.rpartition(":")[2]), timeout=60)
    try:
        more = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), more | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def token(site: RunningSite, username: str) -> dict[str, str]:
    """The headers of a program that has signed in as one of the tests' people."""
    status, _, body = ask(site, "POST", "/api/login", {"username": username, "password": PASSWORD})
    assert status == 200, body
    return {"Authorization": f"Bearer {json.loads(body)['access_token']}"}


class _Person(threading.Thread):
    def __init__(
        self, site: RunningSite, headers: dict[str, str], number: int, seen: Seen, stop: threading.Event
    ) -> None:
        super().__init__(name=f"person-{number}")
        self.site, self.headers, self.number, self.seen, self.stop = site, headers, number, seen, stop

    def run(self) -> None:
        turn = 0
        while not self.stop.is_set():
            turn += 1
            began = time.monotonic()
            kind = KINDS[turn % len(KINDS)]
            try:
                self.act(kind, f"{self.name} {began} {turn}")
            except (OSError, http.client.HTTPException) as error:
                self.seen.wrong.append(f"{kind}: {error!r}")
                self.stop.wait(0.1)
            self.seen.slowest = max(self.seen.slowest, time.monotonic() - began)

    def act(self, kind: str, food: str) -> None:
        """Ask for one thing, and write down what comes back."""
        method, path, body, headers = {
            "post": ("POST", "/api/meals", {"food": food}, self.headers),
            "meals": ("GET", "/api/meals", None, {}),
            "home": ("GET", "/home", None, self.headers),
            "page": ("GET", "/", None, {}),
            "notifications": ("GET", "/api/notifications", None, self.headers),
        }[kind]
        status, answer, content = ask(self.site, method, path, body, headers)
        self.seen.answers[kind, status] += 1
        if status in (200, 201):
            self.seen.last_good = time.monotonic()
            if kind == "post":
                self.seen.posted.append(food)
        elif status != 503 or not answer.get("Retry-After"):
            self.seen.wrong.append(f"{kind}: {status} {content[:300]!r}")
        else:
            # As the answer asks, if more impatiently.
            self.stop.wait(0.02)


@contextmanager
def hammering(site: RunningSite, people: Sequence[dict[str, str]]) -> Iterator[Seen]:
    """Everybody (the headers of `token`) posts and reads by turns inside the block; gives what they see."""
    seen, stop = Seen(), threading.Event()
    threads = [_Person(site, headers, number, seen, stop) for number, headers in enumerate(people)]
    for number in range(2):
        # One after the other: a page is compiled by whoever is the first to see it, and then again with a meal on it.
        for kind in KINDS:
            threads[0].act(kind, f"first {number}")
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_good(seen: Seen, since: float, seconds: float) -> float:
    """Wait until something has been answered well after ``since``; how many seconds later that was."""
    while seen.last_good <= since:
        assert time.monotonic() - since < seconds, f"nothing went well for {seconds} seconds: {seen.wrong[-3:]}"
        time.sleep(0.02)
    return seen.last_good - since
