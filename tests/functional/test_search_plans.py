"""A search is read from the index of words: a common word without looking at all that have it, a rare one by a look-up."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mealshare.core.db import Window
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.queries import OF_ACCOUNT, PUBLIC, top_tags
from mealshare.features.search.queries import (
    FOUND,
    MEAL_WORDS,
    PERSON_WORDS,
    MealWords,
    people,
    places,
    question,
)
from tests.plans import plans_of, take_statistics
from tests.small_site import FIRST_ACCOUNT, FIRST_MEAL, ME, MEALS, MIDDLE, problems_of

WINDOWS = (Window(), Window(max_id=MIDDLE), Window(min_id=MIDDLE))


def index_words(registry: Any, work: Any) -> None:
    """Each meal of the site of the other plans is soup and has forty other words; one in four hundred is rare."""
    with work() as unit:
        for id in range(FIRST_MEAL, FIRST_MEAL + MEALS):
            own = [f"w{(id * 7919 + number * 104729) % 997}" for number in range(40)]
            MEAL_WORDS.put(unit.session, id, ["soup", *(["rare"] if id % 400 == 0 else []), *own])
        for id in unit.session.scalars(select(Account.id)):
            PERSON_WORDS.put(unit.session, id, ["person", f"p{id}"])
    take_statistics(registry["engine"])


def plan_of(connection, ask, *arguments, **values):
    """What ``ask(connection, ...)`` gives, and the plan of the one statement that it runs."""
    with plans_of(connection) as plans:
        found = ask(connection, *arguments, **values)
    (plan,) = plans
    return found, plan


def test_searches_are_read_from_their_indexes(small_site, registry, work, backend):
    index_words(registry, work)
    words = "pk_meal_words" if backend == "postgresql" else "SCAN meal_words VIRTUAL TABLE INDEX"
    for viewer in (ANONYMOUS, ME):
        public, more, values = MealWords().narrow(small_site, PUBLIC, "soup")
        for window in WINDOWS:
            for found in (FOUND[backend], public):
                page, plan = plan_of(small_site, found.page, window, viewer, *more, **values)
                assert len(page.items) == 20
                assert words in plan and problems_of(plan) == [], plan
        rare = question(small_site, "rare")
        page, plan = plan_of(small_site, FOUND[backend].page, Window(), viewer, words=rare)
        assert 0 < len(page.items) <= 5
        assert ("ix_meal_words_words" if backend == "postgresql" else words) in plan, plan
        # PostgreSQL sorts the few that it found.
        assert not [line for line in problems_of(plan) if "Sort" not in line or backend == "sqlite"], plan

        filtered = MealWords()(small_site, "soup")
        page, plan = plan_of(small_site, OF_ACCOUNT.page, Window(), viewer, filtered, account=ME)
        assert len(page.items) == 20
        # At this size PostgreSQL may as well sort all that the person has.
        assert not [line for line in problems_of(plan) if "Sort" not in line or backend == "sqlite"], plan
        assert backend == "postgresql" or "ix_posts_account_meals" in plan, plan

        persons, plan = plan_of(small_site, people, "p", 5, viewer)
        assert [person.account_id for person in persons] == [FIRST_ACCOUNT + 19 - number for number in range(5)]
        assert backend == "postgresql" or problems_of(plan) == [], plan
        spots, plan = plan_of(small_site, places, "place", 5, viewer)
        assert len(spots) == 5
        assert "ix_posts_place_key" in plan and not [line for line in problems_of(plan) if "posts" in line], plan
    tags, plan = plan_of(small_site, top_tags, 5, "t")
    assert len(tags) == 5 and problems_of(plan) == [], plan
