"""Keyset paging: a page starts behind an id, so that page 1,000 costs what page 1 costs and new rows shift nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MAX_ID = 2**63 - 1
DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_SKIP = 10_000

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """Which part of a list is wanted: ids below ``max_id``, or the ones just above ``min_id``; newest first.

    ``oldest_first`` turns the list around: ids above ``min_id``, or the ones just below ``max_id``.
    """

    max_id: int = MAX_ID
    min_id: int = 0
    limit: int = DEFAULT_LIMIT
    skip: int = 0
    oldest_first: bool = False

    @property
    def upwards(self) -> bool:
        """True when the page must be read in ascending order: it is the one just above ``min_id``."""
        return self.max_id == MAX_ID if self.oldest_first else self.min_id > 0

    @property
    def backwards(self) -> bool:
        """True when the page must be read against the order of the list: it is the one before a known element."""
        return self.upwards is not self.oldest_first

    @property
    def at_start(self) -> bool:
        """True when nothing of the list stands before the page (unless somebody adds to it)."""
        first = self.min_id == 0 if self.oldest_first else self.max_id == MAX_ID
        return first and not self.backwards and self.skip == 0

    @property
    def fetch_limit(self) -> int:
        """One row more than the page holds: it tells whether there is another page."""
        return self.limit + 1


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list, with the keys of the neighbouring pages (None: there is none).

    Newest first, what follows lies below ``next_max_id``, and what came before above ``prev_min_id``; oldest first, above
    ``next_min_id`` and below ``prev_max_id``.
    """

    items: Sequence[T] = field(default_factory=list)
    next_max_id: int | None = None
    prev_min_id: int | None = None
    next_min_id: int | None = None
    prev_max_id: int | None = None


def make_page(rows: Sequence[T], window: Window, key: Callable[[T], int]) -> Page[T]:
    """The page of ``window`` from ``rows``, which were read with ``window.fetch_limit`` in the window's direction."""
    more = len(rows) > window.limit
    items = list(rows[: window.limit])
    if window.backwards:
        items.reverse()
    if not items:
        return Page(items)
    has_next = more or window.backwards
    has_prev = more if window.backwards else not window.at_start
    following, before = key(items[-1]) if has_next else None, key(items[0]) if has_prev else None
    if window.oldest_first:
        return Page(items, next_min_id=following, prev_max_id=before)
    return Page(items, following, before)
