"""The embedded storage: the times of the hits in the memory of this process, bounded.

A flood of new clients makes the storage forget the clients that were quiet longest, never grow without end.
"""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence

from mealshare.core.ratelimit.interface import Count, Window


class BoundedMemoryStorage:
    """Hits in memory, at most ``most`` of them over all keys, and at most half as many keys.  Safe in threads.

    A hit takes 8 bytes, a key about 350 (both measured), so the default is at most 37 MB.
    """

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._count = 0
        #: The times of the hits under each key, oldest first; the key that was hit last stands last.
        self._keys: OrderedDict[str, array[float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Hits that are held, expired ones that nobody asked about included."""
        return self._count

    def hit(self, windows: Sequence[Window]) -> tuple[bool, list[Count]]:
        """Count one hit in each window, or none anywhere if one is full; whether it counted, and what is there now."""
        now = time.time()
        with self._lock:
            found = [self._live(window, now) for window in windows]
            for times, window in zip(found, windows, strict=True):
                if len(times) >= window.amount:
                    break
            else:
                for times, window in zip(found, windows, strict=True):
                    self._add(window.key, times, now)
                self._forget(len(windows))
                return True, [_count(times, window, now) for times, window in zip(found, windows, strict=True)]
            return False, [_count(times, window, now) for times, window in zip(found, windows, strict=True)]

    def look(self, windows: Sequence[Window]) -> list[Count]:
        """What each window has now, without counting."""
        now = time.time()
        with self._lock:
            return [_count(self._live(window, now), window, now) for window in windows]

    def clear(self, key: str) -> None:
        """Forget the hits under ``key``."""
        with self._lock:
            self._count -= len(self._keys.pop(key, ()))

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._keys.clear()
            self._count = 0

    def check(self) -> None:
        """Memory is always there."""

    def _live(self, window: Window, now: float) -> array[float]:
        """The times under the key that still count; a new array, which is not kept yet, if there are none."""
        times = self._keys.get(window.key)
        if times is None:
            return array("d")
        if times[0] <= now - window.seconds:
            gone = bisect_right(times, now - window.seconds)
            del times[:gone]
            self._count -= gone
            if not times:
                del self._keys[window.key]
        return times

    def _add(self, key: str, times: array[float], now: float) -> None:
        # A clock that stepped back must not put a hit before an older one.
        times.append(max(now, times[-1]) if times else now)
        self._count += 1
        self._keys[key] = times
        self._keys.move_to_end(key)

    def _forget(self, kept: int) -> None:
        """Keep the bounds, but never forget the ``kept`` keys that were hit last."""
        keys = self._keys
        while (self._count > self._most or len(keys) > self._most // 2) and len(keys) > kept:
            _, gone = keys.popitem(last=False)
            self._count -= len(gone)


def _count(times: array[float], window: Window, now: float) -> Count:
    return Count(len(times), times[0] + window.seconds - now if times else 0.0)
