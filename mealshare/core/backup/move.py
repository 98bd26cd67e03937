"""The rows of a site, from one database to another of either kind, in one transaction on each side.

The source may go on serving: what is read is as of one moment.  The target gets everything or nothing: it is compared with
what was read before anything is committed, so what fails or is killed leaves it empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, make_url, text

from mealshare.core.backup import postgres
from mealshare.core.backup.errors import BackupError
from mealshare.core.backup.media import Tell
from mealshare.core.backup.rows import Sum, read_rows, sum_rows, write_rows
from mealshare.core.backup.tables import count_rows, engine_of, housekeeping, occupied, table_names
from mealshare.core.db import migrate
from mealshare.core.db.base import Base
from mealshare.core.db.revision import SchemaError, check_revision
from mealshare.core.models import import_models

#: Fills what is not carried over because each kind of database has its own (the index of words), on the target's connection.
Rebuild = Callable[[Connection], None]


@dataclass(frozen=True)
class Moved:
    """What was carried over."""

    tables: dict[str, Sum]
    #: Tables in which somebody wrote while the others were read; that is not in the target.
    changed: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(table.rows for table in self.tables.values())


def move_database(source_url: str, target_url: str, derived: frozenset[str], rebuild: Rebuild, tell: Tell) -> Moved:
    """Carry all rows from ``source_url`` to the empty database ``target_url``, which is migrated first.

    ``derived`` are the tables that ``rebuild`` fills instead.  Raises BackupError, and SQLAlchemyError for what a database
    refuses; the target is empty then.
    """
    import_models()
    if make_url(source_url) == make_url(target_url):
        raise BackupError("the source and the target are the same database")
    with engine_of(source_url) as source, engine_of(target_url) as target:
        _check_source(source)
        _prepare_target(target, target_url)
        with _watched(source) as changed, reading(source) as from_source:
            strange = set(table_names(from_source)) - set(Base.metadata.tables) - derived
            if strange:
                tell(f"not of MealShare, and left where it is: {', '.join(sorted(strange))}")
            with _writing(target) as writing:
                sums = _carry(from_source, writing, tell)
                rebuild(writing)
                _verify(writing, sums, tell)
            suspected = changed()
        if target.dialect.name == "postgresql":
            with target.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
        return Moved(sums, _changed_tables(source, sums, tell) if suspected else ())


def _check_source(source: Engine) -> None:
    if source.dialect.name == "sqlite" and not Path(str(source.url.database)).is_file():
        raise BackupError(f"there is no database {source.url.database}")
    try:
        check_revision(source)
    except SchemaError as error:
        raise BackupError(f"the source cannot be moved: {error}") from error


def _prepare_target(target: Engine, url: str) -> None:
    if target.dialect.name == "sqlite":
        Path(str(target.url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    with target.connect() as connection:
        taken = occupied(count_rows(connection))
    if taken:
        where = target.url.render_as_string(hide_password=True)
        raise BackupError(f"the target {where} is not empty (rows: {taken}); nothing was changed")
    migrate.upgrade(url)


@contextmanager
def reading(source: Engine) -> Iterator[Connection]:
    """A connection to the source that sees one moment."""
    with source.connect() as plain:
        if source.dialect.name == "postgresql":
            yield postgres.snapshot(plain)
            return
        _by_hand(plain)
        plain.exec_driver_sql("BEGIN")
        plain.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
        yield plain


@contextmanager
def _writing(target: Engine) -> Iterator[Connection]:
    """A connection to the target whose transaction ends well or not at all."""
    with target.connect() as connection:
        if target.dialect.name == "sqlite":
            _by_hand(connection)
            # A row may name one that comes after it; `_verify` looks at all of them.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        connection.commit()


def _by_hand(connection: Connection) -> None:
    """Let nobody but us begin a transaction: the driver would do so late, and only before some statements."""
    driver: Any = connection.connection.driver_connection
    driver.isolation_level = None


def _carry(source: Connection, target: Connection, tell: Tell) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for name in housekeeping():
        # What the new site has already written by itself; the old one brings its own.
        target.execute(Base.metadata.tables[name].delete())
    for table in Base.metadata.sorted_tables:
        sums[table.name] = Sum()
        write_rows(target, table, sums[table.name].through(read_rows(source, table)))
        if sums[table.name].rows:
            tell(f"{table.name}: {sums[table.name].rows}")
    return sums


def _verify(target: Connection, sums: dict[str, Sum], tell: Tell) -> None:
    tell("comparing")
    for table in Base.metadata.sorted_tables:
        if sum_rows(target, table) != sums[table.name]:
            raise BackupError(f"the rows of {table.name} are not the same in the target; nothing was kept there")
    if target.dialect.name == "sqlite":
        broken = target.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise BackupError(f"rows of {broken[0][0]} name rows that are not there; nothing was kept in the target")


@contextmanager
def _watched(source: Engine) -> Iterator[Callable[[], bool]]:
    """Gives what tells whether anybody may have written to the source since."""
    statement = (
        "PRAGMA data_version" if source.dialect.name == "sqlite" else "SELECT pg_snapshot_xmax(pg_current_snapshot())"
    )
    with source.connect() as connection:
        if source.dialect.name == "sqlite":
            _by_hand(connection)
        else:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")

        def look() -> object:
            return connection.exec_driver_sql(statement).scalar()

        before = look()
        yield lambda: look() != before


def _changed_tables(source: Engine, sums: dict[str, Sum], tell: Tell) -> tuple[str, ...]:
    """Which tables of the source are not what was carried over any more."""
    tell("somebody wrote to the source meanwhile; looking at what")
    with reading(source) as connection:
        return tuple(
            table.name for table in Base.metadata.sorted_tables if sum_rows(connection, table) != sums[table.name]
        )
