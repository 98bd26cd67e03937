"""Which migration the database must be at, asked at each start.

Without Alembic: a process that serves migrates nothing, and Alembic with its templates and their highlighting would be a
fifteenth of its memory and of its start.
"""

from __future__ import annotations

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from mealshare.core.settings import BootError

#: The newest migration; a test holds it against the folder of them.
HEAD = "0005"


class SchemaError(BootError):
    """The database is not at the newest migration; the message says which command mends it."""


def current_revision(engine: Engine) -> str | None:
    """The migration that the database is at, or None for an empty database."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def check_revision(engine: Engine) -> None:
    """Raise SchemaError unless the database can be opened and is at the newest migration."""
    try:
        current = current_revision(engine)
    except OperationalError as error:
        raise SchemaError(f"the database of the setting db.url cannot be opened: {error.orig}") from None
    if current != HEAD:
        raise SchemaError(f"the database is at {current or 'no revision'}, not at {HEAD}: run `mealshare db upgrade`")
