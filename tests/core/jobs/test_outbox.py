"""What a broker is to be told, and what becomes of its messages: late ones, early ones, two of a kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from mealshare.core.jobs.leases import LEASE
from mealshare.core.jobs.models import Job, JobState, Priority
from mealshare.core.jobs.outbox import BATCH, BELIEVED, Notice, Outbox
from mealshare.core.jobs.queue import JobQueue, retry_jobs

Work = Callable[[], Any]
NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
HIGH, NORMAL, LOW = "test.high", "test.normal", "test.low"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """``clock[0]`` is now."""
    hands = [NOON]
    for module in ("queue", "outbox"):
        monkeypatch.setattr(f"mealshare.core.jobs.{module}.now", lambda: hands[0])
    return hands


@pytest.fixture
def queue(registry: Any, monkeypatch: pytest.MonkeyPatch, clock: list[datetime]) -> JobQueue:
    """The application's queue with no other handlers than those of the test."""
    queue: JobQueue = registry["jobs"]
    priorities = {HIGH: Priority.HIGH, NORMAL: Priority.NORMAL, LOW: Priority.LOW}
    monkeypatch.setattr(queue, "handlers", dict.fromkeys(priorities, lambda registry, payload: None))
    monkeypatch.setattr(queue, "priorities", priorities)
    monkeypatch.setattr(queue, "periodic", {})
    return queue


@pytest.fixture
def tell(registry: Any, work: Work, queue: JobQueue) -> Callable[[], list[Notice]]:
    """Marks what is to be told and gives it; what nobody would look for must not be there either."""
    outbox: Outbox = registry["outbox"]

    def take() -> list[Notice]:
        with registry["read_engine"].connect() as connection:
            anything = outbox.anything(connection)
        with work() as unit:
            notices, _ = outbox.take(unit.session)
        assert anything is bool(notices)
        return notices

    return take


def enqueue(work: Work, name: str = NORMAL, **more: Any) -> int:
    """Leave a job behind; gives its id."""
    with work() as unit:
        unit.enqueue(name, {}, **more)
        unit.session.flush()
        return max(unit.session.scalars(select(Job.id)))


def claim_told(work: Work, id: int, **more: Any) -> Any:
    with work() as unit:
        return unit.queue.claim_told(unit.session, id, **more)


def test_each_job_is_told_once_the_urgent_first(work: Work, tell: Any) -> None:
    ids = {name: enqueue(work, name) for name in (LOW, NORMAL, HIGH)}
    assert tell() == [
        Notice(ids[HIGH], Priority.HIGH), Notice(ids[NORMAL], Priority.NORMAL), Notice(ids[LOW], Priority.LOW),
    ]  # fmt: skip
    assert tell() == []


def test_what_waits_for_its_time_is_told_then(work: Work, tell: Any, clock: list[datetime]) -> None:
    enqueue(work, run_at=NOON + timedelta(minutes=1))
    assert tell() == []
    clock[0] += timedelta(minutes=1)
    assert len(tell()) == 1


def test_a_batch_has_a_bound(work: Work, tell: Any) -> None:
    for _ in range(BATCH + 1):
        enqueue(work)
    assert len(tell()) == BATCH
    assert len(tell()) == 1


def test_what_the_broker_did_not_take_is_told_again_at_once(registry: Any, work: Work, tell: Any) -> None:
    enqueue(work)
    enqueue(work)
    outbox: Outbox = registry["outbox"]
    with work() as unit:
        (first, second), mark = outbox.take(unit.session)
    with work() as unit:
        outbox.give_back(unit.session, [second], mark)
    assert tell() == [second]
    # Somebody else has told it since: that mark is not ours to take off.
    with work() as unit:
        outbox.give_back(unit.session, [first], mark + timedelta(seconds=1))
    assert tell() == []


def test_a_message_that_does_not_come_is_believed_for_a_while(work: Work, tell: Any, clock: list[datetime]) -> None:
    id = enqueue(work)
    assert len(tell()) == 1
    clock[0] += BELIEVED
    assert tell() == []
    clock[0] += timedelta(seconds=1)
    assert [notice.id for notice in tell()] == [id]


