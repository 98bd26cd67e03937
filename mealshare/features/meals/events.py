"""What happened to meals; published inside the transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MealPublished:
    """A meal was posted."""

    meal_id: int
    account_id: int
    visibility: str
    #: The meal that it was eaten after ("I ate this too"), and the accounts that its note names.
    inspired_by_id: int | None = None
    mentioned: tuple[int, ...] = ()


@dataclass(frozen=True)
class MealEdited:
    """A meal's words, pictures or visibility changed."""

    meal_id: int
    account_id: int
    #: The accounts that its note names and did not name before.
    mentioned: tuple[int, ...] = ()


@dataclass(frozen=True)
class VisibilityChanged:
    """Other people may see meals of an account than before; all had the same visibility and have the same now."""

    meal_ids: tuple[int, ...]
    account_id: int
    before: str
    after: str


@dataclass(frozen=True)
class MealDeleted:
    """A meal was deleted; only its tombstone is left."""

    meal_id: int
    account_id: int
