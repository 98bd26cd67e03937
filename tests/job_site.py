"""A part of the site for tests of jobs alone: handlers that leave traces in the site's folder, and an address to queue them.

`tests.job_processes` puts it into the processes that it starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request

import mealshare
from mealshare.core.jobs import Priority, queue
from mealshare.core.security.permissions import CorePermission

QUICK, SLOW, BROKEN, TICK = "test.quick", "test.slow", "test.broken", "test.tick"
HIGH, LOW = "test.high", "test.low"
#: Seconds, so that a test need not wait for minutes.
LEASE, BELIEVED, BACKOFF, ATTEMPTS, EVERY = 2.0, 4.0, (0.2, 0.5), 3, 0.5


def folder_of(registry: Registry) -> Path:
    """The site's folder."""
    return Path(registry.settings["storage.folder"]).parent


def trace(registry: Registry, event: str, payload: dict[str, Any]) -> None:
    """Write one line that a kill cannot cut; the file may have many writers."""
    line = orjson.dumps({"event": event, "pid": os.getpid(), "at": time.time()} | payload) + b"\n"
    file = os.open(folder_of(registry) / "traces", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)


def traces(folder: Path, event: str) -> list[dict[str, Any]]:
    """What was written of that event."""
    file = folder / "traces"
    found = [orjson.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []
    return [item for item in found if item["event"] == event]


def quick(registry: Registry, payload: dict[str, Any]) -> None:
    time.sleep(payload.get("seconds", 0))
    trace(registry, "ran", payload)


def slow(registry: Registry, payload: dict[str, Any]) -> None:
    """Begins, works for a while, and has its effect at the end: harmless when it runs twice."""
    trace(registry, "begun", payload)
    time.sleep(payload["seconds"])
    (folder_of(registry) / f"effect-{payload['n']}").touch()
    trace(registry, "ended", payload)


def broken(registry: Registry, payload: dict[str, Any]) -> None:
    """Fails until somebody has mended it."""
    trace(registry, "tried", payload)
    if not (folder_of(registry) / "mended").exists():
        raise RuntimeError("the oven is cold")


def tick(registry: Registry, payload: dict[str, Any]) -> None:
    trace(registry, "ticked", payload)


def enqueue(context: Any, request: Request) -> dict[str, str]:
    """``GET /test/enqueue?n=1``: as a view of a feature would leave a job behind."""
    request.work.enqueue(QUICK, {"n": int(request.params["n"])})
    return {"queued": request.params["n"]}


def includeme(config: Configurator) -> None:
    """Add the handlers and the address; shorten what takes its time."""
    for name, priority in ((QUICK, Priority.NORMAL), (HIGH, Priority.HIGH), (LOW, Priority.LOW)):
        config.add_job(name, quick, priority=priority)
    config.add_job(SLOW, slow)
    config.add_job(BROKEN, broken)
    config.add_job(TICK, tick, every=timedelta(seconds=EVERY))
    config.registry["jobs"].leases.length = timedelta(seconds=LEASE)
    config.registry["outbox"].believed = timedelta(seconds=BELIEVED)
    config.add_route("test.enqueue", "/test/enqueue")
    config.add_view(enqueue, route_name="test.enqueue", renderer="json", permission=CorePermission.PUBLIC)


@contextmanager
def included() -> Iterator[None]:
    """Sites that are configured inside the block are the plumbing and this part, and start quickly."""
    before = mealshare.CORE, mealshare.FEATURES, queue.BACKOFF, queue.MAX_ATTEMPTS
    mealshare.CORE, mealshare.FEATURES = (*mealshare.CORE, "tests.job_site"), ()
    queue.BACKOFF, queue.MAX_ATTEMPTS = BACKOFF, ATTEMPTS
    try:
        yield
    finally:
        mealshare.CORE, mealshare.FEATURES, queue.BACKOFF, queue.MAX_ATTEMPTS = before
