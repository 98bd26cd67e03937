"""The embedded storage of the ``limits`` library: memory of this process, bounded.

The library's own memory storage has no bound, and it starts a thread that walks all its keys every ten milliseconds in
which there is a hit.  This one keeps a list of times per key, forgets them as they expire, and lets the key that was
not hit for longest go when there are too many.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque

from limits.storage import MovingWindowSupport, Storage


class _Hits:
    """The times of the hits under one key, oldest first, and the seconds for which they count."""

    __slots__ = ("expiry", "times")

    def __init__(self, expiry: float) -> None:
        self.times: deque[float] = deque()
        self.expiry = expiry


class BoundedMemoryStorage(Storage, MovingWindowSupport):
    """Hits in memory, at most ``most`` of them over all keys.  Safe in threads."""

    STORAGE_SCHEME = ["mealshare-memory"]  # noqa: RUF012 - the registry of the library reads a list from the class.

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, most: int = 200_000) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._most = most
        self._count = 0
        self._keys: OrderedDict[str, _Hits] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Hits that are held, expired ones that nobody asked about included."""
        return self._count

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a failing storage raises; memory does not fail."""
        return MemoryError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` hits if at most ``limit`` are then in ``expiry`` seconds; a refused hit does not count."""
        with self._lock:
            hits = self._live(key, expiry)
            if len(hits.times) + amount > limit:
                return False
            self._add(hits, amount)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest hit that counts (or now), and how many count."""
        with self._lock:
            hits = self._keys.get(key)
            if hits is None:
                return time.time(), 0
            self._expire(key, hits)
            return (hits.times[0] if hits.times else time.time()), len(hits.times)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count ``amount`` hits whatever the limit; gives how many count now."""
        with self._lock:
            hits = self._live(key, expiry)
            self._add(hits, amount)
            return len(hits.times)

    def get(self, key: str) -> int:
        """How many hits count now."""
        return self.get_moving_window(key, 0, 0)[1]

    def get_expiry(self, key: str) -> float:
        """When the oldest hit that counts stops counting (or now)."""
        with self._lock:
            hits = self._keys.get(key)
            return hits.times[0] + hits.expiry if hits is not None and hits.times else time.time()

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int | None:
        """Forget everything; gives the number of keys."""
        with self._lock:
            keys = len(self._keys)
            self._keys.clear()
            self._count = 0
            return keys

    def clear(self, key: str) -> None:
        """Forget the hits under ``key``."""
        with self._lock:
            hits = self._keys.pop(key, None)
            if hits is not None:
                self._count -= len(hits.times)

    def _live(self, key: str, expiry: float) -> _Hits:
        """The hits under ``key`` that still count; the key becomes the one that was used last."""
        hits = self._keys.get(key)
        if hits is None:
            hits = self._keys[key] = _Hits(expiry)
        else:
            hits.expiry = expiry
            self._keys.move_to_end(key)
            self._expire(key, hits, keep=True)
        return hits

    def _expire(self, key: str, hits: _Hits, keep: bool = False) -> None:
        oldest = time.time() - hits.expiry
        while hits.times and hits.times[0] <= oldest:
            hits.times.popleft()
            self._count -= 1
        if not hits.times and not keep:
            del self._keys[key]

    def _add(self, hits: _Hits, amount: int) -> None:
        now = time.time()
        # A clock that stepped back must not put a hit before an older one.
        if hits.times and hits.times[-1] > now:
            now = hits.times[-1]
        hits.times.extend([now] * amount)
        self._count += amount
        # An empty key costs as much as a hit or two, so the keys are bounded too.
        while (self._count > self._most or len(self._keys) > self._most) and len(self._keys) > 1:
            _, gone = self._keys.popitem(last=False)
            self._count -= len(gone.times)
