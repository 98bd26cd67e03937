"""Which meal it probably was, from the clock on the eater's wall."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, time

from mealshare.features.meals.vocabulary import MealType

#: From each time of the day on, until the next one; the last runs over midnight to the first.
WINDOWS: tuple[tuple[time, MealType], ...] = (
    (time(4, 0), MealType.BREAKFAST),
    (time(10, 30), MealType.LUNCH),
    (time(14, 30), MealType.SNACK),
    (time(17, 0), MealType.DINNER),
    (time(21, 30), MealType.LATE_NIGHT),
)
_STARTS = tuple(start for start, _meal_type in WINDOWS)


def guess_meal_type(local: time | datetime) -> MealType:
    """The meal that people usually eat at the local time ``local``.

    A datetime counts by its own wall clock, so it has to be in the eater's zone already.
    Brunch and drink are never guessed.
    """
    wall = local.time() if isinstance(local, datetime) else local.replace(tzinfo=None)
    # Before the first window the index is -1: the late night of the day before.
    return WINDOWS[bisect_right(_STARTS, wall) - 1][1]
