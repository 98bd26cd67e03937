"""Home feeds while people follow, leave and post at the same moment: nothing is left behind, nothing is missing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from mealshare.core.db import Window
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.schemas import MealInput
from mealshare.features.social.models import Follow
from mealshare.features.social.service import FollowService
from mealshare.features.timelines.models import TimelineEntry, TimelinePull
from mealshare.features.timelines.queries import home_of
from mealshare.features.timelines.service import TimelineService, unfollowed
from mealshare.features.timelines.settings import TimelineSettings

#: How long a step is given to run into what it must wait for.
A_MOMENT = 0.5


@pytest.fixture
def pair(make_user: Any, registry: Any, work: Any, run_jobs: Any) -> tuple[int, int]:
    """A reader and the author whom they follow."""
    reader, author = make_user("ann").account_id, make_user("mei").account_id
    with work() as unit:
        FollowService(unit).follow(reader, author)
    run_jobs(registry)
    return reader, author


def post(registry: Any, author: int, food: str = "soup") -> int:
    with registry["open_work"]() as unit:
        return int(make_meal_service(unit, registry).post(author, MealInput(food=food)).id)


def entries_of(registry: Any, reader: int, author: int) -> int:
    with registry["engine"].connect() as connection:
        mine = (TimelineEntry.account_id == reader, TimelineEntry.author_id == author)
        return int(connection.scalar(select(func.count()).select_from(TimelineEntry).where(*mine)) or 0)


def test_who_leaves_while_a_meal_is_written_for_them_finds_nothing_of_it(
    registry: Any, work: Any, pair: tuple[int, int]
) -> None:
    reader, author = pair
    meal = post(registry, author)

    def leave() -> None:
        with work() as unit:
            FollowService(unit).unfollow(reader, author)

    with work() as unit, ThreadPoolExecutor(1) as pool:
        assert TimelineService(unit, 1000).fan_out(author, [meal], 0) is not None
        leaving = pool.submit(leave)
        threading.Event().wait(A_MOMENT)
        assert not leaving.done()
        unit.session.commit()
        leaving.result(30)
    assert entries_of(registry, reader, author) == 0


def test_for_whom_is_leaving_nothing_is_written(registry: Any, work: Any, pair: tuple[int, int]) -> None:
    reader, author = pair
    meal = post(registry, author)

    def write(step: Callable[[TimelineService], Any]) -> None:
        with work() as unit:
            step(TimelineService(unit, 1000))

    for step in (
        lambda service: service.fan_out(author, [meal], 0),
        lambda service: service.back_fill(reader, author),
    ):
        with work() as unit, ThreadPoolExecutor(1) as pool:
            # The two steps of an unfollow, with the other transaction between them.
            unit.session.execute(delete(Follow).where(Follow.account_id == reader, Follow.target_id == author))
            writing = pool.submit(write, step)
            threading.Event().wait(A_MOMENT)
            assert not writing.done()
            delete_entries(unit, reader, author)
            unit.session.commit()
            writing.result(30)
        assert entries_of(registry, reader, author) == 0
        with work() as unit:
            FollowService(unit).follow(reader, author)


def delete_entries(unit: Any, reader: int, author: int) -> None:
    from mealshare.features.social.events import Unfollowed

    unfollowed(unit, Unfollowed(reader, author))


@pytest.fixture
def low_threshold(registry: Any) -> Iterator[None]:
    """Authors are looked up from five followers on, and again written for below two and a half."""
    before = registry["settings"][TimelineSettings]
    registry["settings"][TimelineSettings] = TimelineSettings(pull_above=5)
    yield
    registry["settings"][TimelineSettings] = before


def test_in_the_end_each_home_feed_is_what_the_follows_say(
    registry: Any, work: Any, make_user: Any, run_jobs: Any, low_threshold: None
) -> None:
    author = make_user("mei").account_id
    fans = [make_user(f"fan{number}").account_id for number in range(8)]
    posted: list[int] = []
    done = threading.Event()

    def come_and_go(number: int) -> None:
        dice = random.Random(number)
        for _ in range(6):
            with work() as unit:
                service = FollowService(unit)
                change = service.follow if dice.random() < 0.7 else service.unfollow
                change(fans[number], author)

    def write() -> None:
        for number in range(12):
            posted.append(post(registry, author, f"dish {number}"))

    def run() -> None:
        while not done.is_set():
            run_jobs(registry, 3)

    with ThreadPoolExecutor(11) as pool:
        workers = [pool.submit(run) for _ in range(2)]
        actors = [pool.submit(come_and_go, number) for number in range(8)] + [pool.submit(write)]
        try:
            for actor in actors:
                actor.result(120)
        finally:
            done.set()
        for worker in workers:
            worker.result(60)
    run_jobs(registry)
    with registry["read_engine"].connect() as connection:
        following = set(connection.scalars(select(Follow.account_id)))
        for fan in fans:
            page = home_of(connection, fan).meals.page(connection, Window(limit=50), fan)
            found = [card.id for card in page.items]
            assert found == (posted[::-1] if fan in following else []), fan
        pulls = set(connection.scalars(select(TimelinePull.account_id))) - {author}
        assert pulls in (set(), following)
        strangers = select(func.count()).where(TimelineEntry.account_id.not_in({*following, author}))
        assert connection.scalar(strangers) == 0
