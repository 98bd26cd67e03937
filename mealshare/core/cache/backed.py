"""The cache on top of a dogpile.cache backend: expiry per value, one creation at a time, no failure spreads."""

from __future__ import annotations

import logging
import secrets
import struct
import threading
import time
from collections.abc import Callable
from math import inf
from typing import Any

from dogpile.cache.api import NO_VALUE
from dogpile.util import NameRegistry

CACHE_FAILED = "cache.failed"
LONGEST_KEY = 250

log = logging.getLogger(__name__)

#: A value is stored behind the moment at which it ends; dogpile itself knows one lifetime for a whole region only.
_DEADLINE = struct.Struct(">d")


class BackedCache:
    """A Cache whose bytes live in ``backend``, any ``dogpile.cache`` BytesBackend with a ``clear()`` of its own."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        # One lock per key that is being created; the registry forgets a lock when nobody holds it any more.  It is
        # re-entrant, so a creation that asks for its own key fails by recursion, which is seen, and not by silence.
        self._locks = NameRegistry(_new_lock)

    def get(self, key: str) -> bytes | None:
        """See Cache."""
        _check(key)
        try:
            stored = self._backend.get_serialized(key)
        except Exception:
            self._failed("get")
            return None
        if stored is NO_VALUE or len(stored) < _DEADLINE.size or _DEADLINE.unpack_from(stored)[0] <= time.time():
            return None
        return bytes(stored[_DEADLINE.size :])

    def set(self, key: str, value: bytes, ttl_seconds: float | None) -> None:
        """See Cache."""
        _check(key)
        deadline = inf if ttl_seconds is None else time.time() + ttl_seconds
        if ttl_seconds is not None and ttl_seconds <= 0:
            self.delete(key)
            return
        try:
            self._backend.set_serialized(key, _DEADLINE.pack(deadline) + value)
        except Exception:
            self._failed("set")

    def delete(self, key: str) -> None:
        """See Cache."""
        _check(key)
        try:
            self._backend.delete(key)
        except Exception:
            self._failed("delete")

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
        try:
            self._backend.clear()
        except Exception:
            self._failed("clear")

    def healthy(self) -> bool:
        """See Cache."""
        key, value = "health:" + secrets.token_hex(8), b"well"
        self.set(key, value, 60)
        found = self.get(key)
        self.delete(key)
        return found == value

    def _failed(self, action: str) -> None:
        log.warning(CACHE_FAILED, exc_info=True, extra={"action": action})


def _new_lock(key: str) -> threading.RLock:
    return threading.RLock()


def _check(key: str) -> None:
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a cache key has 1 to {LONGEST_KEY} characters, this one has {len(key)}")
