from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine

from mealshare.core import clock


def test_now_is_aware_utc_in_whole_milliseconds() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123_987, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        now = clock.now()
    assert now == moment.replace(microsecond=123_000)
    assert now.utcoffset() == timedelta(0)


def test_a_moment_survives_the_way_through_milliseconds() -> None:
    for value in (0, 1, 1_772_366_400_123, 253_402_300_799_999):
        assert clock.to_milliseconds(clock.from_milliseconds(value)) == value


def test_the_zone_of_a_moment_counts_and_a_naive_one_is_refused() -> None:
    east = datetime(2026, 3, 1, 20, 0, tzinfo=timezone(timedelta(hours=8)))
    assert clock.to_milliseconds(east) == clock.to_milliseconds(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    with pytest.raises(ValueError, match="time zone"):
        clock.to_milliseconds(datetime(2026, 3, 1))


def test_beyond_the_year_9999_there_is_no_moment() -> None:
    with pytest.raises(OverflowError):
        clock.from_milliseconds(253_402_300_800_000)
