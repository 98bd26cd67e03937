"""A part of the site for these tests: what is lost with a process comes back after seconds, and not after minutes.

The setting ``pyramid.includes = tests.faults.brisk`` puts it into a process of its own.
"""

from __future__ import annotations

from datetime import timedelta

from pyramid.config import Configurator

from mealshare.core.jobs import queue

SETTINGS = {"pyramid.includes": "tests.faults.brisk", "jobs.poll_seconds": "0.1"}
#: Seconds: how long a lease holds, how long a message is believed, how long a failed job waits.
LEASE, BELIEVED, BACKOFF = 2.0, 4.0, (0.5, 1.0)


def includeme(config: Configurator) -> None:
    """Shorten what takes its time, when all else is wired."""

    def shorten() -> None:
        config.registry["jobs"].leases.length = timedelta(seconds=LEASE)
        config.registry["outbox"].believed = timedelta(seconds=BELIEVED)

    queue.BACKOFF = BACKOFF  # type: ignore[assignment]
    config.action(None, shorten, order=20_000)
