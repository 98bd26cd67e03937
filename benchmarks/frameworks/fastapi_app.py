"""FastAPI with SQLAlchemy's asynchronous ORM and pydantic."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made within a function.
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.frameworks.asynchronous import open_sessions
from benchmarks.frameworks.orm import one_meal, public_meals
from benchmarks.frameworks.posting import MealIn, post_meal
from benchmarks.frameworks.present import MealOut, meal_out
from benchmarks.frameworks.words import MAX_ID, PAGE, Unauthorized, claims_of, next_link

KIND = "asgi"


def make_app(url: str) -> FastAPI:
    """The application."""
    sessions = open_sessions(url)
    app = FastAPI()

    async def open_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def signed_in(authorization: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        try:
            return claims_of(authorization)
        except Unauthorized:
            raise HTTPException(401) from None

    Session = Annotated[AsyncSession, Depends(open_session)]

    @app.get("/api/feed/public")
    async def feed(session: Session, response: Response, max_id: int = MAX_ID) -> list[MealOut]:
        meals = (await session.scalars(public_meals(max_id))).all()
        if len(meals) > PAGE:
            response.headers["Link"] = next_link("/api/feed/public", meals[PAGE - 1].id)
        return [meal_out(meal) for meal in meals[:PAGE]]

    @app.get("/api/meals/{id}")
    async def meal(id: int, session: Session) -> MealOut:
        found = (await session.scalars(one_meal(id))).one_or_none()
        if found is None:
            raise HTTPException(404)
        return meal_out(found)

    @app.post("/api/meals", status_code=201)
    async def post(given: MealIn, session: Session, claims: Annotated[dict[str, Any], Depends(signed_in)]) -> MealOut:
        id = await session.run_sync(post_meal, claims, given)
        session.expire_all()
        return meal_out((await session.scalars(one_meal(id))).one())

    return app
