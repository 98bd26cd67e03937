"""More than the site can carry, visitors who send nothing or hardly anything, and a clock that goes back."""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text

from mealshare.core.db.migrate import upgrade
from tests.conftest import left_out
from tests.databases import new_database
from tests.faults.diners import registry_of, settings_for
from tests.faults.probes import probing
from tests.hammer import ask, token
from tests.people import add_user
from tests.served_sites import ROOT
from tests.sites import RunningSite, running_site

#: Visitors at a time that keep the site busy and let nobody wait; how much more comes then; seconds of each.
BUSY, TIMES, SECONDS, WARM = 16, 3, 5.0, 4.0
GOODPUT, ACCEPTED, ALIVE, ATTEMPTS = 0.7, 3.0, 1.0, 3
IDLE, SLOW, DRIP = 2_000, 500, 0.5


@contextmanager
def site_with_meals(folder: Path, url: str) -> Iterator[RunningSite]:
    """A site with somebody and twenty meals."""
    with registry_of(settings_for(folder, url)) as registry:
        add_user(registry, "mei")
    with running_site(folder, url) as site:
        headers = token(site, "mei")
        for number in range(20):
            assert ask(site, "POST", "/api/meals", {"food": f"soup {number}"}, headers)[0] == 201
        yield site


def come(site: RunningSite, kind: str, number: float, seconds: float = SECONDS) -> Any:
    """What `tests.faults.offer` tells of them."""
    where = ["127.0.0.1", str(urlsplit(site.url).port), "/"]
    command = [sys.executable, "-m", "tests.faults.offer", *where, str(seconds), kind, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    return json.loads(done.stdout)


def goodput(found: Any) -> float:
    """Good answers in a second."""
    return len(found["seconds"]) / float(found["took"])


@pytest.mark.promise(
    "three times the load that it can carry",
    "goodput >= 70 % of the peak, p99 of what is accepted <= 3 s, /health/live <= 1 s, 503 + Retry-After for the rest",
)
def test_overload(database_url: str, tmp_path: Path, figure: Callable[[str], None]) -> None:
    with site_with_meals(tmp_path, database_url) as site:
        come(site, "closed", BUSY, WARM)
        for attempt in range(ATTEMPTS):
            found = Overload(site)
            # Other programs on the machine can only make it look worse.
            if found.is_as_promised or attempt == ATTEMPTS - 1:
                break
        figure(f"{found}; attempt {attempt + 1} of at most {ATTEMPTS}")
        assert found.refused, "nobody was refused: it was no overload"
        assert found.is_as_promised


class Overload:
    """Three times as many visitors at once, and three times as many in a second."""

    def __init__(self, site: RunningSite) -> None:
        with probing(site.url, path="/health/live") as alive:
            # What a busy machine leaves to a test changes, so each is held against what was possible just before and after.
            peaks = [goodput(come(site, "closed", BUSY))]
            crowd = come(site, "closed", BUSY * TIMES)
            peaks.append(goodput(come(site, "closed", BUSY)))
            flood = come(site, "open", peaks[1] * TIMES)
            peaks.append(goodput(come(site, "closed", BUSY)))
        for found in (crowd, flood):
            assert set(found["statuses"]) <= {"200", "503"}, found["statuses"]
            assert (found["unanswered"], found["without_retry_after"]) == (0, 0)
        assert alive.lost == []
        self.alive, self.refused = alive, flood["statuses"].get("503", 0)
        self.refused_share = self.refused / sum(flood["statuses"].values())
        self.shares = [goodput(found) / max(pair) for found, pair in zip((crowd, flood), pairwise(peaks), strict=True)]
        self.p99 = [found["seconds"][int(len(found["seconds"]) * 0.99)] for found in (crowd, flood)]

    @property
    def is_as_promised(self) -> bool:
        """All three figures."""
        return min(self.shares) >= GOODPUT and max(self.p99) <= ACCEPTED and self.alive.slowest <= ALIVE

    def __str__(self) -> str:
        return (
            f"{TIMES} x the visitors at once: {self.shares[0]:.0%} of the peak, p99 {self.p99[0]:.1f} s; {TIMES} x the rate:"
            f" {self.shares[1]:.0%}, p99 {self.p99[1]:.1f} s, {self.refused_share:.0%} told to come again; slowest of"
            f" {self.alive.count()} looks at its health {self.alive.slowest:.2f} s"
        )


@pytest.mark.promise(
    "slow clients, directly", "2,000 idle + 500 slow connections: 0 probes lost; what is too large is refused"
)
def test_slow_clients(tmp_path: Path, figure: Callable[[str], None]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + SLOW + 1000:
        left_out(f"this machine allows {hard} open files")
    with ExitStack() as stack:
        url = stack.enter_context(new_database("sqlite", tmp_path))
        upgrade(url)
        site = stack.enter_context(site_with_meals(tmp_path, url))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        address = ("127.0.0.1", urlsplit(site.url).port or 0)
        with probing(site.url) as probes:
            for _ in range(IDLE):
                stack.enter_context(socket.create_connection(address, 10))
            slow = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(SLOW)]
            ended = threading.Event()
            dripping = threading.Thread(target=drip, args=(slow, ended))
            dripping.start()
            try:
                time.sleep(10)
                asked = [too_large(address, head) for head in HUGE]
                time.sleep(2)
            finally:
                ended.set()
                dripping.join()
        assert probes.lost == []
        assert asked == [b"431", b"413", b"431"]
        assert "Traceback" not in site.log
        figure(
            f"{IDLE:,} idle + {SLOW} slow, {probes.count()} probes: 0 lost; {len(HUGE)} of {len(HUGE)} requests that are"
            " too large refused"
        )


def drip(connections: list[socket.socket], ended: threading.Event) -> None:
    """Each sends a byte of a request at a time, half of them of its head, half of its body."""
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    body = (
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"
    )
    for number, connection in enumerate(connections):
        connection.sendall(head if number % 2 else body)
    while not ended.wait(DRIP):
        for connection in connections:
            with suppress(OSError):
                connection.sendall(b"x")


#: The beginnings of requests that nobody may finish, and what follows again and again.
HUGE = (
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x" * 65536),
    (b"POST /api/meals HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65536),
    (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-Another: line\r\n" * 4096),
)


def too_large(address: tuple[str, int], what: tuple[bytes, bytes]) -> bytes:
    """The status with which it is refused, long before 64 MB have been sent."""
    with socket.create_connection(address, 10) as connection:
        connection.sendall(what[0])
        # Not select: there are more descriptors than it knows.
        answered = select.poll()
        answered.register(connection, select.POLLIN)
        for _ in range(1000):
            if answered.poll(0):
                break
            with suppress(OSError):
                connection.sendall(what[1])
        else:
            raise AssertionError("64 MB were taken")
        return connection.recv(100).split()[1]


@pytest.mark.promise("the clock goes back an hour", "ids stay unique, and grow in each process")
def test_a_clock_that_goes_back(database_url: str, tmp_path: Path, figure: Callable[[str], None]) -> None:
    with registry_of(settings_for(tmp_path, database_url)) as registry:
        add_user(registry, "mei")
    step = tmp_path / "step"
    more = {"pyramid__includes": "tests.faults.wrong_clock"}
    with running_site(tmp_path, database_url, **more) as site:
        headers = token(site, "mei")
        made: list[int] = []
        for number in range(60):
            if number == 30:
                step.touch()
                # A token from the future is good for nothing.
                headers = token(site, "mei")
            status, _, body = ask(site, "POST", "/api/meals", {"food": "soup"}, headers)
            assert status == 201, body
            made.append(int(json.loads(body)["id"]))
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert sorted(connection.scalars(text("SELECT id FROM posts")).all()) == made
        moments = list(connection.scalars(text("SELECT created_at FROM posts ORDER BY id")))
    engine.dispose()
    assert str(moments[-1]) < str(moments[0]), "the clock did not go back"
    figure(f"{len(made)} meals, half of them after it: {len(set(made))} ids, each greater than the one before")
