"""The guess of the meal type from the local time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from mealshare.features.meals.guess import WINDOWS, Habit, guess_meal_type, learned_meal_type
from mealshare.features.meals.vocabulary import MealType


@pytest.mark.parametrize(
    ("clock", "meal_type"),
    [
        ("00:00", "late_night"),
        ("03:59:59.999999", "late_night"),
        ("04:00", "breakfast"),
        ("08:00", "breakfast"),
        ("10:29:59.999999", "breakfast"),
        ("10:30", "lunch"),
        ("14:29", "lunch"),
        ("14:30", "snack"),
        ("16:59", "snack"),
        ("17:00", "dinner"),
        ("21:29", "dinner"),
        ("21:30", "late_night"),
        ("23:59:59.999999", "late_night"),
    ],
)
def test_each_window_starts_and_ends_on_the_minute(clock: str, meal_type: str) -> None:
    moment = time.fromisoformat(clock)
    assert guess_meal_type(moment) is MealType(meal_type)
    assert guess_meal_type(datetime.combine(datetime(2026, 11, 21), moment)) is MealType(meal_type)


def test_a_zone_on_the_time_changes_nothing() -> None:
    assert guess_meal_type(time(12, 0, tzinfo=UTC)) is MealType.LUNCH
    assert guess_meal_type(datetime(2026, 11, 21, 12, 0, tzinfo=UTC)) is MealType.LUNCH


def test_every_minute_of_the_day_has_a_guess_and_every_window_is_reached() -> None:
    midnight = datetime(2026, 11, 21)
    guessed = {guess_meal_type(midnight + timedelta(minutes=minute)) for minute in range(24 * 60)}
    assert guessed == {meal_type for _start, meal_type in WINDOWS}
    assert MealType.BRUNCH not in guessed
    assert MealType.DRINK not in guessed


def history(*meals: str) -> list[Habit]:
    """Newest first: "10:15 brunch"."""
    pairs = (meal.split() for meal in meals)
    return [Habit(time.fromisoformat(clock), MealType(word)) for clock, word in pairs]


@pytest.mark.parametrize(
    ("clock", "past", "expected"),
    [
        ("10:00", [], "breakfast"),
        ("10:00", ["10:15 brunch", "10:20 brunch"], "breakfast"),
        ("10:00", ["10:15 brunch", "10:20 brunch", "09:30 breakfast"], "brunch"),
        ("10:00", ["10:15 brunch", "09:45 breakfast", "10:20 brunch", "09:30 breakfast"], "breakfast"),
        ("10:00", ["12:15 brunch"] * 9, "breakfast"),
        ("23:40", ["00:30 drink"] * 3, "drink"),
        ("10:00", ["10:00 brunch"] * 6 + ["10:00 breakfast"] * 50, "brunch"),
    ],
)
def test_ones_own_last_meals_at_the_hour_decide(clock: str, past: list[str], expected: str) -> None:
    assert learned_meal_type(time.fromisoformat(clock), history(*past)) == expected
