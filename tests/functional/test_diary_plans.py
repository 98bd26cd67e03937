"""The diary is read from the index of an account's days, and of nobody else's rows."""

from __future__ import annotations

import re

import pytest

from mealshare.features.diary.days import month_span
from mealshare.features.diary.queries import (
    Owner,
    counts_between,
    days_between,
    meals_between,
    most_eaten,
    this_month,
)
from tests.plans import plans_of
from tests.small_site import ME, NOON, VIEWERS

OWNER = Owner(ME + 2, f"p{ME + 2}", "", None, "UTC")
DAY = NOON.date().replace(month=2, day=14)
#: So early that the year before it has few of the account's meals.
EARLY = NOON.date().replace(day=8)
MONTH = month_span(DAY)
#: Both the account and the days bound what is read of the index.
BOUNDS = {
    "sqlite": r"ix_posts_account_eaten_on \(account_id=\? AND eaten_on(=\?|>\? AND eaten_on<\?)\)",
    "postgresql": r"Index Cond: .*account_id = .*eaten_on",
}
SCAN = r"(Seq Scan on|SCAN) (posts|media|post_tags|likes)\b"
READS = {
    "month": lambda reading, viewer: days_between(reading, OWNER, viewer, MONTH),
    "this month": lambda reading, viewer: this_month(reading, OWNER, viewer, DAY)[0],
    "calendar": lambda reading, viewer: days_between(reading, OWNER, viewer, MONTH, per_day=1),
    "year": lambda reading, viewer: counts_between(reading, OWNER, viewer, MONTH),
    "meals": lambda reading, viewer: meals_between(reading, OWNER, viewer, MONTH, 500),
    "most": lambda reading, viewer: most_eaten(reading, OWNER, viewer, EARLY).foods,
}


@pytest.mark.parametrize("viewer", VIEWERS.values(), ids=VIEWERS)
def test_a_span_of_an_account_is_read_from_its_index(small_site, backend, viewer):
    for name, read in READS.items():
        with plans_of(small_site) as plans:
            assert read(small_site, viewer), name
        (plan,) = plans
        assert "ix_posts_account_eaten_on" in plan, (name, plan)
        assert re.search(BOUNDS[backend], plan), (name, plan)
        # Sorting is of the few rows of the span; nothing else is looked through.
        assert not re.search(SCAN, plan), (name, plan)
