"""What an unexpected failure means to the one who asked: try again soon, no room left, or our own fault."""

from __future__ import annotations

from typing import Any, Literal

from pyramid_retry import IRetryableError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: Seconds after which a client may ask again when the database was away or busy.
RETRY_AFTER = 5


def failure_code(error: BaseException) -> Literal["storage_full", "unavailable", "internal"]:
    """The problem code of ``error``; what this function does not know is ``internal``."""
    original = getattr(error, "orig", None)
    sqlstate = str(getattr(original, "sqlstate", None) or "")
    if sqlstate == "53100" or str(getattr(original, "sqlite_errorname", "")) == "SQLITE_FULL":
        return "storage_full"
    if isinstance(error, PoolTimeout) or IRetryableError.providedBy(error) or _away(error, original, sqlstate):
        return "unavailable"
    return "internal"


def _away(error: BaseException, original: Any, sqlstate: str) -> bool:
    """A lost or refused connection, a server that starts, stops or is full: SQLSTATE classes 08, 53 and 57P."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or sqlstate.startswith(("08", "53", "57P")):
        return True
    # psycopg has no SQLSTATE for what happened before the server answered; sqlite3 never has one.
    return isinstance(error, OperationalError) and hasattr(original, "sqlstate") and not sqlstate
