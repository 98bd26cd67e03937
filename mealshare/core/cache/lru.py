"""The embedded backend: memory of this process, bounded in entries and in bytes, the least recently used goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dogpile.cache.api import NO_VALUE, BytesBackend

#: Bytes that an entry costs beyond its key and value: two objects and a link of the ordered dictionary.
ENTRY_OVERHEAD = 200


class LruBackend(BytesBackend):
    """A dogpile.cache backend, ``mealshare.lru``; dogpile's own "memory" backend grows without end.

    Arguments: ``entries`` and ``bytes``, the two bounds.  A value larger than the second is not kept.  Safe in threads.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._most_entries = int(arguments["entries"])
        self._most_bytes = int(arguments["bytes"])
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes in use, overhead included."""
        return self._bytes

    def get_serialized(self, key: str) -> Any:
        """The bytes under ``key``, or NO_VALUE."""
        with self._lock:
            value = self._entries.get(key)
            if value is None:
                return NO_VALUE
            self._entries.move_to_end(key)
            return value

    def get_serialized_multi(self, keys: Iterable[str]) -> Sequence[Any]:
        """The same for several keys, in their order."""
        return [self.get_serialized(key) for key in keys]

    def set_serialized(self, key: str, value: bytes) -> None:
        """Keep ``value``, and let go of what then is too much."""
        cost = _cost(key, value)
        with self._lock:
            self._drop(key)
            if cost > self._most_bytes:
                return
            self._entries[key] = value
            self._bytes += cost
            while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
                oldest, gone = self._entries.popitem(last=False)
                self._bytes -= _cost(oldest, gone)

    def set_serialized_multi(self, mapping: Mapping[str, bytes]) -> None:
        """The same for several."""
        for key, value in mapping.items():
            self.set_serialized(key, value)

    def delete(self, key: str) -> None:
        """Forget ``key`` if it is there."""
        with self._lock:
            self._drop(key)

    def delete_multi(self, keys: Iterable[str]) -> None:
        """Forget several."""
        for key in keys:
            self.delete(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _drop(self, key: str) -> None:
        value = self._entries.pop(key, None)
        if value is not None:
            self._bytes -= _cost(key, value)


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_OVERHEAD
