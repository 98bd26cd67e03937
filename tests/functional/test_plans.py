"""Each list is read from its index: neither database looks at all rows, or sorts what it found, to fill one page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from mealshare.core.db import Window
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.models import Meal, Place, PostTag, Tag
from mealshare.features.meals.places import place_key
from mealshare.features.meals.queries import (
    OF_ACCOUNT,
    PUBLIC,
    WITH_TAG,
    WITH_TAG_NAMED,
    card_by_id,
    filter_conditions,
    meals_of_day,
    tag_by_name,
)
from mealshare.features.media.models import Media, MediaState
from mealshare.features.reactions.models import Like

ACCOUNTS, MEALS, TAGS, PLACES = 20, 2_000, 40, 100
FIRST_ACCOUNT, FIRST_MEAL, FIRST_TAG, FIRST_PLACE = 1_000, 1_000_000, 10_000, 20_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VISIBILITIES = ("public", "public", "public", "unlisted", "only_me")
MIDDLE = FIRST_MEAL + MEALS // 2
COMMON_TAG, RARE_TAG = FIRST_TAG, FIRST_TAG + 3


def rows() -> Iterator[tuple[type, list[dict[str, Any]]]]:
    """A site on which plans differ: every fifth meal is its author's secret, one tag is common and the others rare."""
    people = range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)
    yield Account, [{"id": id, "username": f"p{id}", "uri": f"u{id}", "url": f"u{id}"} for id in people]
    tags = range(FIRST_TAG, FIRST_TAG + TAGS)
    yield Tag, [{"id": id, "name": f"t{id}", "display": f"t{id}", "meals_count": id % 7} for id in tags]
    places = range(FIRST_PLACE, FIRST_PLACE + PLACES)
    yield (
        Place,
        [{"id": id, "name": f"Place {id}", "city": "", "country_code": "", "name_key": place_key(f"Place {id}")}
         for id in places],
    )  # fmt: skip
    meals = range(FIRST_MEAL, FIRST_MEAL + MEALS)
    yield Meal, [_meal(id) for id in meals]
    common = [{"post_id": id, "tag_id": FIRST_TAG} for id in meals]
    yield PostTag, common + [{"post_id": id, "tag_id": FIRST_TAG + 1 + id % (TAGS - 1)} for id in meals if id % 5 == 0]
    yield Like, [{"id": id, "post_id": id, "account_id": FIRST_ACCOUNT + id % ACCOUNTS} for id in meals]
    yield (
        Media,
        [{"id": id, "account_id": FIRST_ACCOUNT, "post_id": id, "storage_key": f"k{id}", "state": MediaState.READY}
         for id in meals if id % 2],
    )  # fmt: skip


def _meal(id: int) -> dict[str, Any]:
    number = id - FIRST_MEAL
    moment = NOON + timedelta(hours=number)
    return {
        "id": id, "kind": "meal", "account_id": FIRST_ACCOUNT + number % ACCOUNTS, "uri": f"m{id}", "url": f"m{id}", "food": "soup",
        "visibility": VISIBILITIES[number % 5], "meal_type": "lunch", "eaten_at": moment, "created_at": moment,
        "time_zone": "UTC", "eaten_on": moment.date(), "place_id": FIRST_PLACE + number % PLACES,
    }  # fmt: skip


@pytest.fixture
def connection(registry: Any) -> Iterator[Connection]:
    """A reading connection to a site with two thousand meals, of which the database has statistics."""
    with registry["engine"].begin() as writing:
        for model, values in rows():
            writing.execute(insert(model), values)
    with registry["engine"].connect().execution_options(isolation_level="AUTOCOMMIT") as bare:
        bare.execute(text("ANALYZE"))
    with registry["read_engine"].connect() as reading:
        yield reading


@contextmanager
def plans_of(connection: Connection) -> Iterator[list[str]]:
    """The plan of each statement that the block runs, with the values that it ran with."""
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        ran.append((statement, parameters))

    plans: list[str] = []
    event.listen(connection, "before_cursor_execute", note)
    try:
        yield plans
    finally:
        event.remove(connection, "before_cursor_execute", note)
    word = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    for statement, parameters in ran:
        steps = connection.exec_driver_sql(f"{word} {statement}", parameters).all()
        plans.append("\n".join(str(step[-1]) for step in steps))


