"""Leases of the jobs that run here, renewed while they run.

A lease says that a worker is alive, not how long a job may take: filling the home feeds of a hundred thousand followers
takes longer than anybody wants to wait for a job whose worker died.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pyramid.registry import Registry
from sqlalchemy.exc import SQLAlchemyError

from mealshare.core.jobs.models import Claimed

#: After this long without renewal a running job is taken to be lost with its worker.
LEASE = timedelta(minutes=2)
#: A job that runs longer than this hangs: its lease is renewed no more.
LONGEST = timedelta(hours=6)
#: How often a lease is renewed while it lasts.
TIMES = 4

NOT_RENEWED = "jobs.lease_not_renewed"

log = logging.getLogger(__name__)


class Leases:
    """What runs in this process; one thread, which is there only while something runs, renews the leases."""

    def __init__(self, length: timedelta = LEASE) -> None:
        self.length = length
        self._lock = threading.Lock()
        #: The jobs, and when each began by the monotonic clock.
        self._held: dict[Claimed, float] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, registry: Registry, job: Claimed) -> Iterator[None]:
        """Renew the lease of the claimed ``job`` as long as the block runs."""
        with self._lock:
            self._held[job] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._loop, args=(registry,), name="mealshare-leases", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._held[job]

    def _loop(self, registry: Registry) -> None:
        while True:
            pause = self.length.total_seconds() / TIMES
            time.sleep(pause)
            now = time.monotonic()
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
                limit = LONGEST.total_seconds()
                # Most jobs are over before their lease needs anything.
                due = [job for job, began in self._held.items() if pause <= now - began < limit]
            if due:
                self._renew(registry, due)

    def _renew(self, registry: Registry, jobs: list[Claimed]) -> None:
        try:
            with registry["open_work"]() as work:
                work.queue.renew(work.session, jobs)
        except SQLAlchemyError:
            # There are more chances before it runs out.
            log.warning(NOT_RENEWED, exc_info=True, extra={"jobs": len(jobs)})
