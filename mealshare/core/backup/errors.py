"""What goes wrong with a backup."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: No space, over quota, over the largest file that a process may write.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SQLITE_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE"})


class BackupError(Exception):
    """It could not be done; the message says why, and what has become of the data."""


class NothingThere(BackupError):
    """The database has no tables."""

    def __init__(self) -> None:
        super().__init__("the database has no tables yet: there is nothing to back up")


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Say it plainly when there is no room left for the files that the block writes to ``folder``."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _no_room(folder) from error
        raise
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") in _SQLITE_FULL:
            raise _no_room(folder) from error
        raise BackupError(f"SQLite says: {error}") from error


def _no_room(folder: Path) -> BackupError:
    return BackupError(f"there is no room left in {folder}; nothing of the unfinished file was kept")
