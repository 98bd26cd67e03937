"""The unit of work: events inside the transaction, jobs with it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from pyramid.config import Configurator
from sqlalchemy import func, select, text

from mealshare.core.jobs.models import Job
from mealshare.core.work import EventBus, Work


@dataclass(frozen=True)
class Cooked:
    dish: str


@dataclass(frozen=True)
class Burnt(Cooked):
    pass


NAME = "test.cook"


@pytest.fixture
def bus(registry: Any, monkeypatch: pytest.MonkeyPatch) -> EventBus:
    """An empty bus in the place of the application's, and a job that units of work may leave."""
    bus: EventBus = registry["events"]
    monkeypatch.setattr(bus, "handlers", EventBus().handlers)
    monkeypatch.setitem(registry["jobs"].handlers, NAME, lambda registry, payload: None)
    return bus


def jobs(work: Any) -> int:
    with work() as unit:
        return int(unit.session.scalar(select(func.count()).select_from(Job)))


def test_subscribers_hear_an_event_at_once_in_their_order_with_the_same_work(work: Any, bus: EventBus) -> None:
    heard: list[Any] = []
    bus.subscribe(Cooked, lambda unit, event: heard.append((1, unit, event.dish)))
    bus.subscribe(Cooked, lambda unit, event: heard.append((2, unit, event.dish)))
    with work() as unit:
        unit.publish(Cooked("soup"))
        assert heard == [(1, unit, "soup"), (2, unit, "soup")]


def test_an_event_is_of_its_own_class_only(work: Any, bus: EventBus) -> None:
    heard: list[str] = []
    bus.subscribe(Cooked, lambda unit, event: heard.append(event.dish))
    with work() as unit:
        unit.publish(Burnt("rice"))
        unit.publish("a word")
    assert heard == []


def test_what_a_subscriber_writes_stands_or_falls_with_the_rest(work: Any, bus: EventBus) -> None:
    bus.subscribe(Cooked, lambda unit, event: unit.enqueue(NAME, {"dish": event.dish}))
    with pytest.raises(ZeroDivisionError), work() as unit:
        unit.publish(Cooked("soup"))
        raise ZeroDivisionError
    assert jobs(work) == 0
    with work() as unit:
        unit.publish(Cooked("soup"))
    assert jobs(work) == 1


def test_a_subscriber_that_fails_takes_everything_back(work: Any, bus: EventBus) -> None:
    def fail(unit: Work, event: Cooked) -> None:
        raise LookupError(event.dish)

    bus.subscribe(Cooked, fail)
    with pytest.raises(LookupError), work() as unit:
        unit.enqueue(NAME, {})
        unit.publish(Cooked("soup"))
    assert jobs(work) == 0


def test_its_connection_sees_what_it_has_written(work: Any, bus: EventBus) -> None:
    with work() as unit:
        unit.enqueue(NAME, {})
        assert unit.connection.execute(text("SELECT count(*) FROM jobs")).scalar() == 1
        assert unit.connection is unit.session.connection()
    with pytest.raises(dataclasses.FrozenInstanceError):
        unit.session = None


def test_it_gives_its_connection_back_whatever_happens(registry: Any, work: Any, bus: EventBus) -> None:
    pool = registry["engine"].pool
    before = pool.checkedout()
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error), work() as unit:
            unit.enqueue(NAME, {})
            raise error
    assert pool.checkedout() == before
    assert jobs(work) == 0


def test_the_directive_subscribes() -> None:
    config = Configurator(settings={})
    config.registry["jobs"] = None
    config.include("mealshare.core.work")
    heard: list[Any] = []
    config.subscribe(Cooked, lambda unit, event: heard.append(event))
    Work(None, config.registry["events"], None).publish(Cooked("soup"))
    assert heard == [Cooked("soup")]
