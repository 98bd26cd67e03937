"""Each list is read from its index: neither database looks at all rows, or sorts what it found, to fill one page."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from mealshare.core.db import Window
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.queries import (
    AT_PLACE,
    OF_ACCOUNT,
    PUBLIC,
    WITH_TAG,
    WITH_TAG_NAMED,
    card_by_id,
    filter_conditions,
    meals_of_day,
    tag_by_name,
)
from mealshare.features.timelines.queries import MERGED, WRITTEN, home_of, place_by_name
from tests.plans import (
    ALONE,
    COMMON_TAG,
    ME,
    MIDDLE,
    NOON,
    PLACE,
    PULLED,
    PULLING,
    RARE_TAG,
    VIEWERS,
    author,
    plans_of,
    problems_of,
)

WINDOWS = {"newest": Window(), "older": Window(max_id=MIDDLE), "newer": Window(min_id=MIDDLE)}
#: For lists that may be read from their other end; what the pages before them are is one of those above.
OLDEST_FIRST = {"oldest": Window(oldest_first=True), "after": Window(min_id=MIDDLE, oldest_first=True)}
NO_FILTER: dict[str, Any] = {
    "meal_type": None, "diets": (), "without": (), "tag": None, "place": None, "since": None, "until": None,
    "photo": None,
}  # fmt: skip
#: The subqueries of a merged home feed.
GATHERED = ("found", "newest", "page", "written", "json_each")
OTHER = author(10)
#: Each list with its parameters, and the index that it is read from: the name on PostgreSQL, the words on SQLite.
LISTS = {
    "public": (PUBLIC, {}, "ix_posts_public_meals", "posts USING INDEX ix_posts_public_meals"),
    "account": (OF_ACCOUNT, {"account": OTHER}, "ix_posts_account_meals", "posts USING INDEX ix_posts_account_meals"),
    "own": (OF_ACCOUNT, {"account": ME}, "ix_posts_account_meals", "posts USING INDEX ix_posts_account_meals"),
    "tag": (WITH_TAG, {"tag_id": COMMON_TAG}, "pk_post_tags", "post_tags USING COVERING INDEX"),
    "rare-tag": (WITH_TAG, {"tag_id": RARE_TAG}, "pk_post_tags", "post_tags USING COVERING INDEX"),
    "named-tag": (WITH_TAG_NAMED, {"tag_name": f"t{RARE_TAG}"}, "pk_post_tags", "post_tags USING COVERING INDEX"),
    "place": (AT_PLACE, {"place_key": PLACE}, "ix_posts_place_key", "posts USING INDEX ix_posts_place_key"),
}


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
@pytest.mark.parametrize("window", OLDEST_FIRST.values(), ids=OLDEST_FIRST)
def test_a_person_s_first_meals_are_read_from_the_other_end_of_the_index(
    large_site: Connection, backend: str, window: Window, viewer: int
) -> None:
    cards, parameters, index, words = LISTS["account"]
    with plans_of(large_site) as plans:
        page = cards.page(large_site, window, viewer, **parameters)
    (plan,) = plans
    keys = [card.key for card in page.items]
    assert len(keys) >= 15 and keys == sorted(keys) and keys[0] > window.min_id
    assert (index if backend == "postgresql" else words) in plan, plan
    assert problems_of(plan) == [], plan


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_read_from_the_index_of_its_list(
    large_site: Connection, backend: str, name: str, window: Window, viewer: int
) -> None:
    cards, parameters, index, words = LISTS[name]
    with plans_of(large_site) as plans:
        page = cards.page(large_site, window, viewer, **parameters)
    (plan,) = plans
    assert len(page.items) >= 15
    assert (index if backend == "postgresql" else words) in plan, plan
    assert problems_of(plan) == [], plan


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_home_is_read_from_what_was_written_for_the_reader(large_site: Connection, window: Window) -> None:
    with plans_of(large_site) as plans:
        home = home_of(large_site, ME)
        page = home.meals.page(large_site, window, ME)
    state, plan = plans
    assert home.meals is WRITTEN
    assert (len(page.items), len({card.account_id for card in page.items}) > 3) == (20, True)
    assert problems_of(state) == [], state
    assert re.search("pk_timeline_entries|timeline_entries USING PRIMARY KEY|autoindex_timeline_entries", plan), plan
    assert problems_of(plan) == [], plan


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("filtered", [False, True], ids=["all", "filtered"])
def test_home_with_pulled_authors_reads_a_page_of_each(
    large_site: Connection, backend: str, window: Window, filtered: bool
) -> None:
    wanted = filter_conditions(**NO_FILTER | {"meal_type": "lunch"}) if filtered else []
    with plans_of(large_site) as plans:
        home = home_of(large_site, PULLING)
        page = home.meals.page(large_site, window, PULLING, *wanted)
    state, plan = plans
    assert home.meals is MERGED
    assert len(page.items) == 20
    assert {card.account_id for card in page.items} & set(PULLED)
    assert problems_of(state) == [], state
    for index in ("ix_posts_account_meals", "timeline_pulls", "timeline_entries"):
        assert index in plan, plan
    # What is sorted are at most a page of each pulled author, and one of the entries; that the next test counts.
    assert problems_of(plan, derived=GATHERED, sorting=True) == [], plan


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_home_with_pulled_authors_looks_at_few_rows(large_site: Connection) -> None:
    """Counted by PostgreSQL itself, as SQLite cannot: no step gives more rows than a page for each source."""
    with plans_of(large_site, counted=True) as plans:
        MERGED.page(large_site, Window(), PULLING)
    (plan,) = plans
    most = 21 * (len(PULLED) + 1)
    rows = [int(rows) * int(loops) for rows, loops in re.findall(r"actual rows=(\d+) loops=(\d+)", plan)]
    left_out = [int(rows) for rows in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
    assert len(rows) > 10
    assert max(rows) <= most, plan
    assert max(left_out) <= most, plan


@pytest.mark.parametrize(
    "wanted", [{"since": NOON.date()}, {"photo": True}, {"meal_type": "lunch"}], ids=["since", "photo", "meal_type"]
)
def test_a_filter_that_most_meals_pass_reads_the_list_until_the_page_is_full(
    large_site: Connection, wanted: dict[str, Any]
) -> None:
    with plans_of(large_site) as plans:
        page = PUBLIC.page(large_site, Window(), ANONYMOUS, *filter_conditions(**NO_FILTER | wanted))
    (plan,) = plans
    assert len(page.items) == 20
    assert "ix_posts_public_meals" in plan, plan
    assert problems_of(plan) == [], plan


def test_a_day_of_the_diary_is_read_from_its_own_index(large_site: Connection) -> None:
    with plans_of(large_site) as plans:
        meals_of_day(large_site, ME, NOON.date() + timedelta(days=30))
    (plan,) = plans
    assert "ix_posts_account_eaten_on" in plan, plan
    # The index goes by the day; the meals of one day are few.
    assert problems_of(plan, sorting=True) == [], plan


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
def test_single_things_are_found_by_their_keys(large_site: Connection, viewer: int) -> None:
    with plans_of(large_site) as plans:
        assert card_by_id(large_site, MIDDLE, viewer) is not None
        assert tag_by_name(large_site, f"#T{RARE_TAG}", viewer) is not None
        assert place_by_name(large_site, PLACE.upper(), viewer) is not None
        assert home_of(large_site, ALONE).follows is False
    for plan in plans:
        assert problems_of(plan) == [], plan


def test_what_grows_with_the_site_is_recognised(large_site: Connection) -> None:
    with plans_of(large_site) as plans:
        large_site.execute(text("SELECT food FROM posts ORDER BY food"))
        large_site.execute(text("SELECT count(*) FROM media WHERE description = 'x'"))
        large_site.execute(text("SELECT a.url FROM posts a JOIN posts b ON a.food = b.note"))
        large_site.execute(text("SELECT url FROM posts WHERE account_id = 1090 ORDER BY food LIMIT 3"))
    assert [bool(problems_of(plan)) for plan in plans] == [True] * 4
