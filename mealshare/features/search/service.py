"""Keeping the index of words in step, in the transaction that changes what people wrote; and filling it anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mealshare.core.db import MAX_ID
from mealshare.core.work import Work
from mealshare.features.accounts.events import AccountRegistered, ProfileChanged
from mealshare.features.meals.events import MealDeleted, MealEdited, MealPublished
from mealshare.features.search.indexing import KINDS, MEALS, PEOPLE

#: How many are indexed in one transaction; on SQLite nobody else writes meanwhile.
BATCH = 200


def index_meal(work: Work, event: MealPublished | MealEdited) -> None:
    """The meal is found by what it says now."""
    MEALS.one(work.session, event.meal_id)


def forget_meal(work: Work, event: MealDeleted) -> None:
    """The meal is not found any more."""
    MEALS.index.remove(work.session, [event.meal_id])


def index_person(work: Work, event: AccountRegistered | ProfileChanged) -> None:
    """The person is found by what they are called now."""
    PEOPLE.one(work.session, event.account_id)


def rebuild(open_work: Callable[[], Any], kind: str, *, before: int = MAX_ID, batch: int = BATCH) -> Iterator[int]:
    """Index all of a kind (``people`` or ``meals``) below the id ``before``, newest first.

    Gives the number of each batch when it is committed; the site may serve meanwhile.
    """
    while True:
        with open_work() as work:
            done = KINDS[kind].some(work.session, before, batch)
        if not done:
            return
        before = done[-1]
        yield len(done)
