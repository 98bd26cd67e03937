"""Prepared statements give what SQLAlchemy gives, and are heard, limited and refused as its own are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import BigInteger, bindparam, event, insert, literal_column, select
from sqlalchemy.exc import DBAPIError

from mealshare.core.db import Prepared, fetch, fetch_one, page_limit
from mealshare.features.accounts.models import Account
from mealshare.features.meals.models import Meal, Post
from mealshare.features.meals.vocabulary import Diet

NOON = datetime(2026, 3, 1, 12, 0, 0, 125, tzinfo=UTC)
COLUMNS = (Post.id, Post.food, Post.eaten_at, Post.eaten_on, Post.edited_at, Post.diets, Post.tag_names, Post.sensitive)
AFTER = select(*COLUMNS).where(Post.id > bindparam("floor", type_=BigInteger)).order_by(Post.id).limit(page_limit())


@pytest.fixture
def meals(registry):
    account = {"id": 1, "username": "mei", "uri": "u", "url": "u"}
    rows = [
        {"id": id, "account_id": 1, "uri": f"m{id}", "url": "m", "kind": "meal", "food": f"100% %s :x {id}", "eaten_at": NOON,
         "eaten_on": NOON.date(), "diets": (Diet.HALAL,) if id % 2 else (), "tag_names": ["tofu", "麻辣"]}
        for id in range(1, 8)
    ]  # fmt: skip
    with registry["engine"].begin() as connection:
        connection.execute(insert(Account), [account])
        connection.execute(insert(Meal), rows)
    with registry["read_engine"].connect() as connection:
        yield connection


def test_rows_are_those_of_the_statement_at_any_limit(meals, count_statements):
    prepared = Prepared(AFTER)
    for limit in (1, 3, 100, 3):
        values = {"floor": 2, "limit": limit}
        expected = [tuple(row) for row in meals.execute(AFTER, values)]
        with count_statements() as statements:
            found = fetch(meals, prepared, values)
        assert [tuple(row) for row in found] == expected
        assert len(found) == min(limit, 5)
        assert len(statements) == 1
        assert f"LIMIT {limit}" in statements[0]
    assert found[0][2] == NOON
    assert fetch_one(meals, prepared, {"floor": 100, "limit": 1}) is None


def test_a_list_after_in_and_words_in_the_text_are_left_to_sqlalchemy(meals):
    among = Prepared(select(Post.id).where(Post.id.in_(bindparam("ids", expanding=True))).order_by(Post.id))
    assert [row[0] for row in fetch(meals, among, {"ids": [3, 1]})] == [1, 3]
    assert [row[0] for row in fetch(meals, among, {"ids": [2]})] == [2]
    named = Prepared(select(Post.id).where(Post.food == bindparam("food", literal_execute=True)))
    assert [row[0] for row in fetch(meals, named, {"food": "100% %s :x 5"})] == [5]


def test_who_listens_hears_of_it_and_may_change_it(meals):
    heard = []

    def before(_connection, _cursor, statement, parameters, _context, _many):
        heard.append("before")
        return statement.replace("LIMIT 3", "LIMIT 2"), parameters

    event.listen(meals, "before_cursor_execute", before, retval=True)
    event.listen(meals, "after_cursor_execute", lambda *_about: heard.append("after"))
    assert len(fetch(meals, Prepared(AFTER), {"floor": 0, "limit": 3})) == 2
    assert heard == ["before", "after"]


def test_an_error_is_sqlalchemys_and_listeners_are_told(meals):
    told = []

    def tell(context):
        told.append(context.sqlalchemy_exception)

    event.listen(meals.engine, "handle_error", tell)
    try:
        with pytest.raises(DBAPIError):
            fetch(meals, Prepared(select(literal_column("no_such_column"))))
    finally:
        event.remove(meals.engine, "handle_error", tell)
    assert len(told) == 1
    assert fetch_one(meals, Prepared(select(literal_column("1")))) is not None
    with pytest.raises(KeyError):
        fetch(meals, Prepared(AFTER), {"limit": 1})
