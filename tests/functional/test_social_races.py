"""Many at once between the same people: every count is the number of rows, and no follow lives beside a block."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import func, insert, or_, select

from mealshare.core.db import Window
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.social.models import Block, Follow, Mute
from mealshare.features.social.queries import BLOCKS, FOLLOWERS, FOLLOWING, MUTES, REQUESTS
from tests.functional.hostile_requests import browser_of, send, send_json
from tests.functional.races import THREADS, at_once
from tests.plans import plans_of, take_statistics
from tests.small_site import problems_of

FOLLOWED = 1_000


def recount(registry: Any) -> None:
    """The counts of all accounts are those of the rows."""
    rows, accounts = Follow.__table__, Account.__table__

    def counted(column: Any) -> Any:
        return (
            select(func.count())
            .select_from(rows)
            .where(column == accounts.c.id, rows.c.state == "accepted")
            .scalar_subquery()
        )

    statement = select(
        accounts.c.username, accounts.c.followers_count, accounts.c.following_count, counted(rows.c.target_id),
        counted(rows.c.account_id),
    )  # fmt: skip
    with registry["engine"].connect() as connection:
        for name, followers, following, incoming, outgoing in connection.execute(statement):
            assert (followers, following) == (incoming, outgoing), name


def test_follows_are_counted_exactly(wsgi_app, registry, make_user):
    """Four people follow, leave, block, unblock, remove, lock, accept and reject each other, all at the same time."""
    names = ["ann", "ben", "cho", "dee"]
    people = {name: browser_of(registry, make_user(name).account_id) for name in names}

    def wild(number: int) -> Any:
        dice = random.Random(number)

        def run() -> Any:
            for _ in range(8):
                me, other = dice.sample(names, 2)
                method, path = dice.choice([
                    ("PUT", f"/api/users/{other}/follow"), ("PUT", f"/api/users/{other}/follow"),
                    ("DELETE", f"/api/users/{other}/follow"), ("DELETE", f"/api/users/{me}/followers/{other}"),
                    ("PUT", f"/api/users/{other}/block"), ("DELETE", f"/api/users/{other}/block"),
                    ("DELETE", f"/api/users/{other}/block"), ("POST", f"/api/follow-requests/{other}"),
                    ("DELETE", f"/api/follow-requests/{other}"), ("PUT", f"/api/users/{other}/mute"),
                    ("PATCH", "/api/user/profile"),
                ])  # fmt: skip
                if method == "PATCH":
                    answer = send_json(wsgi_app, method, path, people[me], {"locked": dice.random() < 0.3})
                else:
                    answer = send(wsgi_app, method, path, people[me])
                assert answer.status in (200, 204, 404), answer.text
            return answer

        return run

    at_once([wild(number) for number in range(THREADS)])
    recount(registry)
    beside = or_(
        (Follow.account_id == Block.account_id) & (Follow.target_id == Block.target_id),
        (Follow.account_id == Block.target_id) & (Follow.target_id == Block.account_id),
    )
    with registry["engine"].connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Follow).join(Block, beside)) == 0


def test_a_crowd_follows_one(wsgi_app, registry, make_user):
    make_user("mei")
    fans = [browser_of(registry, make_user(f"fan{number}").account_id) for number in range(THREADS)]
    at_once([lambda fan=fan: send(wsgi_app, "PUT", "/api/users/mei/follow", fan) for fan in (*fans, *fans)])
    assert send(wsgi_app, "GET", "/api/users/mei").json["followers_count"] == THREADS
    at_once([lambda fan=fan: send(wsgi_app, "DELETE", "/api/users/mei/follow", fan) for fan in (*fans[:9], *fans[:9])])
    assert send(wsgi_app, "GET", "/api/users/mei").json["followers_count"] == THREADS - 9
    recount(registry)


@pytest.fixture
def crowd(registry):
    """A reading connection to a site on which one person has to do with a thousand, in every way."""
    people = range(FOLLOWED, FOLLOWED + 1_000)
    me, *others = people
    rows = {
        Account: [{"id": id, "username": f"p{id}", "uri": f"u{id}", "url": f"u{id}"} for id in people],
        Follow: [
            row
            for id in others
            for row in (
                {"id": id, "account_id": me, "target_id": id, "state": "accepted"},
                {"id": id + 10_000, "account_id": id, "target_id": me, "state": ("accepted", "requested")[id % 2]},
                {"id": id + 20_000, "account_id": id, "target_id": me + 1 + id % 998, "state": "accepted"},
            )
            if row["account_id"] != row["target_id"]
        ],
        Block: [{"account_id": me, "target_id": id} for id in others if id % 5 == 0]
        + [{"account_id": id, "target_id": other} for id in others[:300] for other in others[300:310]],
        Mute: [{"account_id": me, "target_id": id} for id in others if id % 5]
        + [{"account_id": id, "target_id": other} for id in others[:300] for other in others[300:320]],
    }
    with registry["engine"].begin() as writing:
        for model, values in rows.items():
            writing.execute(insert(model), values)
    take_statistics(registry["engine"])
    with registry["read_engine"].connect() as reading:
        yield reading


INDEXES = {
    "followers": (FOLLOWERS, "ix_follows_target_id_state"),
    "following": (FOLLOWING, "ix_follows_account_id_state"),
    "requests": (REQUESTS, "ix_follows_target_id_state"),
    "blocks": (BLOCKS, "ix_blocks_account_id"),
    "mutes": (MUTES, "ix_mutes_account_id"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_a_page_of_people_is_read_from_the_index_of_its_list(crowd, name):
    people, index = INDEXES[name]
    viewers = (FOLLOWED, ANONYMOUS) if name.startswith("follow") else (FOLLOWED,)
    with plans_of(crowd) as plans:
        for viewer in viewers:
            pages = [
                people.page(crowd, window, viewer, **({"account": FOLLOWED} if name.startswith("follow") else {}))
                for window in (Window(), Window(min_id=1))
            ]
            assert all(len(page.items) == 20 for page in pages)
    for plan in plans:
        assert index in plan, plan
        assert problems_of(plan) == [], plan
        assert "Seq Scan on accounts" not in plan
