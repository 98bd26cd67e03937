"""Queueing jobs, claiming them, and what becomes of a claimed job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mealshare.core.clock import now
from mealshare.core.ids import new_id
from mealshare.core.jobs.models import Job, JobState
from mealshare.core.log import request_id

#: Seconds until the next attempt, by the number of attempts so far; the last one repeats.
BACKOFF = (10, 60, 300, 1800, 7200)
MAX_ATTEMPTS = 8
#: A job that runs longer than this is taken to be lost with its worker.
LEASE = timedelta(minutes=10)


@dataclass(frozen=True)
class Claimed:
    """A job that this worker runs now."""

    id: int
    name: str
    payload: dict[str, Any]
    attempts: int
    key: str | None
    request_id: str | None


@dataclass
class JobQueue:
    """The queue's two ends: `enqueue` in a transaction, `claim` and its outcomes for a worker."""

    handlers: dict[str, Callable[..., None]] = field(default_factory=dict)
    periodic: dict[str, timedelta] = field(default_factory=dict)
    #: Set after a commit that may have left jobs, so that an embedded worker need not wait for its next look.
    wake: threading.Event = field(default_factory=threading.Event)

    def enqueue(
        self, session: Session, name: str, payload: dict[str, Any], *, run_at: datetime | None = None, key: str | None = None
    ) -> None:
        """Write a job in the transaction of ``session``; with a ``key``, unless one with that key waits already.

        Raises KeyError for a name that no handler was registered for: better now than in the worker.
        """
        if name not in self.handlers:
            raise KeyError(f"no handler for the job {name!r}")
        moment = now()
        values = {
            "id": new_id(), "name": name, "payload": payload, "key": key, "state": JobState.QUEUED, "attempts": 0,
            "run_at": run_at or moment, "request_id": request_id(), "created_at": moment,
        }  # fmt: skip
        if key is None:
            session.execute(insert(Job).values(values))
        else:
            dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
            session.execute(dialect.insert(Job).values(values).on_conflict_do_nothing(index_elements=["key"]))

    def claim(self, session: Session) -> Claimed | None:
        """Take the next job that is due (or whose lease has passed), or None; commit before running it."""
        moment = now()
        due = (
            select(Job)
            .where(
                or_(
                    (Job.state == JobState.QUEUED) & (Job.run_at <= moment),
                    (Job.state == JobState.RUNNING) & (Job.leased_until < moment),
                )
            )
            .order_by(Job.run_at, Job.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        job = session.scalars(due).first()
        if job is None:
            return None
        job.state, job.attempts, job.leased_until = JobState.RUNNING, job.attempts + 1, moment + LEASE
        return Claimed(job.id, job.name, job.payload, job.attempts, job.key, job.request_id)

    def finish(self, session: Session, job: Claimed) -> None:
        """The job is done: forget it, or queue a periodic one again."""
        every = self.periodic.get(job.name)
        if every is not None and job.key == periodic_key(job.name):
            values = {"state": JobState.QUEUED, "attempts": 0, "run_at": now() + every, "leased_until": None, "last_error": None}
            session.execute(update(Job).where(Job.id == job.id).values(values))
        else:
            session.execute(delete(Job).where(Job.id == job.id, Job.attempts == job.attempts))

    def fail(self, session: Session, job: Claimed, error: str) -> JobState:
        """The job failed: queue it again after a while, or bury it after the last attempt."""
        state = JobState.QUEUED if job.attempts < MAX_ATTEMPTS or job.name in self.periodic else JobState.DEAD
        delay = timedelta(seconds=BACKOFF[min(job.attempts, len(BACKOFF)) - 1])
        values = {"state": state, "run_at": now() + delay, "leased_until": None, "last_error": error[-4000:]}
        session.execute(update(Job).where(Job.id == job.id, Job.attempts == job.attempts).values(values))
        return state

    def ensure_periodic(self, session: Session) -> None:
        """Make sure that each periodic job has its row."""
        for name in self.periodic:
            self.enqueue(session, name, {}, key=periodic_key(name))


def periodic_key(name: str) -> str:
    """The key that keeps a periodic job single."""
    return f"periodic:{name}"


def retry_job(session: Session, job_id: int) -> bool:
    """Queue a dead job again, now; False when there is no dead job with that id."""
    values = {"state": JobState.QUEUED, "attempts": 0, "run_at": now(), "last_error": None}
    result = session.execute(update(Job).where(Job.id == job_id, Job.state == JobState.DEAD).values(values))
    return bool(getattr(result, "rowcount", 0))
