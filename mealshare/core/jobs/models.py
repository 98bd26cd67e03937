"""The job table: what must still happen, written in the transaction that wants it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db.base import Base, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id


class JobState(StrEnum):
    """Where a job stands; a job that is done has no row any more."""

    QUEUED = "queued"
    RUNNING = "running"
    DEAD = "dead"


class Priority(IntEnum):
    """What goes first, the smallest number before all others; also the Celery queue that a job is told of in."""

    #: Somebody waits for it and can do nothing else: a mail with a link.
    HIGH = 0
    #: Somebody will look for it: pictures, home feeds.
    NORMAL = 1
    #: Nobody notices when it is late: back-fills, sweeps, files to delete.
    LOW = 2


class Job(Base):
    """One piece of work for later: a handler's name and its JSON payload."""

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        # The next one to run: the first row of one range.
        Index("ix_jobs_state_priority_run_at", "state", "priority", "run_at", "id"),
        # What the broker has not been told of (NULL), and what it was told of long ago.
        Index("ix_jobs_published_at", "published_at", "state", "priority", "run_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: A job with the key of one that is waiting is not queued twice; one that runs has given its key up.
    key: Mapped[str | None] = mapped_column(String(200), unique=True)
    state: Mapped[str] = mapped_column(Word, default=JobState.QUEUED)
    # The database knows the default too: a process of the version before it writes rows without the column.
    priority: Mapped[int] = mapped_column(default=Priority.NORMAL, server_default=text("1"))
    attempts: Mapped[int] = mapped_column(default=0)
    run_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: A running job whose lease has passed was lost with its worker and runs again.
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Since when a message about this job is under way at a broker; NULL when none is (and always without a broker).
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))
    #: Of the request that wanted it, where requests are traced (W3C Trace Context).
    traceparent: Mapped[str | None] = mapped_column(String(55))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


@dataclass(frozen=True, eq=False)
class Claimed:
    """A job that this worker runs now."""

    id: int
    name: str
    payload: dict[str, Any]
    attempts: int
    key: str | None
    request_id: str | None
    traceparent: str | None
