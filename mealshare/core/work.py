"""A unit of work: one write transaction, with the events that it publishes and the jobs that it leaves behind.

Services take a `Work` in their constructor.  A request has one (``request.work``), joined to the transaction of
pyramid_tm; jobs and commands open one with ``with registry["open_work"]() as work:``, which commits at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from mealshare.core.db.routing import pin
from mealshare.core.db.session import release_reader
from mealshare.core.jobs.queue import JobQueue
from mealshare.core.readonly import forbid_writes

Handler = Callable[["Work", Any], None]
E = TypeVar("E")


@dataclass
class EventBus:
    """Which handlers listen to which event class; filled while the application is configured."""

    handlers: dict[type, list[Handler]] = field(default_factory=lambda: defaultdict(list))

    def subscribe(self, event: type[E], handler: Callable[[Work, E], None]) -> None:
        """Call ``handler(work, event)`` inside the transaction whenever an ``event`` is published."""
        self.handlers[event].append(handler)


@dataclass(frozen=True)
class Work:
    """One write transaction and what belongs to it."""

    session: Session
    bus: EventBus
    queue: JobQueue

    @property
    def connection(self) -> Connection:
        """The connection of the transaction: what queries take to see what was just written."""
        return self.session.connection()

    def publish(self, event: object) -> None:
        """Tell the subscribers of the event, now, in this transaction: if one fails, everything is rolled back."""
        for handler in self.bus.handlers.get(type(event), ()):
            handler(self, event)

    def enqueue(
        self, name: str, payload: dict[str, Any], *, run_at: datetime | None = None, key: str | None = None
    ) -> None:
        """Leave a job behind that runs after the commit; it is written with this transaction or not at all."""
        self.queue.enqueue(self.session, name, payload, run_at=run_at, key=key)


def _subscribe(config: Configurator, event: type[E], handler: Callable[[Work, E], None]) -> None:
    config.registry["events"].subscribe(event, handler)


def _request_work(request: Request) -> Work:
    queue: JobQueue = request.registry["jobs"]
    # Finished callbacks run after the commit: only then is there something for the worker to see.
    request.add_finished_callback(lambda _request: queue.wake.set())
    return Work(request.db, request.registry["events"], queue)


def _request_open_work(request: Request) -> Any:
    """A unit of work of its own within a request, for what must stand whatever becomes of the request.

    The read connection goes back first: a request that held one while it waits for another could wait for ever, when
    all of the pool's connections are held by such requests.  Raises ReadOnlyNow.
    """
    forbid_writes(request)
    release_reader(request)
    pin(request)
    return request.registry["open_work"]()


def _opener(registry: Registry) -> Callable[[], Any]:
    @contextmanager
    def open_work() -> Iterator[Work]:
        """A unit of work of its own: commits at the end of the block, rolls back when it raises."""
        session = registry["dbsession_factory"]()
        try:
            yield Work(session, registry["events"], registry["jobs"])
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    return open_work


def includeme(config: Configurator) -> None:
    """Add ``config.subscribe``, ``request.work``, ``request.open_work()`` and ``registry["open_work"]``."""
    config.registry["events"] = EventBus()
    config.registry["open_work"] = _opener(config.registry)
    config.add_directive("subscribe", _subscribe, action_wrap=False)
    config.add_request_method(_request_work, "work", reify=True)
    config.add_request_method(_request_open_work, "open_work")
