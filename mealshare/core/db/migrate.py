"""Migrations: where they are, how they run, and whether the database is at the newest one."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from mealshare.core.settings import BootError

log = logging.getLogger(__name__)


class SchemaError(BootError):
    """The database is not at the newest migration; the message says which command mends it."""


def script_location() -> Path:
    """The folder of the migrations: inside the installed package (a wheel), or beside it (a checkout)."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "alembic"
    return inside if (inside / "env.py").is_file() else package.parent / "alembic"


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database at ``url``."""
    config = Config()
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def head_revision() -> str:
    """The identifier of the newest migration."""
    head = ScriptDirectory.from_config(alembic_config("sqlite://")).get_current_head()
    if head is None:
        raise SchemaError("there are no migrations: the installation is incomplete")
    return head


def current_revision(engine: Engine) -> str | None:
    """The migration that the database is at, or None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` up to ``revision``."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database at ``url`` back to ``revision`` (``base`` for an empty one)."""
    command.downgrade(alembic_config(url), revision)


def check_revision(engine: Engine) -> None:
    """Raise SchemaError unless the database can be opened and is at the newest migration."""
    try:
        current, head = current_revision(engine), head_revision()
    except OperationalError as error:
        raise SchemaError(f"the database of the setting db.url cannot be opened: {error.orig}") from None
    if current != head:
        raise SchemaError(f"the database is at {current or 'no revision'}, not at {head}: run `mealshare db upgrade`")
