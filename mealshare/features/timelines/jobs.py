"""What keeps home feeds full, after the commit of what happened; each step is a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.registry import Registry

from mealshare.core.settings import settings_of
from mealshare.features.timelines.service import TimelineService
from mealshare.features.timelines.settings import TimelineSettings

Step = Callable[[TimelineService, int], int | None]


def fan_out(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``timelines.fan_out``: write meals into the home feeds of their author's followers."""
    author_id, meal_ids = payload["author_id"], payload["meal_ids"]
    with registry["open_work"]() as work:
        pulled = _service(registry, work).settle(author_id)
    if not pulled:
        _step_by_step(registry, lambda service, after: service.fan_out(author_id, meal_ids, after))


def withdraw(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``timelines.withdraw``: take meals that are hidden out of the home feeds of their author's followers."""
    author_id, meal_ids = payload["author_id"], payload["meal_ids"]
    _step_by_step(registry, lambda service, after: service.withdraw(author_id, meal_ids, after))


def back_fill(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``timelines.back_fill``: bring an author's newest meals into the home feed of a new follower."""
    with registry["open_work"]() as work:
        _service(registry, work).back_fill(payload["account_id"], payload["author_id"])


def settle(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``timelines.settle``: write for an author's followers or let them look up, by how many there are."""
    author_id = payload["author_id"]
    with registry["open_work"]() as work:
        _service(registry, work).settle(author_id)
    _step_by_step(registry, lambda service, after: service.turn(author_id, after))


def _step_by_step(registry: Registry, step: Step) -> None:
    after: int | None = 0
    while after is not None:
        with registry["open_work"]() as work:
            after = step(_service(registry, work), after)


def _service(registry: Registry, work: Any) -> TimelineService:
    return TimelineService(work, settings_of(registry, TimelineSettings).pull_above)
