"""Migrations: where they are and how they run.  For commands only: a process that serves has `core.db.revision`."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from mealshare.core.db.revision import SchemaError

#: PostgreSQL's word for a lock that was not to be had in time.
LOCK_NOT_AVAILABLE = "55P03"
#: Seconds until the second attempt, in which those who have waited behind us go on; the later pauses are longer.
PAUSE = 1.0
LOCKED = "db.upgrade_locked"

log = logging.getLogger(__name__)


class LockedError(Exception):
    """A migration could not have its locks; the database is as it was, and the message is for its host."""


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


def upgrade(url: str, revision: str = "head", *, lock_timeout: float | None = None, attempts: int = 1) -> None:
    """Bring the database at ``url`` up to ``revision``.

    On PostgreSQL no lock is waited for longer than ``lock_timeout`` seconds (None: for ever); then everything is rolled
    back, and tried again up to ``attempts`` times with growing pauses.  Raises LockedError after the last.
    """
    for attempt in range(1, attempts + 1):
        config = alembic_config(url)
        config.attributes["lock_timeout"] = lock_timeout
        try:
            command.upgrade(config, revision)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if attempt == attempts:
                raise LockedError(
                    f"a table was in use for longer than {lock_timeout:g} seconds, {attempts} times: nothing is changed; "
                    "look in pg_stat_activity who holds it, or try again when there is less to do"
                ) from None
            log.warning(LOCKED, extra={"attempt": attempt, "attempts": attempts})
            time.sleep(PAUSE * attempt)
        else:
            return


def downgrade(url: str, revision: str) -> None:
    """Take the database at ``url`` back to ``revision`` (``base`` for an empty one)."""
    command.downgrade(alembic_config(url), revision)
