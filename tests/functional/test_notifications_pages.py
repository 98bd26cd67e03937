"""The list as it grows: groups, pages without loss, a fixed number of statements, plans; and many at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, String, bindparam, case, cast, func, insert, literal_column, select, true

from mealshare.core.db import UTCDateTime, Window
from mealshare.features.accounts.models import Account, User
from mealshare.features.meals.models import Meal
from mealshare.features.media.models import Media, MediaState
from mealshare.features.notifications.models import Notification, NotificationType
from mealshare.features.notifications.queries import UNREAD, WINDOW_ROWS, notices
from mealshare.features.social.models import Mute
from tests.functional.noticing import Person, make_person
from tests.plans import plans_of, take_statistics
from tests.small_site import problems_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIRST = 1_000_000
FANS = 50


def account(id: int) -> dict[str, Any]:
    return {"id": id, "username": f"p{id}", "uri": f"u{id}", "url": f"http://localhost/@p{id}"}


def meal(id: int, account_id: int) -> dict[str, Any]:
    return {
        "id": id, "kind": "meal", "account_id": account_id, "uri": f"http://localhost/m{id}", "url": f"http://localhost/@mei/{id}", "food": f"food {id}",
        "visibility": "public", "meal_type": "lunch", "eaten_at": NOON, "created_at": NOON, "time_zone": "UTC", "eaten_on": NOON.date(),
    }  # fmt: skip


def liked(id: int, account_id: int, from_id: int, post_id: int) -> dict[str, Any]:
    key = f"like:{post_id}:{from_id}:{id}"
    return {
        "id": id, "account_id": account_id, "type": "like", "from_id": from_id, "post_id": post_id, "key": key,
        "group_key": f"like:{post_id}", "created_at": NOON,
    }  # fmt: skip


def picture(id: int) -> dict[str, Any]:
    return {"id": id, "account_id": id, "post_id": id, "storage_key": f"k{id}", "state": MediaState.READY}


@pytest.fixture
def mei(registry: Any, app: Any) -> Person:
    """Somebody with fans."""
    person = make_person(registry, app, "mei")
    with registry["engine"].begin() as connection:
        connection.execute(insert(Account), [account(FIRST + number) for number in range(FANS)])
    return person


def add_likes(registry: Any, person: Person, meals: int, each: int, start: int = FIRST) -> None:
    """``meals`` new meals with ``each`` likes, those of one meal between those of the others."""
    ids = range(start, start + meals)
    likes = [
        liked(start + turn * meals + number, person.account_id, FIRST + turn, id)
        for turn in range(each)
        for number, id in enumerate(ids)
    ]
    with registry["engine"].begin() as connection:
        connection.execute(insert(Meal), [meal(id, person.account_id) for id in ids])
        connection.execute(insert(Notification), likes)


def pages(person: Person, query: str) -> Iterator[list[dict[str, Any]]]:
    """Page after page, by the links, from the newest to the oldest."""
    path: str | None = f"/api/notifications?{query}"
    while path is not None:
        answer = person.program.get(path, headers=person.headers)
        yield answer.json
        links = answer.headers.get("Link", "").split(", ")
        path = next((link[1 : link.index(">")] for link in links if link.endswith('rel="next"')), None)


def test_what_several_people_did_is_one(mei, registry):
    add_likes(registry, mei, meals=2, each=7)
    first, second = mei.told()
    assert [first["count"], second["count"]] == [7, 7]
    assert [user["username"] for user in first["users"]] == [f"p{FIRST + turn}" for turn in (6, 5, 4, 3, 2)]
    assert first["meal"]["food"] == f"food {FIRST + 1}"
    page = mei.browser.get("/notifications")
    words = [" ".join(item.get_text().split()) for item in page.html.find_all(class_="notice__words")]
    assert words == [f"New p{FIRST + 6} and 6 others like your food {FIRST + number}" for number in (1, 0)]
    assert len(page.html.find_all(class_="notice")[0].find_all(class_="avatar")) == 3
    mei.send("POST", "/api/notifications/read", {"max_id": str(FIRST + 12)})
    assert [item["read"] for item in mei.told()] == [False, True]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_no_page_loses_or_repeats_one(mei, registry, limit):
    add_likes(registry, mei, meals=5, each=9)
    seen: list[tuple[str, str]] = []
    counted = 0
    for number, page in enumerate(pages(mei, f"limit={limit}")):
        assert 0 < len(page) <= limit
        counted += sum(item["count"] for item in page)
        seen += [(item["id"], item["meal"]["id"]) for item in page]
        if number == 0:
            # While one reads, more comes in; it does not move the pages.
            add_likes(registry, mei, meals=1, each=3, start=FIRST + 10_000)
    # Nobody likes a meal twice, so the people of all groups are all the likes there were.
    assert counted == 45
    assert len(set(seen)) == len(seen)
    ids = [int(id) for id, _meal in seen]
    assert ids == sorted(ids, reverse=True)


def test_the_page_above(mei, registry):
    add_likes(registry, mei, meals=6, each=1)
    answer = mei.program.get(f"/api/notifications?limit=2&min_id={FIRST + 1}", headers=mei.headers)
    assert [item["id"] for item in answer.json] == [str(FIRST + 3), str(FIRST + 2)]
    assert f"max_id={FIRST + 2}" in answer.headers["Link"] and f"min_id={FIRST + 3}" in answer.headers["Link"]
    skipped = mei.send("GET", "/api/notifications?skip=4")
    assert [item["id"] for item in skipped] == [str(FIRST + 1), str(FIRST)]


def test_only_some_types(mei, registry, app):
    tom = make_person(registry, app, "tom")
    add_likes(registry, mei, meals=3, each=1)
    tom.does("follow", mei)
    mei.eats()
    assert [item["type"] for item in mei.told("?type=follow&type=mention")] == ["follow"]
    assert [item["type"] for item in mei.told("?type=follow&type=like")] == ["follow", "like", "like", "like"]
    older = mei.browser.get(f"/notifications?type=like&max_id={FIRST + 2}")
    assert len(older.html.find_all(class_="notice")) == 2


def test_more_than_one_window_holds(mei, registry):
    """Each page is a bounded piece of work, also where many are hidden, and none ends the list too early."""
    add_likes(registry, mei, meals=WINDOW_ROWS // FANS + 4, each=FANS)
    sizes = [sum(item["count"] for item in page) for page in pages(mei, "limit=100")]
    assert sizes == [WINDOW_ROWS, 4 * FANS]
    mei.browser.get("/notifications").click("Older notifications")
    assert mei.badge() == 99
    # All fans but the last are muted, without the event that would take their notifications away.
    with registry["engine"].begin() as connection:
        muted = range(FIRST, FIRST + FANS - 1)
        connection.execute(insert(Mute), [{"account_id": mei.account_id, "target_id": id} for id in muted])
    found = list(pages(mei, "limit=100"))
    assert sum(len(page) for page in found) == WINDOW_ROWS // FANS + 4
    assert {item["count"] for page in found for item in page} == {1}
    assert [len(page) for page in found] == [WINDOW_ROWS // FANS + 4, 0]


@pytest.mark.parametrize("number", [1, 20, 100, 500])
def test_statements_do_not_grow(mei, registry, count_statements, number):
    add_likes(registry, mei, meals=-(-number // FANS), each=min(number, FANS))
    with count_statements() as statements:
        mei.browser.get("/notifications")
    assert len(statements) == 4
    with count_statements() as statements:
        mei.program.get("/api/notifications?limit=100", headers=mei.headers)
    assert len(statements) == 4
    with count_statements() as statements:
        mei.browser.get("/about")
    assert len(statements) == 1


def test_single_meals_do_not_cost_more_statements(mei, registry, count_statements):
    add_likes(registry, mei, meals=150, each=1)
    with count_statements() as statements:
        page = mei.browser.get("/notifications")
    assert len(page.html.find_all(class_="notice")) == 20
    assert len(statements) == 4


PEOPLE, POSTS, TOLD = 60, 20_000, 60_000


def copies(model: Any, count: int, **changes: Any) -> Any:
    """An INSERT of ``count`` copies of the only row, as the database makes them: 1, 2, ... in place of "n"."""
    table = model.__table__
    numbers = select(literal_column("1").label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < count))
    columns = [changes[c.name](numbers.c.n) if c.name in changes else c for c in table.c]
    return insert(table).from_select(
        [c.name for c in table.c], select(*columns).select_from(table.join(numbers, true()))
    )


@pytest.fixture
def busy(registry: Any) -> Iterator[Connection]:
    """A connection to a site on which sixty people have been told a thousand things each."""
    people = range(FIRST, FIRST + PEOPLE)
    logins = [{"id": id, "email": f"{id}@example.org", "password_hash": "", "settings": {}} for id in people]
    with registry["engine"].begin() as writing:
        writing.execute(insert(Account), [account(id) for id in people])
        writing.execute(insert(User), logins)
        writing.execute(insert(Meal), [meal(FIRST, FIRST)])
        text_of = {"uri": lambda n: cast(n, String), "account_id": lambda n: FIRST + n % PEOPLE}
        writing.execute(copies(Meal, POSTS, id=lambda n: FIRST + n, **text_of))
        writing.execute(insert(Media), [picture(FIRST)])
        keys = {"storage_key": lambda n: cast(n, String), "post_id": lambda n: FIRST + n}
        writing.execute(copies(Media, POSTS, id=lambda n: FIRST + n, **keys))
        writing.execute(insert(Notification), [liked(FIRST, FIRST, FIRST + 1, FIRST)])
        changes = {
            "id": lambda n: FIRST + n,
            "account_id": lambda n: FIRST + n % PEOPLE,
            "from_id": lambda n: FIRST + (n + 1) % PEOPLE,
            "post_id": lambda n: FIRST + n % POSTS,
            "key": lambda n: cast(n, String),
            "group_key": lambda n: cast(n, String),
            # The older half was read.
            "read_at": lambda n: case((n < TOLD // 2, bindparam("read", NOON, UTCDateTime))),
        }
        writing.execute(copies(Notification, TOLD, **changes))
    take_statistics(registry["engine"])
    with registry["read_engine"].connect() as reading:
        yield reading


def test_a_page_is_read_from_the_index_and_so_is_the_count(busy):
    for window in (Window(), Window(max_id=FIRST + 50_000), Window(min_id=FIRST + 10_000)):
        with plans_of(busy) as plans:
            page = notices(busy, FIRST + 3, window)
        assert len(page.page.items) == 20
        assert len(plans) == 3
        assert "ix_notifications_account_id" in plans[0], plans[0]
        for plan in plans:
            assert problems_of(plan) == [], plan
            assert not re.search("(SCAN|Seq Scan on) (notifications|subject)", plan), plan
    with plans_of(busy) as plans:
        assert busy.scalar(select(UNREAD).where(User.id == FIRST + 3)) == 100
    assert "ix_notifications_unread" in plans[0], plans[0]
    assert problems_of(plans[0]) == [], plans[0]


def test_eight_at_once_are_one_row_each(registry, app):
    mei = make_person(registry, app, "mei")
    people = [make_person(registry, app, f"fan{number}") for number in range(8)]
    eaten = mei.eats()
    gate = threading.Barrier(8)

    def act(person: Person) -> None:
        gate.wait(30)
        for _ in range(3):
            person.likes(eaten, no_more=True)
            person.likes(eaten)
            person.does("follow", mei)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, people))
    with registry["engine"].connect() as connection:
        each = select(Notification.type, func.count()).group_by(Notification.type)
        assert dict(connection.execute(each).all()) == {"like": 8, "follow": 8}
    assert [item["count"] for item in mei.told()] == [8, 8]
    assert {item["type"] for item in mei.told()} == {NotificationType.LIKE, NotificationType.FOLLOW}
    assert mei.badge() == 16
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: mei.does("block", person), people))
    assert mei.told() == []
