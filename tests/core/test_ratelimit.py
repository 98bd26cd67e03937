from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from limits.storage import storage_from_string
from pyramid.config import Configurator

from mealshare.core.ratelimit import (
    BoundedMemoryStorage,
    RateLimiter,
    RateLimitSettings,
    address_key,
    make_rate_limiter,
)
from mealshare.core.settings import SettingsError

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def limiter() -> RateLimiter:
    return make_rate_limiter(RateLimitSettings(signup="3/30 minutes"))


def test_the_hit_after_the_last_allowed_one_is_refused(limiter: RateLimiter) -> None:
    with time_machine.travel(START, tick=False):
        answers = [limiter.hit("signup", "192.0.2.1") for _ in range(4)]
    assert [answer.allowed for answer in answers] == [True, True, True, False]
    assert [answer.remaining for answer in answers] == [2, 1, 0, 0]
    assert {answer.limit for answer in answers} == {3}
    assert [answer.retry_after for answer in answers] == [0, 0, 0, 1800]
    assert answers[3].reset_at == START + timedelta(minutes=30)


def test_the_window_moves_with_each_hit(limiter: RateLimiter) -> None:
    with time_machine.travel(START, tick=False) as clock:
        limiter.hit("signup", "a")
        clock.shift(timedelta(minutes=20))
        limiter.hit("signup", "a")
        limiter.hit("signup", "a")
        clock.shift(timedelta(minutes=9, seconds=59))
        refused = limiter.hit("signup", "a")
        assert (refused.allowed, refused.retry_after) == (False, 1)
        clock.shift(timedelta(seconds=1))
        assert limiter.hit("signup", "a").allowed
        # The two of minute 20 still count: a fixed window would begin anew here.
        refused = limiter.hit("signup", "a")
        assert (refused.allowed, refused.retry_after) == (False, 1200)


def test_a_refused_hit_does_not_count(limiter: RateLimiter) -> None:
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(50):
            limiter.hit("signup", "a")
        clock.shift(timedelta(minutes=30))
        assert limiter.hit("signup", "a").remaining == 2


def test_peek_counts_nothing_and_says_what_hit_would(limiter: RateLimiter) -> None:
    with time_machine.travel(START, tick=False):
        for _ in range(10):
            assert limiter.peek("signup", "a").remaining == 3
        for _ in range(3):
            assert limiter.peek("signup", "a").allowed
            limiter.hit("signup", "a")
        peeked = limiter.peek("signup", "a")
        assert (peeked.allowed, peeked.remaining, peeked.retry_after) == (False, 0, 1800)
        assert peeked == limiter.hit("signup", "a")


