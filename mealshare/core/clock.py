"""The time.

Everything that asks what time it is asks here, so that a test sets the clock in one place.  Call it through the module
(``clock.now()``): a name imported from here would keep the unpatched function.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds() -> int:
    """Whole milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


def now() -> datetime:
    """The present moment: aware, in UTC, cut to whole milliseconds.

    Milliseconds are what an id carries and what JSON shows, so a moment is the same in the database, in an id and in an
    answer, and comparing two of them never depends on digits that one of the three has lost.
    """
    return from_milliseconds(milliseconds())


def from_milliseconds(value: int) -> datetime:
    """The aware UTC moment ``value`` milliseconds after the epoch; exact, because no float is involved.

    Raises OverflowError beyond the year 9999.
    """
    return _EPOCH + timedelta(milliseconds=value)


def to_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the epoch of an aware ``moment``, rounded down.

    Raises ValueError for a naive datetime: its zone would be a guess.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
