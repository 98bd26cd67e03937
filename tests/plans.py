"""A large site for tests of query plans: made once for all tests on one database, and only read.

Plans mean little on a small site: a database that can sort all there is in no time may well do so.  Here are 20,000
meals of 100 people who follow, block and mute each other, 3,000 who only look, and statistics of them; a plan that is
right here reads a page from an index and stops.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, insert, text

from mealshare.features.accounts.models import Account, User
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.models import EatingPreference, Meal, Place, PostTag, Tag
from mealshare.features.meals.vocabulary import Allergen, AvoidMode
from mealshare.features.media.models import Media, MediaState
from mealshare.features.reactions.models import Like, Want
from mealshare.features.social.models import Block, Follow, Mute
from mealshare.features.timelines.models import TimelinePull

ACCOUNTS, MEALS, TAGS, PLACES = 100, 20_000, 50, 60
#: People, tags and places altogether, used or not: of small tables PostgreSQL rightly looks at all rows.
EVERYTHING = 3_000
FIRST_ACCOUNT, FIRST_MEAL, FIRST_TAG, FIRST_PLACE, FIRST_WANT = 1_000, 1_000_000, 10_000, 20_000, 5_000_000


def author(number: int) -> int:
    """The id of one of those who post; they stand among those who only look, as old as these."""
    return FIRST_ACCOUNT + number * EVERYTHING // ACCOUNTS


def place_id(number: int) -> int:
    """The same for places where somebody ate."""
    return FIRST_PLACE + number * EVERYTHING // PLACES


NOON = datetime(2023, 1, 1, 12, tzinfo=UTC)
VISIBILITIES = ("public", "public", "public", "public", "followers", "unlisted", "only_me")
MIDDLE = FIRST_MEAL + MEALS // 2
#: On every second meal, and on one in 250.
COMMON_TAG, RARE_TAG = FIRST_TAG, FIRST_TAG + 3
PLACE = f"place {place_id(7)}"
#: The person who reads; one who follows authors who are looked up at reading; one who follows nobody.
ME, PULLING, ALONE = author(3), author(4), author(ACCOUNTS - 1)
PULLED = (author(95), author(96), author(97))
VIEWERS = {"visitor": ANONYMOUS, "person": ME}
_STEPS = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)


def fill(engine: Engine) -> None:
    """Make the site in an empty, migrated database, and let the database gather statistics."""
    with engine.begin() as connection:
        for model, rows in _rows():
            connection.execute(insert(model), list(rows))
        for statement in _FROM_ROWS:
            connection.execute(text(statement))
    take_statistics(engine)


def take_statistics(engine: Engine) -> None:
    """Let the database plan for what is there now, and for nothing else.

    PostgreSQL's tables keep the room of rows that earlier tests have deleted, and the price of reading one is by its room.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as bare:
        bare.execute(text("VACUUM (FULL, ANALYZE)" if bare.dialect.name == "postgresql" else "ANALYZE"))


