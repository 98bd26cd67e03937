"""The want list and the copies of a meal are read from their indexes, and find nothing to sort."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from mealshare.core.db import Window
from mealshare.features.reactions.queries import ATE_TOO, WANTED
from tests.plans import FIRST_MEAL, FIRST_WANT, ME, MEALS, MIDDLE, VIEWERS, plans_of, problems_of

WINDOWS = ("newest", "older", "newer", "oldest", "after")


def window_at(middle: int, name: str) -> Window:
    return {
        "newest": Window(), "older": Window(max_id=middle), "newer": Window(min_id=middle),
        "oldest": Window(oldest_first=True), "after": Window(min_id=middle, oldest_first=True),
    }[name]  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS)
def test_the_want_list_is_read_from_its_index(large_site: Connection, window: str) -> None:
    with plans_of(large_site) as plans:
        page = WANTED.page(large_site, window_at(FIRST_WANT + MEALS // 2, window), ME)
    (plan,) = plans
    assert len(page.items) == 20
    assert "ix_wants_account_id" in plan, plan
    assert problems_of(plan) == [], plan


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
@pytest.mark.parametrize("window", WINDOWS)
def test_copies_are_read_from_their_index(large_site: Connection, window: str, viewer: int) -> None:
    with plans_of(large_site) as plans:
        page = ATE_TOO.page(large_site, window_at(MIDDLE, window), viewer, original=FIRST_MEAL + 2)
    (plan,) = plans
    assert len(page.items) == 20
    assert "ix_posts_inspired_by_id" in plan, plan
    assert problems_of(plan) == [], plan
