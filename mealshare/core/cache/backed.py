"""The cache on top of a dogpile.cache backend: expiry per value, one creation at a time, no failure spreads."""

from __future__ import annotations

import secrets
import struct
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, TypeVar

from dogpile.cache.api import NO_VALUE
from dogpile.util import NameRegistry

from mealshare.core.breaker import Breaker

CACHE_FAILED = "cache.failed"
CACHE_BACK = "cache.back"
LONGEST_KEY = 250

#: A value is stored behind the moment at which it ends, by the clock of whoever set it; dogpile itself knows one lifetime
#: for a whole region only.  A backend that can also forget by itself has ``set_serialized_for(key, value, seconds)``.
#: Both, because its own clock begins when it comes to it: after a pause of the server that is late.
_DEADLINE = struct.Struct(">d")
_T = TypeVar("_T")


class BackedCache:
    """A Cache whose bytes live in ``backend``, any ``dogpile.cache`` BytesBackend with a ``clear()`` of its own.

    ``shared``: see Cache.  While a backend's server is away, one caller in a while asks for it and no other waits.
    """

    def __init__(self, backend: Any, *, shared: bool = False) -> None:
        self.shared = shared
        self._backend = backend
        self._breaker = Breaker(CACHE_FAILED, CACHE_BACK)
        #: Told of each value that was asked for whether it was there; None: nobody counts.
        self.lookups: Callable[[bool], None] | None = None
        # One lock per key that is being created; the registry forgets a lock when nobody holds it any more.  It is
        # re-entrant, so a creation that asks for its own key fails by recursion, which is seen, and not by silence.
        self._locks = NameRegistry(_new_lock)

    def get(self, key: str) -> bytes | None:
        """See Cache."""
        _check(key)
        value = _value(self._ask(lambda: self._backend.get_serialized(key), NO_VALUE))
        if self.lookups is not None:
            self.lookups(value is not None)
        return value

    def get_many(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """See Cache."""
        for key in keys:
            _check(key)
        found = self._ask(lambda: self._backend.get_serialized_multi(keys), None)
        if found is None:
            return None
        values = [_value(stored) for stored in found]
        if self.lookups is not None:
            for value in values:
                self.lookups(value is not None)
        return values

    def set(self, key: str, value: bytes, ttl_seconds: float | None) -> bool:
        """See Cache."""
        _check(key)
        if ttl_seconds is not None and ttl_seconds <= 0:
            return self.delete(key)
        return self._ask(lambda: self._store(key, value, ttl_seconds), False)

    def delete(self, *keys: str) -> bool:
        """See Cache."""
        for key in keys:
            _check(key)

        def forget() -> bool:
            self._backend.delete_multi(keys)
            return True

        return self._ask(forget, False)

    def get_or_create(self, key: str, create: Callable[[], bytes], ttl_seconds: float | None) -> bytes:
        """See Cache."""
        value = self.get(key)
        if value is not None:
            return value
        with self._locks.get(key):
            value = self.get(key)
            if value is None:
                value = create()
                self.set(key, value, ttl_seconds)
            return value

    def clear(self) -> None:
        """See Cache."""
        self._ask(self._backend.clear, None)

    def healthy(self) -> bool:
        """See Cache."""
        key, value = "health:" + secrets.token_hex(8), b"well"
        try:
            self._store(key, value, 60)
            found = _value(self._backend.get_serialized(key))
            self._backend.delete(key)
        except Exception as error:
            # Whatever a client library raises: it is not to be counted on.
            self._breaker.failed(error)
            return False
        self._breaker.worked()
        return found == value

    def _store(self, key: str, value: bytes, ttl_seconds: float | None) -> bool:
        deadline = inf if ttl_seconds is None else time.time() + ttl_seconds
        stored = _DEADLINE.pack(deadline) + value
        if ttl_seconds is None or not hasattr(self._backend, "set_serialized_for"):
            self._backend.set_serialized(key, stored)
        else:
            self._backend.set_serialized_for(key, stored, ttl_seconds)
        return True

    def _ask(self, call: Callable[[], _T], otherwise: _T) -> _T:
        """What ``call`` gives, or ``otherwise`` if the backend is away."""
        if not self._breaker.ready():
            return otherwise
        try:
            answer = call()
        except Exception as error:
            # Whatever a client library raises: a cache never fails a request.
            self._breaker.failed(error)
            return otherwise
        self._breaker.worked()
        return answer


def _value(stored: Any) -> bytes | None:
    if stored is NO_VALUE or len(stored) < _DEADLINE.size or _DEADLINE.unpack_from(stored)[0] <= time.time():
        return None
    return bytes(stored[_DEADLINE.size :])


def _new_lock(key: str) -> threading.RLock:
    return threading.RLock()


def _check(key: str) -> None:
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a cache key has 1 to {LONGEST_KEY} characters, this one has {len(key)}")
