"""Jobs: given up, late, lost with their worker, missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pyramid.registry import Registry
from sqlalchemy import func, select, update

from mealshare.core import clock
from mealshare.core.doctor import DoctorSettings, Finding, Level
from mealshare.core.jobs.leases import LEASE
from mealshare.core.jobs.models import Job, JobState
from mealshare.core.jobs.queue import JobQueue, periodic_key, retry_jobs
from mealshare.core.settings import settings_of


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`."""
    queue: JobQueue = registry["jobs"]
    late = timedelta(minutes=settings_of(registry, DoctorSettings).late_minutes)
    with registry["read_engine"].connect() as connection:
        dead = select(Job.name, func.count()).where(Job.state == JobState.DEAD).group_by(Job.name).order_by(Job.name)
        for name, count in connection.execute(dead):
            yield Finding(f"{count} x {name} failed too often: `mealshare jobs dead` says why")
        stuck = connection.scalar(select(func.count()).where(*_stuck()))
        if stuck:
            yield Finding(f"{stuck} jobs run no more, and no worker has taken them again")
        waiting = connection.scalar(
            select(func.count()).where(Job.state == JobState.QUEUED, Job.run_at < clock.now() - late)
        )
        if waiting:
            yield Finding(f"{waiting} jobs have waited for more than {late}: does a worker run?")
        unknown = select(Job.name).where(Job.name.not_in(list(queue.handlers))).distinct().order_by(Job.name)
        for name in connection.scalars(unknown):
            yield Finding(f"nobody here can do {name}: it was queued by another version", Level.WARNING)
        wanted = {periodic_key(name): name for name in queue.periodic}
        there = set(connection.scalars(select(Job.key).where(Job.key.in_(list(wanted)))))
        # Where no worker has ever run there is none of them.
        missing = sorted(name for key, name in wanted.items() if key not in there) if there else []
        if missing:
            yield Finding(f"these periodic jobs are not in the table: {', '.join(missing)}", Level.WARNING)


def repair(registry: Registry) -> int:
    """Let those that are dead or stuck run again, and write the missing ones.  Late ones wait for a worker."""
    queue: JobQueue = registry["jobs"]
    again: dict[str, Any] = {
        "state": JobState.QUEUED,
        "leased_until": None,
        "run_at": clock.now(),
        "published_at": None,
    }
    with registry["open_work"]() as work:
        count = len(work.session.scalars(update(Job).where(*_stuck()).values(again).returning(Job.id)).all())
        count += retry_jobs(work.session)
        before = work.session.scalar(select(func.count()).select_from(Job)) or 0
        queue.ensure_periodic(work.session)
        after = work.session.scalar(select(func.count()).select_from(Job)) or 0
    return count + after - before


def _stuck() -> tuple[Any, ...]:
    """Running, and its lease has long passed: a worker that lives would have taken it within a second."""
    return (Job.state == JobState.RUNNING, Job.leased_until < clock.now() - 2 * LEASE)
