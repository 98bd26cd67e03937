"""The thread that runs jobs: starts with the server, wakes, survives, stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid.config import Configurator
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from mealshare.core.jobs.models import Job
from mealshare.core.jobs.queue import JobQueue
from mealshare.core.jobs.worker import Worker
from mealshare.core.settings import SettingsError

NAME = "test.cook"
Start = Callable[..., Worker]


@pytest.fixture
def queue(registry: Any, monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    queue: JobQueue = registry["jobs"]
    monkeypatch.setattr(queue, "handlers", {})
    monkeypatch.setattr(queue, "periodic", {})
    queue.wake.clear()
    return queue


@pytest.fixture
def start(registry: Any, queue: JobQueue) -> Iterator[Start]:
    """Starts a worker, which is stopped at the end of the test."""
    workers = []

    def begin(poll_seconds: float = 30) -> Worker:
        worker = Worker(registry, poll_seconds)
        workers.append(worker)
        worker.start()
        return worker

    yield begin
    for worker in workers:
        worker.stop()
        assert not worker.thread.is_alive()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def enqueue(work: Any) -> None:
    with work() as unit:
        unit.enqueue(NAME, {})


def test_it_finds_jobs_by_looking(start: Start, work: Any, queue: JobQueue) -> None:
    done = threading.Event()
    queue.handlers[NAME] = lambda registry, payload: done.set()
    start(poll_seconds=0.05)
    enqueue(work)
    assert done.wait(10)


def test_it_need_not_wait_for_its_next_look_when_it_is_woken(start: Start, work: Any, queue: JobQueue) -> None:
    done = threading.Event()
    queue.handlers[NAME] = lambda registry, payload: done.set()
    start(poll_seconds=30)
    time.sleep(0.3)
    enqueue(work)
    assert not done.wait(0.3)
    queue.wake.set()
    assert done.wait(10)


def test_stopping_waits_for_the_job_that_runs_and_begins_no_other(
    start: Start, work: Any, queue: JobQueue, registry: Any
) -> None:
    started, finished = threading.Event(), []

    def slow(registry: Any, payload: dict[str, Any]) -> None:
        started.set()
        time.sleep(0.5)
        finished.append(1)

    queue.handlers[NAME] = slow
    enqueue(work)
    enqueue(work)
    worker = start()
    assert started.wait(10)
    worker.stop()
    assert finished == [1]
    assert not worker.thread.is_alive()
    with work() as unit:
        assert len(unit.session.scalars(select(Job)).all()) == 1


def test_stopping_an_idle_worker_is_quick(start: Start) -> None:
    worker = start(poll_seconds=30)
    time.sleep(0.2)
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("broken", ["claim", "ensure_periodic"])
def test_it_outlives_a_database_that_is_away(
    start: Start, work: Any, queue: JobQueue, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """The periodic jobs, too, are made sure of as soon as the database is back."""
    from datetime import timedelta

    done, failures = threading.Event(), []
    queue.handlers[NAME] = lambda registry, payload: done.set()
    queue.periodic[NAME] = timedelta(hours=1)
    real = getattr(JobQueue, broken)

    def flaky(self: JobQueue, session: Any) -> Any:
        if len(failures) < 2:
            failures.append(1)
            raise OperationalError("SELECT", {}, Exception("away"))
        return real(self, session)

    monkeypatch.setattr(JobQueue, broken, flaky)
    start(poll_seconds=0.05)
    assert done.wait(10)
    assert len(failures) == 2


def test_a_failing_handler_does_not_end_it(start: Start, work: Any, queue: JobQueue) -> None:
    seen = []

    def handler(registry: Any, payload: dict[str, Any]) -> None:
        seen.append(1)
        raise ZeroDivisionError

    queue.handlers[NAME] = handler
    enqueue(work)
    start(poll_seconds=0.05)
    wait_until(lambda: len(seen) == 1)
    enqueue(work)
    wait_until(lambda: len(seen) == 2)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_worker_that_would_never_rest_is_refused(seconds: str) -> None:
    config = Configurator(settings={"jobs.poll_seconds": seconds})
    config.include("mealshare.core.settings")
    with pytest.raises(SettingsError, match=r"jobs\.poll_seconds"):
        config.include("mealshare.core.jobs")
