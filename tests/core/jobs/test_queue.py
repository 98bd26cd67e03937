"""The job table: written with its transaction, claimed by one, repeated, given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from mealshare.core.jobs import run_due
from mealshare.core.jobs.models import Job, JobState
from mealshare.core.jobs.queue import BACKOFF, LEASE, LOST, MAX_ATTEMPTS, JobQueue, periodic_key, retry_job
from mealshare.core.log import request_context

Work = Callable[[], Any]
NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
#: The jobs that the features bring; the tests here look at theirs alone.
NAME = "test.cook"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """``clock[0]`` is now."""
    hands = [NOON]
    monkeypatch.setattr("mealshare.core.jobs.queue.now", lambda: hands[0])
    return hands


@pytest.fixture
def queue(registry: Any, monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    """The application's queue with no other handlers than those of the test."""
    queue: JobQueue = registry["jobs"]
    monkeypatch.setattr(queue, "handlers", {NAME: lambda registry, payload: None})
    monkeypatch.setattr(queue, "periodic", {})
    return queue


@pytest.fixture
def cooked(queue: JobQueue) -> list[dict[str, Any]]:
    """The payloads that the handler got."""
    seen: list[dict[str, Any]] = []
    queue.handlers[NAME] = lambda registry, payload: seen.append(payload)
    return seen


def rows(work: Work) -> list[Job]:
    with work() as unit:
        return list(unit.session.scalars(select(Job).order_by(Job.id)))


def enqueue(work: Work, payload: dict[str, Any] | None = None, **more: Any) -> None:
    with work() as unit:
        unit.enqueue(NAME, payload or {}, **more)


def test_a_job_is_there_when_its_transaction_has_committed_and_not_before(
    registry: Any, work: Work, cooked: list[dict[str, Any]]
) -> None:
    with pytest.raises(ZeroDivisionError), work() as unit:
        unit.enqueue(NAME, {"n": 1})
        unit.session.flush()
        raise ZeroDivisionError
    assert run_due(registry) == 0
    assert cooked == []
    enqueue(work, {"n": 2, "食": ["麻辣", None, 1.5]})
    assert run_due(registry) == 1
    assert cooked == [{"n": 2, "食": ["麻辣", None, 1.5]}]
    assert rows(work) == []


def test_a_name_without_a_handler_is_refused_at_once(work: Work, queue: JobQueue) -> None:
    with pytest.raises(KeyError, match=r"test\.bake"), work() as unit:
        unit.enqueue("test.bake", {})


def test_jobs_run_in_the_order_of_their_time_and_not_before_it(
    registry: Any, work: Work, cooked: list[dict[str, Any]], clock: list[datetime]
) -> None:
    enqueue(work, {"n": 3}, run_at=NOON + timedelta(minutes=2))
    enqueue(work, {"n": 2}, run_at=NOON - timedelta(minutes=1))
    enqueue(work, {"n": 1}, run_at=NOON - timedelta(minutes=2))
    assert run_due(registry) == 2
    clock[0] += timedelta(minutes=2)
    assert run_due(registry) == 1
    assert [payload["n"] for payload in cooked] == [1, 2, 3]


def test_run_due_stops_at_the_number_that_it_is_given(registry: Any, work: Work, cooked: list[dict[str, Any]]) -> None:
    for n in range(5):
        enqueue(work, {"n": n})
    assert run_due(registry, most=3) == 3
    assert len(cooked) == 3


def test_each_job_goes_to_one_of_many_workers(registry: Any, work: Work, queue: JobQueue) -> None:
    number, threads = 40, 6
    for n in range(number):
        enqueue(work, {"n": n})
    barrier = threading.Barrier(threads)

    def claim_all() -> list[int]:
        barrier.wait()
        claimed = []
        while True:
            with work() as unit:
                job = queue.claim(unit.session)
            if job is None:
                return claimed
            claimed.append(job.id)

    with ThreadPoolExecutor(threads) as pool:
        found = [id for future in [pool.submit(claim_all) for _ in range(threads)] for id in future.result(60)]
    assert len(found) == number
    assert len(set(found)) == number


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_worker_passes_over_what_another_is_claiming(registry: Any, work: Work, queue: JobQueue) -> None:
    enqueue(work, {"n": 1})
    enqueue(work, {"n": 2})
    with work() as first:
        one = queue.claim(first.session)
        first.session.flush()
        # The first claim has not committed: without SKIP LOCKED this one would wait for it.
        with ThreadPoolExecutor(1) as pool:

            def claim() -> Any:
                with work() as second:
                    return queue.claim(second.session)

            two = pool.submit(claim).result(5)
    assert (one.payload["n"], two.payload["n"]) == (1, 2)


