"""Real databases for tests: made empty or as a copy of a migrated one, and gone afterwards.  And where Redis is."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, create_engine, make_url, pool, text

Backend = Literal["sqlite", "postgresql"]
#: SQLAlchemy URL of a PostgreSQL database in which the tests may connect, with a role that may create databases.
POSTGRES_VARIABLE = "MEALSHARE_TEST_POSTGRES"
#: If it is "1", a service that is not there is a failure and not a reason to skip.
REQUIRE_VARIABLE = "MEALSHARE_TEST_REQUIRE_SERVICES"
#: Address of a Redis with a database number in which nothing else stands; tests use it beside each other, each under
#: a prefix of its own, and never empty it.
REDIS_VARIABLE = "MEALSHARE_TEST_REDIS"
#: Address of a RabbitMQ, with the right to make queues; tests use it beside each other, each under names of its own.
RABBITMQ_VARIABLE = "MEALSHARE_TEST_RABBITMQ"
POSTGRES_LEFT_OUT = f"PostgreSQL: set {POSTGRES_VARIABLE}=postgresql+psycopg://user@host:5432/database to include it"
REDIS_LEFT_OUT = f"Redis: set {REDIS_VARIABLE}=redis://host:port/number to include it"
RABBITMQ_LEFT_OUT = f"RabbitMQ: set {RABBITMQ_VARIABLE}=amqp://user:password@host:5672// to include it"
REDIS_SERVER_LEFT_OUT = "redis-server: install it (Debian: apt-get install redis-server) to include Redis going away"


def postgres_url() -> URL | None:
    """Where PostgreSQL is, if the tests are to use it."""
    value = os.environ.get(POSTGRES_VARIABLE, "")
    return make_url(value) if value else None


def redis_url() -> str | None:
    """Where Redis is, if the tests are to use it."""
    return os.environ.get(REDIS_VARIABLE) or None


def rabbitmq_url() -> str | None:
    """Where RabbitMQ is, if the tests are to use it."""
    return os.environ.get(RABBITMQ_VARIABLE) or None


def services_required() -> bool:
    """Whether a missing service is a failure."""
    return os.environ.get(REQUIRE_VARIABLE) == "1"


@contextmanager
def new_database(backend: Backend, folder: Path, copy_of: str | None = None) -> Iterator[str]:
    """The URL of a new database, empty or a copy of the one at ``copy_of``, to which nobody may be connected.

    A SQLite file is made in ``folder`` and left to its owner; a PostgreSQL database is dropped at the end.
    """
    if backend == "sqlite":
        file = folder / f"{secrets.token_hex(6)}.sqlite"
        if copy_of is not None:
            shutil.copyfile(str(make_url(copy_of).database), file)
        yield f"sqlite:///{file}"
        return
    server = postgres_url()
    assert server is not None
    name = f"mealshare_test_{secrets.token_hex(6)}"
    template = "" if copy_of is None else f' TEMPLATE "{make_url(copy_of).database}"'
    _administer(server, f'CREATE DATABASE "{name}"{template}')
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _administer(server: URL, statement: str) -> None:
    engine = create_engine(server, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
