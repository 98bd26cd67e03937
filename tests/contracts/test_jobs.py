"""What each engine of jobs must do: a thread of the site, workers on the table, Celery on RabbitMQ and on Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mealshare.core.clock import now
from mealshare.core.jobs.models import JobState
from mealshare.core.jobs.queue import retry_jobs
from mealshare.core.log import request_context
from tests.conftest import left_out
from tests.databases import (
    POSTGRES_LEFT_OUT,
    RABBITMQ_LEFT_OUT,
    REDIS_LEFT_OUT,
    postgres_url,
    rabbitmq_url,
    redis_url,
)
from tests.job_plants import Plant, plant
from tests.job_processes import wait_until
from tests.job_site import ATTEMPTS, BACKOFF, BROKEN, EVERY, HIGH, LEASE, LOW, QUICK, SLOW, TICK, traces

#: Each engine, and each database where rows are claimed in another way.
KINDS = [
    ("embedded", "sqlite"), ("worker", "sqlite"), ("worker", "postgresql"), ("rabbitmq", "postgresql"),
    ("redis", "sqlite"),
]  # fmt: skip
#: Long enough for a process to be noticed, killed or asked to end meanwhile.
LONG = 3.0


def need(engine: str, backend: str) -> None:
    """Leave the test out where a service is missing."""
    for word, there, reason in (
        ("postgresql", postgres_url(), POSTGRES_LEFT_OUT),
        ("rabbitmq", rabbitmq_url(), RABBITMQ_LEFT_OUT),
        ("redis", redis_url(), REDIS_LEFT_OUT),
    ):
        if word in (engine, backend) and there is None:
            left_out(reason)


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> Any:
    """The engine and the database."""
    need(*request.param)
    return request.param


@pytest.fixture(scope="module")
def running(kind: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A site whose jobs two processes run (embedded: one)."""
    with plant(*kind, tmp_path_factory.mktemp("plant")) as made:
        for _ in range(1 if made.engine == "embedded" else 2):
            made.start()
        yield made


@pytest.fixture
def idle(kind: Any, tmp_path: Path) -> Iterator[Plant]:
    """A site of the test's own, where nobody runs jobs yet."""
    with plant(*kind, tmp_path) as made:
        yield made


def test_a_job_runs_after_its_commit_and_not_without_it(running: Plant) -> None:
    with pytest.raises(ZeroDivisionError), running.registry["open_work"]() as work:
        work.enqueue(QUICK, {"n": "rolled back"})
        work.session.flush()
        raise ZeroDivisionError
    with running.registry["open_work"]() as work:
        work.enqueue(QUICK, {"n": "committed"})
        work.session.flush()
        # On SQLite nobody can read it yet, elsewhere nobody may.
        time.sleep(0.5)
        assert running.ran() == []
    running.wait_for({"committed"})
    wait_until(lambda: running.jobs(QUICK) == [], "the row of a job that is done stayed")
    assert "rolled back" not in running.ran()


def test_each_of_many_jobs_has_its_effect_once(running: Plant) -> None:
    numbers = list(range(1000, 1060))
    for n in numbers:
        running.enqueue(QUICK, {"n": n, "seconds": 0.01})
    running.wait_for(set(numbers))
    wait_until(lambda: running.jobs(QUICK) == [], "rows stayed")
    time.sleep(0.5)
    assert sorted(n for n in running.ran() if n in numbers) == numbers


def test_a_job_that_fails_is_tried_later_then_dead_then_revived(running: Plant) -> None:
    running.enqueue(BROKEN, {"n": 1})
    wait_until(lambda: [job.state for job in running.jobs(BROKEN)] == [JobState.DEAD], "it did not die")
    tried = [item["at"] for item in traces(running.folder, "tried")]
    assert len(tried) == ATTEMPTS
    for pause, (before, after) in zip(BACKOFF, pairwise(tried), strict=True):
        assert after - before >= pause
    (job,) = running.jobs(BROKEN)
    assert "RuntimeError: the oven is cold" in (job.last_error or "")
    time.sleep(1)
    assert len(traces(running.folder, "tried")) == ATTEMPTS
    (running.folder / "mended").touch()
    with running.registry["open_work"]() as work:
        assert retry_jobs(work.session) == 1
    wait_until(lambda: running.jobs(BROKEN) == [], "it was not done")
    assert len(traces(running.folder, "tried")) == ATTEMPTS + 1


