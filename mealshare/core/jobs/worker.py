"""Workers: threads that run what the job table holds, in the serving process or in a process of their own.

A job runs at least once: its handler commits, then the row goes.  A handler must therefore be harmless when it runs
twice, and must not hold a write transaction over slow work (a picture, a mail): it opens one with ``open_work`` where
it writes.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pyramid.registry import Registry
from sqlalchemy.exc import DBAPIError

from mealshare.core.db.failures import is_conflict
from mealshare.core.db.hurry import unhurried
from mealshare.core.jobs.models import JobState
from mealshare.core.jobs.queue import Claimed, JobQueue
from mealshare.core.log import request_context
from mealshare.core.readonly import LOOK_SECONDS, is_read_only

#: How long more urgent jobs may keep back the one that a message is about.
URGENT_SECONDS = 60.0

#: Seconds until a job that met another transaction is run again, within the same attempt; one more time for each.
CONFLICT_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)

CONFLICT = "job_conflict"
STARTED = "jobs.worker_started"
DRAINING = "jobs.worker_draining"
DRAINED = "jobs.worker_drained"

#: No secret is made with it.
_CHANCE = random.Random()  # noqa: S311

log = logging.getLogger(__name__)


def run_one(registry: Registry) -> bool:
    """Run the next job that is due; False when there is none, and while the site can only be read."""
    if is_read_only(registry):
        return False
    queue: JobQueue = registry["jobs"]
    with registry["open_work"]() as work:
        job = queue.claim(work.session)
    if job is None:
        return False
    _run(registry, queue, job)
    return True


def run_told(registry: Registry, job_id: int, stopping: threading.Event) -> bool:
    """Run the job that a message is about, if it is still to be run, and before it what is more urgent.

    False when ``stopping`` was set before it came to that: somebody else is to have the message.
    """
    queue: JobQueue = registry["jobs"]
    patience = time.monotonic() + URGENT_SECONDS
    while not stopping.is_set():
        if is_read_only(registry):
            stopping.wait(LOOK_SECONDS)
            continue
        with registry["open_work"]() as work:
            job = queue.claim_told(work.session, job_id, urgent_first=time.monotonic() < patience)
        if job is None:
            return True
        _run(registry, queue, job)
        if job.id == job_id:
            return True
    return False


def run_due(registry: Registry, most: int = 10_000) -> int:
    """Run jobs until none is due (or ``most`` ran); return how many ran."""
    count = 0
    while count < most and run_one(registry):
        count += 1
    return count


def _run(registry: Registry, queue: JobQueue, job: Claimed) -> None:
    with request_context(job.request_id or f"job-{job.id}"), unhurried(), queue.leases.held(registry, job):
        _run_leased(registry, queue, job)


def _run_leased(registry: Registry, queue: JobQueue, job: Claimed) -> None:
    fields = {"job": job.name, "job_id": job.id, "attempt": job.attempts}
    began = time.monotonic()
    #: Where somebody counts: ``noted(name, outcome, seconds)``.
    noted: Callable[[str, str, float], None] | None = registry.get("job_noted")
    outcome = "done"
    try:
        _handle(registry, queue, job, fields)
    except Exception:
        with registry["open_work"]() as work:
            state = queue.fail(work.session, job, traceback.format_exc())
        outcome = "dead" if state == JobState.DEAD else "failed"
        level = logging.ERROR if state == JobState.DEAD else logging.WARNING
        log.log(level, "job_failed", extra=fields | {"state": str(state)}, exc_info=True)
    else:
        with registry["open_work"]() as work:
            queue.finish(work.session, job)
        log.info("job_done", extra=fields)
    if noted is not None:
        noted(job.name, outcome, time.monotonic() - began)


def _handle(registry: Registry, queue: JobQueue, job: Claimed, fields: dict[str, Any]) -> None:
    """Run the handler; what only met another transaction is run again at once, which is no attempt of its own.

    With a pause by chance, so that two that have met do not meet again.  Raises what the handler raises.
    """
    handler = queue.handlers[job.name]
    #: Where jobs are traced: a context manager for each attempt.
    traced: Callable[[Claimed], AbstractContextManager[None]] = registry.get("job_span", nullcontext)
    for pause in (*CONFLICT_PAUSES, None):
        try:
            with traced(job):
                handler(registry, job.payload)
        except DBAPIError as error:
            if pause is None or not is_conflict(error):
                raise
            log.info(CONFLICT, extra=fields | {"sqlstate": getattr(error.orig, "sqlstate", None)})
        else:
            return
        time.sleep(pause * _CHANCE.uniform(0.5, 1.5))


class Worker:
    """A thread that runs jobs until it is stopped."""

    def __init__(self, registry: Registry, poll_seconds: float, wake: threading.Event | None = None) -> None:
        """``wake`` tells that there may be jobs; by default that of the queue, which only one thread can listen to."""
        self.registry = registry
        self.poll_seconds = poll_seconds
        self.wake: threading.Event = registry["jobs"].wake if wake is None else wake
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._loop, name="mealshare-worker", daemon=True)

    def start(self) -> Callable[[], None]:
        """Start the thread; return the function that stops it after the job that runs."""
        self.thread.start()
        return self.stop

    def ask_to_stop(self) -> None:
        """Let the thread begin no other job."""
        self.stopping.set()
        self.wake.set()

    def stop(self, seconds: float | None = 30) -> None:
        """Ask the thread to end and wait until the job that runs is done, at most so many seconds (None: however long)."""
        self.ask_to_stop()
        self.thread.join(seconds)

    def _loop(self) -> None:
        ensured = False
        while not self.stopping.is_set():
            self.wake.clear()
            ensured = ensured or self._guarded(self._ensure_periodic)
            # Asked again after clearing: `ask_to_stop` sets the flag first and then wakes.
            if not self._guarded(lambda: run_one(self.registry)) and not self.stopping.is_set():
                self.wake.wait(self.poll_seconds)

    def _ensure_periodic(self) -> bool:
        if is_read_only(self.registry):
            return False
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


def work(registry: Registry, threads: int, poll_seconds: float, until: threading.Event) -> None:
    """Run jobs in so many threads until the event is set; returns when what runs then is done, however long it takes.

    If the process ends before that, what ran is lost with it and runs again after its lease.
    """
    workers = [Worker(registry, poll_seconds, threading.Event()) for _ in range(threads)]
    for worker in workers:
        worker.start()
    log.info(STARTED, extra={"threads": threads})
    until.wait()
    log.info(DRAINING)
    for worker in workers:
        worker.ask_to_stop()
    for worker in workers:
        worker.stop(None)
    log.info(DRAINED)
