"""The engine: SQLite made fit for many threads and processes, PostgreSQL with a pool, and the errors worth a retry.

Two modes, and only two:

- *write*: on SQLite ``BEGIN IMMEDIATE`` under a lock of the process.  A deferred transaction that turns into a write
  later fails at once when another writer came in between, whatever the busy timeout; and SQLite's busy wait is unfair,
  so threads of one process line up at a lock of ours instead.
- *read*: AUTOCOMMIT, one statement each.  On PostgreSQL this saves BEGIN and ROLLBACK, and a ROLLBACK would make
  psycopg forget its prepared statements.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, overload

import orjson
from pyramid_retry import mark_error_retryable
from sqlalchemy import URL, Connection, Engine, Row, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.sql import Executable

from mealshare.core.db.hurry import limit_statements
from mealshare.core.db.prepared import Prepared
from mealshare.core.settings import Secret, SettingsError, setting

#: Seconds that a writer waits for its turn before it is told that the database is locked.
LOCK_TIMEOUT = 30.0
_READ = "mealshare_read"
_statements: ContextVar[list[str] | None] = ContextVar("statements", default=None)


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the data lives."""

    url: Secret = setting(
        help="SQLAlchemy URL of the database: sqlite:////absolute/file.sqlite or postgresql+psycopg://..."
    )
    replica_url: Secret = setting(
        Secret(""),
        "SQLAlchemy URL of a read replica (PostgreSQL), which GET and HEAD are answered from; empty: there is none.",
    )
    replica_pin_seconds: float = setting(
        5.0, "Seconds for which whoever has changed something reads from the primary, so as to see it.", minimum=1
    )
    replica_max_lag_seconds: float = setting(
        1.5, "Seconds that the replica may be behind before nobody reads from it until it has caught up.", minimum=0.1
    )
    pool_size: int = setting(
        10, "Connections kept open to PostgreSQL by each process; at least the server's threads.", minimum=1
    )
    pool_overflow: int = setting(5, "Connections that may be opened beyond the pool for a moment.", minimum=0)
    pool_timeout: int = setting(10, "Seconds to wait for a free connection before the request fails.", minimum=1)
    statement_timeout: float = setting(
        30.0,
        "Seconds that one statement of a request may take on PostgreSQL before the request fails (503); 0 for no end. "
        "Jobs, commands, migrations and backups have none.",
        minimum=0,
    )
    echo: bool = setting(False, "Log every SQL statement (development only).")
    check_revision: bool = setting(True, "Refuse to start on a database whose schema is not the newest migration.")


