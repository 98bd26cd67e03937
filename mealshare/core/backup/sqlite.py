"""A SQLite database: a copy of it while others write, and a copy in its place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from mealshare.core.backup.errors import BackupError
from mealshare.core.backup.tables import engine_of
from mealshare.core.backup.workfolder import publish

#: Pages of 4 kB that are copied until it is told how far it has come.
_PAGES = 4096


def file_of(url: str) -> Path:
    """The file of the database.  Raises BackupError for a database in memory."""
    name = make_url(url).database
    if not name or name == ":memory:":
        raise BackupError("a SQLite database in memory can be neither backed up nor restored")
    return Path(name)


def copy_database(url: str, target: Path, begun: Callable[[], None], tell: Callable[[str], None]) -> None:
    """Write the database of ``url``, as it is at one moment, to the new file ``target``; ``begun`` is called just after it.

    Others read and write meanwhile.  A transaction of the reading side stays open from the first page to the last: without
    it, the copy would begin anew each time that another process writes, and on a busy site never end.
    """
    if not file_of(url).is_file():
        raise BackupError(f"there is no database {file_of(url)}")

    def progress(status: int, remaining: int, total: int) -> None:
        if remaining:
            tell(f"database: {100 * (total - remaining) // total} %")

    with engine_of(url) as engine, closing(engine.raw_connection()) as pooled, closing(sqlite3.connect(target)) as copy:
        source: Any = pooled.driver_connection
        # Else the driver would begin and end transactions as it thinks best.
        source.isolation_level = None
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        begun()
        source.backup(copy, pages=_PAGES, progress=progress)
        source.execute("ROLLBACK")
        # One file and nothing beside it; the site goes back to its own journal when it opens it.
        copy.execute("PRAGMA journal_mode=DELETE")
        _check(copy)


def _check(connection: sqlite3.Connection) -> None:
    found = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    if found != ["ok"]:
        raise BackupError(f"the database is damaged: {'; '.join(found)}")


def put_in_place(prepared: Path, final: Path) -> None:
    """Make ``prepared`` the database at ``final``, where there is none or an empty one that nobody has open.

    Raises BackupError while somebody has it open, and for what is left of another; nothing has changed then.
    """
    _check_unused(final)
    with closing(sqlite3.connect(prepared)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        _check(connection)
    # As any other file that the user makes; that of a backup is its owner's alone.
    mask = os.umask(0)
    os.umask(mask)
    prepared.chmod(0o666 & ~mask)
    publish(prepared, final, over=True)


def _check_unused(file: Path) -> None:
    if not file.exists():
        for left in (file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-journal")):
            if left.exists():
                raise BackupError(
                    f"{left} is left of an older database, and would spoil the new one: move it away first"
                )
        return
    with closing(sqlite3.connect(file, timeout=1)) as connection:
        try:
            # Only who is alone may leave write-ahead logging; it also takes away what would belong to the old file.
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise BackupError(f"{file} is in use ({error}): stop the site first") from error
