"""A meal and its pictures are changed at once: everybody locks the meal first, then its pictures, so nobody waits in a circle."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from mealshare.core.errors import InputInvalid
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import Post
from mealshare.features.meals.queries import meal_entity
from mealshare.features.meals.schemas import MealInput, MediaRef
from mealshare.features.media import jobs
from mealshare.features.media.factory import media_service
from mealshare.features.media.models import Media
from tests.features.media.helpers import pictures, stored, upload
from tests.functional.races import until_somebody_waits

#: What happens to a picture without its meal being edited.
Change = Callable[[Any, int, int], None]


def process(registry: Any, account_id: int, media_id: int) -> None:
    jobs.process(registry, {"media_id": media_id})


def describe(registry: Any, account_id: int, media_id: int) -> None:
    with registry["open_work"]() as work:
        media_service(work, registry).describe(account_id, media_id, "noodles in a bowl")


def remove(registry: Any, account_id: int, media_id: int) -> None:
    with registry["open_work"]() as work:
        media_service(work, registry).remove(account_id, media_id)


CHANGES = pytest.mark.parametrize("change", [process, describe, remove])


@pytest.fixture
def mei(make_user: Any) -> int:
    return int(make_user("mei").account_id)


def ref(media_id: int) -> MediaRef:
    return MediaRef.model_validate({"id": str(media_id)})


def post(registry: Any, account_id: int, *media: int) -> int:
    said = MealInput(food="noodles", media=[ref(id) for id in media])
    with registry["open_work"]() as work:
        return int(make_meal_service(work, registry).post(account_id, said).id)


def version(registry: Any, meal_id: int) -> int:
    with registry["read_engine"].connect() as connection:
        return int(connection.scalar(select(Post.version).where(Post.id == meal_id)) or 0)


@CHANGES
def test_whoever_has_the_meal_gets_its_pictures(
    registry: Any, work: Any, mei: int, picture: Any, backend: str, change: Change
) -> None:
    media = upload(registry, picture(), account_id=mei)
    meal = post(registry, mei, media)
    before = version(registry, meal)
    with ThreadPoolExecutor(1) as pool:
        with work() as unit:
            assert meal_entity(unit.session, meal, mei) is not None
            changing = pool.submit(change, registry, mei, media)
            until_somebody_waits(registry, backend)
            pictures_of_it = select(Media.id).where(Media.post_id == meal).with_for_update(nowait=True)
            assert unit.session.scalars(pictures_of_it).all() == [media], "the picture is held by one who waits"
        changing.result(30)
    assert version(registry, meal) == before + 1


@CHANGES
def test_a_picture_that_comes_into_a_meal_meanwhile(
    registry: Any, work: Any, mei: int, picture: Any, backend: str, change: Change
) -> None:
    """It was in no meal when it was looked for, and is in one once its lock is to be had; somebody waits for that meal."""
    media = upload(registry, picture(), account_id=mei)
    meal = post(registry, mei)
    said = MealInput(food="noodles", media=[ref(media)])

    def edit() -> None:
        with registry["open_work"]() as other:
            make_meal_service(other, registry).edit(mei, meal, said.model_copy(update={"food": "rice"}))

    with ThreadPoolExecutor(2) as pool:
        with work() as unit:
            make_meal_service(unit, registry).edit(mei, meal, said)
            unit.session.flush()
            editing = pool.submit(edit)
            until_somebody_waits(registry, backend)
            changing = pool.submit(change, registry, mei, media)
            until_somebody_waits(registry, backend, number=2)
        if change is remove:
            # Either comes first; whoever names a picture that has gone is told so.
            changing.result(30)
            refused = editing.exception(30)
            assert refused is None or isinstance(refused, InputInvalid)
            assert pictures(registry) == []
            assert version(registry, meal) == 4 - (refused is not None)
        else:
            changing.result(30)
            editing.result(30)
            assert version(registry, meal) == 4


def test_a_meal_that_is_deleted_while_its_picture_is_made(
    registry: Any, work: Any, mei: int, picture: Any, backend: str
) -> None:
    media = upload(registry, picture(), account_id=mei)
    meal = post(registry, mei, media)
    with ThreadPoolExecutor(1) as pool:
        with work() as unit:
            assert meal_entity(unit.session, meal, mei) is not None
            processing = pool.submit(process, registry, mei, media)
            until_somebody_waits(registry, backend)
            make_meal_service(unit, registry).delete(mei, meal)
        processing.result(30)
    assert pictures(registry) == []
    assert [file for file in stored(registry) if not file.startswith("originals/")] == []
