"""The recipe for SQLite, ingredient by ingredient; where it is possible the test shows what happens without."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyramid_retry import IRetryableError
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from mealshare.core.db import DatabaseSettings, fetch, make_engine
from mealshare.core.db import engine as recipe
from mealshare.core.db.engine import read_engine
from mealshare.core.settings import Secret
from tests.core.db.writers import count_up, run_processes

INSERT = text("INSERT INTO notes (word) VALUES ('soup')")
COUNT = text("SELECT count(*) FROM notes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with a table of notes and a tally."""
    path = tmp_path / "recipe.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT);"
            "CREATE TABLE tally (n INTEGER NOT NULL); INSERT INTO tally VALUES (0);"
        )
    return path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a lock."""
    monkeypatch.setattr(recipe, "LOCK_TIMEOUT", 0.3)


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    made = make_engine(DatabaseSettings(url=Secret(f"sqlite:///{file}")))
    yield made
    made.dispose()


@pytest.fixture
def plain(file: Path) -> Iterator[Engine]:
    """An engine without the recipe."""
    made = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.3, "check_same_thread": False})
    yield made
    made.dispose()


def other_writer_can_begin(file: Path) -> bool:
    """Whether a connection of somebody else, who does not wait, gets the write lock."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        other.execute("ROLLBACK")
        return True


def notes(engine: Engine) -> int:
    with read_engine(engine).connect() as connection:
        return int(connection.execute(COUNT).scalar_one())


def driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


PRAGMAS = {
    "journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "temp_store": 2, "busy_timeout": 30000,
    "cache_size": -16000, "journal_size_limit": 67108864,
}  # fmt: skip


def test_every_connection_has_the_pragmas(engine: Engine, plain: Engine) -> None:
    reader = read_engine(engine)
    connections = [reader.connect() for _ in range(3)]
    for connection in connections:
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS} == PRAGMAS
    for connection in connections:
        connection.close()
    with plain.connect() as connection:
        # What a connection has without being told: children without parents, and the whole disk for the journal.
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0
        assert connection.exec_driver_sql("PRAGMA journal_size_limit").scalar() == -1


def test_a_write_transaction_is_immediate_even_if_it_only_reads_so_far(
    engine: Engine, plain: Engine, file: Path
) -> None:
    with engine.begin() as connection:
        connection.execute(COUNT)
        assert not other_writer_can_begin(file)
    assert other_writer_can_begin(file)
    with plain.begin() as connection:
        connection.execute(COUNT)
        assert other_writer_can_begin(file)


def test_without_immediate_a_transaction_that_has_read_cannot_write_any_more(plain: Engine, engine: Engine) -> None:
    """The failure that BEGIN IMMEDIATE is there for: no waiting helps once another writer came in between."""
    with plain.connect() as connection:
        driver(connection).isolation_level = None
        connection.exec_driver_sql("BEGIN DEFERRED")
        connection.execute(COUNT)
        with engine.begin() as writer:
            writer.execute(INSERT)
        with pytest.raises(OperationalError) as caught:
            connection.execute(INSERT)
        assert caught.value.orig.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
        connection.exec_driver_sql("ROLLBACK")


def test_a_read_is_one_statement_without_a_transaction(engine: Engine) -> None:
    statements: list[str] = []
    with read_engine(engine).connect() as reader:
        driver(reader).set_trace_callback(statements.append)
        assert reader.execute(COUNT).scalar() == 0
        assert not driver(reader).in_transaction
        with engine.begin() as writer:
            writer.execute(INSERT)
        # In a transaction the second look would show what the first one showed.
        assert reader.execute(COUNT).scalar() == 1
        driver(reader).set_trace_callback(None)
    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]


def test_what_is_rolled_back_is_gone_on_a_connection_that_was_used_for_reading_and_on_a_new_one(engine: Engine) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), engine.begin() as connection:
            connection.execute(INSERT)
            raise ZeroDivisionError
        assert notes(engine) == 0
        with engine.connect() as connection:
            assert not driver(connection).in_transaction


