from __future__ import annotations

import builtins
import random
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from pyramid.config import Configurator
from pyramid.request import Request

from mealshare.api.limit import limit_headers
from mealshare.core.ratelimit import (
    BoundedMemoryStorage,
    Count,
    Decision,
    Limit,
    RateLimiter,
    RateLimitSettings,
    Spent,
    Window,
    address_key,
    limits_of,
    make_rate_limiter,
    parse_limit,
    spend_for,
)
from mealshare.core.settings import BootError, SettingsError

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
    assert answers[3].reset == (START + timedelta(minutes=30)).timestamp()


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
    storage = limiter.storage
    assert isinstance(storage, BoundedMemoryStorage)
    assert all(len(key) < 100 for key in storage._keys)


def test_an_unknown_limit_is_a_mistake_in_the_program(limiter: RateLimiter) -> None:
    with pytest.raises(KeyError):
        limiter.hit("sign_up", "a")


def test_the_defaults_are_the_promised_ones() -> None:
    limiter = make_rate_limiter(RateLimitSettings())
    promised = {
        "login_account": (10, 300), "login_address": (30, 300), "login_all": (1000, 300), "signup": (5, 1800),
        "reset": (5, 86400), "upload": (30, 1800), "comment": (60, 1800), "api": (300, 300),
        "write": (150, 300), "search": (120, 300), "batch": (60, 300), "stream": (60, 300), "address": (6000, 300),
    }  # fmt: skip
    assert limiter.limits == promised


def test_the_switch_turns_all_limits_off() -> None:
    limiter = make_rate_limiter(RateLimitSettings(enabled=False, signup="1/1 day"))
    assert [limiter.hit("signup", "a").allowed for _ in range(5)] == [True] * 5
    assert limiter.peek("signup", "a").remaining == 1


