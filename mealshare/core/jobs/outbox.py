"""The job table as an outbox: what is due and no message is under way about, to be told to a broker.

A row is marked in one transaction, the broker is told after it, and the mark goes again if that fails: no transaction
waits for the network, and a message never comes before the commit of its job.  A process that dies in between leaves a
mark that is believed for a while only (`Outbox.believed`), as is one whose message a broker has lost.  So a job may be
told twice and never not at all; that is harmless, since whoever is told claims the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, select, update
from sqlalchemy.orm import Session

from mealshare.core.clock import now
from mealshare.core.db.base import UTCDateTime
from mealshare.core.jobs.models import Job, JobState, Priority

#: Messages that are sent between two transactions.
BATCH = 100
#: After this long without a claim, a message is taken to be lost.  Longer than a usual backlog: each is told anew then.
BELIEVED = timedelta(minutes=5)

_MOMENT = bindparam("moment", type_=UTCDateTime())
_BELIEVED_UNTIL = bindparam("believed_until", type_=UTCDateTime())
_PRIORITY = bindparam("priority", type_=Integer)


def _candidates(*conditions: ColumnElement[bool]) -> Select[int, int]:
    return select(Job.id, Job.priority).where(*conditions)


#: Each of them a range of ix_jobs_published_at (the last of ix_jobs_state_priority_run_at: few jobs run at a time).  That
#: the first is in the order of a column which is NULL throughout is for PostgreSQL: it does not see that the index has the
#: order of ``run_at`` then, and would read past all that has been told, in the order of the other one.
_NEW = _candidates(
    Job.published_at.is_(None), Job.state == JobState.QUEUED, Job.priority == _PRIORITY, Job.run_at <= _MOMENT
).order_by(Job.published_at, Job.run_at)
_FORGOTTEN = _candidates(Job.published_at < _BELIEVED_UNTIL, Job.state == JobState.QUEUED).order_by(Job.published_at)
_LOST = _candidates(
    Job.state == JobState.RUNNING,
    Job.leased_until < _MOMENT,
    Job.published_at.is_(None) | (Job.published_at < _BELIEVED_UNTIL),
)


@dataclass(frozen=True)
class Notice:
    """What the broker is to be told: that the job ``id`` is due, in the queue of its ``priority``."""

    id: int
    priority: Priority


@dataclass
class Outbox:
    """What is to be told, and what has been."""

    believed: timedelta = BELIEVED

    def anything(self, connection: Connection) -> bool:
        """Whether there is anything to tell; reads only, so that looking costs no write transaction."""
        statements = self._statements(now())
        return any(connection.execute(statement.limit(1), values).first() for statement, values in statements)

    def take(self, session: Session) -> tuple[list[Notice], datetime]:
        """Mark the next `BATCH` of what is to be told; gives them, the urgent first, and the mark.  Commit, then tell."""
        moment = now()
        found: list[Notice] = []
        for statement, values in self._statements(moment):
            # What another relay has locked, it tells.
            rows = session.execute(statement.limit(BATCH).with_for_update(skip_locked=True), values).all()
            found += [Notice(row.id, Priority(row.priority)) for row in rows]
            if len(found) >= BATCH:
                break
        ids = [notice.id for notice in found]
        session.execute(update(Job).where(Job.id.in_(ids)).values(published_at=moment))
        return found, moment

    def give_back(self, session: Session, notices: Sequence[Notice], mark: datetime) -> None:
        """Take the ``mark`` off the rows that the broker could not be told of."""
        ids = [notice.id for notice in notices]
        session.execute(update(Job).where(Job.id.in_(ids), Job.published_at == mark).values(published_at=None))

    def _statements(self, moment: datetime) -> list[tuple[Select[int, int], dict[str, Any]]]:
        times = {"moment": moment, "believed_until": moment - self.believed}
        found: list[tuple[Select[int, int], dict[str, Any]]] = [(_NEW, times | {"priority": item}) for item in Priority]
        return [*found, (_LOST, times), (_FORGOTTEN, times)]
