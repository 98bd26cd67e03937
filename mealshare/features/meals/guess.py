"""Which meal it probably was, from the clock on the eater's wall, and from what they had at that hour before."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time
from typing import NamedTuple

from mealshare.features.meals.vocabulary import MealType

#: From each time of the day on, until the next one; the last runs over midnight to the first.
WINDOWS: tuple[tuple[time, MealType], ...] = (
    (time(4, 0), MealType.BREAKFAST),
    (time(10, 30), MealType.LUNCH),
    (time(14, 30), MealType.SNACK),
    (time(17, 0), MealType.DINNER),
    (time(21, 30), MealType.LATE_NIGHT),
)
#: How far from the hour a meal may lie to count for it, how many of the latest do, and how few tell nothing.
NEAR_MINUTES = 60
LATEST = 10
FEWEST = 3
_DAY = 24 * 60
_STARTS = tuple(start for start, _meal_type in WINDOWS)


def guess_meal_type(local: time | datetime) -> MealType:
    """The meal that people usually eat at the local time ``local``.

    A datetime counts by its own wall clock, so it has to be in the eater's zone already.
    Brunch and drink are never guessed.
    """
    wall = local.time() if isinstance(local, datetime) else local.replace(tzinfo=None)
    # Before the first window the index is -1: the late night of the day before.
    return WINDOWS[bisect_right(_STARTS, wall) - 1][1]


class Habit(NamedTuple):
    """A meal of the past: its time on the eater's wall, and which meal it was."""

    at: time
    meal_type: MealType


def learned_meal_type(local: time | datetime, history: Sequence[Habit]) -> MealType:
    """What somebody with that ``history`` (newest first) eats at the local time ``local``.

    The latest few meals within an hour of it decide, if more than half of them agree; one odd day changes nothing.
    Otherwise it is the meal that people usually eat then.
    """
    minute = local.hour * 60 + local.minute
    near = [
        habit.meal_type for habit in history if _apart(minute, habit.at.hour * 60 + habit.at.minute) <= NEAR_MINUTES
    ]
    near = near[:LATEST]
    if len(near) >= FEWEST:
        meal_type, count = Counter(near).most_common(1)[0]
        if count * 2 > len(near):
            return meal_type
    return guess_meal_type(local)


def _apart(one: int, other: int) -> int:
    """Minutes between two times of the day, over midnight if that is nearer."""
    apart = abs(one - other)
    return min(apart, _DAY - apart)
