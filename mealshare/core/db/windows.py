"""What every statement that is read page by page has in common (`mealshare.core.db.keyset`), in SQLAlchemy's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Connection, Integer, Row, Select, bindparam

from mealshare.core.db.engine import fetch
from mealshare.core.db.keyset import Window


def page_limit() -> BindParameter[int]:
    """The bind parameter ``:limit`` for the size of a page, a literal when it runs: the planner must know it is small."""
    return bindparam("limit", type_=Integer, literal_execute=True)


def both_ways(rows: Select[Any], key: Any) -> dict[bool, Select[Any]]:
    """The statements for a page of ``rows`` by ``key``, a column with a snowflake: downwards (False) and upwards.

    The keys are `Window.upwards`; `fetch_window` runs either.
    """
    max_id, min_id = bindparam("max_id", type_=BigInteger), bindparam("min_id", type_=BigInteger)
    page = rows.where(key < max_id, key > min_id).limit(page_limit())
    return {False: page.order_by(key.desc()), True: page.order_by(key.asc())}


def fetch_window(
    connection: Connection, statement: Select[Any], window: Window, values: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """The rows of ``window`` from a statement of `both_ways`, for `make_page`; ``values`` are its other parameters."""
    if window.skip:
        statement = statement.offset(window.skip)
    bounds = {"max_id": window.max_id, "min_id": window.min_id, "limit": window.fetch_limit}
    return fetch(connection, statement, {**bounds, **values})