def make_engine(settings: DatabaseSettings, name: str = "url") -> Engine:
    """An engine for ``settings.url`` (or the one called ``name``) in write mode; `read_engine` gives its sibling for reads.

    Raises SettingsError for a URL that cannot be used; the message does not show it, for it may hold a password.
    """
    url = _usable_url(getattr(settings, name), f"db.{name}")
    options: dict[str, Any] = {
        "echo": settings.echo,
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
    }
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": LOCK_TIMEOUT, "check_same_thread": False}
        options["pool_size"] = max(settings.pool_size, 20)
        options["max_overflow"] = 50
        engine = create_engine(url, **options)
        _prepare_sqlite(engine)
    else:
        options |= {
            "pool_size": settings.pool_size,
            "max_overflow": settings.pool_overflow,
            "pool_timeout": settings.pool_timeout,
            "pool_pre_ping": True,
            # Not for SQLite, where the driver always looks like autocommit: real transactions would stay open.
            "skip_autocommit_rollback": True,
            "connect_args": _postgresql_arguments(settings.statement_timeout),
        }
        engine = create_engine(url, **options)
        limit_statements(engine, _milliseconds(settings.statement_timeout))
    event.listen(engine, "handle_error", _mark_retryable)
    event.listen(engine, "before_cursor_execute", _record_statement)
    return engine


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _postgresql_arguments(statement_timeout: float) -> dict[str, Any]:
    """What a connection is made with; libpq leaves out what does not fit the kind of address."""
    return {
        "connect_timeout": 5,
        "options": f"-c timezone=UTC -c statement_timeout={_milliseconds(statement_timeout)}",
        # A machine that is gone without a word is noticed within half a minute; the system's own patience is two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    }


def _usable_url(given: str, called: str) -> URL:
    try:
        url = make_url(str(given))
        url.get_dialect().import_dbapi()
    except (ArgumentError, ValueError):
        raise SettingsError(f"the setting {called} is wrong: it is not an SQLAlchemy database URL") from None
    except ImportError as error:
        raise SettingsError(f"the setting {called} needs a driver that is not installed: {error.name}") from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise SettingsError(
            f"the setting {called} is wrong: {backend} is not supported, only sqlite and postgresql are"
        )
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise SettingsError(f"the setting {called} is wrong: the database is shared by threads, so it must be a file")
    return url


def read_engine(engine: Engine) -> Engine:
    """The same engine and pool, in read mode."""
    if engine.dialect.name == "sqlite":
        # Not by isolation level: restoring that on return would give transaction control back to the driver.
        return engine.execution_options(**{_READ: True})
    return engine.execution_options(isolation_level="AUTOCOMMIT")


#: sqlite3 gives the GIL up for each row, so reading threads mostly wait for each other: one at a time is faster.
_sqlite_read = threading.Lock()


@overload
def fetch(
    connection: Connection, statement: Executable, parameters: Mapping[str, Any] | None = None
) -> Sequence[Row[Any]]: ...


@overload
def fetch(
    connection: Connection, statement: Prepared, parameters: Mapping[str, Any] | None = None
) -> Sequence[Sequence[Any]]: ...


def fetch(
    connection: Connection, statement: Executable | Prepared, parameters: Mapping[str, Any] | None = None
) -> Sequence[Sequence[Any]]:
    """All rows of one reading statement; of a `Prepared` one, which many requests run, as plain sequences."""
    if connection.dialect.name == "sqlite":
        if not connection.in_transaction():
            # Never wait for the write lock while holding the read lock: whoever has the former may want the latter.
            connection.begin()
        with _sqlite_read:
            return _run(connection, statement, parameters or {})
    return _run(connection, statement, parameters or {})


def _run(
    connection: Connection, statement: Executable | Prepared, parameters: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    if isinstance(statement, Prepared):
        return statement.rows(connection, parameters)
    return connection.execute(statement, parameters).fetchall()


@overload
def fetch_one(
    connection: Connection, statement: Executable, parameters: Mapping[str, Any] | None = None
) -> Row[Any] | None: ...


@overload
def fetch_one(
    connection: Connection, statement: Prepared, parameters: Mapping[str, Any] | None = None
) -> Sequence[Any] | None: ...


def fetch_one(
    connection: Connection, statement: Executable | Prepared, parameters: Mapping[str, Any] | None = None
) -> Sequence[Any] | None:
    """The first row of one reading statement, or None."""
    rows: Sequence[Sequence[Any]] = fetch(connection, statement, parameters)
    return rows[0] if rows else None


@contextmanager
def record_statements() -> Iterator[list[str]]:
    """Collect the SQL statements that this thread runs inside the block (transaction control is not counted)."""
    statements: list[str] = []
    token = _statements.set(statements)
    try:
        yield statements
    finally:
        _statements.reset(token)


def _record_statement(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    recorded = _statements.get()
    if recorded is not None and not statement.startswith("BEGIN"):
        recorded.append(statement)


def _prepare_sqlite(engine: Engine) -> None:
    lock = threading.Lock()
    #: The driver's connection that holds the lock; read and written only while that is so.
    holder: list[Any] = [None]

    def release(driver_connection: Any) -> None:
        if driver_connection is not None and holder[0] is driver_connection:
            holder[0] = None
            lock.release()

    def do_commit(dbapi_connection: Any) -> None:
        try:
            commit(dbapi_connection)
        except BaseException:
            # SQLite leaves the transaction open, and SQLAlchemy takes it for ended: it would go back to the pool so.
            rollback(dbapi_connection)
            raise
        finally:
            release(dbapi_connection.dbapi_connection)

    def do_rollback(dbapi_connection: Any) -> None:
        try:
            rollback(dbapi_connection)
        finally:
            release(dbapi_connection.dbapi_connection)

    # The events of the same names come before the fact; the next writer would find the database still locked.
    commit, rollback = engine.dialect.do_commit, engine.dialect.do_rollback
    vars(engine.dialect).update(do_commit=do_commit, do_rollback=do_rollback)

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, record: Any) -> None:
        # The driver would otherwise begin transactions by itself, deferred, and only before some statements.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "mmap_size=268435456",
            "cache_size=-16000",
            "journal_size_limit=67108864",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_READ):
            return
        if not lock.acquire(timeout=LOCK_TIMEOUT):
            error = OperationalError("BEGIN IMMEDIATE", {}, TimeoutError("database is locked"))
            mark_error_retryable(error)
            raise error
        holder[0] = connection.connection.dbapi_connection
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            release(holder[0])
            raise

    @event.listens_for(engine, "checkin")
    def checkin(dbapi_connection: Any, record: Any) -> None:
        release(dbapi_connection)

    @event.listens_for(engine, "invalidate")
    def invalidate(dbapi_connection: Any, record: Any, exception: Any) -> None:
        release(dbapi_connection)

    @event.listens_for(engine, "close")
    def close(dbapi_connection: Any, record: Any) -> None:
        release(dbapi_connection)


def _mark_retryable(context: ExceptionContext) -> None:
    """Mark what another attempt may cure: a busy SQLite; a serialization failure or deadlock (SQLSTATE class 40)."""
    original, error = context.original_exception, context.sqlalchemy_exception
    if error is None:
        return
    sqlite_name = str(getattr(original, "sqlite_errorname", ""))
    sqlstate = str(getattr(original, "sqlstate", "") or "")
    if sqlite_name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or sqlstate.startswith("40"):
        mark_error_retryable(error)