ME = FIRST_ACCOUNT + 3
WINDOWS = {"newest": Window(), "older": Window(max_id=MIDDLE), "newer": Window(min_id=MIDDLE)}
VIEWERS = {"visitor": ANONYMOUS, "person": ME}
NO_FILTER: dict[str, Any] = {
    "meal_type": None, "diets": (), "without": (), "tag": None, "place": None, "since": None, "until": None,
    "photo": None,
}  # fmt: skip
#: Each list with its parameters, and the index that it is read from: the name on PostgreSQL, the words on SQLite.
LISTS = {
    "public": (PUBLIC, {}, "ix_posts_public_meals", "posts USING INDEX ix_posts_public_meals"),
    "account": (OF_ACCOUNT, {"account": ME}, "ix_posts_account_meals", "posts USING INDEX ix_posts_account_meals"),
    "tag": (WITH_TAG, {"tag_id": COMMON_TAG}, "pk_post_tags", "post_tags USING COVERING INDEX"),
    "rare-tag": (WITH_TAG, {"tag_id": RARE_TAG}, "pk_post_tags", "post_tags USING COVERING INDEX"),
    "named-tag": (WITH_TAG_NAMED, {"tag_name": f"t{RARE_TAG}"}, "pk_post_tags", "post_tags USING COVERING INDEX"),
}


def problems_of(plan: str) -> list[str]:
    """The steps that grow with the site: a look at all posts, their tags or pictures, and sorting."""
    return [
        line
        for line in plan.splitlines()
        if re.search(r"Sort\b(?! Key)|TEMP B-TREE|(Seq Scan on|SCAN) (posts|post_tags|media|likes)\b", line)
    ]


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_read_from_the_index_of_its_list(connection, backend, name, window, viewer):
    cards, parameters, index, words = LISTS[name]
    with plans_of(connection) as plans:
        page = cards.page(connection, window, viewer, **parameters)
    (plan,) = plans
    assert page.items
    assert (index if backend == "postgresql" else words) in plan
    assert problems_of(plan) == []


@pytest.mark.parametrize(
    "wanted", [{"since": NOON.date()}, {"photo": True}, {"meal_type": "lunch"}], ids=["since", "photo", "meal_type"]
)
def test_a_filter_that_most_meals_pass_reads_the_list_until_the_page_is_full(connection, wanted):
    with plans_of(connection) as plans:
        page = PUBLIC.page(connection, Window(), ANONYMOUS, *filter_conditions(**NO_FILTER | wanted))
    (plan,) = plans
    assert len(page.items) == 20
    assert "ix_posts_public_meals" in plan
    assert problems_of(plan) == []


def test_a_place_leads_to_its_meals_only(connection):
    conditions = filter_conditions(**NO_FILTER | {"place": f"place {FIRST_PLACE + 7}"})
    with plans_of(connection) as plans:
        page = PUBLIC.page(connection, Window(), ANONYMOUS, *conditions)
    (plan,) = plans
    # Several places may have one name, so their meals are sorted: theirs, and not all.
    assert len(page.items) == MEALS // PLACES
    assert {"ix_places_name_key", "ix_posts_place_meals"} <= set(re.findall(r"\w+", plan))
    assert all("Scan on posts" not in line for line in problems_of(plan))


def test_a_day_of_the_diary_is_read_from_its_own_index(connection):
    with plans_of(connection) as plans:
        meals_of_day(connection, ME, NOON.date() + timedelta(days=30))
    (plan,) = plans
    assert "ix_posts_account_eaten_on" in plan
    assert problems_of(plan) == []


def test_single_things_are_found_by_their_keys(connection):
    with plans_of(connection) as plans:
        assert card_by_id(connection, MIDDLE, ME) is not None
        assert tag_by_name(connection, f"#T{RARE_TAG}", ME) is not None
    assert [problems_of(plan) for plan in plans] == [[], []]


def test_what_grows_with_the_site_is_recognised(connection):
    with plans_of(connection) as plans:
        connection.execute(text("SELECT food FROM posts ORDER BY food"))
        connection.execute(text("SELECT count(*) FROM media WHERE description = 'x'"))
    assert [bool(problems_of(plan)) for plan in plans] == [True, True]
