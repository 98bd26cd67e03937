"""Rendered pieces, kept as Python objects in this process; the fastest cache there is, and the smallest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Fragments:
    """A bounded map from tuples such as ``(meal id, version, language)`` to whatever was made of them.

    The version belongs in the key, so nothing ever has to be invalidated: what is out of date is no longer asked for
    and falls out.  A hit costs a quarter of a microsecond (a tuple of three) because it takes no lock: each step is one
    operation of the ordered dictionary, which the interpreter does not interrupt, and the key's parts must be plain
    (int, str, bytes, None) so that hashing them runs no Python code.
    """

    __slots__ = ("_entries", "_lock", "_most", "_move_to_end")

    def __init__(self, most: int) -> None:
        """Hold at most ``most`` pieces; zero holds none."""
        self._most = most
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._move_to_end = self._entries.move_to_end

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def most(self) -> int:
        """How many pieces it holds at most."""
        return self._most

    def get(self, key: Hashable) -> Any:
        """What was put under ``key``, or None."""
        try:
            value = self._entries[key]
            self._move_to_end(key)
        except KeyError:
            # Not there, or another thread's put has just pushed it out.
            return None
        return value

    def put(self, key: Hashable, value: Any) -> None:
        """Keep ``value``; the piece that was not asked for longest goes if there are too many."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
