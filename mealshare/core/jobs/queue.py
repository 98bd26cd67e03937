"""Queueing jobs, claiming them, and what becomes of a claimed job.

A job with a key stands for "do this once more, with what is there then".  Two things follow.  A job that runs has read
already, so it no longer keeps others with its key out: `claim` takes the key away.  And a job that waits must not begin
before the transaction that relied on it has committed: `enqueue` therefore writes to its row, which on PostgreSQL makes
`claim` pass it over until then (on SQLite there is one writer at a time anyway).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, case, delete, insert, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mealshare.core.clock import now
from mealshare.core.db.base import Id, UTCDateTime
from mealshare.core.ids import new_id
from mealshare.core.jobs.leases import LEASE, Leases
from mealshare.core.jobs.models import Claimed, Job, JobState, Priority
from mealshare.core.log import request_id
from mealshare.core.tracing.parent import traceparent

__all__ = ["BACKOFF", "LEASE", "LOST", "MAX_ATTEMPTS", "Claimed", "JobQueue", "periodic_key", "retry_job", "retry_jobs"]

#: Seconds until the next attempt, by the number of attempts so far; the last one repeats.
BACKOFF = (10, 60, 300, 1800, 7200)
MAX_ATTEMPTS = 8
LOST = "The worker ended while it ran this job, at every attempt."

log = logging.getLogger(__name__)

_MOMENT = bindparam("moment", type_=UTCDateTime())
_LOST = (Job.state == JobState.RUNNING) & (Job.leased_until < _MOMENT)
#: One statement for each priority, each the first row of a range of the index: one statement over all of them would read
#: past every job that waits for its time.  A row that another transaction has locked is passed over.
_DUE = (
    select(Job)
    .where(Job.state == JobState.QUEUED, Job.priority == bindparam("priority", type_=Integer), Job.run_at <= _MOMENT)
    .order_by(Job.run_at, Job.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
#: Few jobs run at a time, so few rows are looked at.
_NEXT_LOST = select(Job).where(_LOST).order_by(Job.priority, Job.run_at).limit(1).with_for_update(skip_locked=True)
#: The job of a message.  It was due when it was published, whatever the clock here says; one that is not published has
#: been claimed since, and runs again in its own time.  Waits for whoever has locked it: nobody else will be told of it.
_TOLD = (
    select(Job)
    .where(
        Job.id == bindparam("id", type_=Id),
        or_((Job.state == JobState.QUEUED) & (Job.published_at.is_not(None) | (Job.run_at <= _MOMENT)), _LOST),
    )
    .with_for_update()
)


@dataclass
class JobQueue:
    """The queue's two ends: `enqueue` in a transaction, `claim` and its outcomes for a worker."""

    handlers: dict[str, Callable[..., None]] = field(default_factory=dict)
    periodic: dict[str, timedelta] = field(default_factory=dict)
    priorities: dict[str, Priority] = field(default_factory=dict)
    leases: Leases = field(default_factory=Leases)
    #: Set after a commit that may have left jobs, so that whoever listens need not wait for its next look.
    wake: threading.Event = field(default_factory=threading.Event)

    def enqueue(
        self,
        session: Session,
        name: str,
        payload: dict[str, Any],
        *,
        run_at: datetime | None = None,
        key: str | None = None,
    ) -> None:
        """Write a job in the transaction of ``session``.

        If one with the same ``key`` waits, that one gets the new payload and runs no later than this one would have;
        if it has been given up, it gets another chance.  Raises KeyError for a name that no handler was registered
        for: better now than in the worker.
        """
        if name not in self.handlers:
            raise KeyError(f"no handler for the job {name!r}")
        values = self._new_row(name, payload, run_at, key)
        if key is None:
            session.execute(insert(Job).values(values))
            return
        statement = _upsert(session).values(values)
        new, dead = statement.excluded, Job.state == JobState.DEAD
        again = {
            "payload": new.payload,
            "run_at": case((dead | (new.run_at < Job.run_at), new.run_at), else_=Job.run_at),
            "attempts": case((dead, 0), else_=Job.attempts),
            "last_error": case((dead, null()), else_=Job.last_error),
            "published_at": case((dead, null()), else_=Job.published_at),
            "state": case((dead, new.state), else_=Job.state),
        }
        session.execute(statement.on_conflict_do_update(index_elements=["key"], set_=again))

    def claim(self, session: Session) -> Claimed | None:
        """Take the next job that is due, or whose lease has passed, or None; commit before running it.

        The more urgent first, of these the one that waits longest; but one that was lost has waited long enough.
        """
        moment = now()
        while (job := session.scalars(_NEXT_LOST, {"moment": moment}).first()) is not None:
            claimed = self._take(session, job, moment)
            if claimed is not None:
                return claimed
        return self._claim_due(session, moment, list(Priority))

    def claim_told(self, session: Session, id: int, *, urgent_first: bool = True) -> Claimed | None:
        """Take the job that a message is about, or None: it is done, or runs, or waits for its next attempt.

        With ``urgent_first`` a more urgent one that is due is taken instead, and the caller asks again: what goes first
        is decided here, because a broker hands out messages of several queues in turns.
        """
        moment = now()
        job = session.scalars(_TOLD, {"id": id, "moment": moment}).first()
        if job is None:
            return None
        if urgent_first:
            urgent = self._claim_due(session, moment, [item for item in Priority if item < job.priority])
            if urgent is not None:
                return urgent
        return self._take(session, job, moment)

    def renew(self, session: Session, jobs: Sequence[Claimed]) -> None:
        """Lease the jobs, which still run here, for another while."""
        for job in jobs:
            session.execute(_still(update(Job), job).values(leased_until=now() + self.leases.length))

    def finish(self, session: Session, job: Claimed) -> None:
        """The job is done: forget it, or queue a periodic one again."""
        if self._is_periodic(job):
            again: dict[str, Any] = {"state": JobState.QUEUED, "attempts": 0, "leased_until": None, "last_error": None}
            again["published_at"] = None
            again["run_at"] = now() + self.periodic[job.name]
            session.execute(_still(update(Job), job).values(again))
        else:
            session.execute(_still(delete(Job), job))

    def fail(self, session: Session, job: Claimed, error: str) -> JobState:
        """The job failed: queue it again after a while, or bury it after the last attempt.

        If another one with its key was queued in the meantime, that one will do what is to be done, and this one goes.
        """
        state = JobState.QUEUED if job.attempts < MAX_ATTEMPTS or job.name in self.periodic else JobState.DEAD
        delay = timedelta(seconds=BACKOFF[min(job.attempts, len(BACKOFF)) - 1])
        values = {"state": state, "run_at": now() + delay, "leased_until": None, "last_error": _storable(error)}
        values |= {"key": job.key, "published_at": None}
        try:
            with session.begin_nested():
                session.execute(_still(update(Job), job).values(values))
        except IntegrityError:
            session.execute(_still(delete(Job), job))
            return JobState.QUEUED
        return state

    def ensure_periodic(self, session: Session) -> None:
        """Make sure that each periodic job has its row; one that is there keeps its time."""
        for name in self.periodic:
            row = self._new_row(name, {}, None, periodic_key(name))
            session.execute(_upsert(session).values(row).on_conflict_do_nothing(index_elements=["key"]))

    def _claim_due(self, session: Session, moment: datetime, priorities: Sequence[Priority]) -> Claimed | None:
        for priority in priorities:
            job = session.scalars(_DUE, {"priority": priority, "moment": moment}).first()
            if job is not None:
                return self._take(session, job, moment)
        return None

    def _take(self, session: Session, job: Job, moment: datetime) -> Claimed | None:
        """Mark the locked ``job`` as running; None if it was lost with its worker every time, and is buried now."""
        if job.state == JobState.RUNNING and job.attempts >= MAX_ATTEMPTS and job.name not in self.periodic:
            # Most likely it is what ends the worker.
            job.state, job.leased_until, job.published_at, job.last_error = JobState.DEAD, None, None, LOST
            log.error("job_lost", extra={"job": job.name, "job_id": job.id, "attempt": job.attempts})
            session.flush()
            return None
        job.state, job.attempts, job.leased_until = JobState.RUNNING, job.attempts + 1, moment + self.leases.length
        # The message about it has arrived.  Should this worker be lost, somebody must be told anew.
        job.published_at = None
        claimed = Claimed(job.id, job.name, job.payload, job.attempts, job.key, job.request_id, job.traceparent)
        if not self._is_periodic(claimed):
            job.key = None
        return claimed

    def _new_row(self, name: str, payload: dict[str, Any], run_at: datetime | None, key: str | None) -> dict[str, Any]:
        moment = now()
        return {
            "id": new_id(), "name": name, "payload": payload, "key": key, "state": JobState.QUEUED, "attempts": 0,
            "priority": self.priorities.get(name, Priority.NORMAL), "run_at": run_at or moment,
            "request_id": request_id(), "traceparent": traceparent(), "created_at": moment,
        }  # fmt: skip

    def _is_periodic(self, job: Claimed) -> bool:
        return job.name in self.periodic and job.key == periodic_key(job.name)


