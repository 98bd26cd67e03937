"""One limit for several processes: three sites on one database and one Redis, asked by many at once."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from mealshare.core.db.migrate import upgrade
from tests.databases import new_database
from tests.redis_server import OwnRedis, own_redis
from tests.sites import RunningSite, running_site

PROCESSES, THREADS, EACH = 3, 4, 15
LIMIT = 70
#: Long enough for nothing to expire while the test runs, on whichever machine.
LIMITS = {
    "ratelimit__enabled": "true",
    "ratelimit__api": f"{LIMIT}/1 day",
    "ratelimit__write": "20/1 day",
    "ratelimit__login_account": "10/1 day",
    "ratelimit__prefix": "shared",
    # A busy machine must not be taken for a Redis that is away.
    "ratelimit__timeout": "5",
}


@dataclass(frozen=True)
class Cluster:
    """What an administrator has started."""

    redis: OwnRedis
    sites: list[RunningSite]


@pytest.fixture
def cluster(tmp_path: Path, need_redis_server: None) -> Iterator[Cluster]:
    folder = tmp_path
    with ExitStack() as stack:
        server = stack.enter_context(own_redis(folder))
        url = stack.enter_context(new_database("sqlite", folder))
        upgrade(url)
        settings = LIMITS | {"ratelimit__backend": "redis", "ratelimit__url": server.url, "jobs__engine": "worker"}
        folders = [folder / str(number) for number in range(PROCESSES)]
        for own in folders:
            own.mkdir()
        yield Cluster(server, [stack.enter_context(running_site(own, url, **settings)) for own in folders])


def ask(site: RunningSite, method: str, path: str, times: int, body: Any = None) -> list[tuple[int, Message]]:
    """Status and headers of each of some requests over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", int(site.url.rpartition(":")[2]), timeout=60)
    sent = None if body is None else json.dumps(body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    answers: list[tuple[int, Message]] = []
    for _ in range(times):
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        answer.read()
        answers.append((answer.status, answer.headers))
    connection.close()
    return answers


def ask_all(cluster: Cluster, path: str = "/api/instance") -> Counter[int]:
    """How often each status came back, when all processes are asked by several threads at once."""
    asked = cluster.sites * THREADS
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda site: ask(site, "GET", path, EACH), asked))
    return Counter(status for part in answers for status, _ in part)


def test_three_processes_have_one_limit_and_go_on_without_redis(cluster: Cluster) -> None:
    """One test for all of it: starting three sites takes longer than asking them."""
    three_processes_allow_exactly_what_one_would(cluster)
    without_redis_everybody_is_served(cluster)
    with_redis_the_limit_holds_again(cluster)


def three_processes_allow_exactly_what_one_would(cluster: Cluster) -> None:
    assert ask_all(cluster) == {200: LIMIT, 429: PROCESSES * THREADS * EACH - LIMIT}
    for site in cluster.sites:
        [(status, headers)] = ask(site, "GET", "/api/instance", 1)
        assert status == 429
        assert 86_000 < int(headers["Retry-After"]) <= 86_400
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == (str(LIMIT), "0")
        assert headers["RateLimit"].startswith('"api";r=0;t=')


def without_redis_everybody_is_served(cluster: Cluster) -> None:
    cluster.redis.kill()
    assert ask_all(cluster) == {200: PROCESSES * THREADS * EACH}
    for site in cluster.sites:
        assert "ratelimit.storage_failed" in site.log
        assert site.log.count("ratelimit.storage_failed") < 10, "a line for each request is load too"
        [(status, _)] = ask(site, "GET", "/health/ready", 1)
        assert status == 200, "a balancer would take the site away"
    # Guessing goes on to be limited, by each process for itself.
    wrong = {"username": "mei", "password": "a wrong password"}
    guesses = [status for status, _ in ask(cluster.sites[0], "POST", "/api/login", 12, wrong)]
    assert guesses == [401] * 10 + [429] * 2


def with_redis_the_limit_holds_again(cluster: Cluster) -> None:
    cluster.redis.start()
    deadline = time.monotonic() + 60
    for site in cluster.sites:
        while ask(site, "GET", "/api/instance", 1)[0][1]["X-RateLimit-Remaining"] == str(LIMIT):
            assert time.monotonic() < deadline, "the site does not count again"
            time.sleep(0.1)
        assert "ratelimit.storage_back" in site.log
    cluster.redis.empty()
    assert ask_all(cluster)[200] == LIMIT
