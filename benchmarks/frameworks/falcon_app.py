"""Falcon with SQLAlchemy's ORM, orjson and pydantic."""

from __future__ import annotations

from typing import Any

import falcon
import orjson
from falcon import media
from pydantic import ValidationError
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from benchmarks.frameworks.orm import one_meal, prepare_sqlite, public_meals
from benchmarks.frameworks.posting import MealIn, post_meal
from benchmarks.frameworks.present import meal_json
from benchmarks.frameworks.words import MAX_ID, PAGE, Unauthorized, claims_of, next_link

KIND = "wsgi"


def make_app(url: str) -> Any:
    """The application."""
    engine = create_engine(url, pool_size=10)
    prepare_sqlite(engine)
    sessions = sessionmaker(engine)

    class Feed:
        """The public feed."""

        def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
            max_id = request.get_param_as_int("max_id", min_value=1, default=MAX_ID)
            with sessions() as session:
                meals = session.scalars(public_meals(max_id)).all()
                response.media = [meal_json(meal) for meal in meals[:PAGE]]
            if len(meals) > PAGE:
                response.set_header("Link", next_link("/api/feed/public", meals[PAGE - 1].id))

    class Meals:
        """Posting."""

        def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
            claims = claims_of(request.get_header("Authorization"))
            given = MealIn.model_validate_json(request.bounded_stream.read())
            with sessions() as session:
                id = post_meal(session, claims, given)
                response.media = meal_json(session.scalars(one_meal(id)).one())
            response.status = falcon.HTTP_201

    class OneMeal:
        """One meal."""

        def on_get(self, request: falcon.Request, response: falcon.Response, id: int) -> None:
            with sessions() as session:
                meal = session.scalars(one_meal(id)).one_or_none()
                if meal is None:
                    raise falcon.HTTPNotFound
                response.media = meal_json(meal)

    def unauthorized(_request: Any, _response: Any, _error: Any, _parameters: Any) -> None:
        raise falcon.HTTPUnauthorized

    def invalid(_request: Any, _response: Any, error: ValidationError, _parameters: Any) -> None:
        raise falcon.HTTPUnprocessableEntity(description=str(error))

    app = falcon.App()
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = media.JSONHandler(dumps=orjson.dumps, loads=orjson.loads)
    app.add_error_handler(Unauthorized, unauthorized)
    app.add_error_handler(ValidationError, invalid)
    app.add_route("/api/feed/public", Feed())
    app.add_route("/api/meals", Meals())
    app.add_route("/api/meals/{id:int}", OneMeal())
    return app