def test_a_rollback_that_the_library_leaves_out_would_show(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy may skip rollbacks in autocommit mode, and takes a driver that never begins for such: not for us."""
    assert not engine.dialect.skip_autocommit_rollback
    monkeypatch.setattr(engine.dialect, "skip_autocommit_rollback", True)
    connection = engine.connect()
    connection.execute(INSERT)
    connection.rollback()
    assert driver(connection).in_transaction
    monkeypatch.undo()
    driver(connection).rollback()
    connection.close()


def committed(connection: Connection) -> None:
    connection.commit()


def rolled_back(connection: Connection) -> None:
    connection.rollback()


def invalidated(connection: Connection) -> None:
    connection.invalidate()


def closed(connection: Connection) -> None:
    connection.close()


def detached(connection: Connection) -> None:
    connection.detach()
    connection.close()


@pytest.mark.parametrize("end", [committed, rolled_back, invalidated, closed, detached])
def test_the_turn_passes_on_when_a_transaction_ends(
    short: None, engine: Engine, end: Callable[[Connection], None]
) -> None:
    first = engine.connect()
    first.execute(INSERT)
    end(first)
    # ``first`` is still open, except where it was closed: the turn must not depend on that.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(write, engine).result(5)
    first.close()
    assert notes(engine) == (2 if end is committed else 1)


def write(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT)


def test_one_connection_may_begin_again(short: None, engine: Engine) -> None:
    with engine.connect() as connection:
        for _ in range(3):
            connection.execute(INSERT)
            connection.commit()
        connection.execute(INSERT)
        connection.rollback()
        write(engine)
    assert notes(engine) == 4


def test_who_waits_too_long_is_told_so_and_may_try_again(short: None, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT)
        with ThreadPoolExecutor(1) as threads, pytest.raises(OperationalError, match="locked") as caught:
            threads.submit(write, engine).result(5)
    assert IRetryableError.providedBy(caught.value)
    write(engine)
    assert notes(engine) == 2


def test_a_database_that_another_process_holds_is_worth_another_attempt(short: None, file: Path) -> None:
    engine = make_engine(DatabaseSettings(url=Secret(f"sqlite:///{file}")))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            # Twice: after the first failure the process's own turn must be free again.
            with pytest.raises(OperationalError, match="locked") as caught:
                write(engine)
            assert caught.value.orig.sqlite_errorname == "SQLITE_BUSY"
            assert IRetryableError.providedBy(caught.value)
        other.execute("ROLLBACK")
    write(engine)
    assert notes(engine) == 1
    engine.dispose()


def test_an_ordinary_error_is_not_worth_another_attempt(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
    assert not IRetryableError.providedBy(caught.value)


def test_writers_of_one_process_take_turns(engine: Engine, plain: Engine, file: Path) -> None:
    """With the lock of the process the database is never found busy; each writer waits for exactly those before it."""
    with engine.begin() as connection:
        connection.execute(INSERT)
        waiting = [threading.Thread(target=write, args=(engine,)) for _ in range(4)]
        for thread in waiting:
            thread.start()
        time.sleep(0.1)
        # They stand at our lock and have not asked SQLite: no further connection is in a transaction.
        assert all(thread.is_alive() for thread in waiting)
    for thread in waiting:
        thread.join(5)
    assert notes(engine) == 5


def test_reading_for_a_writer_and_waiting_for_a_turn_do_not_block_each_other(short: None, engine: Engine) -> None:
    """One thread has the turn to write and wants to read; the other would begin to write by reading."""
    with engine.begin() as writer, engine.connect() as second:
        writer.execute(INSERT)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(fetch, second, COUNT)
            time.sleep(0.1)
            began = time.monotonic()
            assert fetch(writer, COUNT)[0][0] == 1
            assert time.monotonic() - began < 0.1
            with pytest.raises(OperationalError, match="locked"):
                waiting.result(5)


def test_many_threads_in_several_processes_lose_nothing(file: Path) -> None:
    processes, threads, rounds = 3, 5, 15
    errors = run_processes(processes, count_up, str(file), True, threads, rounds)
    with closing(sqlite3.connect(file)) as connection:
        tally = connection.execute("SELECT n FROM tally").fetchone()[0]
        rows = connection.execute("SELECT count(*) FROM notes").fetchone()[0]
    assert errors == 0
    assert tally == rows == processes * threads * rounds


def test_without_the_recipe_the_same_work_fails(file: Path) -> None:
    processes, threads, rounds = 2, 4, 10
    errors = run_processes(processes, count_up, str(file), False, threads, rounds)
    with closing(sqlite3.connect(file)) as connection:
        tally = connection.execute("SELECT n FROM tally").fetchone()[0]
    assert errors > 0 or tally < processes * threads * rounds


def test_a_commit_that_fails_leaves_no_transaction_behind(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE kids (p INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)")
    for _ in range(2):
        with pytest.raises(DBAPIError, match="FOREIGN KEY"), engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO kids VALUES (7)")
            kept = driver(connection)
        assert not kept.in_transaction
    write(engine)
    assert notes(engine) == 1