def expect_quick_disk(connection: Connection) -> None:
    """Let PostgreSQL plan as on a disk without moving parts: its default is from before there were any.

    By that, it would rather read twelve hundred meals in a row than forty here and there.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET random_page_cost = 1.1"))


#: Written by the database itself, which is quicker: the home feeds, as fan-out would have filled them.
_FROM_ROWS = (
    "INSERT INTO timeline_entries (account_id, post_id, author_id) SELECT account_id, id, account_id FROM posts",
    "INSERT INTO timeline_entries (account_id, post_id, author_id)"
    " SELECT f.account_id, p.id, p.account_id FROM posts p JOIN follows f ON f.target_id = p.account_id"
    " WHERE f.state = 'accepted' AND p.visibility <> 'only_me' AND f.id % 3 = 0"
    " AND NOT EXISTS (SELECT 1 FROM timeline_pulls t WHERE t.author_id = f.target_id AND t.account_id = f.account_id)",
)


def _rows() -> Iterator[tuple[Any, Iterable[dict[str, Any]]]]:
    people = range(FIRST_ACCOUNT, FIRST_ACCOUNT + EVERYTHING)
    yield Account, ({"id": id, "username": f"p{id}", "uri": f"u{id}", "url": f"u{id}"} for id in people)
    yield User, ({"id": id, "email": f"p{id}@example.org", "password_hash": ""} for id in people)
    tags = range(FIRST_TAG, FIRST_TAG + EVERYTHING)
    yield Tag, ({"id": id, "name": f"t{id}", "display": f"t{id}", "meals_count": 1 + id % 7} for id in tags)
    places = range(FIRST_PLACE, FIRST_PLACE + EVERYTHING)
    yield Place, ({"id": id, "name": f"Place {id}", "name_key": f"place {id}"} for id in places)
    yield from _between_people()
    meals = range(FIRST_MEAL, FIRST_MEAL + MEALS)
    yield Meal, (_meal(id) for id in meals)
    yield PostTag, ({"post_id": id, "tag_id": COMMON_TAG} for id in meals if id % 2)
    yield PostTag, ({"post_id": id, "tag_id": FIRST_TAG + 1 + id // 5 % (TAGS - 1)} for id in meals if id % 5 == 0)
    yield Like, ({"id": id, "post_id": id, "account_id": author(id % ACCOUNTS)} for id in meals)
    yield (
        Want,
        ({"id": FIRST_WANT + id - FIRST_MEAL, "post_id": id, "account_id": author(id // 7 % ACCOUNTS)}
         for id in meals),
    )  # fmt: skip
    yield (
        Media,
        ({"id": id, "account_id": FIRST_ACCOUNT, "post_id": id, "storage_key": f"k{id}", "state": MediaState.READY}
         for id in meals if id % 2),
    )  # fmt: skip


def _between_people() -> Iterator[tuple[Any, Iterable[dict[str, Any]]]]:
    """Everybody but one follows a dozen others, blocks one and mutes one; three authors are looked up at reading."""
    pairs = [(author(one), author((one + step) % ACCOUNTS)) for one in range(ACCOUNTS) for step in _STEPS]
    pairs += [(PULLING, other) for other in PULLED]
    follows = [pair for pair in dict.fromkeys(pairs) if pair[0] != ALONE]
    yield (
        Follow,
        ({"id": 3 * number, "account_id": one, "target_id": other, "state": "accepted"}
         for number, (one, other) in enumerate(follows, 1)),
    )  # fmt: skip
    for model, step in ((Block, 2), (Mute, 5)):
        yield (
            model,
            ({"id": 1 + one, "account_id": FIRST_ACCOUNT + one, "target_id": author((one // 30 + step) % ACCOUNTS)}
             for one in range(EVERYTHING)),
        )  # fmt: skip
    yield (
        EatingPreference,
        ({"account_id": FIRST_ACCOUNT + one, "mode": AvoidMode.HIDE, "avoid": (Allergen.PEANUTS,)}
         for one in range(EVERYTHING)),
    )  # fmt: skip
    pulls = [(other, other) for other in PULLED] + [pair for pair in follows if pair[1] in PULLED]
    pulls += [(FIRST_ACCOUNT + one, PULLED[one % 3]) for one in range(EVERYTHING) if one % 30]
    yield TimelinePull, [{"account_id": one, "author_id": other} for one, other in pulls]


def _meal(id: int) -> dict[str, Any]:
    number = id - FIRST_MEAL
    moment, place = NOON + timedelta(hours=number), place_id(number % PLACES)
    # Not in step with the authors and places, or a person would have meals of one kind only.
    return {
        "id": id, "kind": "meal", "account_id": author(number * 7 % ACCOUNTS), "uri": f"m{id}", "url": f"m{id}",
        "food": "soup", "visibility": VISIBILITIES[number // 3 % len(VISIBILITIES)], "meal_type": "lunch", "eaten_at": moment,
        "created_at": moment, "time_zone": "UTC", "eaten_on": moment.date(), "place_id": place, "place_key": f"place {place}",
        "allergens_contained": (Allergen.PEANUTS,) if number % 11 == 0 else (),
        "inspired_by_id": FIRST_MEAL + 2 * (number % 4) if number > 8 and number % 2 else None,
    }  # fmt: skip


@contextmanager
def plans_of(connection: Connection, *, counted: bool = False) -> Iterator[list[str]]:
    """The plan of each statement that the block runs, with the values that it ran with.

    ``counted``: with the number of rows that each step gave, which PostgreSQL knows.
    """
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
    word = "EXPLAIN (ANALYZE, TIMING OFF)" if counted else word
    for statement, parameters in ran:
        steps = connection.exec_driver_sql(f"{word} {statement}", parameters).all()
        plans.append("\n".join(str(step[-1]) for step in steps))


#: A look at all there is.  SQLite says SCAN for a walk along what a subquery has gathered as well, which is allowed by
#: name, and of a virtual table, where the words after VIRTUAL TABLE INDEX tell what is looked up.
_SCAN = re.compile(r"Seq Scan on (?P<table>\w+)|^SCAN (?P<name>\S+)(?! VIRTUAL|\S)")
_DERIVED = re.compile(r"\(?subquery|CONSTANT")
#: A merge join is none of it: either what it joins comes in order from two indexes, and it stops when the page is full,
#: or there is a sort below it.
_SORT = re.compile(r"Sort\b(?! Key| Method)|TEMP B-TREE|Hash (Left |Right |Semi |Anti )?Join")


def problems_of(plan: str, *, derived: Collection[str] = (), sorting: bool = False) -> list[str]:
    """The steps that grow with the site: a look at all rows of a table, joins of whole tables, and sorting.

    ``derived`` are the names of subqueries that give few rows; ``sorting`` is allowed where few rows are sorted.
    """
    problems = []
    for line in plan.splitlines():
        scan = _SCAN.search(line.strip())
        looks = (
            scan is not None
            and (scan["table"] or scan["name"]) not in derived
            and not _DERIVED.match(scan["name"] or "")
        )
        if looks or (_SORT.search(line) and not sorting):
            problems.append(line)
    return problems
