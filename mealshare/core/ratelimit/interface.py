"""What a storage of hits can do; `mealshare.core.ratelimit.memory` and `...redis` do it.

Several windows are asked about in one step, because a request falls under several limits: it counts in all of them or,
when one is full, in none.  Asking for each in turn would let a request that is refused by the third use up the first
two, and on Redis each would be a round trip of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Window(NamedTuple):
    """At most ``amount`` hits under ``key`` in any ``seconds`` that lie behind."""

    key: str
    amount: int
    seconds: int


class Count(NamedTuple):
    """How many hits a window has now, and the seconds until the oldest of them stops counting (0.0 without any)."""

    hits: int
    frees_in: float


class HitStorage(Protocol):
    """Counts hits.  Everything may raise whatever a server that is away makes it raise."""

    def hit(self, windows: Sequence[Window]) -> tuple[bool, list[Count]]:
        """Count one hit in each window, or none anywhere if one is full; whether it counted, and what is there now."""
        ...

    def look(self, windows: Sequence[Window]) -> list[Count]:
        """What each window has now, without counting."""
        ...

    def clear(self, key: str) -> None:
        """Forget the hits under ``key``."""
        ...

    def reset(self) -> None:
        """Forget all hits of this site."""
        ...

    def check(self) -> None:
        """Return if hits can be counted now, raise if not."""
        ...
