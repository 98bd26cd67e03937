"""What happened to meals; published inside the transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MealPublished:
    """A meal was posted."""

    meal_id: int
    account_id: int


@dataclass(frozen=True)
class MealEdited:
    """A meal's words, pictures or visibility changed."""

    meal_id: int
    account_id: int


@dataclass(frozen=True)
class MealDeleted:
    """A meal was deleted; only its tombstone is left."""

    meal_id: int
    account_id: int