def test_a_message_claims_its_job_and_a_second_one_nothing(work: Work, tell: Any) -> None:
    id = enqueue(work)
    tell()
    claimed = claim_told(work, id)
    assert (claimed.id, claimed.attempts) == (id, 1)
    assert claim_told(work, id) is None
    assert tell() == [], "what runs is told to nobody"
    with work() as unit:
        unit.queue.finish(unit.session, claimed)
    assert claim_told(work, id) is None


def test_a_message_about_a_job_that_failed_since_does_not_hurry_it(
    work: Work, tell: Any, clock: list[datetime]
) -> None:
    id = enqueue(work)
    tell()
    claimed = claim_told(work, id)
    with work() as unit:
        unit.queue.fail(unit.session, claimed, "burnt")
    assert claim_told(work, id) is None
    assert tell() == []
    clock[0] += timedelta(seconds=10)
    assert [notice.id for notice in tell()] == [id]
    assert claim_told(work, id).attempts == 2


def test_a_clock_that_is_late_does_not_lose_a_job(work: Work, tell: Any, clock: list[datetime]) -> None:
    """Whoever published it said that it was due."""
    id = enqueue(work, run_at=NOON + timedelta(seconds=3))
    clock[0] += timedelta(seconds=3)
    tell()
    clock[0] = NOON
    assert claim_told(work, id).id == id


def test_a_job_that_was_lost_with_its_worker_is_told_again_after_its_lease(
    work: Work, tell: Any, clock: list[datetime]
) -> None:
    id = enqueue(work)
    tell()
    claim_told(work, id)
    clock[0] += LEASE
    assert tell() == []
    assert claim_told(work, id) is None
    clock[0] += timedelta(seconds=1)
    assert [notice.id for notice in tell()] == [id]
    assert tell() == []
    assert claim_told(work, id).attempts == 2


def test_more_urgent_jobs_go_before_the_one_that_the_message_is_about(work: Work, queue: JobQueue) -> None:
    low, high, normal = enqueue(work, LOW), enqueue(work, HIGH), enqueue(work, NORMAL)
    assert claim_told(work, low).id == high
    assert claim_told(work, low).id == normal
    assert claim_told(work, low).id == low
    low, _ = enqueue(work, LOW), enqueue(work, HIGH)
    assert claim_told(work, low, urgent_first=False).id == low


def test_a_dead_job_that_is_revived_is_told_again(work: Work, tell: Any) -> None:
    id = enqueue(work, key="soup")
    tell()
    for revive in (lambda unit: retry_jobs(unit.session), lambda unit: unit.enqueue(NORMAL, {}, key="soup")):
        with work() as unit:
            unit.session.execute(update(Job).values(state=JobState.DEAD, published_at=NOON))
        assert claim_told(work, id) is None
        assert tell() == []
        with work() as unit:
            revive(unit)
        assert [notice.id for notice in tell()] == [id]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_two_relays_tell_different_jobs(registry: Any, work: Work, tell: Any) -> None:
    """Without waiting for each other."""
    enqueue(work)
    outbox: Outbox = registry["outbox"]
    with work() as one:
        assert len(outbox.take(one.session)[0]) == 1
        with work() as other:
            assert outbox.take(other.session)[0] == []


def test_a_lease_is_renewed_only_by_whoever_holds_it(work: Work, queue: JobQueue, clock: list[datetime]) -> None:
    id = enqueue(work)
    late = claim_told(work, id)
    clock[0] += LEASE + timedelta(seconds=1)
    current = claim_told(work, id)
    clock[0] += LEASE / 2
    with work() as unit:
        unit.queue.renew(unit.session, [late])
        assert unit.session.get(Job, id).leased_until == clock[0] + LEASE / 2
        unit.queue.renew(unit.session, [current])
    with work() as unit:
        assert unit.session.get(Job, id).leased_until == clock[0] + LEASE
