"""Jobs: rows written with the transaction that wants them, run after its commit, again if they fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.core.jobs.models import Priority
from mealshare.core.jobs.outbox import Outbox
from mealshare.core.jobs.queue import JobQueue
from mealshare.core.jobs.settings import JobSettings, check_settings
from mealshare.core.jobs.worker import Worker, run_due

__all__ = ["JobQueue", "JobSettings", "Priority", "run_due"]

JobHandler = Callable[[Registry, dict[str, Any]], None]


def _add_job(
    config: Configurator,
    name: str,
    handler: JobHandler,
    *,
    every: timedelta | None = None,
    priority: Priority = Priority.NORMAL,
) -> None:
    """Directive ``config.add_job(name, handler, every=None, priority=Priority.NORMAL)``.

    ``handler(registry, payload)`` runs jobs of that name; the more urgent ones run first.  With ``every``, one such job
    (with an empty payload) is there at all times.  ValueError for a name in use.
    """
    queue: JobQueue = config.registry["jobs"]
    if name in queue.handlers:
        raise ValueError(f"the job {name} has a handler already")
    queue.handlers[name] = handler
    queue.priorities[name] = priority
    if every is not None:
        queue.periodic[name] = every


def _start_relay(registry: Registry, settings: JobSettings) -> Callable[[], None]:
    # Celery is large, and only a process that serves needs it: not the commands, not the other engines.
    from mealshare.core.jobs.broker import BrokerPublisher
    from mealshare.core.jobs.relay import Relay

    return Relay(registry, BrokerPublisher(settings), settings.poll_seconds).start()


def _use_broker(registry: Registry, settings: JobSettings) -> None:
    from mealshare.core.jobs.probe import Probe

    registry.setdefault("on_serve", []).append(lambda: _start_relay(registry, settings))
    registry.setdefault("health_helpers", {})["broker"] = Probe(settings).healthy


def includeme(config: Configurator) -> None:
    """Add ``config.add_job``, and let the server start what the engine needs in the serving process.

    Raises SettingsError for a broker that cannot be used, BootError where a library is missing.
    """
    settings = config.declare_settings(JobSettings, prefix="jobs")
    check_settings(settings)
    registry = config.registry
    registry["jobs"] = JobQueue()
    registry["outbox"] = Outbox()
    config.add_directive("add_job", _add_job, action_wrap=False)
    if settings.engine == "embedded":
        registry.setdefault("on_serve", []).append(lambda: Worker(registry, settings.poll_seconds).start())
    elif settings.engine == "celery":
        _use_broker(registry, settings)
