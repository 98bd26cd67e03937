"""Litestar with SQLAlchemy's asynchronous ORM, and msgspec for what goes out."""

# No `from __future__ import annotations`: Litestar reads the annotations of functions that are made within a function.
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Response, get, post
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import Parameter
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.frameworks.asynchronous import open_sessions
from benchmarks.frameworks.orm import Meal, one_meal, public_meals
from benchmarks.frameworks.posting import MealIn, post_meal
from benchmarks.frameworks.present import photo_urls
from benchmarks.frameworks.words import MAX_ID, PAGE, Unauthorized, claims_of, next_link, utc

KIND = "asgi"


class UserOut(msgspec.Struct):
    """Who ate it."""

    username: str
    display_name: str
    url: str


class PlaceOut(msgspec.Struct):
    """Where it was eaten."""

    name: str
    city: str
    country_code: str


class TagOut(msgspec.Struct):
    """A tag."""

    name: str


class PhotoOut(msgspec.Struct):
    """A picture."""

    id: str
    url: str
    preview_url: str
    description: str
    blurhash: str | None
    width: int | None
    height: int | None


class MealOut(msgspec.Struct):
    """A meal."""

    id: str
    url: str
    food: str
    note: str
    note_html: str
    meal_type: str
    eaten_at: datetime
    time_zone: str
    created_at: datetime
    visibility: str
    user: UserOut
    place: PlaceOut | None
    tags: list[TagOut]
    media: list[PhotoOut]
    likes_count: int
    comments_count: int
    ate_too_count: int


def meal_out(meal: Meal) -> MealOut:
    """The meal as a struct."""
    author, place = meal.author, meal.place
    return MealOut(
        str(meal.id), meal.url, meal.food, meal.note, meal.note_html, meal.meal_type, utc(meal.eaten_at), meal.time_zone,
        utc(meal.created_at), meal.visibility, UserOut(author.username, author.display_name, author.url),
        None if place is None else PlaceOut(place.name, place.city, place.country_code),
        [TagOut(name) for name in meal.tag_names],
        [
            PhotoOut(str(one.id), *photo_urls(one.storage_key), one.description, one.blurhash, one.width, one.height)
            for one in meal.photos
        ],
        meal.likes_count, meal.comments_count, meal.ate_too_count,
    )  # fmt: skip


def make_app(url: str) -> Litestar:
    """The application."""
    sessions = open_sessions(url)

    async def open_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def signed_in(
        authorization: Annotated[str | None, Parameter(header="Authorization")] = None,
    ) -> dict[str, Any]:
        try:
            return claims_of(authorization)
        except Unauthorized:
            raise NotAuthorizedException from None

    @get("/api/feed/public")
    async def feed(session: AsyncSession, max_id: int = MAX_ID) -> Response[list[MealOut]]:
        meals = (await session.scalars(public_meals(max_id))).all()
        headers = {"Link": next_link("/api/feed/public", meals[PAGE - 1].id)} if len(meals) > PAGE else {}
        return Response([meal_out(meal) for meal in meals[:PAGE]], headers=headers)

    @get("/api/meals/{id:int}")
    async def meal(id: int, session: AsyncSession) -> MealOut:
        found = (await session.scalars(one_meal(id))).one_or_none()
        if found is None:
            raise NotFoundException
        return meal_out(found)

    @post("/api/meals")
    async def create(data: MealIn, session: AsyncSession, claims: dict[str, Any]) -> MealOut:
        id = await session.run_sync(post_meal, claims, data)
        session.expire_all()
        return meal_out((await session.scalars(one_meal(id))).one())

    return Litestar(
        [feed, meal, create],
        dependencies={"session": Provide(open_session), "claims": Provide(signed_in)},
        openapi_config=None,
    )
