"""The models and the migrations say the same, on both databases, in both directions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Index, MetaData, String, create_engine, inspect, pool, text
from sqlalchemy.schema import CreateColumn

from mealshare.core.db import Base
from mealshare.core.db.migrate import downgrade, head_revision, upgrade
from mealshare.core.db.revision import HEAD, SchemaError, check_revision, current_revision
from mealshare.core.models import import_models
from tests.databases import Backend, new_database
from tests.sites import site_settings

import_models()

# Such indexes are compared by the database's own text of them.
pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")


@pytest.fixture
def database(backend: Backend, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    with new_database(backend, tmp_path) as url:
        yield url


#: The search index: each database has a kind of its own, so the models do not know it (and FTS5 keeps tables of its own).
WORDS = ("meal_words", "person_words")


def described(url: str) -> dict[str, dict[str, str]]:
    """What stands in the database: by kind and name, a text that is equal when the things are."""
    engine = create_engine(url, poolclass=pool.NullPool)
    try:
        return {"tables": _tables(engine), "indexes": _indexes(engine)}
    finally:
        engine.dispose()


def _tables(engine: Engine) -> dict[str, str]:
    inspector = inspect(engine)
    found: dict[str, str] = {}
    for table in inspector.get_table_names():
        if table == "alembic_version" or table.startswith(WORDS):
            continue
        for column in inspector.get_columns(table):
            # Compiled, for a length or a time zone must not be lost in a type's name.
            kind = column["type"].compile(engine.dialect)
            zone = getattr(column["type"], "timezone", None)
            found[f"{table}.{column['name']}"] = f"{kind} {zone} null={column['nullable']} default={column['default']}"
        key = inspector.get_pk_constraint(table)
        found[f"{table} key"] = f"{key['name']} {key['constrained_columns']}"
        for foreign in inspector.get_foreign_keys(table):
            found[f"{table} foreign {foreign['name']}"] = (
                f"{foreign['constrained_columns']} {foreign['referred_table']} {foreign['referred_columns']} {foreign['options']}"
            )
        for unique in inspector.get_unique_constraints(table):
            found[f"{table} unique {unique['name']}"] = str(unique["column_names"])
        for check in inspector.get_check_constraints(table):
            found[f"{table} check {check['name']}"] = check["sqltext"]
    return found


def _indexes(engine: Engine) -> dict[str, str]:
    """Indexes as the database itself writes them: their expressions and conditions are in no inspector."""
    if engine.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    else:
        query = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
    with engine.connect() as connection:
        return {
            name: " ".join(sql.split())
            for name, sql in connection.execute(text(query))
            if not name.endswith(("meal_words", "person_words", "_words_words"))
        }


def made_from_models(url: str, metadata: MetaData = Base.metadata) -> dict[str, dict[str, str]]:
    """Make the tables of ``metadata`` in the database, and describe it."""
    engine = create_engine(url, poolclass=pool.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    return described(url)


@pytest.fixture(scope="module")
def by_migrations(migrated: str) -> dict[str, dict[str, str]]:
    """What the migrations make."""
    return described(migrated)


def made_by_migrations(url: str) -> dict[str, dict[str, str]]:
    """Migrate the database, and describe it."""
    upgrade(url)
    return described(url)


def copied_metadata() -> MetaData:
    """The models' tables, to be changed without changing the models."""
    copy = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(copy)
    return copy


def test_the_migrations_make_what_the_models_say(by_migrations: dict[str, dict[str, str]], database: str) -> None:
    by_models = made_from_models(database)
    assert by_migrations["tables"] == by_models["tables"]
    assert by_migrations["indexes"] == by_models["indexes"]


def test_the_comparison_covers_every_model(by_migrations: dict[str, dict[str, str]]) -> None:
    described_names = by_migrations["tables"]
    expected = {f"{table.name}.{column.name}" for table in Base.metadata.sorted_tables for column in table.columns}
    assert len(expected) > 100
    assert expected == {name for name in described_names if " " not in name}


def _new_column(metadata: MetaData) -> None:
    metadata.tables["accounts"].append_column(Column("favourite_dish", String(100)))


def _other_length(metadata: MetaData) -> None:
    metadata.tables["posts"].c.food.type = String(141)


