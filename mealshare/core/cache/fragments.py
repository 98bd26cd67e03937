"""What was read and rendered before, kept as Python objects in this process; the fastest cache there is.

The version belongs in the key, so nothing ever has to be invalidated: what is out of date is no longer asked for and
falls out.  For the same reason nothing may be kept that was read in a transaction which can still be rolled back: the
same version could come to say something else.  So only a connection in read mode leads here (`fragments_of`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from sqlalchemy import Connection, Engine

_OPTION = "mealshare_fragments"
#: What an entry takes beside its value: the key, the places in both tables.
OVERHEAD = 400


class Fragments:
    """A map from tuples such as ``(meal id, version, language)`` to whatever was made of them, bounded in bytes.

    A hit costs a quarter of a microsecond (a tuple of three) because it takes no lock: each step is one operation of
    the ordered dictionary, which the interpreter does not interrupt, and the key's parts must be plain (int, str,
    bytes, None) so that hashing them runs no Python code.  Sizes are what the callers say, and need only be near.

    ``hits`` and ``misses`` count the lookups; without a lock, so under threads one may be lost.
    """

    __slots__ = ("_entries", "_lock", "_move_to_end", "_sizes", "_taken", "hits", "misses", "most")

    def __init__(self, most: int) -> None:
        """Hold at most ``most`` bytes; zero holds nothing."""
        self.most = most
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._taken = 0
        self._move_to_end = self._entries.move_to_end

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def taken(self) -> int:
        """The bytes that are held, as far as they were told."""
        return self._taken

    def get(self, key: Hashable) -> Any:
        """What was put under ``key``, or None."""
        try:
            value = self._entries[key]
            self._move_to_end(key)
        except KeyError:
            # Not there, or another thread's put has just pushed it out.
            self.misses += 1
            return None
        self.hits += 1
        return value

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep ``value``, of ``size`` bytes; what was not asked for longest goes if there is no room."""
        with self._lock:
            size += OVERHEAD
            self._taken += size - self._sizes.get(key, 0)
            self._sizes[key] = size
            self._entries[key] = value
            self._entries.move_to_end(key)
            self._make_room()

    def grow(self, key: Hashable, more: int) -> None:
        """Count ``more`` bytes for the value of ``key``, to which something was added, if it is still here."""
        with self._lock:
            if key in self._sizes:
                self._sizes[key] += more
                self._taken += more
                self._make_room()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._sizes.clear()
            self._taken = 0

    def _make_room(self) -> None:
        while self._taken > self.most:
            key, _value = self._entries.popitem(last=False)
            self._taken -= self._sizes.pop(key)


def with_fragments(engine: Engine, fragments: Fragments) -> Engine:
    """The reading ``engine``, whose connections lead to ``fragments``."""
    return engine.execution_options(**{_OPTION: fragments})


def fragments_of(connection: Connection) -> Fragments | None:
    """The pieces that may be used for, and made of, what this connection reads; None for one that writes."""
    found: Fragments | None = connection.get_execution_options().get(_OPTION)
    return found
