"""What an unexpected failure means to the one who asked: try again soon, no room left, or our own fault."""

from __future__ import annotations

from typing import Any, Literal

from pyramid_retry import IRetryableError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mealshare.core.storage.interface import StorageError, StorageFull

#: What PostgreSQL says of itself: class 08 is the connection, 53 too little of something, 58 its own disk; it starts, stops
#: or has been stopped (57P), it took too long (57014, `db.statement_timeout`) or waited too long for a lock (55P03); and
#: who was the primary a moment ago may only read now (25006).
_PASSING_STATES = ("08", "53", "58", "57P", "57014", "55P03", "25006")
#: The same of SQLite: the file cannot be opened, read or written.
_PASSING_NAMES = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_READONLY")
#: Seconds after which a client may ask again when the database was away or busy.
RETRY_AFTER = 5


def failure_code(error: BaseException) -> Literal["storage_full", "unavailable", "internal"]:
    """The problem code of ``error``; what this function does not know is ``internal``."""
    if isinstance(error, StorageError):
        return "storage_full" if isinstance(error, StorageFull) else "unavailable"
    original = getattr(error, "orig", None)
    sqlstate = str(getattr(original, "sqlstate", None) or "")
    if sqlstate == "53100" or str(getattr(original, "sqlite_errorname", "")) == "SQLITE_FULL":
        return "storage_full"
    if isinstance(error, PoolTimeout) or IRetryableError.providedBy(error) or _away(error, original, sqlstate):
        return "unavailable"
    return "internal"


def is_conflict(error: BaseException) -> bool:
    """Whether PostgreSQL rolled a transaction back because of another one: the same again at once will most likely do.

    That is SQLSTATE class 40: a deadlock, a serialization failure, on a replica a row that was needed no more.
    """
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", None) or "").startswith("40")


def _away(error: BaseException, original: Any, sqlstate: str) -> bool:
    """Whether the database cannot be used now, but will be: what has been asked of it was in order."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or sqlstate.startswith(_PASSING_STATES):
        return True
    if str(getattr(original, "sqlite_errorname", "")).startswith(_PASSING_NAMES):
        return True
    # psycopg has no SQLSTATE for what happened before the server answered; sqlite3 never has one.
    return isinstance(error, OperationalError) and hasattr(original, "sqlstate") and not sqlstate
