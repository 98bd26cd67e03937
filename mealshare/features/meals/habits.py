"""What somebody usually eats at an hour, learnt from their own last meals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy import BigInteger, Connection, bindparam, literal_column, select

from mealshare.core.dates import to_local
from mealshare.core.db import fetch
from mealshare.features.meals.guess import Habit, guess_meal_type, learned_meal_type
from mealshare.features.meals.models import Meal, Place
from mealshare.features.meals.vocabulary import MealType

#: How many of the last meals are looked at.
LOOKED_AT = 200
SLOT_MINUTES = 30
MOST_PLACES, MOST_TAGS = 8, 12

_LAST = (
    select(Meal.eaten_at, Meal.time_zone, Meal.meal_type, Meal.tag_names, Place.name)
    .outerjoin(Place, Place.id == Meal.place_id)
    .where(Meal.account_id == bindparam("account", type_=BigInteger), Meal.deleted_at.is_(None))
    .order_by(Meal.id.desc())
    .limit(literal_column(str(LOOKED_AT)))
)


@dataclass(frozen=True)
class Habits:
    """The last meals of one person, newest first."""

    meals: Sequence[Habit]
    places: Sequence[str]
    tags: Sequence[str]

    def meal_type(self, local: datetime) -> MealType:
        """What the person usually eats at that time of their day, else what people do."""
        return learned_meal_type(local, self.meals)

    def by_half_hour(self) -> list[MealType]:
        """The guess for each half hour of a day, from midnight on: 48 of them."""
        return [
            learned_meal_type(time(minute // 60, minute % 60), self.meals) for minute in range(0, 24 * 60, SLOT_MINUTES)
        ]


def habits_of(connection: Connection, account_id: int) -> Habits:
    """What the account's last meals tell; one statement, of at most `LOOKED_AT` rows."""
    rows = fetch(connection, _LAST, {"account": account_id})
    meals = [Habit(to_local(row.eaten_at, row.time_zone).time(), MealType(row.meal_type)) for row in rows]
    return Habits(
        meals,
        _most((row.name for row in rows if row.name), MOST_PLACES),
        _most((tag for row in rows for tag in row.tag_names), MOST_TAGS),
    )


def guess_for(connection: Connection, account_id: int, local: datetime) -> MealType:
    """The meal that the person probably had at the local time ``local``."""
    found = habits_of(connection, account_id)
    return found.meal_type(local) if found.meals else guess_meal_type(local)


def _most(names: Iterable[str], limit: int) -> list[str]:
    """The most frequent ones; among equals the latest first, for that is the order in which they come."""
    return [name for name, _count in Counter(names).most_common(limit)]
