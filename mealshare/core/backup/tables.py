"""What is in a database: its tables, how many rows they have, and the engine to look with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, func, make_url, pool, select, table, text
from sqlalchemy.exc import ArgumentError

from mealshare.core.backup.errors import BackupError
from mealshare.core.db.base import Base

ALEMBIC = "alembic_version"
_TABLES = {
    # Without those that an FTS5 table keeps for itself.
    "sqlite": (
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ),
    "postgresql": (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')"
    ),
}
#: What a site writes by itself as soon as it starts is no reason to call it lived in.
_HOUSEKEEPING_MODULE = "mealshare.core.jobs."


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    """An engine without a pool and without the manners of a serving site."""
    try:
        options = {"timeout": 30} if make_url(url).get_backend_name() == "sqlite" else {"connect_timeout": 10}
        engine = create_engine(url, poolclass=pool.NullPool, connect_args=options)
    except (ArgumentError, ImportError) as error:
        raise BackupError(f"the address of the database is wrong: {str(error).splitlines()[0]}") from error
    if engine.dialect.name not in _TABLES:
        raise BackupError(f"{engine.dialect.name} is not supported, only sqlite and postgresql are")
    try:
        yield engine
    finally:
        engine.dispose()


def table_names(connection: Connection) -> list[str]:
    """All tables but alembic's own."""
    return sorted(set(connection.scalars(text(_TABLES[connection.dialect.name]))) - {ALEMBIC})


def count_rows(connection: Connection) -> dict[str, int]:
    """The rows of each table, as of one moment if the connection's transaction sees one."""
    return {
        name: connection.scalars(select(func.count()).select_from(table(name))).one()
        for name in table_names(connection)
    }


def housekeeping() -> frozenset[str]:
    """The tables in which an empty site may have rows: its jobs."""
    classes = (mapper.class_ for mapper in Base.registry.mappers)
    return frozenset(str(model.__tablename__) for model in classes if model.__module__.startswith(_HOUSEKEEPING_MODULE))


def occupied(counts: Mapping[str, int]) -> str:
    """Which tables have rows that somebody might miss, in words; empty if none has."""
    taken = [f"{count} in {name}" for name, count in counts.items() if count and name not in housekeeping()]
    return ", ".join(taken[:3]) + (" and more" if len(taken) > 3 else "")


def differences(wanted: Mapping[str, int], found: Mapping[str, int]) -> str:
    """Where the counts differ, in words; empty if they are equal."""
    return ", ".join(
        f"{name}: {found.get(name, 0)} instead of {wanted.get(name, 0)}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name, 0) != found.get(name, 0)
    )
