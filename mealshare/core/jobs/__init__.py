"""Jobs: rows written with the transaction that wants them, run after its commit, again if they fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.core.jobs.queue import JobQueue
from mealshare.core.jobs.worker import Worker, run_due
from mealshare.core.settings import setting

__all__ = ["JobQueue", "JobSettings", "run_due"]

JobHandler = Callable[[Registry, dict[str, Any]], None]


@dataclass(frozen=True)
class JobSettings:
    """Where jobs run."""

    embedded: bool = setting(True, "Run jobs in a thread of the serving process.")
    poll_seconds: float = setting(1.0, "How long the worker waits before it looks for due jobs again.", minimum=0.01)


def _add_job(config: Configurator, name: str, handler: JobHandler, *, every: timedelta | None = None) -> None:
    """Directive ``config.add_job(name, handler, every=None)``: ``handler(registry, payload)`` runs jobs of that name.

    With ``every``, one such job (with an empty payload) is there at all times.  ValueError for a name in use.
    """
    queue: JobQueue = config.registry["jobs"]
    if name in queue.handlers:
        raise ValueError(f"the job {name} has a handler already")
    queue.handlers[name] = handler
    if every is not None:
        queue.periodic[name] = every


def includeme(config: Configurator) -> None:
    """Add ``config.add_job`` and let the server start the embedded worker."""
    settings = config.declare_settings(JobSettings, prefix="jobs")
    registry = config.registry
    registry["jobs"] = JobQueue()
    config.add_directive("add_job", _add_job, action_wrap=False)
    if settings.embedded:
        registry.setdefault("on_serve", []).append(lambda: Worker(registry, settings.poll_seconds).start())
