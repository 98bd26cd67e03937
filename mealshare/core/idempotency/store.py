"""The kept answers: find one, claim a key, keep an answer, sweep up.

A key is claimed by inserting its row as the *first* statement of the transaction that does the work, and the answer is
written to that row as its last.  So the effect and the answer are there together or not at all, whenever a process is
killed.  Of two transactions that claim the same key the second waits for the first: on PostgreSQL at the unique
constraint, on SQLite for its turn to write.  It holds nothing else while it waits, so nothing waits in a circle.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from mealshare.core.clock import now
from mealshare.core.db import fetch_one
from mealshare.core.idempotency.models import IdempotencyKey
from mealshare.core.ids import new_id
from mealshare.core.work import Work

#: Seconds that a request waits for the first one with its key: on PostgreSQL; on SQLite every writer waits alike.
WAIT_SECONDS = 10
#: Rows that go in one transaction, so that nobody waits long for their turn to write.
BATCH = 500
#: PostgreSQL's word for a lock that was not to be had in time.
_LOCK_NOT_AVAILABLE = "55P03"

_ROW = cast(Table, IdempotencyKey.__table__)
_MINE = (_ROW.c.account_id == bindparam("of_account"), _ROW.c.key == bindparam("of_key"))
_FIND = select(_ROW.c.fingerprint, _ROW.c.status, _ROW.c.headers, _ROW.c.body).where(*_MINE)
_KEEP = update(_ROW).where(*_MINE)
_CLAIM = MappingProxyType(
    {
        name: insert(_ROW).on_conflict_do_nothing(index_elements=["account_id", "key"]).returning(_ROW.c.id)
        for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    }
)


class StillRunning(Exception):
    """The first request with the key has not ended within `WAIT_SECONDS`."""


@dataclass(frozen=True)
class Kept:
    """A request that was done, by its fingerprint, and its answer; ``body`` is None where it was not to be kept."""

    fingerprint: bytes
    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


@dataclass(frozen=True)
class Key:
    """One key of one account, and the fingerprint of the request that it stands for."""

    account_id: int
    name: str
    fingerprint: bytes

    def find(self, connection: Connection) -> Kept | None:
        """What was done under this key, if anything was, by whatever request; one statement."""
        row = fetch_one(connection, _FIND, self._parameters)
        if row is None:
            return None
        headers = tuple((name, value) for name, value in row.headers or ())
        return Kept(bytes(row.fingerprint), row.status, headers, None if row.body is None else bytes(row.body))

    def claim(self, connection: Connection) -> bool:
        """Take the key in the transaction of ``connection``, which must not have written yet; False if it is taken.

        Waits for another transaction that has claimed it.  Raises StillRunning when that takes too long.
        """
        waits = connection.dialect.name == "postgresql"
        if waits:
            connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
        values = {"id": new_id(), "account_id": self.account_id, "key": self.name, "fingerprint": self.fingerprint}
        try:
            row = connection.execute(_CLAIM[connection.dialect.name], values | {"created_at": now()}).first()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                raise StillRunning from None
            raise
        if waits:
            # Only the claim: what the work itself waits for is none of our business.
            connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
        return row is not None

    def keep(
        self, connection: Connection, status: int, headers: tuple[tuple[str, str], ...], body: bytes | None
    ) -> None:
        """Write the answer beside the claim, in the same transaction."""
        answer: dict[str, Any] = {"status": status, "headers": [list(header) for header in headers], "body": body}
        connection.execute(_KEEP.values(answer), self._parameters)

    @property
    def _parameters(self) -> dict[str, Any]:
        return {"of_account": self.account_id, "of_key": self.name}


def sweep(open_work: Callable[[], AbstractContextManager[Work]], before: datetime) -> int:
    """Delete the rows made before that moment, in batches; the number of rows."""
    some = select(_ROW.c.id).where(_ROW.c.created_at < before).order_by(_ROW.c.created_at).limit(BATCH)
    total = 0
    while True:
        with open_work() as work:
            gone = work.session.execute(delete(_ROW).where(_ROW.c.id.in_(some)).returning(_ROW.c.id)).all()
        total += len(gone)
        if len(gone) < BATCH:
            return total
