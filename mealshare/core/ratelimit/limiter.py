"""The limiter: named limits, who is counted under them, and what is told to a client."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mealshare.core.breaker import Breaker
from mealshare.core.ratelimit.interface import Count, HitStorage, Window
from mealshare.core.ratelimit.memory import BoundedMemoryStorage

#: ``10/5 minutes``, ``10 per hour``, ``5/1 day``.
_LIMIT = re.compile(r"\s*([0-9]{1,9})\s*(?:/|per\s)\s*([0-9]{1,6})?\s*(second|minute|hour|day)s?\s*", re.IGNORECASE)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
#: The longest window; the times of its hits are kept as long.
_LONGEST = 31 * 86_400
#: Guesses and mails: these never become free.  While the storage is away each process counts them for itself.
GUARDED = frozenset({"login_account", "login_address", "login_all", "signup", "reset"})

FAILED = "ratelimit.storage_failed"
BACK = "ratelimit.storage_back"

log = logging.getLogger(__name__)

#: A limit's name, and the parts that say who is counted.
Asked = tuple[str, ...]


class Limit(NamedTuple):
    """``amount`` hits in ``seconds``."""

    amount: int
    seconds: int


class Decision(NamedTuple):
    """Whether a hit is allowed under one limit, and what to tell the client.

    ``reset`` is when the oldest hit stops counting, that is, when one more becomes possible, in seconds since the
    epoch; ``retry_after`` is the same in whole seconds from now, rounded up, and 0 when the hit is allowed.
    ``name`` and ``seconds`` are the limit's own.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: float
    retry_after: int
    name: str
    seconds: int


class RateLimiter:
    """Counts hits in ``storage`` against named limits.

    A storage that fails allows the hit and says so in the log: a broken counter must not lock everybody out.  Only the
    limits of `GUARDED` go on to hold, in each process for itself.
    """

    def __init__(self, limits: Mapping[str, Limit], storage: HitStorage, *, enabled: bool = True) -> None:
        self.limits = dict(limits)
        self.storage = storage
        self.enabled = enabled
        self._breaker = Breaker(FAILED, BACK)
        self._own = BoundedMemoryStorage()
        #: Told the name of each limit that refuses a hit; None: nobody counts.
        self.refused: Callable[[str], None] | None = None

    def hit(self, name: str, *keys: str) -> Decision:
        """Count one hit against the limit ``name`` for whom ``keys`` describe.  A refused hit does not count.

        KeyError for an unknown name.
        """
        return self.hit_all(((name, *keys),))[0]

    def hit_all(self, asked: Sequence[Asked]) -> list[Decision]:
        """Count one hit against each limit, or against none if one of them refuses it.

        It is allowed if every decision says so; those that do not are the limits that are used up.
        """
        decisions = self._decide(asked, count=True)
        if self.refused is not None:
            for decision in decisions:
                if not decision.allowed:
                    self.refused(decision.name)
        return decisions

    def peek(self, name: str, *keys: str) -> Decision:
        """What ``hit`` would say, without counting."""
        return self._decide(((name, *keys),), count=False)[0]

    def clear(self, name: str, *keys: str) -> None:
        """Forget the hits, as after a login that succeeded."""
        key = self._window((name, *keys)).key
        if name in GUARDED:
            self._own.clear(key)
        if self._breaker.ready():
            try:
                self.storage.clear(key)
            except Exception as error:
                self._breaker.failed(error)
            else:
                self._breaker.worked()

    def healthy(self) -> bool:
        """Whether hits can be counted now; if not, the log says why."""
        try:
            self.storage.check()
        except Exception:
            # Whatever a client library raises: it is not to be counted on.
            log.warning(FAILED, exc_info=True)
            return False
        return True

    def reset(self) -> None:
        """Forget all hits of this site; for tests."""
        self.storage.reset()
        self._own.reset()

    def _decide(self, asked: Sequence[Asked], *, count: bool) -> list[Decision]:
        windows = [self._window(one) for one in asked]
        now = time.time()
        if not self.enabled:
            return [_free(one[0], window, now) for one, window in zip(asked, windows, strict=True)]
        if self._breaker.ready():
            try:
                decisions = _ask(self.storage, asked, windows, now, count=count)
            except Exception as error:
                self._breaker.failed(error)
            else:
                self._breaker.worked()
                return decisions
        return self._without_storage(asked, windows, now, count=count)

    def _without_storage(
        self, asked: Sequence[Asked], windows: Sequence[Window], now: float, *, count: bool
    ) -> list[Decision]:
        if any(one[0] in GUARDED for one in asked):
            return _ask(self._own, asked, windows, now, count=count)
        return [_free(one[0], window, now) for one, window in zip(asked, windows, strict=True)]

    def _window(self, asked: Asked) -> Window:
        limit = self.limits[asked[0]]
        return Window(_key(asked), limit.amount, limit.seconds)


def parse_limit(text: str) -> Limit:
    """``10/5 minutes`` as a limit.  Raises ValueError."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} does not read like '10/5 minutes'")
    amount, seconds = int(match[1]), int(match[2] or 1) * _SECONDS[match[3].lower()]
    if amount < 1 or not 1 <= seconds <= _LONGEST:
        raise ValueError(f"{text!r} is not at least one in at most 31 days")
    return Limit(amount, seconds)


def _ask(
    storage: HitStorage, asked: Sequence[Asked], windows: Sequence[Window], now: float, *, count: bool
) -> list[Decision]:
    counted, counts = storage.hit(windows) if count else (False, storage.look(windows))
    return [
        _decision(one[0], window, found, now, allowed=counted or found.hits < window.amount)
        for one, window, found in zip(asked, windows, counts, strict=True)
    ]


def _decision(name: str, window: Window, found: Count, now: float, *, allowed: bool) -> Decision:
    hits, frees_in = found
    retry_after = 0 if allowed else max(1, math.ceil(round(frees_in, 3)))
    return Decision(
        allowed, window.amount, max(0, window.amount - hits), now + frees_in, retry_after, name, window.seconds
    )


def _free(name: str, window: Window, now: float) -> Decision:
    return Decision(True, window.amount, window.amount, now, 0, name, window.seconds)


def _key(asked: Asked) -> str:
    """A short key: names of any length and content, never stored as they are, never run together."""
    digest = hashlib.blake2b(digest_size=16)
    for part in asked[1:]:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"{asked[0]}/{digest.hexdigest()}"
