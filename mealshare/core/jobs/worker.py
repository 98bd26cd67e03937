"""The embedded worker: a thread of the serving process that runs what the job table holds.

A job runs at least once: its handler commits, then the row goes.  A handler must therefore be harmless when it runs
twice, and must not hold a write transaction over slow work (a picture, a mail): it opens one with ``open_work`` where
it writes.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

from pyramid.registry import Registry

from mealshare.core.jobs.models import JobState
from mealshare.core.jobs.queue import Claimed, JobQueue
from mealshare.core.log import request_context

log = logging.getLogger(__name__)


def run_one(registry: Registry) -> bool:
    """Run the next job that is due; False when there is none."""
    queue: JobQueue = registry["jobs"]
    with registry["open_work"]() as work:
        job = queue.claim(work.session)
    if job is None:
        return False
    with request_context(job.request_id or f"job-{job.id}"):
        _run(registry, queue, job)
    return True


def run_due(registry: Registry, most: int = 10_000) -> int:
    """Run jobs until none is due (or ``most`` ran); return how many ran."""
    count = 0
    while count < most and run_one(registry):
        count += 1
    return count


def _run(registry: Registry, queue: JobQueue, job: Claimed) -> None:
    fields = {"job": job.name, "job_id": job.id, "attempt": job.attempts}
    try:
        handler = queue.handlers[job.name]
        handler(registry, job.payload)
    except Exception:
        with registry["open_work"]() as work:
            state = queue.fail(work.session, job, traceback.format_exc())
        level = logging.ERROR if state == JobState.DEAD else logging.WARNING
        log.log(level, "job_failed", extra=fields | {"state": str(state)}, exc_info=True)
    else:
        with registry["open_work"]() as work:
            queue.finish(work.session, job)
        log.info("job_done", extra=fields)


class Worker:
    """A thread that runs jobs until it is stopped."""

    def __init__(self, registry: Registry, poll_seconds: float) -> None:
        self.registry = registry
        self.poll_seconds = poll_seconds
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._loop, name="mealshare-worker", daemon=True)

    def start(self) -> Callable[[], None]:
        """Start the thread; return the function that stops it after the job that runs."""
        self.thread.start()
        return self.stop

    def stop(self) -> None:
        """Ask the thread to end and wait until the job that runs is done (at most half a minute)."""
        self.stopping.set()
        self.registry["jobs"].wake.set()
        self.thread.join(30)

    def _loop(self) -> None:
        wake: threading.Event = self.registry["jobs"].wake
        ensured = False
        while not self.stopping.is_set():
            wake.clear()
            ensured = ensured or self._guarded(self._ensure_periodic)
            # Asked again after clearing: `stop` sets the flag first and then wakes.
            if not self._guarded(lambda: run_one(self.registry)) and not self.stopping.is_set():
                wake.wait(self.poll_seconds)

    def _ensure_periodic(self) -> bool:
        with self.registry["open_work"]() as work:
            work.queue.ensure_periodic(work.session)
        return True

    def _guarded(self, step: Callable[[], Any]) -> bool:
        try:
            return bool(step())
        except Exception:
            # The database is away for a moment; the thread must outlive that.
            log.exception("worker_failed")
            self.stopping.wait(self.poll_seconds)
            return False
