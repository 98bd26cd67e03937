"""Who a session or a grant belongs to, remembered for a moment, so that not every read asks the database again.

Whatever ends a session or a grant makes the cache forget it, after the commit.  Where the cache does not answer then, or is
another process's own, it still counts until its time is over: a second after it was *read*, at most.  Nothing secret is
kept, and changes are never made on the strength of it: they ask the database.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mealshare.core.cache import Cache


class RememberedIdentities:
    """Values for JSON under keys, in ``cache``, for ``seconds`` after they were read."""

    def __init__(self, cache: Cache, seconds: float) -> None:
        self._cache, self._seconds = cache, seconds

    def get(self, key: str) -> dict[str, Any] | None:
        """What was kept under ``key``, if that was just now."""
        found = self._cache.get(key)
        return None if found is None else orjson.loads(found)

    def keep(self, key: str, values: Mapping[str, Any], began: float) -> None:
        """Keep ``values``; ``began`` is the moment, by the monotonic clock, before the database was asked for them."""
        self._cache.set(key, orjson.dumps(values), self._seconds - (time.monotonic() - began))

    def forget(self, keys: Iterable[str]) -> None:
        """Forget all of them."""
        known = tuple(keys)
        if known:
            self._cache.delete(*known)


def session_key(token_hash: bytes) -> str:
    """The key of a browser's session, by the hash of its random id."""
    return f"session:{token_hash.hex()}"


def grant_key(grant_id: int) -> str:
    """The key of a program's grant."""
    return f"grant:{grant_id}"
