"""What every storage of hits must do, run on each one; then what only Redis promises."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from mealshare.core.ratelimit import (
    BoundedMemoryStorage,
    Count,
    HitStorage,
    Limit,
    RateLimiter,
    RateLimitSettings,
    RedisStorage,
    Window,
    make_rate_limiter,
)
from mealshare.core.settings import Secret
from tests.conftest import left_out
from tests.databases import REDIS_LEFT_OUT, redis_url
from tests.redis_server import OwnRedis, own_redis

#: No test may depend on Redis answering quickly.
PATIENT = 30.0
LONG = 3600


@pytest.fixture
def on_redis() -> Iterator[RedisStorage]:
    url = redis_url()
    if url is None:
        left_out(REDIS_LEFT_OUT)
    storage = RedisStorage(url or "", f"test-[{secrets.token_hex(8)}]*:", PATIENT)
    yield storage
    storage.reset()
    storage.close()


@pytest.fixture(params=["memory", "redis"])
def storage(request: pytest.FixtureRequest) -> HitStorage:
    if request.param == "memory":
        return BoundedMemoryStorage()
    found: HitStorage = request.getfixturevalue("on_redis")
    return found


def test_a_window_is_full_after_its_last_hit_and_a_refused_one_does_not_count(storage: HitStorage) -> None:
    window = [Window("a", 3, LONG)]
    answers = [storage.hit(window) for _ in range(5)]
    assert [counted for counted, _ in answers] == [True, True, True, False, False]
    assert [counts[0].hits for _, counts in answers] == [1, 2, 3, 3, 3]
    assert all(LONG - 60 < counts[0].frees_in <= LONG + 0.01 for _, counts in answers)
    counted, counts = storage.hit([Window("b", 3, LONG)])
    assert (counted, counts[0].hits) == (True, 1)


def test_a_hit_counts_in_all_windows_or_in_none(storage: HitStorage) -> None:
    wide, narrow = Window("wide", 5, LONG), Window("narrow", 2, LONG)
    for _ in range(4):
        storage.hit([wide, narrow])
    assert [count.hits for count in storage.look([wide, narrow])] == [2, 2]
    counted, counts = storage.hit([narrow, wide])
    assert (counted, [count.hits for count in counts]) == (False, [2, 2])
    assert storage.hit([wide])[1][0].hits == 3


def test_looking_counts_nothing_and_an_unknown_key_has_nothing(storage: HitStorage) -> None:
    window = Window("a", 1, LONG)
    for _ in range(3):
        assert storage.look([window]) == [Count(0, 0.0)]
    storage.hit([window])
    assert storage.look([window, Window("b", 1, LONG)])[0].hits == 1


def test_what_is_cleared_counts_no_more(storage: HitStorage) -> None:
    first, second = Window("a", 1, LONG), Window("b", 1, LONG)
    storage.hit([first, second])
    storage.clear("a")
    storage.clear("never")
    assert [storage.hit([window])[0] for window in (first, second)] == [True, False]
    storage.reset()
    assert storage.hit([first, second])[0]
    storage.check()


@pytest.mark.parametrize("amount", [1, 300])
def test_in_no_second_are_there_more_hits_than_allowed(storage: HitStorage, amount: int) -> None:
    """The window moves: whichever second one looks at, it has at most ``amount`` hits; and it fills again at once."""
    window = [Window("a", amount, 1)]
    asked: list[tuple[float, float]] = []
    end = time.monotonic() + 2.3
    while time.monotonic() < end or len(asked) <= amount:
        before = time.monotonic()
        if storage.hit(window)[0]:
            asked.append((before, time.monotonic()))
        else:
            time.sleep(0.001)
    gaps = [later[1] - earlier[0] for earlier, later in zip(asked, asked[amount:], strict=False)]
    assert min(gaps) >= 1.0
    hits, frees_in = storage.look(window)[0]
    assert 0 <= hits <= amount
    assert 0 <= frees_in <= 1.01


def test_many_that_expired_leave_at_once(storage: HitStorage) -> None:
    window = [Window("a", 5000, 1)]
    for _ in range(2000):
        storage.hit(window)
    time.sleep(1.1)
    assert storage.look(window) == [Count(0, 0.0)]
    assert storage.hit(window)[1][0].hits == 1


def test_threads_never_get_more_than_the_limit(storage: HitStorage) -> None:
    limiter = RateLimiter({"api": Limit(100, LONG), "write": Limit(30, LONG)}, storage)
    allowed: list[bool] = []

    def ask() -> None:
        for number in range(60):
            asked = (("api", "a"), ("write", "a")) if number % 2 else (("api", "a"),)
            allowed.append(all(one.allowed for one in limiter.hit_all(asked)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (480, 100)
    assert limiter.peek("write", "a").remaining >= 0


def test_names_of_any_kind_are_kept_apart(storage: HitStorage) -> None:
    limiter = RateLimiter({"api": Limit(3, LONG), "write": Limit(3, LONG)}, storage)
    for keys in (("a/b", "c"), ("a", "b/c"), ("a/bc",), ("x" * 10**6,), ("\udc80",), ("",), ("麻婆豆腐\0",), ("*",)):
        assert limiter.hit("api", *keys).remaining == 2
    assert limiter.hit("write", "*").remaining == 2


# Redis alone.


def test_two_sites_share_a_redis_and_no_count(on_redis: RedisStorage) -> None:
    other = RedisStorage(redis_url() or "", f"test-[{secrets.token_hex(8)}]*:", PATIENT)
    window = [Window("a", 1, LONG)]
    assert on_redis.hit(window)[0]
    assert other.hit(window)[0]
    on_redis.reset()
    assert not other.hit(window)[0], "resetting one site took the other's hits along"
    other.reset()
    other.close()


@pytest.mark.parametrize(
    ("given", "base_url", "prefix"),
    [
        ("", "https://meals.example", "meals.example:limit:"),
        ("", "http://localhost:6543", "localhost:6543:limit:"),
        ("blue", "https://meals.example", "blue:limit:"),
    ],
)
def test_the_prefix_is_the_sites_own(given: str, base_url: str, prefix: str) -> None:
    settings = RateLimitSettings(backend="redis", url=Secret("redis://localhost"), prefix=given)
    storage = make_rate_limiter(settings, base_url).storage
    assert isinstance(storage, RedisStorage)
    assert storage._prefix == prefix


def test_every_key_goes_away_by_itself_and_takes_little(on_redis: RedisStorage) -> None:
    for _ in range(1000):
        on_redis.hit([Window("a", 2000, LONG), Window("b", 2000, 60)])
    client = on_redis._client
    left = {key: client.pttl(on_redis._prefix + key) for key in ("a", "b", "c")}
    assert 3_500_000 < left["a"] <= 3_600_001
    assert 1_000 < left["b"] <= 60_001
    assert left["c"] == -2
    assert client.memory_usage(on_redis._prefix + "a", samples=0) < 16 * 1000


@pytest.fixture
def server(tmp_path: Path, need_redis_server: None) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


def impatient(url: str) -> RateLimiter:
    """The limiter of a site with a Redis at ``url``."""
    settings = RateLimitSettings(backend="redis", url=Secret(url), api="3/5 minutes", timeout=0.2)
    return make_rate_limiter(settings, "http://localhost")


def test_nobody_waits_twice(tmp_path: Path) -> None:
    """The library can try again by itself, with pauses; a request would wait for all of it."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "redis.sock"))
        silent.listen()
        silent.setblocking(False)
        limiter = impatient(f"unix://{tmp_path}/redis.sock")
        assert limiter.hit("api", "a").allowed
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_redis_that_does_not_answer_holds_up_one_request_and_not_each(
    server: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = impatient(server.url)
    with server.frozen():
        started = time.monotonic()
        assert all(limiter.hit("api", "a").allowed for _ in range(200))
        # Waiting each time would take 40 seconds.
        assert time.monotonic() - started < 20
        assert not limiter.healthy()
    assert {record.getMessage() for record in caplog.records} == {"ratelimit.storage_failed"}
    assert isinstance(caplog.records[0].exc_info[1], redis.TimeoutError)


def test_a_redis_that_was_started_again_is_no_failure(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is a dead one and the script is unknown there: both are found out in the same call."""
    limiter = impatient(server.url)
    limiter.hit("api", "a")
    server.kill()
    server.start()
    assert limiter.hit("api", "a").remaining == 2
    assert caplog.records == []