def test_clear_gives_the_hits_back(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.hit("signup", "a", "b")
    limiter.clear("signup", "a", "b")
    assert limiter.peek("signup", "a", "b").remaining == 3


def test_keys_and_limits_do_not_run_together(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.hit("signup", "a/b", "c")
    assert not limiter.peek("signup", "a/b", "c").allowed
    for keys in (("a", "b/c"), ("a/bc",), ("a/b", "c", ""), ("a/b",), ("A/b", "c")):
        assert limiter.peek("signup", *keys).remaining == 3
    assert limiter.peek("reset", "a/b", "c").remaining == 5


def test_keys_of_any_length_and_content_cost_the_same(limiter: RateLimiter) -> None:
    for key in ("x" * 10**6, "\udc80", "", "麻婆豆腐\0"):
        assert limiter.hit("login_account", key, "a").remaining == 9
    storage = limiter._strategy.storage
    assert isinstance(storage, BoundedMemoryStorage)
    assert all(len(key) < 100 for key in storage._keys)


def test_an_unknown_limit_is_a_mistake_in_the_program(limiter: RateLimiter) -> None:
    with pytest.raises(KeyError):
        limiter.hit("sign_up", "a")


def test_the_defaults_are_the_promised_ones() -> None:
    limiter = make_rate_limiter(RateLimitSettings())
    promised = {
        "login_account": (10, 300), "login_address": (30, 300), "login_all": (1000, 300), "signup": (5, 1800),
        "reset": (5, 86400), "upload": (30, 1800), "api": (300, 300),
    }  # fmt: skip
    assert {name: (item.amount, item.get_expiry()) for name, item in limiter._limits.items()} == promised


def test_the_switch_turns_all_limits_off() -> None:
    limiter = make_rate_limiter(RateLimitSettings(enabled=False, signup="1/1 day"))
    assert [limiter.hit("signup", "a").allowed for _ in range(5)] == [True] * 5
    assert limiter.peek("signup", "a").remaining == 1


class Unreachable(BoundedMemoryStorage):
    """A storage whose server is gone."""

    STORAGE_SCHEME = ["mealshare-unreachable"]

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        raise ConnectionRefusedError

    get_moving_window = clear = check = acquire_entry  # type: ignore[assignment]


def test_a_storage_that_fails_lets_everybody_in_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    limiter = RateLimiter(RateLimitSettings(), storage_from_string("mealshare-unreachable://"))
    assert limiter.hit("signup", "a").allowed
    assert limiter.peek("signup", "a").allowed
    limiter.clear("signup", "a")
    assert [record.getMessage() for record in caplog.records] == ["ratelimit.storage_failed"] * 3
    assert not limiter.healthy()
    assert make_rate_limiter(RateLimitSettings()).healthy()


def test_threads_never_get_more_than_the_limit(limiter: RateLimiter) -> None:
    allowed: list[bool] = []

    def work() -> None:
        allowed.extend(limiter.hit("login_address", "a").allowed for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (1600, 30)


def test_memory_is_bounded_and_who_was_hit_last_is_remembered() -> None:
    storage = BoundedMemoryStorage(most=1000)
    for number in range(20_000):
        storage.acquire_entry(f"stranger {number}", 5, 300)
        storage.acquire_entry("known", 10**6, 300)
        if number % 100 == 0:
            storage.clear("known")
    assert len(storage) <= 1000
    assert len(storage._keys) <= 1000
    assert storage.get("known") == 99


def test_what_expired_is_forgotten() -> None:
    storage = BoundedMemoryStorage()
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(7):
            storage.acquire_entry("a", 10, 60)
        assert storage.get_expiry("a") == (START + timedelta(seconds=60)).timestamp()
        clock.shift(timedelta(seconds=60))
        assert storage.get("a") == 0
        assert (len(storage), len(storage._keys)) == (0, 0)
        assert storage.incr("a", 60, 3) == 3
        assert storage.reset() == 1
        assert len(storage) == 0


def test_a_clock_that_steps_back_neither_frees_nor_breaks() -> None:
    storage = BoundedMemoryStorage()
    with time_machine.travel(START, tick=False) as clock:
        storage.acquire_entry("a", 2, 60)
        clock.shift(timedelta(seconds=-30))
        storage.acquire_entry("a", 2, 60)
        assert not storage.acquire_entry("a", 2, 60)
        clock.shift(timedelta(seconds=90))
        assert storage.acquire_entry("a", 2, 60)


def test_no_thread_is_started(limiter: RateLimiter) -> None:
    before = threading.active_count()
    for number in range(3000):
        limiter.hit("api", str(number))
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("localhost", "unknown"),
        ("192.0.2.7, 10.0.0.1", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_address_stands_for_a_client(address: str | None, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize(
    "text", ["", "ten/minute", "10", "10/5 fortnights", "0/minute", "1/second; 5/minute", "-1/day"]
)
def test_a_limit_that_cannot_be_read_stops_the_boot_with_its_name(text: str) -> None:
    config = Configurator(settings={"ratelimit.upload": text})
    config.include("mealshare.core.settings")
    with pytest.raises(SettingsError, match=r"ratelimit\.upload"):
        config.include("mealshare.core.ratelimit")


def test_the_limiter_stands_in_the_registry() -> None:
    config = Configurator(settings={"ratelimit.reset": "1/1 day"})
    config.include("mealshare.core.settings")
    config.include("mealshare.core.ratelimit")
    limiter = config.registry["ratelimit"]
    assert [limiter.hit("reset", "a").allowed for _ in range(2)] == [True, False]
