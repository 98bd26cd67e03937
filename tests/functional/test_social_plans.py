"""Lists of people are read from their indexes, from either end."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from mealshare.core.db import Window
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.social.queries import BLOCKS, FOLLOWERS, FOLLOWING, MUTES, REQUESTS
from tests.plans import ME, author, plans_of, problems_of

OF = {"account": author(10)}
#: Each list, its parameters, and the index that goes by what the list is ordered by.
LISTS = {
    "followers": (FOLLOWERS, OF, "ix_follows_target_id_state"), "following": (FOLLOWING, OF, "ix_follows_account_id_state"),
    "requests": (REQUESTS, {}, "ix_follows_target_id_state"), "blocks": (BLOCKS, {}, "ix_blocks_account_id"),
    "mutes": (MUTES, {}, "ix_mutes_account_id"),
}  # fmt: skip


@pytest.mark.parametrize("window", [Window(), Window(oldest_first=True)], ids=["newest", "oldest"])
@pytest.mark.parametrize("name", LISTS)
def test_people_are_read_from_an_index(large_site: Connection, name: str, window: Window) -> None:
    people, parameters, index = LISTS[name]
    for viewer in (ME, *((ANONYMOUS,) if parameters else ())):
        with plans_of(large_site) as plans:
            page = people.page(large_site, window, viewer, **parameters)
        (plan,) = plans
        keys = [listed.key for listed in page.items]
        assert keys == sorted(keys, reverse=not window.oldest_first)
        assert index in plan, plan
        # Nobody has more than a dozen here, which PostgreSQL may read in any order and sort.
        assert problems_of(plan, sorting=True) == [], plan
