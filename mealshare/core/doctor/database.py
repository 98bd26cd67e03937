"""The database: reachable, at the newest migration, whole, and set up as the site needs it."""

from __future__ import annotations

from collections.abc import Iterator

from pyramid.registry import Registry
from sqlalchemy import Connection, Engine, text

from mealshare.core.db import DatabaseSettings
from mealshare.core.db.revision import SchemaError, check_revision
from mealshare.core.doctor import Finding, Level
from mealshare.core.settings import settings_of

#: Older ones get no more corrections.
OLDEST_POSTGRESQL = 13
_MOST_NAMED = 5


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`."""
    engine: Engine = registry["engine"]
    try:
        check_revision(engine)
    except SchemaError as error:
        yield Finding(str(error))
        return
    with registry["read_engine"].connect() as connection:
        if engine.dialect.name == "sqlite":
            yield from _sqlite(connection)
        else:
            yield from _postgresql(connection, settings_of(registry, DatabaseSettings))


def _sqlite(connection: Connection) -> Iterator[Finding]:
    mode = connection.scalar(text("PRAGMA journal_mode"))
    if mode != "wal":
        yield Finding(f"the journal mode is {mode}, not wal: readers and the writer wait for each other", Level.WARNING)
    found = [str(row[0]) for row in connection.execute(text(f"PRAGMA quick_check({_MOST_NAMED})"))]
    if found != ["ok"]:
        yield Finding(f"the file is damaged ({'; '.join(found)}): restore a backup")
        return
    orphans = connection.execute(text("PRAGMA foreign_key_check")).fetchmany(_MOST_NAMED)
    for table, row, parent, _number in orphans:
        yield Finding(f"row {row} of {table} names a row of {parent} that is not there")


def _postgresql(connection: Connection, settings: DatabaseSettings) -> Iterator[Finding]:
    version = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000
    if version < OLDEST_POSTGRESQL:
        yield Finding(f"PostgreSQL {version} is too old: use {OLDEST_POSTGRESQL} or newer")
    zone = connection.scalar(text("SHOW timezone"))
    if zone not in ("UTC", "Etc/UTC"):
        yield Finding(f"the connection's time zone is {zone}, not UTC: something between overrides it")
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        yield Finding(f"the database's encoding is {encoding}: most languages cannot be stored, make it anew with UTF8")
    most = int(connection.scalar(text("SHOW max_connections")) or 0)
    kept = int(connection.scalar(text("SHOW superuser_reserved_connections")) or 0)
    one = settings.pool_size + settings.pool_overflow
    if one > most - kept:
        yield Finding(
            f"one process may open {one} connections (db.pool_size + db.pool_overflow), but PostgreSQL gives "
            f"{most - kept} to all (max_connections - superuser_reserved_connections)"
        )
    elif one * 2 > most - kept:
        yield Finding(
            f"two processes of {one} connections each are more than the {most - kept} that PostgreSQL gives to all",
            Level.WARNING,
        )