def failing(registry: Any, payload: dict[str, Any]) -> None:
    raise ValueError("burnt\x00 \ud800 pan")


def test_a_failure_is_repeated_later_and_later_and_then_buried(
    registry: Any, work: Work, queue: JobQueue, clock: list[datetime]
) -> None:
    queue.handlers[NAME] = failing
    enqueue(work, {"n": 1}, key="pan")
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert run_due(registry) == 1
        (job,) = rows(work)
        assert (job.attempts, job.leased_until, job.key) == (attempt, None, "pan")
        assert "ValueError: burnt" in (job.last_error or "")
        waits.append((job.run_at - clock[0]).total_seconds())
        if attempt < MAX_ATTEMPTS:
            assert job.state == JobState.QUEUED
            clock[0] = job.run_at - timedelta(milliseconds=1)
            assert run_due(registry) == 0
            clock[0] = job.run_at
    assert job.state == JobState.DEAD
    assert waits == [*BACKOFF, *[BACKOFF[-1]] * (MAX_ATTEMPTS - len(BACKOFF))]
    clock[0] += timedelta(days=365)
    assert run_due(registry) == 0


def test_a_buried_job_can_be_raised(registry: Any, work: Work, cooked: list[Any], clock: list[datetime]) -> None:
    enqueue(work, {"n": 1})
    (job,) = rows(work)
    with work() as unit:
        assert not retry_job(unit.session, job.id)
        unit.session.execute(update(Job).values(state=JobState.DEAD, attempts=MAX_ATTEMPTS, last_error="x"))
    with work() as unit:
        assert retry_job(unit.session, job.id)
        assert not retry_job(unit.session, job.id + 1)
    assert run_due(registry) == 1
    assert cooked == [{"n": 1}]


def test_a_job_that_its_worker_lost_runs_again_after_its_lease(
    registry: Any, work: Work, queue: JobQueue, cooked: list[Any], clock: list[datetime]
) -> None:
    enqueue(work, {"n": 1})
    with work() as unit:
        lost = queue.claim(unit.session)
    assert run_due(registry) == 0
    clock[0] += LEASE + timedelta(seconds=1)
    assert run_due(registry) == 1
    assert cooked == [{"n": 1}]
    # The lost worker comes back: what it says about the job counts no more.
    enqueue(work, {"n": 2})
    with work() as unit:
        queue.finish(unit.session, lost)
        queue.fail(unit.session, lost, "late")
    assert [row.payload for row in rows(work)] == [{"n": 2}]


def test_a_late_worker_does_not_finish_what_another_runs(
    work: Work, queue: JobQueue, clock: list[datetime], registry: Any
) -> None:
    queue.periodic[NAME] = timedelta(hours=1)
    with work() as unit:
        queue.ensure_periodic(unit.session)
    with work() as unit:
        late = queue.claim(unit.session)
    clock[0] += LEASE + timedelta(seconds=1)
    with work() as unit:
        current = queue.claim(unit.session)
    with work() as unit:
        queue.finish(unit.session, late)
    (row,) = rows(work)
    assert (row.state, row.attempts) == (JobState.RUNNING, 2)
    with work() as unit:
        queue.finish(unit.session, current)
    (row,) = rows(work)
    assert (row.state, row.attempts, row.run_at) == (JobState.QUEUED, 0, clock[0] + timedelta(hours=1))


def test_a_job_that_ends_its_worker_every_time_is_buried_too(
    registry: Any, work: Work, queue: JobQueue, cooked: list[Any], clock: list[datetime]
) -> None:
    enqueue(work, {"n": 1})
    for _ in range(MAX_ATTEMPTS):
        with work() as unit:
            assert queue.claim(unit.session) is not None
        clock[0] += LEASE + timedelta(seconds=1)
    enqueue(work, {"n": 2})
    assert run_due(registry) == 1
    assert cooked == [{"n": 2}]
    (row,) = rows(work)
    assert (row.state, row.last_error) == (JobState.DEAD, LOST)


def test_jobs_with_the_same_key_are_one_while_they_wait(
    registry: Any, work: Work, cooked: list[Any], clock: list[datetime]
) -> None:
    enqueue(work, {"n": 1}, key="soup", run_at=NOON + timedelta(hours=1))
    enqueue(work, {"n": 2}, key="soup", run_at=NOON + timedelta(minutes=1))
    enqueue(work, {"n": 3}, key="soup", run_at=NOON + timedelta(hours=2))
    enqueue(work, {"n": 9}, key="rice", run_at=NOON + timedelta(hours=2))
    assert len(rows(work)) == 2
    clock[0] += timedelta(minutes=1)
    assert run_due(registry) == 1
    # The earliest of the times, with what was said last.
    assert cooked == [{"n": 3}]


