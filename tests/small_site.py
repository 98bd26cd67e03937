"""A small site for tests of plans that add to it; for lists that can be asked of a large one see `tests.plans`.

Two thousand meals of twenty people, in the database of the test's own application.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.models import Meal, Place, PostTag, Tag
from mealshare.features.meals.places import place_key
from mealshare.features.media.models import Media, MediaState
from mealshare.features.reactions.models import Like
from tests.plans import take_statistics

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
        "id": id, "kind": "meal", "account_id": FIRST_ACCOUNT + number % ACCOUNTS, "uri": f"http://localhost/m{id}", "url": f"http://localhost/m{id}", "food": "soup",
        "visibility": VISIBILITIES[number % 5], "meal_type": "lunch", "eaten_at": moment, "created_at": moment,
        "time_zone": "UTC", "eaten_on": moment.date(), "place_id": FIRST_PLACE + number % PLACES, "place_key": f"place {FIRST_PLACE + number % PLACES}",
    }  # fmt: skip


def fill(engine: Engine) -> None:
    """Write the site, of which the database then has statistics."""
    with engine.begin() as writing:
        for model, values in rows():
            writing.execute(insert(model), values)
    take_statistics(engine)


ME = FIRST_ACCOUNT + 3
VIEWERS = {"visitor": ANONYMOUS, "person": ME}


def problems_of(plan: str) -> list[str]:
    """The steps that grow with the site: a look at all posts, their tags or pictures, and sorting."""
    return [
        line
        for line in plan.splitlines()
        if re.search(r"Sort\b(?! Key)|TEMP B-TREE|(Seq Scan on|SCAN) (posts|post_tags|media|likes)\b", line)
    ]
