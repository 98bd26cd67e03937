"""The job table: what must still happen, written in the transaction that wants it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db.base import Base, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id


class JobState(StrEnum):
    """Where a job stands; a job that is done has no row any more."""

    QUEUED = "queued"
    RUNNING = "running"
    DEAD = "dead"


class Job(Base):
    """One piece of work for later: a handler's name and its JSON payload."""

    __tablename__ = "jobs"
    __table_args__ = (one_of("state", JobState), Index("ix_jobs_state_run_at", "state", "run_at", "id"))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: A job with the key of one that is waiting is not queued twice; one that runs has given its key up.
    key: Mapped[str | None] = mapped_column(String(200), unique=True)
    state: Mapped[str] = mapped_column(Word, default=JobState.QUEUED)
    attempts: Mapped[int] = mapped_column(default=0)
    run_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: A running job whose lease has passed was lost with its worker and runs again.
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