def _nullable(metadata: MetaData) -> None:
    metadata.tables["posts"].c.note.nullable = True


def _new_index(metadata: MetaData) -> None:
    Index("ix_media_account_id", metadata.tables["media"].c.account_id)


def _lost_index(metadata: MetaData) -> None:
    table = metadata.tables["posts"]
    table.indexes.remove(next(index for index in table.indexes if index.name == "ix_posts_public_meals"))


def _lost_condition(metadata: MetaData) -> None:
    index = next(index for index in metadata.tables["posts"].indexes if index.name == "ix_posts_account_meals")
    for dialect in ("sqlite", "postgresql"):
        index.dialect_options[dialect]["where"] = None


def _lost_unique(metadata: MetaData) -> None:
    table = metadata.tables["likes"]
    table.constraints.remove(next(item for item in table.constraints if item.name == "uq_likes_post_id_account_id"))


def _lost_check(metadata: MetaData) -> None:
    table = metadata.tables["media"]
    # As it is called in the model: the copy carries the name before the convention.
    table.constraints.remove(next(item for item in table.constraints if "state" in str(item.name)))


@pytest.mark.parametrize(
    "change",
    [_new_column, _other_length, _nullable, _new_index, _lost_index, _lost_condition, _lost_unique, _lost_check],
)
def test_a_model_that_changed_without_a_migration_is_noticed(
    by_migrations: dict[str, dict[str, str]], database: str, change: Any
) -> None:
    metadata = copied_metadata()
    change(metadata)
    assert by_migrations != made_from_models(database, metadata)


def test_a_copy_that_was_not_changed_is_equal(by_migrations: dict[str, dict[str, str]], database: str) -> None:
    # Otherwise the test above would prove nothing.
    assert by_migrations == made_from_models(database, copied_metadata())


def test_what_a_start_asks_for_is_the_newest() -> None:
    assert head_revision() == HEAD


def test_up_down_and_up_again(database: str) -> None:
    first = made_by_migrations(database)
    engine = create_engine(database, poolclass=pool.NullPool)
    assert current_revision(engine) == head_revision()
    downgrade(database, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert current_revision(engine) is None
    assert made_by_migrations(database) == first
    engine.dispose()


def test_a_database_that_is_not_migrated_is_refused(database: str) -> None:
    engine = create_engine(database, poolclass=pool.NullPool)
    with pytest.raises(SchemaError, match="mealshare db upgrade"):
        check_revision(engine)
    upgrade(database)
    check_revision(engine)
    engine.dispose()


def test_everything_has_a_name_of_the_convention(database: str) -> None:
    upgrade(database)
    engine = create_engine(database, poolclass=pool.NullPool)
    inspector = inspect(engine)
    for table in {
        name for name in inspector.get_table_names() if name != "alembic_version" and not name.startswith(WORDS)
    }:
        assert inspector.get_pk_constraint(table)["name"] == f"pk_{table}"
        named = {
            "fk": inspector.get_foreign_keys(table),
            "uq": inspector.get_unique_constraints(table),
            "ck": inspector.get_check_constraints(table),
        }
        for prefix, found in named.items():
            for item in found:
                assert str(item["name"]).startswith(f"{prefix}_{table}_"), item
    engine.dispose()


def test_the_description_of_a_column_is_complete(backend: Backend, by_migrations: dict[str, dict[str, str]]) -> None:
    # The comparison reads types through the inspector; this holds that the inspector tells length and time zone.
    tables = by_migrations["tables"]
    postgresql = backend == "postgresql"
    assert tables["posts.food"].startswith("VARCHAR(140)")
    assert tables["posts.id"].startswith("BIGINT" if postgresql else "INTEGER")
    if postgresql:
        assert "True" in tables["posts.created_at"]
    assert str(CreateColumn(Base.metadata.tables["posts"].c.food)).startswith("food VARCHAR(140)")


def test_a_process_that_serves_does_not_load_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/site.sqlite"
    upgrade(url)
    program = f"""
import sys
from mealshare import main
main({{}}, **{site_settings(tmp_path, url, "http://localhost")!r})
print([name for name in ("alembic", "mako", "pygments") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