class Unreachable(BoundedMemoryStorage):
    """A storage whose server is gone, until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.gone, self.asked = True, 0

    def hit(self, windows: Sequence[Window]) -> tuple[bool, list[Count]]:
        self.check()
        return super().hit(windows)

    def look(self, windows: Sequence[Window]) -> list[Count]:
        self.check()
        return super().look(windows)

    def clear(self, key: str) -> None:
        self.check()
        super().clear(key)

    def check(self) -> None:
        self.asked += 1
        if self.gone:
            raise ConnectionRefusedError


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the breaker; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr("mealshare.core.breaker.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """What was logged, and how many requests each line says went on uncounted."""
    return [(record.getMessage(), record.__dict__["missed"]) for record in caplog.records]


def test_a_storage_that_fails_lets_everybody_in_and_says_so(
    caplog: pytest.LogCaptureFixture, seconds: list[float]
) -> None:
    storage = Unreachable()
    limiter = RateLimiter({"api": Limit(3, 300)}, storage)
    assert all(limiter.hit("api", "a").allowed for _ in range(50))
    assert limiter.peek("api", "a").allowed
    limiter.clear("api", "a")
    assert lines(caplog) == [("ratelimit.storage_failed", 1)]
    assert not limiter.healthy()
    assert make_rate_limiter(RateLimitSettings()).healthy()


def test_a_storage_that_fails_is_asked_once_in_a_while_and_counts_again_when_it_is_back(
    caplog: pytest.LogCaptureFixture, seconds: list[float]
) -> None:
    """So that a server that does not answer costs one request in two seconds the time of waiting, and not each."""
    storage = Unreachable()
    limiter = RateLimiter({"api": Limit(3, 300)}, storage)
    for _ in range(10):
        for _ in range(20):
            assert limiter.hit("api", "a").allowed
        seconds[0] += 2.0
    assert storage.asked == 10
    assert lines(caplog) == [("ratelimit.storage_failed", 1)]
    seconds[0] += 20.0
    assert limiter.hit("api", "a").allowed
    assert lines(caplog)[1:] == [("ratelimit.storage_failed", 200)]
    storage.gone = False
    seconds[0] += 1.9
    assert (limiter.hit("api", "a").remaining, storage.asked) == (3, 11)
    seconds[0] += 0.1
    assert [limiter.hit("api", "a").allowed for _ in range(5)] == [True, True, True, False, False]
    assert lines(caplog)[2:] == [("ratelimit.storage_back", 1)]
    assert caplog.records[2].__dict__["seconds"] == 42.0


def test_one_thread_asks_a_storage_that_failed_and_the_others_go_on() -> None:
    inside, leave = threading.Event(), threading.Event()

    class Hanging(Unreachable):
        def check(self) -> None:
            self.asked += 1
            inside.set()
            assert leave.wait(30)
            raise TimeoutError

    storage = Hanging()
    limiter = RateLimiter({"api": Limit(3, 300)}, storage)
    limiter._breaker.failed(ConnectionRefusedError())
    limiter._breaker._again = 0.0
    asking = threading.Thread(target=limiter.hit, args=("api", "a"))
    asking.start()
    assert inside.wait(30)
    # Hangs here if it asks as well.
    assert all(limiter.hit("api", "a").allowed for _ in range(20))
    leave.set()
    asking.join()
    assert storage.asked == 1


def test_guessing_passwords_never_becomes_free(seconds: list[float]) -> None:
    """While the storage is away, each process counts guesses for itself."""
    storage = Unreachable()
    limiter = RateLimiter(limits_of(RateLimitSettings()), storage)
    assert [limiter.hit("login_account", "mei", "a").allowed for _ in range(12)].count(True) == 10
    assert not limiter.peek("login_account", "mei", "a").allowed
    limiter.clear("login_account", "mei", "a")
    assert limiter.hit("login_account", "mei", "a").allowed
    assert [limiter.hit("signup", "a").allowed for _ in range(12)].count(True) == 5
    assert [limiter.hit("reset", "a").allowed for _ in range(12)].count(True) == 5


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


def test_a_hit_counts_under_all_its_limits_or_under_none() -> None:
    limiter = RateLimiter({"api": Limit(5, 300), "write": Limit(2, 300)}, BoundedMemoryStorage())
    both = (("api", "a"), ("write", "a"))
    assert [[one.allowed for one in limiter.hit_all(both)] for _ in range(3)] == [
        [True, True],
        [True, True],
        [True, False],
    ]
    # The third is told what is left of the other limit, and has taken nothing of it.
    assert [one.remaining for one in limiter.hit_all(both)] == [3, 0]
    assert limiter.hit("api", "a").remaining == 2


def test_memory_is_bounded_and_who_was_hit_last_is_remembered() -> None:
    storage = BoundedMemoryStorage(most=1000)
    known = Window("known", 10**6, 300)
    for number in range(20_000):
        storage.hit([Window(f"stranger {number}", 5, 300)])
        storage.hit([known, Window("all", 10**6, 300)])
        if number % 100 == 0:
            storage.clear("known")
            storage.clear("all")
    assert len(storage) <= 1000
    assert len(storage._keys) <= 500
    assert storage.look([known])[0].hits == 99


def test_memory_of_one_key_is_what_is_promised() -> None:
    """The docstring says so, and from it follows how much a flood of addresses can take."""
    storage = BoundedMemoryStorage()
    for number in range(2_000):
        storage.hit([Window(f"api/{number:032x}", 300, 300)])
    key, times = next(iter(storage._keys.items()))
    # An OrderedDict has a table and a linked list; both are in its size.
    taken = sys.getsizeof(storage._keys) / 2_000 + sys.getsizeof(key) + sys.getsizeof(times)
    assert taken < 400


def test_what_expired_is_forgotten() -> None:
    storage = BoundedMemoryStorage()
    window = Window("a", 10, 60)
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(7):
            storage.hit([window])
        assert storage.look([window]) == [Count(7, 60.0)]
        clock.shift(timedelta(seconds=60))
        assert storage.look([window]) == [Count(0, 0.0)]
        assert (len(storage), len(storage._keys)) == (0, 0)
        storage.hit([window])
        storage.reset()
        assert len(storage) == 0


def test_refusing_a_new_client_keeps_nothing_of_them() -> None:
    storage = BoundedMemoryStorage()
    everybody = Window("all", 1, 60)
    for number in range(100):
        storage.hit([Window(f"stranger {number}", 5, 60), everybody])
    assert (len(storage), len(storage._keys)) == (2, 2)


def test_a_clock_that_steps_back_neither_frees_nor_breaks() -> None:
    storage = BoundedMemoryStorage()
    window = [Window("a", 2, 60)]
    with time_machine.travel(START, tick=False) as clock:
        storage.hit(window)
        clock.shift(timedelta(seconds=-30))
        storage.hit(window)
        assert not storage.hit(window)[0]
        clock.shift(timedelta(seconds=90))
        assert storage.hit(window)[0]


def test_memory_does_what_a_plain_list_would() -> None:
    """Thousands of hits and pauses, against the rule written down in the simplest way."""
    chance = random.Random(7)
    storage, kept = BoundedMemoryStorage(), {"a": [], "b": []}
    sizes = {"a": Window("a", 5, 10), "b": Window("b", 8, 60)}
    with time_machine.travel(START, tick=False) as clock:
        moment = START.timestamp()
        for _ in range(5_000):
            step = chance.choice((0, 0, 1, 2, 9, 31))
            clock.shift(timedelta(seconds=step))
            moment += step
            names = chance.choice((["a"], ["b"], ["a", "b"]))
            live = {name: [at for at in kept[name] if at > moment - sizes[name].seconds] for name in kept}
            free = all(len(live[name]) < sizes[name].amount for name in names)
            for name in names if free else ():
                live[name].append(moment)
            kept = live
            counted, counts = storage.hit([sizes[name] for name in names])
            assert counted is free
            assert counts == [
                Count(len(live[name]), live[name][0] + sizes[name].seconds - moment if live[name] else 0.0)
                for name in names
            ]


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


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("10/5 minutes", (10, 300)), ("1/second", (1, 1)), ("7 per 2 hours", (7, 7200)), (" 5/1 day ", (5, 86400)),
        ("100/30SECONDS", (100, 30)),
    ],
)  # fmt: skip
def test_how_a_limit_is_written(text: str, limit: tuple[int, int]) -> None:
    assert parse_limit(text) == limit


def decision(name: str, allowed: bool, limit: int, remaining: int, reset: float, retry_after: int = 0) -> Decision:
    return Decision(allowed, limit, remaining, reset, retry_after, name, 300)


def test_the_headers_tell_the_limit_that_is_used_up_first_and_all_of_them() -> None:
    with time_machine.travel(START, tick=False):
        now = START.timestamp()
        spent = Spent(
            [
                decision("api", True, 300, 200, now + 10.2),
                decision("write", True, 150, 149, now + 300),
                decision("address", True, 6000, 5000, now + 299.5),
            ]
        )
        assert dict(limit_headers(spent)) == {
            "X-RateLimit-Limit": "150", "X-RateLimit-Remaining": "149", "X-RateLimit-Reset": str(int(now) + 300),
            "RateLimit-Policy": '"api";q=300;w=300, "write";q=150;w=300, "address";q=6000;w=300',
            "RateLimit": '"api";r=200;t=11, "write";r=149;t=300, "address";r=5000;t=300',
        }  # fmt: skip
    refused = Spent([decision("api", False, 300, 0, 5.0, 5), decision("write", False, 150, 0, 9.0, 9)])
    assert (refused.allowed, refused.limit, refused.retry_after, refused.tightest.name) == (False, 150, 9, "write")
    assert limit_headers(None) == []


class Counted:
    """An application's request, as far as counting it goes."""

    def __init__(self, limiter: RateLimiter | None, account: int | None, address: str) -> None:
        self.registry = {} if limiter is None else {"ratelimit": limiter}
        self.environ = {"REMOTE_ADDR": address}
        self.identity = None if account is None else SimpleNamespace(account_id=account)