def test_a_job_waits_for_its_time(running: Plant) -> None:
    due = now() + timedelta(seconds=1.5)
    running.enqueue(QUICK, {"n": "late"}, run_at=due)
    running.wait_for({"late"})
    (ran,) = [item for item in traces(running.folder, "ran") if item["n"] == "late"]
    assert ran["at"] >= due.timestamp()


def test_jobs_of_one_key_are_one(running: Plant) -> None:
    for n in ("first", "second", "third"):
        running.enqueue(QUICK, {"n": n}, key="soup", run_at=now() + timedelta(seconds=1))
    running.wait_for({"third"})
    time.sleep(0.5)
    assert not {"first", "second"} & set(running.ran())


def test_a_periodic_job_comes_again_and_is_one_row(running: Plant) -> None:
    before = len(traces(running.folder, "ticked"))
    began = time.monotonic()
    while len(traces(running.folder, "ticked")) < before + 3:
        assert len(running.jobs(TICK)) == 1
        assert time.monotonic() < began + 60, "it does not tick"
        time.sleep(0.05)
    times = [item["at"] for item in traces(running.folder, "ticked")]
    assert all(after - earlier >= EVERY for earlier, after in pairwise(times))


def test_the_log_names_the_request_that_wanted_the_job(running: Plant) -> None:
    with request_context("request-77"):
        running.enqueue(QUICK, {"n": "asked for"})
    running.wait_for({"asked for"})
    wait_until(
        lambda: any(
            "request-77" in line and "job_done" in line
            for process in running.processes
            for line in process.log.splitlines()
        ),
        "no line of the log has the request's id",
    )


def test_the_urgent_goes_first(idle: Plant) -> None:
    for name in (LOW, QUICK, HIGH):
        for n in range(3):
            idle.enqueue(name, {"n": f"{name} {n}"})
    with idle.start(threads=1):
        wait_until(lambda: len(idle.ran()) == 9, "not all ran")
    assert [n.split()[0] for n in idle.ran()] == [HIGH] * 3 + [QUICK] * 3 + [LOW] * 3


def test_a_job_outlives_a_worker_that_is_killed(idle: Plant) -> None:
    idle.enqueue(SLOW, {"n": 1, "seconds": LONG})
    with idle.start(threads=1) as process:
        idle.wait_for({1}, "begun")
        process.kill()
    assert idle.ran("ended") == []
    # It lasts longer than its lease, and there is a thread that would take it for lost once more.
    assert LONG > LEASE
    with idle.start(threads=2):
        idle.wait_for({1}, "ended")
        wait_until(lambda: idle.jobs(SLOW) == [], "its row stayed")
    assert (idle.ran("begun"), idle.ran("ended")) == ([1, 1], [1])
    assert [file.name for file in idle.folder.glob("effect-*")] == ["effect-1"]


def test_a_worker_that_is_asked_to_end_finishes_its_job_and_begins_no_other(idle: Plant) -> None:
    process = idle.start(threads=1)
    idle.enqueue(SLOW, {"n": 1, "seconds": LONG})
    idle.wait_for({1}, "begun")
    idle.enqueue(SLOW, {"n": 2, "seconds": 0})
    assert process.terminate() == 0, process.log
    assert (idle.ran("begun"), idle.ran("ended")) == ([1], [1]), process.log
    assert [job.payload["n"] for job in idle.jobs(SLOW)] == [2]
    assert [job.state for job in idle.jobs(SLOW)] == [JobState.QUEUED]
