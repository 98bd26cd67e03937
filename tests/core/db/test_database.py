"""The rest of the database: PostgreSQL's read mode and retries, portable types, counting, settings, migrations."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path

import pytest
from alembic import command
from pyramid_retry import IRetryableError
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import OperationalError, StatementError

from mealshare.core.db import (
    BitSet,
    DatabaseSettings,
    Id,
    UTCDateTime,
    fetch,
    fetch_one,
    make_engine,
    record_statements,
)
from mealshare.core.db.engine import read_engine
from mealshare.core.db.failures import failure_code
from mealshare.core.db.migrate import alembic_config, script_location, upgrade
from mealshare.core.db.revision import SchemaError, check_revision
from mealshare.core.settings import Secret, SettingsError


class Taste(StrEnum):
    SWEET = "sweet"
    SOUR = "sour"
    BITTER = "bitter"


samples = Table(
    "samples", MetaData(), Column("id", Id, primary_key=True), Column("at", UTCDateTime), Column("taste", BitSet(Taste)),
    Column("n", Integer),
)  # fmt: skip


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(DatabaseSettings(url=Secret(database_url)))
    with made.begin() as connection:
        samples.create(connection)
        connection.execute(insert(samples), [{"id": 1, "n": 0}, {"id": 2, "n": 0}])
    yield made
    made.dispose()


def test_values_come_back_as_they_went_in_whatever_the_database(engine: Engine) -> None:
    moment = datetime(2024, 2, 29, 23, 30, 1, 250_000, timezone(timedelta(hours=9)))
    row = {"id": 2**63 - 1, "at": moment, "taste": ("bitter", Taste.SWEET)}
    with engine.begin() as connection:
        connection.execute(insert(samples), [row])
    with read_engine(engine).connect() as connection:
        found = fetch_one(connection, select(samples).where(samples.c.id == row["id"]))
        assert found is not None
        assert (found.at, found.at.tzinfo, found.taste) == (moment, UTC, (Taste.SWEET, Taste.BITTER))
        assert len(fetch(connection, select(samples).where(samples.c.taste.op("&")(4) != 0))) == 1
        assert fetch_one(connection, select(samples).where(samples.c.id == 3)) is None
    with pytest.raises(StatementError, match="naive"), engine.begin() as connection:
        connection.execute(insert(samples), [{"id": 4, "at": moment.replace(tzinfo=None)}])


def test_reading_leaves_no_transaction_open(engine: Engine) -> None:
    with read_engine(engine).connect() as connection:
        fetch(connection, select(samples))
        if engine.dialect.name == "postgresql":
            info = connection.connection.driver_connection.info
            assert info.transaction_status.name == "IDLE"
        with engine.begin() as writer:
            writer.execute(samples.update().values(n=5))
        assert [row.n for row in fetch(connection, select(samples))] == [5, 5]
    # The same connection writes in a transaction again when it comes back from the pool.
    with pytest.raises(ZeroDivisionError), engine.begin() as writer:
        writer.execute(samples.update().values(n=6))
        raise ZeroDivisionError
    with read_engine(engine).connect() as connection:
        assert {row.n for row in fetch(connection, select(samples))} == {5}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_serialization_failure_is_worth_another_attempt(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(select(samples)).all()
        first.execute(samples.update().values(n=1))
        first.commit()
        with pytest.raises(OperationalError) as caught:
            second.execute(samples.update().values(n=2))
    assert caught.value.orig.sqlstate == "40001"
    assert IRetryableError.providedBy(caught.value)
    assert failure_code(caught.value) == "unavailable"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_syntax_error_is_our_own_fault(engine: Engine) -> None:
    with pytest.raises(Exception, match="syntax") as caught, engine.connect() as connection:
        connection.execute(text("SELEKT 1"))
    assert not IRetryableError.providedBy(caught.value)
    assert failure_code(caught.value) == "internal"


def test_only_the_statements_of_the_block_are_counted(engine: Engine) -> None:
    with read_engine(engine).connect() as connection:
        with record_statements() as seen:
            fetch(connection, select(samples))
        fetch(connection, select(samples))
    assert len(seen) == 1
    with record_statements() as seen, engine.begin() as connection:
        connection.execute(samples.update().values(n=7))
    assert [statement.split()[0] for statement in seen] == ["UPDATE"]


SECRET_URL = "postgresql+psycopg://meals:hunter2hunter2@127.0.0.1:1/meals"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("no url at all hunter2hunter2", "not an SQLAlchemy database URL"),
        ("postgresql+psycopg://meals:hunter2hunter2@host:port/meals", "not an SQLAlchemy database URL"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("mysql+pymysql://meals:hunter2hunter2@host/meals", "not installed|not supported"),
        ("postgresql+asyncpg://meals:hunter2hunter2@host/meals", "not installed|not supported"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_by_its_setting_without_the_password(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"db\.url.*({message})") as caught:
        make_engine(DatabaseSettings(url=Secret(url)))
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(DatabaseSettings(url=Secret(url)))


def test_a_database_that_cannot_be_opened_stops_the_boot_without_the_password(tmp_path: Path) -> None:
    for url in (SECRET_URL, f"sqlite:///{tmp_path}/no/such/folder/x.sqlite"):
        engine = make_engine(DatabaseSettings(url=Secret(url)))
        with pytest.raises(SchemaError, match=r"db\.url cannot be opened") as caught:
            check_revision(engine)
        assert "hunter2" not in str(caught.value)
        engine.dispose()


def test_an_old_schema_stops_the_boot(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    engine = make_engine(DatabaseSettings(url=Secret(url)))
    with pytest.raises(SchemaError, match="mealshare db upgrade"):
        check_revision(engine)
    upgrade(url)
    check_revision(engine)
    engine.dispose()


REBUILD = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "rebuild", {head!r}

def upgrade():
    with op.batch_alter_table("parents", recreate="always") as table:
        table.add_column(sa.Column("note", sa.String(10)))
"""


@pytest.mark.parametrize(("pragma", "children"), [("OFF", 2), ("ON", 0)])
def test_a_table_that_is_rebuilt_keeps_its_children(tmp_path: Path, pragma: str, children: int) -> None:
    """With foreign keys on, dropping the old table takes them along: env.py must turn that off, and here does not."""
    from mealshare.core.db.migrate import head_revision

    folder = tmp_path / "alembic"
    shutil.copytree(script_location(), folder)
    file = folder / "env.py"
    source = file.read_text()
    assert source.count("PRAGMA foreign_keys=OFF") == 1
    file.write_text(source.replace("PRAGMA foreign_keys=OFF", f"PRAGMA foreign_keys={pragma}"))
    (folder / "versions" / "rebuild.py").write_text(REBUILD.format(head=head_revision()))
    database = tmp_path / "x.sqlite"
    config = alembic_config(f"sqlite:///{database}")
    config.set_main_option("script_location", str(folder))
    command.upgrade(config, head_revision())
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY);"
            "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents ON DELETE CASCADE);"
            "INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1, 1), (2, 1);"
        )
    command.upgrade(config, "head")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM children").fetchone()[0] == children
