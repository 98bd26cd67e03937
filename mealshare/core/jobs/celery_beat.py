"""Celery's beat, whose schedule is the job table and no file.

A periodic job is a row that is queued again whenever it has run, under a key that keeps it single.  So there is nothing
for beat to remember: it makes sure that the rows are there, and tells the broker of what is due.  Two of them at once, or
none for a while, change nothing but who tells.
"""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any

from celery.beat import Service
from pyramid.registry import Registry

from mealshare.core.jobs.broker import BrokerPublisher, make_celery
from mealshare.core.jobs.relay import Relay
from mealshare.core.jobs.settings import JobSettings
from mealshare.core.settings import settings_of

STARTED = "jobs.beat_started"
STOPPED = "jobs.beat_stopped"

log = logging.getLogger(__name__)


class TableScheduler:
    """What Celery's beat asks for each time it wakes: a scheduler whose entries are the rows that are due."""

    def __init__(self, relay: Relay, max_interval: float) -> None:
        self.max_interval = max_interval
        self._relay = relay

    def tick(self) -> float:
        """Tell the broker of what is due; gives the seconds until the next time."""
        return self._relay.step()

    def should_sync(self) -> bool:
        """Never: there is no file to write."""
        return False

    def close(self) -> None:
        """Nothing to write at the end either."""


def run_beat(registry: Registry) -> None:
    """Tell the broker of what is due until SIGTERM or SIGINT."""
    settings = settings_of(registry, JobSettings)
    relay = Relay(registry, BrokerPublisher(settings), settings.poll_seconds)

    def scheduler(**options: Any) -> TableScheduler:
        return TableScheduler(relay, settings.poll_seconds)

    def end(number: int, frame: FrameType | None) -> None:
        # Celery's service takes this for the wish to end, in its pauses too.
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    log.info(STARTED)
    Service(make_celery(settings), max_interval=settings.poll_seconds, scheduler_cls=scheduler).start()
    relay.publisher.close()
    log.info(STOPPED)
