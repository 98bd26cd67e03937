"""A job that meets another transaction is run again at once: no failed attempt, and no error in the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from mealshare.core.jobs import worker
from mealshare.core.jobs.models import Job, JobState
from mealshare.core.jobs.queue import JobQueue
from mealshare.core.jobs.worker import CONFLICT, CONFLICT_PAUSES, run_one
from tests.functional.races import until_somebody_waits

NAME = "test.cook"


class Refused(Exception):
    """What a driver raises, as far as it is looked at."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


@pytest.fixture
def queue(registry: Any, monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    queue: JobQueue = registry["jobs"]
    monkeypatch.setattr(queue, "handlers", {})
    monkeypatch.setattr(queue, "periodic", {})
    return queue


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no other transaction is, there is nothing to wait for."""
    monkeypatch.setattr(worker, "CONFLICT_PAUSES", (0.0,) * len(CONFLICT_PAUSES))


def enqueue(work: Callable[[], Any]) -> None:
    with work() as unit:
        unit.enqueue(NAME, {})


def jobs(work: Callable[[], Any]) -> list[Job]:
    with work() as unit:
        return list(unit.session.scalars(select(Job)))


def refusing(queue: JobQueue, sqlstate: str | None, times: int) -> list[int]:
    """Registers a handler that the database refuses so often; the list grows with each run."""
    runs: list[int] = []

    def handler(registry: Any, payload: dict[str, Any]) -> None:
        runs.append(1)
        if len(runs) <= times:
            raise OperationalError("UPDATE", {}, Refused(sqlstate))

    queue.handlers[NAME] = handler
    return runs


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str]]]:
    """Level and words of each line that workers have written."""
    caplog.set_level(logging.DEBUG)
    return lambda: [(one.levelno, one.getMessage()) for one in caplog.records if one.name == worker.log.name]


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_it_is_run_again_at_once(
    registry: Any, work: Any, queue: JobQueue, quick: None, said: Any, sqlstate: str
) -> None:
    times = len(CONFLICT_PAUSES)
    runs = refusing(queue, sqlstate, times)
    enqueue(work)
    assert run_one(registry)
    assert len(runs) == times + 1
    assert jobs(work) == []
    assert said() == [(logging.INFO, CONFLICT)] * times + [(logging.INFO, "job_done")]


def test_not_for_ever(registry: Any, work: Any, queue: JobQueue, quick: None, said: Any) -> None:
    runs = refusing(queue, "40P01", 1000)
    enqueue(work)
    assert run_one(registry)
    assert len(runs) == len(CONFLICT_PAUSES) + 1
    [job] = jobs(work)
    assert (job.state, job.attempts) == (JobState.QUEUED, 1)
    assert said()[-1] == (logging.WARNING, "job_failed")


@pytest.mark.parametrize("sqlstate", ["08006", "23505", "57014", None])
def test_what_does_not_pass_by_itself_is_a_failed_attempt(
    registry: Any, work: Any, queue: JobQueue, said: Any, sqlstate: str | None
) -> None:
    runs = refusing(queue, sqlstate, 1)
    enqueue(work)
    assert run_one(registry)
    assert len(runs) == 1
    [job] = jobs(work)
    assert (job.state, job.attempts) == (JobState.QUEUED, 1)
    assert said() == [(logging.WARNING, "job_failed")]


def test_another_error_after_a_conflict_is_one(registry: Any, work: Any, queue: JobQueue, quick: None) -> None:
    runs: list[int] = []

    def handler(registry: Any, payload: dict[str, Any]) -> None:
        runs.append(1)
        raise OperationalError("UPDATE", {}, Refused("40P01")) if len(runs) == 1 else ZeroDivisionError

    queue.handlers[NAME] = handler
    enqueue(work)
    assert run_one(registry)
    [job] = jobs(work)
    assert (len(runs), job.attempts) == (2, 1)
    assert "ZeroDivisionError" in (job.last_error or "")


LOCK = text("UPDATE accounts SET bio = bio || :word WHERE id = :id")


def meet(registry: Any, work: Any, queue: JobQueue, first: int, second: int) -> int:
    """Let a job lock the first row and then the second, another connection the second and then the first.

    Gives how often the handler ran.  PostgreSQL ends whoever has waited for a second when it looks for circles, so it is
    the job, unless the machine stands still for so long.
    """
    has_first, runs = threading.Event(), []

    def handler(registry: Any, payload: dict[str, Any]) -> None:
        runs.append(1)
        with registry["open_work"]() as unit:
            unit.session.execute(LOCK, {"id": first, "word": "job "})
            has_first.set()
            unit.session.execute(LOCK, {"id": second, "word": "job "})

    queue.handlers[NAME] = handler
    enqueue(work)
    running = threading.Thread(target=run_one, args=(registry,))
    with registry["engine"].connect() as connection, suppress(OperationalError):
        connection.execute(LOCK, {"id": second, "word": "other "})
        running.start()
        assert has_first.wait(30)
        until_somebody_waits(registry, "postgresql")
        connection.execute(LOCK, {"id": first, "word": "other "})
        connection.commit()
    running.join(30)
    return len(runs)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_deadlock_of_postgresql(registry: Any, work: Any, queue: JobQueue, make_user: Any, said: Any) -> None:
    first, second = make_user("ann").account_id, make_user("bob").account_id
    for _ in range(5):
        runs = meet(registry, work, queue, first, second)
        if runs > 1:
            break
    else:
        pytest.fail("the job was never the one to give way")
    assert jobs(work) == []
    assert said()[-runs:] == [(logging.INFO, CONFLICT)] * (runs - 1) + [(logging.INFO, "job_done")]
    assert not [line for line in said() if line[0] > logging.INFO]
    # Both have done what they wanted, and nothing of it twice.
    with registry["engine"].connect() as connection:
        words = connection.scalars(text("SELECT bio FROM accounts ORDER BY id")).all()
    assert [bio.replace("job ", "", bio.count("job ") - 1) for bio in words] == ["other job "] * 2