def test_what_is_asked_for_while_the_job_runs_is_not_lost(registry: Any, work: Work, queue: JobQueue) -> None:
    """The handler has read already: a request that comes now needs another run."""
    state, seen = {"value": 1}, []

    def handler(registry: Any, payload: dict[str, Any]) -> None:
        seen.append(state["value"])
        if len(seen) == 1:
            state["value"] = 2
            enqueue(work, key="sum")

    queue.handlers[NAME] = handler
    enqueue(work, key="sum")
    assert run_due(registry) == 2
    assert seen == [1, 2]
    assert rows(work) == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_waiting_job_does_not_begin_before_those_who_rely_on_it_have_committed(
    registry: Any, work: Work, cooked: list[Any]
) -> None:
    """Otherwise it could read the state before theirs, and be gone when they commit."""
    enqueue(work, {"n": 1}, key="sum")
    with work() as unit:
        unit.enqueue(NAME, {"n": 2}, key="sum")
        unit.session.flush()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(run_due, registry).result(10) == 0
    assert run_due(registry) == 1
    assert cooked == [{"n": 2}]


def test_a_failed_job_gives_way_to_the_next_one_with_its_key(
    registry: Any, work: Work, queue: JobQueue, clock: list[datetime]
) -> None:
    def handler(registry: Any, payload: dict[str, Any]) -> None:
        if payload["n"] == 1:
            enqueue(work, {"n": 2}, key="sum", run_at=NOON + timedelta(minutes=1))
            raise ValueError

    queue.handlers[NAME] = handler
    enqueue(work, {"n": 1}, key="sum")
    assert run_due(registry) == 1
    assert [(row.payload["n"], row.key) for row in rows(work)] == [(2, "sum")]


def test_a_buried_job_does_not_keep_its_key_for_ever(
    registry: Any, work: Work, queue: JobQueue, clock: list[datetime]
) -> None:
    enqueue(work, {"n": 1}, key="sum")
    with work() as unit:
        unit.session.execute(update(Job).values(state=JobState.DEAD, attempts=MAX_ATTEMPTS, last_error="x"))
    enqueue(work, {"n": 2}, key="sum")
    (row,) = rows(work)
    assert (row.state, row.attempts, row.last_error, row.payload) == (JobState.QUEUED, 0, None, {"n": 2})
    assert run_due(registry) == 1


def test_a_periodic_job_is_there_once_and_comes_again(
    registry: Any, work: Work, queue: JobQueue, cooked: list[Any], clock: list[datetime]
) -> None:
    queue.periodic[NAME] = timedelta(hours=1)
    for _ in range(2):
        with work() as unit:
            queue.ensure_periodic(unit.session)
    assert run_due(registry) == 1
    (row,) = rows(work)
    assert (row.key, row.state, row.run_at) == (periodic_key(NAME), JobState.QUEUED, NOON + timedelta(hours=1))
    # A restart does not make it run before its time.
    clock[0] += timedelta(minutes=30)
    with work() as unit:
        queue.ensure_periodic(unit.session)
    assert run_due(registry) == 0
    clock[0] += timedelta(minutes=30)
    assert run_due(registry) == 1
    assert cooked == [{}, {}]


def test_a_periodic_job_is_never_buried(registry: Any, work: Work, queue: JobQueue, clock: list[datetime]) -> None:
    queue.periodic[NAME], queue.handlers[NAME] = timedelta(hours=1), failing
    with work() as unit:
        queue.ensure_periodic(unit.session)
    for _ in range(MAX_ATTEMPTS + 2):
        assert run_due(registry) == 1
        (row,) = rows(work)
        assert (row.state, row.key) == (JobState.QUEUED, periodic_key(NAME))
        clock[0] = row.run_at


@pytest.fixture
def ids(queue: JobQueue) -> list[str | None]:
    from mealshare.core.log import request_id

    seen: list[str | None] = []
    queue.handlers[NAME] = lambda registry, payload: seen.append(request_id())
    return seen


def test_a_job_logs_under_the_request_that_wanted_it(registry: Any, work: Work, ids: list[str | None]) -> None:
    with request_context("request-7"):
        enqueue(work)
    enqueue(work)
    run_due(registry)
    assert ids[0] == "request-7"
    assert (ids[1] or "").startswith("job-")


def test_one_handler_for_each_name(queue: JobQueue) -> None:
    from pyramid.config import Configurator

    config = Configurator(settings={})
    config.include("mealshare.core.settings")
    config.include("mealshare.core.jobs")
    config.add_job(NAME, failing)
    with pytest.raises(ValueError, match=r"test\.cook has a handler already"):
        config.add_job(NAME, failing)
