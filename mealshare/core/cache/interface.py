"""What a cache must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Cache(Protocol):
    """Bytes under string keys, kept as long as there is room and time.

    A cache may forget anything at any moment, so nothing may be kept only here.  It never fails a request: a backend
    that cannot be reached is a cache that holds nothing.  Keys are 1 to 250 characters; a longer or an empty one is a
    ValueError, because backends would cut it in different places.
    """

    #: True if all processes of the site see the same values.
    shared: bool

    def get(self, key: str) -> bytes | None:
        """The value under ``key``, or None."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """The values under the keys, in their order, asked for in one step; None if the backend did not answer."""

    def set(self, key: str, value: bytes, ttl_seconds: float | None) -> bool:
        """Keep ``value`` under ``key`` for ``ttl_seconds`` (None: until room is needed; zero or less: not at all).

        False if the backend did not answer.
        """

    def delete(self, *keys: str) -> bool:
        """Forget the keys, which need not be there; False if the backend did not answer."""

    def get_or_create(self, key: str, create: Callable[[], bytes], ttl_seconds: float | None) -> bytes:
        """The value under ``key``; if there is none, that of ``create()``, which is then kept.

        Threads of one process that ask for one key at once wait for one ``create()``.  What it raises is raised here,
        and nothing is kept.
        """

    def clear(self) -> None:
        """Forget everything."""

    def healthy(self) -> bool:
        """Whether a value that is set now can be read back."""