def spend(limiter: RateLimiter | None, account: int | None, address: str, *names: str) -> Any:
    """What one request uses up."""
    request: Any = Counted(limiter, account, address)
    once: Request = request
    spent = spend_for(once, names)
    assert spend_for(once, ("write",)) is spent, "a request counts once"
    return spent


def test_who_is_counted_under_what() -> None:
    """An account wherever it is, a visitor's address, and the address of everybody who is signed in there."""
    limiter = make_rate_limiter(RateLimitSettings(api="4/5 minutes", write="2/5 minutes", address="7/5 minutes"))
    here, there = "192.0.2.1", "2001:db8::1"
    assert spend(limiter, None, here, "api").tightest[:3] == (True, 4, 3)
    assert [one.name for one in spend(limiter, 1, here, "api", "write").decisions] == ["api", "write", "address"]
    assert spend(limiter, 1, there, "api", "write").tightest.name == "write"
    assert not spend(limiter, 1, here, "api", "write").allowed
    assert [spend(limiter, 1, there, "api").allowed for _ in range(3)] == [True, True, False]
    # Other accounts come from the same address, until together they are too many; its visitors are not asked to pay.
    seen = [spend(limiter, account, here, "api") for account in range(2, 12)]
    assert [one.allowed for one in seen] == [True] * 6 + [False] * 4
    assert seen[-1].tightest.name == "address"
    assert spend(limiter, 20, there, "api").allowed
    assert spend(limiter, None, here, "api").allowed
    assert spend(None, 1, here, "api") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"ratelimit\.url is missing"),
        ({"url": "localhost:6379"}, r"ratelimit\.url is wrong: it begins with none of redis://"),
        ({"url": "redis://:secret-word@localhost:port/0"}, r"ratelimit\.url is wrong: it is not an address"),
        ({"url": "redis://localhost", "timeout": "0"}, r"ratelimit\.timeout is wrong"),
    ],
)
def test_settings_for_redis_that_stop_the_boot(given: dict[str, str], message: str) -> None:
    settings = {"ratelimit.backend": "redis"} | {f"ratelimit.{name}": value for name, value in given.items()}
    config = Configurator(settings=settings)
    config.include("mealshare.core.settings")
    with pytest.raises(SettingsError, match=message) as told:
        config.include("mealshare.core.ratelimit")
    assert "secret-word" not in str(told.value)


def test_without_the_library_of_redis_the_boot_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without_redis(name: str, *more: Any, **most: Any) -> Any:
        if name.partition(".")[0] == "redis":
            raise ImportError(name)
        return plain(name, *more, **most)

    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_redis)
    config = Configurator(settings={"ratelimit.backend": "redis", "ratelimit.url": "redis://localhost"})
    config.include("mealshare.core.settings")
    with pytest.raises(BootError, match=r"pip install 'mealshare\[redis\]'"):
        config.include("mealshare.core.ratelimit")
