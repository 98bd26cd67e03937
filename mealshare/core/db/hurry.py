"""Who may take their time: on PostgreSQL a request's statement ends after ``db.statement_timeout``, a job's never.

The limit is given when a connection is made, so it costs a request nothing.  A connection that goes from a request to a
job, or back, is told so by one round trip more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, event

_unhurried: ContextVar[bool] = ContextVar("mealshare_unhurried", default=False)
#: What a pooled connection is known to have now, in its ``info``.
_LIMIT = "mealshare_statement_timeout"


@contextmanager
def unhurried() -> Iterator[None]:
    """What this thread takes from the pool inside the block has no limit: for jobs and commands."""
    token = _unhurried.set(True)
    try:
        yield
    finally:
        _unhurried.reset(token)


def limit_statements(engine: Engine, milliseconds: int) -> None:
    """Keep the limit, which connections of ``engine`` (PostgreSQL) are made with, away from whoever is `unhurried`."""

    @event.listens_for(engine, "checkout")
    def checkout(dbapi_connection: Any, record: Any, proxy: Any) -> None:
        wanted = 0 if _unhurried.get() else milliseconds
        if record.info.get(_LIMIT, milliseconds) == wanted:
            return
        # Outside of a transaction: a rollback would take the setting back.
        before = dbapi_connection.autocommit
        dbapi_connection.autocommit = True
        dbapi_connection.execute(f"SET statement_timeout = {wanted}")
        dbapi_connection.autocommit = before
        record.info[_LIMIT] = wanted
