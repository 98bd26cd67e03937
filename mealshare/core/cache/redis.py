"""The cache in Redis: one for all processes and machines of a site.

Each value goes in with its time to live, so nothing stays behind that nobody asks for any more; Redis also makes room
by itself if it has a ``maxmemory``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dogpile.cache.api import NO_VALUE, BytesBackend

from mealshare.core.redis import delete_prefix

#: Seconds for which a value stays that was given no time: a cache may forget, and Redis would keep it for ever.
LONGEST = 7 * 86_400.0


class RedisBackend(BytesBackend):
    """A dogpile.cache backend, ``mealshare.redis``: every call is one round trip and raises when Redis is away.

    Arguments: ``client`` (of `make_redis`) and ``prefix``, which every key begins with.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._client: Any = arguments["client"]
        self._prefix: str = arguments["prefix"]

    def get_serialized(self, key: str) -> Any:
        """The bytes under ``key``, or NO_VALUE."""
        value = self._client.get(self._prefix + key)
        return NO_VALUE if value is None else value

    def get_serialized_multi(self, keys: Iterable[str]) -> Sequence[Any]:
        """The same for several keys, in their order."""
        names = [self._prefix + key for key in keys]
        values = self._client.mget(names) if names else []
        return [NO_VALUE if value is None else value for value in values]

    def set_serialized(self, key: str, value: bytes) -> None:
        """Keep ``value`` for as long as anything is kept."""
        self.set_serialized_for(key, value, LONGEST)

    def set_serialized_for(self, key: str, value: bytes, seconds: float) -> None:
        """Keep ``value`` for ``seconds``, more than none; rounded up to whole milliseconds."""
        self._client.set(self._prefix + key, value, px=math.ceil(min(seconds, LONGEST) * 1000))

    def set_serialized_multi(self, mapping: Mapping[str, bytes]) -> None:
        """The same for several."""
        with self._client.pipeline(transaction=False) as pipe:
            for key, value in mapping.items():
                pipe.set(self._prefix + key, value, px=int(LONGEST * 1000))
            pipe.execute()

    def delete(self, key: str) -> None:
        """Forget ``key`` if it is there."""
        self._client.delete(self._prefix + key)

    def delete_multi(self, keys: Iterable[str]) -> None:
        """Forget several."""
        names = [self._prefix + key for key in keys]
        if names:
            self._client.delete(*names)

    def clear(self) -> None:
        """Forget all keys under the prefix, and no others."""
        delete_prefix(self._client, self._prefix)
