"""What every cache must do, run on each one; then what only the embedded one promises, or only Redis."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import time_machine
from dogpile.cache.api import BytesBackend
from pyramid.config import Configurator

from mealshare.core.cache import BackedCache, Cache, CacheSettings, Fragments, make_cache
from mealshare.core.cache.fragments import OVERHEAD
from mealshare.core.cache.lru import ENTRY_OVERHEAD, LruBackend
from mealshare.core.settings import Secret, SettingsError
from tests.conftest import left_out
from tests.databases import REDIS_LEFT_OUT, redis_url
from tests.redis_server import OwnRedis, own_redis


def on_redis(prefix: str) -> Cache:
    """A cache under ``prefix`` in the Redis of the tests, with more patience than a request has."""
    url = redis_url()
    if url is None:
        left_out(REDIS_LEFT_OUT)
    return make_cache(CacheSettings(backend="redis", url=Secret(url), prefix=prefix, timeout=5))


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    if request.param == "memory":
        yield make_cache(CacheSettings())
        return
    cache = on_redis(f"test-[{secrets.token_hex(8)}]*")
    yield cache
    cache.clear()


def test_a_value_comes_back_until_it_is_deleted(cache: Cache) -> None:
    assert cache.get("a") is None
    cache.set("a", b"one", None)
    cache.set("b", b"", None)
    assert (cache.get("a"), cache.get("b")) == (b"one", b"")
    cache.set("a", b"\x00two\xff", None)
    assert cache.get("a") == b"\x00two\xff"
    cache.delete("a")
    cache.delete("a")
    assert (cache.get("a"), cache.get("b")) == (None, b"")


def test_a_value_lives_as_long_as_it_was_given(cache: Cache) -> None:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        cache.set("short", b"1", 10)
        cache.set("long", b"2", 100)
        cache.set("never", b"3", 0)
        cache.set("ever", b"4", None)
        clock.shift(timedelta(seconds=9.9))
        assert [cache.get(key) for key in ("short", "long", "never", "ever")] == [b"1", b"2", None, b"4"]
        clock.shift(timedelta(seconds=0.1))
        assert [cache.get(key) for key in ("short", "long")] == [None, b"2"]
        clock.shift(timedelta(days=3650))
        assert [cache.get(key) for key in ("long", "ever")] == [None, b"4"]


def test_setting_for_no_time_takes_the_old_value_away(cache: Cache) -> None:
    cache.set("a", b"old", None)
    cache.set("a", b"new", 0)
    assert cache.get("a") is None


def test_get_or_create_creates_once_and_again_when_it_expired(cache: Cache) -> None:
    made = iter([b"first", b"second"])
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        assert cache.get_or_create("a", lambda: next(made), 10) == b"first"
        assert cache.get_or_create("a", lambda: next(made), 10) == b"first"
        clock.shift(timedelta(seconds=10))
        assert cache.get_or_create("a", lambda: next(made), 10) == b"second"


def test_threads_wait_for_one_creation(cache: Cache) -> None:
    calls: list[int] = []
    results: list[bytes] = []

    def create() -> bytes:
        calls.append(1)
        time.sleep(0.05)
        return b"made"

    threads = [threading.Thread(target=lambda: results.append(cache.get_or_create("a", create, 60))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"made"] * 12
    assert calls == [1]


def test_a_creation_may_ask_for_another_key(cache: Cache) -> None:
    def outer() -> bytes:
        return cache.get_or_create("inner", lambda: b"in", None) + b"out"

    assert cache.get_or_create("outer", outer, None) == b"inout"
    assert cache.get("inner") == b"in"


def test_a_creation_that_fails_leaves_nothing_and_blocks_nobody(cache: Cache) -> None:
    def fail() -> bytes:
        raise LookupError("no")

    with pytest.raises(LookupError):
        cache.get_or_create("a", fail, None)
    assert cache.get_or_create("a", lambda: b"now", None) == b"now"


def test_several_keys_are_asked_for_in_one_step_and_forgotten_in_one(cache: Cache) -> None:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        assert cache.set("a", b"1", None)
        assert cache.set("b", b"2", 10)
        assert cache.get_many(["b", "nothing", "a"]) == [b"2", None, b"1"]
        clock.shift(timedelta(seconds=10))
        assert cache.get_many(["b", "a"]) == [None, b"1"]
    assert cache.get_many([]) == []
    cache.set("c", b"3", None)
    assert cache.delete("a", "nothing", "c")
    assert cache.get_many(["a", "c"]) == [None, None]


def test_clear_forgets_everything(cache: Cache) -> None:
    cache.set("a", b"1", None)
    cache.set("b", b"2", 60)
    cache.clear()
    assert (cache.get("a"), cache.get("b")) == (None, None)


@pytest.mark.parametrize("key", ["", "x" * 251])
def test_a_key_that_backends_would_cut_is_refused(cache: Cache, key: str) -> None:
    for call in (
        cache.get,
        cache.delete,
        lambda k: cache.delete("a", k),
        lambda k: cache.get_many(["a", k]),
        lambda k: cache.set(k, b"", None),
        lambda k: cache.get_or_create(k, bytes, None),
    ):
        with pytest.raises(ValueError, match="1 to 250"):
            call(key)


def test_it_is_healthy_and_asking_leaves_nothing_behind(cache: Cache) -> None:
    cache.set("a", b"1", None)
    assert cache.healthy()
    assert cache.get("a") == b"1"


class Unreachable(BytesBackend):
    """A backend whose server is gone."""

    def __init__(self) -> None:
        pass

    def _gone(self, *_: Any) -> Any:
        raise ConnectionRefusedError

    get_serialized = set_serialized = delete = clear = _gone


def test_a_backend_that_is_gone_is_an_empty_cache(caplog: pytest.LogCaptureFixture) -> None:
    cache = BackedCache(Unreachable())
    cache.set("a", b"1", None)
    cache.delete("a")
    cache.clear()
    assert cache.get("a") is None
    assert cache.get_or_create("a", lambda: b"made", 60) == b"made"
    assert cache.get_many(["a"]) is None
    assert not cache.healthy()
    assert {record.getMessage() for record in caplog.records} == {"cache.failed"}


def test_memory_is_bounded_in_entries_and_the_least_recently_used_goes() -> None:
    backend = LruBackend({"entries": 3, "bytes": 10**6})
    for key in "abc":
        backend.set_serialized(key, b"x")
    backend.get_serialized("a")
    backend.set_serialized("d", b"x")
    found = [key for key in "abcd" if isinstance(backend.get_serialized(key), bytes)]
    assert found == ["a", "c", "d"]


def test_memory_is_bounded_in_bytes_and_the_count_is_right() -> None:
    room = 10 * (ENTRY_OVERHEAD + 2 + 100)
    backend = LruBackend({"entries": 10**6, "bytes": room})
    for round_number in range(5):
        for number in range(40):
            backend.set_serialized(f"{number:02}", bytes(100 - round_number))
            assert backend.size <= room
    assert len(backend) == 10
    backend.set_serialized("30", bytes(room))
    assert not isinstance(backend.get_serialized("30"), bytes)
    assert len(backend) == 9
    backend.delete_multi([f"{number:02}" for number in range(40)])
    assert (len(backend), backend.size) == (0, 0)


def test_memory_holds_its_count_under_threads() -> None:
    backend = LruBackend({"entries": 50, "bytes": 20_000})

    def work(seed: int) -> None:
        for number in range(3000):
            key = str((number * seed) % 97)
            backend.set_serialized(key, bytes(number % 300))
            backend.get_serialized(key)
            if number % 7 == 0:
                backend.delete(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sum(len(key) + len(value) + ENTRY_OVERHEAD for key, value in backend._entries.items())
    assert backend.size == expected <= 20_000
    assert len(backend) <= 50


def test_fragments_keep_objects_and_let_the_least_recently_used_go() -> None:
    fragments = Fragments(2 * (100 + OVERHEAD))
    piece = object()
    fragments.put((1, 1, "en"), piece, 100)
    fragments.put((2, 1, "en"), "b", 100)
    assert fragments.get((1, 1, "en")) is piece
    fragments.put((3, 1, "en"), "c", 100)
    assert [fragments.get((number, 1, "en")) for number in (1, 2, 3)] == [piece, None, "c"]
    assert (fragments.hits, fragments.misses) == (3, 1)
    fragments.clear()
    assert len(fragments) == fragments.taken == 0


def test_fragments_count_what_is_put_again_and_what_grows() -> None:
    fragments = Fragments(3 * OVERHEAD)
    fragments.put((1,), "a", 10)
    fragments.put((1,), "b", 20)
    fragments.put((2,), "c", 30)
    fragments.grow((1,), 5)
    fragments.grow((9,), 1_000_000)
    assert fragments.taken == 20 + 30 + 5 + 2 * OVERHEAD
    fragments.grow((2,), OVERHEAD)
    assert [fragments.get((number,)) for number in (1, 2)] == [None, "c"]
    assert fragments.taken == 30 + 2 * OVERHEAD
    fragments.grow((2,), 3 * OVERHEAD)
    assert len(fragments) == fragments.taken == 0


def test_fragments_of_size_zero_hold_nothing() -> None:
    fragments = Fragments(0)
    fragments.put((1,), "a", 0)
    assert fragments.get((1,)) is None


def test_fragments_stay_bounded_and_right_under_threads() -> None:
    fragments = Fragments(64 * (10 + OVERHEAD))
    wrong: list[object] = []

    def work() -> None:
        for number in range(20_000):
            key = (number % 200, "en")
            found = fragments.get(key)
            if found is None:
                fragments.put(key, key, 10)
            elif found != key:
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(fragments) == 64


def configured(**settings: str) -> Configurator:
    config = Configurator(settings=settings)
    config.include("mealshare.core.settings")
    config.include("mealshare.core.cache")
    config.commit()
    return config


def test_both_caches_stand_in_the_registry_with_the_bounds_of_the_settings() -> None:
    registry = configured(**{"cache.fragment_megabytes": "1", "cache.entries": "1"}).registry
    for number in range(2):
        registry["fragments"].put((number,), number, 600_000)
        registry["cache"].set(str(number), b"x", None)
    assert [registry["fragments"].get((number,)) for number in range(2)] == [None, 1]
    assert [registry["cache"].get(str(number)) for number in range(2)] == [None, b"x"]


@pytest.mark.parametrize(("name", "value"), [("backend", "sieve"), ("entries", "0"), ("megabytes", "x")])
def test_a_wrong_setting_stops_the_boot_with_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"cache\.{name}"):
        configured(**{f"cache.{name}": value})


# Redis alone.


def test_a_missing_address_of_redis_stops_the_boot_with_its_name() -> None:
    with pytest.raises(SettingsError, match=r"cache\.url is missing"):
        configured(**{"cache.backend": "redis"})


def test_two_sites_share_a_redis_and_nothing_in_it() -> None:
    one, other = (on_redis(f"test-[{secrets.token_hex(8)}]*") for _ in range(2))
    one.set("a", b"one", 60)
    other.set("a", b"other", 60)
    one.clear()
    assert (one.get("a"), other.get("a")) == (None, b"other")
    other.clear()


def test_two_processes_see_the_same_values() -> None:
    prefix = f"test-{secrets.token_hex(8)}"
    one, other = on_redis(prefix), on_redis(prefix)
    assert (one.shared, make_cache(CacheSettings()).shared) == (True, False)
    one.set("a", b"1", 60)
    assert other.get("a") == b"1"
    other.delete("a")
    assert one.get("a") is None


def test_redis_itself_lets_every_value_go_in_time() -> None:
    prefix = f"test-{secrets.token_hex(8)}"
    cache = on_redis(prefix)
    with redis.Redis.from_url(redis_url() or "") as client:
        for key, ttl in (("short", 0.3), ("long", 100.0), ("ever", None)):
            cache.set(key, b"x", ttl)
        left = {key: client.pttl(f"{prefix}:cache:{key}") for key in ("short", "long", "ever")}
        assert 0 < left["short"] <= 300
        assert 90_000 < left["long"] <= 100_000
        assert 6 * 86_400_000 < left["ever"] <= 7 * 86_400_000
        time.sleep(0.35)
        assert not client.exists(f"{prefix}:cache:short")
    cache.clear()


@pytest.fixture
def server(tmp_path: Path, need_redis_server: None) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


def impatient(url: str) -> Cache:
    """The cache of a site with a Redis at ``url``."""
    return make_cache(CacheSettings(backend="redis", url=Secret(url), timeout=0.2), "http://localhost")


def test_a_redis_that_does_not_answer_holds_up_one_request_and_not_each(
    server: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    cache = impatient(server.url)
    assert cache.set("a", b"1", 600)
    with server.frozen():
        started = time.monotonic()
        assert [cache.get("a") for _ in range(100)] == [None] * 100
        assert [cache.get_or_create("a", lambda: b"made", 60) for _ in range(50)] == [b"made"] * 50
        assert not cache.set("b", b"2", 60)
        assert not cache.delete("a")
        # Waiting each time would take 40 seconds.
        assert time.monotonic() - started < 15
        assert not cache.healthy()
    assert [record.getMessage() for record in caplog.records] == ["cache.failed"]
    assert isinstance(caplog.records[0].exc_info[1], redis.TimeoutError)


def test_a_redis_that_comes_back_is_used_again(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    cache = impatient(server.url)
    assert cache.set("a", b"1", 600)
    server.kill()
    assert cache.get("a") is None
    server.start()
    deadline = time.monotonic() + 10
    while not cache.set("a", b"2", 600):
        assert time.monotonic() < deadline, "nobody asked again"
        time.sleep(0.05)
    assert cache.get("a") == b"2"
    assert [record.getMessage() for record in caplog.records] == ["cache.failed", "cache.back"]


def test_a_pause_of_redis_makes_no_value_live_longer(server: OwnRedis) -> None:
    """What it was told before the pause it does after it, and only then begins to count."""
    cache = impatient(server.url)
    cache.get("connect")
    with server.frozen():
        assert not cache.set("a", b"1", 0.5)
        time.sleep(0.6)
    time.sleep(0.05)
    with redis.Redis.from_url(server.url) as client:
        assert client.exists("localhost:cache:a"), "it was told"
    other = impatient(server.url)
    assert other.get("a") is None
