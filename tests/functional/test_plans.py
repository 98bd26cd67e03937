"""Each list is read from its index: neither database looks at all rows, or sorts what it found, to fill one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from mealshare.core.db import MAX_ID, Window
from mealshare.features.accounts.models import Account
from mealshare.features.meals.models import Meal, Place, PostTag, Tag
from mealshare.features.meals.places import place_key
from mealshare.features.meals.queries import (
    OF_ACCOUNT,
    PUBLIC,
    WITH_TAG,
    card_by_id,
    filter_conditions,
    meals_of_day,
    tag_by_name,
    top_tags,
)
from mealshare.features.media.models import Media, MediaState
from mealshare.features.reactions.models import Like

ACCOUNTS, MEALS, TAGS, PLACES = 20, 2_000, 40, 100
FIRST_ACCOUNT, FIRST_MEAL, FIRST_TAG, FIRST_PLACE = 1_000, 1_000_000, 10_000, 20_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VISIBILITIES = ("public", "public", "public", "unlisted", "only_me")
MIDDLE = FIRST_MEAL + MEALS // 2


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
    # On PostgreSQL also what a visibility map is needed for.
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


FIRST = Window()
OLDER = Window(max_id=MIDDLE)
NEWER = Window(min_id=MIDDLE)
ME = FIRST_ACCOUNT + 3
NOTHING: dict[str, Any] = {
    "meal_type": None, "diets": (), "without": (), "tag": None, "place": None, "since": None, "until": None,
    "photo": None,
}  # fmt: skip


def _public(window: Window, viewer: int = 0, **wanted: Any) -> Callable[[Connection], Any]:
    return lambda connection: PUBLIC.page(connection, window, viewer, *filter_conditions(**NOTHING | wanted))


CASES = {
    "public": _public(FIRST), "public-older": _public(OLDER), "public-newer": _public(NEWER),
    "public-me": _public(FIRST, ME), "public-me-older": _public(OLDER, ME),
    "acc": lambda c: OF_ACCOUNT.page(c, FIRST, account=ME),
    "acc-older-me": lambda c: OF_ACCOUNT.page(c, OLDER, ME, account=ME),
    "acc-newer": lambda c: OF_ACCOUNT.page(c, NEWER, account=ME),
    "tag": lambda c: WITH_TAG.page(c, FIRST, tag_id=FIRST_TAG),
    "tag-rare": lambda c: WITH_TAG.page(c, OLDER, ME, tag_id=FIRST_TAG + 3),
    "tag-newer": lambda c: WITH_TAG.page(c, NEWER, tag_id=FIRST_TAG),
    "day": lambda c: meals_of_day(c, ME, date(2026, 2, 1)),
    "f-tag": _public(FIRST, tag="t10004"), "f-tagc": _public(FIRST, tag="t10000"),
    "f-place": _public(FIRST, place="Place 20007"),
    "f-since": _public(FIRST, since=date(2026, 2, 1)), "f-photo": _public(FIRST, photo=True),
    "f-diet": _public(FIRST, diets=["vegan"]),
    "f-acc-since": lambda c: OF_ACCOUNT.page(c, FIRST, 0, *filter_conditions(**NOTHING | {"since": date(2026, 2, 1)}), account=ME),
    "one": lambda c: card_by_id(c, MIDDLE, ME),
    "tagname": lambda c: tag_by_name(c, "t10003", ME),
    "top": lambda c: top_tags(c),
}


@pytest.mark.parametrize("name", CASES)
def test_plan(connection, name):
    with plans_of(connection) as plans:
        CASES[name](connection)
    print("=====", connection.dialect.name, name)
    print("\n".join(plans))
