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
    """Which part of a list is wanted: ids below ``max_id``, or the ones just above ``min_id``; newest first."""

    max_id: int = MAX_ID
    min_id: int = 0
    limit: int = DEFAULT_LIMIT
    skip: int = 0

    @property
    def upwards(self) -> bool:
        """True when the page is the one just above ``min_id`` (and must be read in ascending order)."""
        return self.min_id > 0

    @property
    def fetch_limit(self) -> int:
        """One row more than the page holds: it tells whether there is another page."""
        return self.limit + 1


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list, newest first, with the keys of the neighbouring pages (None: there is none)."""

    items: Sequence[T] = field(default_factory=list)
    next_max_id: int | None = None
    prev_min_id: int | None = None


def make_page(rows: Sequence[T], window: Window, key: Callable[[T], int]) -> Page[T]:
    """The page of ``window`` from ``rows``, which were read with ``window.fetch_limit`` in the window's direction."""
    more = len(rows) > window.limit
    items = list(rows[: window.limit])
    if window.upwards:
        items.reverse()
    if not items:
        return Page(items)
    has_next = more or window.upwards
    has_prev = (window.upwards and more) or (not window.upwards and (window.max_id != MAX_ID or window.skip > 0))
    return Page(items, key(items[-1]) if has_next else None, key(items[0]) if has_prev else None)