def _upsert(session: Session) -> Any:
    """An INSERT into the job table with the ON CONFLICT clause that both databases have."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    return dialect.insert(Job)


def _still(statement: Any, job: Claimed) -> Any:
    """``statement`` for the job's row, unless its lease has passed and another worker has taken it since."""
    return statement.where(Job.id == job.id, Job.state == JobState.RUNNING, Job.attempts == job.attempts)


def _storable(error: str) -> str:
    """The end of a traceback as text that every database takes: without NUL and halves of surrogate pairs."""
    return error[-4000:].replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def periodic_key(name: str) -> str:
    """The key that keeps a periodic job single."""
    return f"periodic:{name}"


def retry_jobs(session: Session, job_id: int | None = None) -> int:
    """Queue the dead job with that id, or all dead jobs, again, now; gives how many there were."""
    values = {"state": JobState.QUEUED, "attempts": 0, "run_at": now(), "last_error": None, "published_at": None}
    statement = update(Job).where(Job.state == JobState.DEAD).values(values)
    if job_id is not None:
        statement = statement.where(Job.id == job_id)
    return len(session.scalars(statement.returning(Job.id)).all())


def retry_job(session: Session, job_id: int) -> bool:
    """Queue a dead job again, now; False when there is no dead job with that id."""
    return retry_jobs(session, job_id) > 0
