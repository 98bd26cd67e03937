"""Keyset paging: whatever is added between two pages, nothing is shown twice and nothing is left out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import BigInteger, Column, Engine, MetaData, Table, delete, insert, select

from mealshare.core.db import MAX_ID, DatabaseSettings, Page, Window, make_engine, make_page
from mealshare.core.db.engine import read_engine
from mealshare.core.settings import Secret

dishes = Table("dishes", MetaData(), Column("id", BigInteger, primary_key=True, autoincrement=False))

Read = Callable[[Window], Page[int]]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(DatabaseSettings(url=Secret(database_url)))
    with made.begin() as connection:
        dishes.create(connection)
    yield made
    made.dispose()


def add(engine: Engine, *ids: int) -> None:
    with engine.begin() as connection:
        connection.execute(insert(dishes), [{"id": id} for id in ids])


def reader(engine: Engine) -> Read:
    """A list as features read them."""
    connected = read_engine(engine)

    def read(window: Window) -> Page[int]:
        order = dishes.c.id.asc() if window.upwards else dishes.c.id.desc()
        between = select(dishes.c.id).where(dishes.c.id < window.max_id, dishes.c.id > window.min_id)
        statement = between.order_by(order).limit(window.fetch_limit).offset(window.skip)
        with connected.connect() as connection:
            return make_page(list(connection.execute(statement).scalars()), window, lambda row: row)

    return read


def walk_down(read: Read, limit: int, between: Callable[[], None]) -> list[Page[int]]:
    pages = [read(Window(limit=limit))]
    while (below := pages[-1].next_max_id) is not None:
        between()
        pages.append(read(Window(max_id=below, limit=limit)))
    return pages


def walk_up(read: Read, above: int, limit: int, between: Callable[[], None]) -> list[Page[int]]:
    pages = [read(Window(min_id=above, limit=limit))]
    while (above_next := pages[-1].prev_min_id) is not None:
        between()
        pages.append(read(Window(min_id=above_next, limit=limit)))
    return pages


@pytest.mark.parametrize("seed", range(8))
def test_pages_join_in_both_directions_while_others_post(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    read, known = reader(engine), []

    def post(most: int) -> None:
        """Ids grow, with gaps, as time does."""
        for _ in range(chance.randrange(most + 1)):
            known.append((known[-1] if known else 0) + chance.randrange(1, 50))
            add(engine, known[-1])

    while len(known) < 3:
        post(40)
    limit = chance.randrange(1, 9)
    at_first = list(known)
    down = walk_down(read, limit, lambda: post(3))
    assert [id for page in down for id in page.items] == at_first[::-1]
    assert all(len(page.items) == limit for page in down[:-1])

    before = at_first[0]
    # At most as many as a page holds minus one, so that the walk comes to an end.
    up = walk_up(read, before, limit, lambda: post(limit - 1) if len(known) < 200 else None)
    seen = [id for page in up for id in reversed(page.items)]
    assert seen == known[1 : 1 + len(seen)]
    assert seen[-1] >= at_first[-1]
    assert all(list(page.items) == sorted(page.items, reverse=True) for page in up)


def test_numbered_pages_would_show_things_twice(engine: Engine) -> None:
    """What keyset paging is for: the same walk by ``skip`` repeats what moved down."""
    add(engine, *range(1, 7))
    read = reader(engine)
    first = read(Window(limit=3))
    add(engine, 7)
    assert set(first.items) & set(read(Window(limit=3, skip=3)).items) == {4}
    assert not set(first.items) & set(read(Window(limit=3, max_id=first.next_max_id or 0)).items)


def test_a_deleted_border_moves_nothing(engine: Engine) -> None:
    add(engine, *range(1, 10))
    read = reader(engine)
    first = read(Window(limit=3))
    with engine.begin() as connection:
        connection.execute(delete(dishes).where(dishes.c.id == first.next_max_id))
    assert list(read(Window(limit=3, max_id=first.next_max_id or 0)).items) == [6, 5, 4]


@pytest.mark.parametrize(
    ("rows", "window", "expected"),
    [
        ([], Window(limit=2), Page([], None, None)),
        ([3], Window(limit=2), Page([3], None, None)),
        ([3, 2], Window(limit=2), Page([3, 2], None, None)),
        ([3, 2, 1], Window(limit=2), Page([3, 2], 2, None)),
        ([3, 2, 1], Window(limit=2, max_id=9), Page([3, 2], 2, 3)),
        ([3], Window(limit=2, skip=2), Page([3], None, 3)),
        ([3, 4], Window(limit=2, min_id=2), Page([4, 3], 3, None)),
        ([3, 4, 5], Window(limit=2, min_id=2), Page([4, 3], 3, 4)),
        ([], Window(limit=2, min_id=2), Page([], None, None)),
    ],
)
def test_a_page_knows_its_neighbours(rows: list[int], window: Window, expected: Page[int]) -> None:
    assert make_page(rows, window, lambda row: row) == expected


def test_the_largest_id_is_below_nothing() -> None:
    assert MAX_ID == 2**63 - 1
    assert Window().fetch_limit == Window().limit + 1
