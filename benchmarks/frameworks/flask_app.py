"""Flask with SQLAlchemy's ORM, Jinja2 and pydantic."""

from __future__ import annotations

from flask import Flask, Response, abort, g, jsonify, render_template, request
from pydantic import ValidationError
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.frameworks.orm import Meal, one_meal, prepare_sqlite, public_meals
from benchmarks.frameworks.posting import MealIn, post_meal
from benchmarks.frameworks.present import meal_json
from benchmarks.frameworks.words import LABELS, MAX_ID, PAGE, Unauthorized, claims_of, iso, next_link, place_path

KIND = "wsgi"


def make_app(url: str) -> Flask:
    """The application."""
    app = Flask(__name__)
    app.jinja_env.globals.update(labels=LABELS, place_path=place_path, iso=iso)
    engine = create_engine(url, pool_size=10)
    prepare_sqlite(engine)
    sessions = sessionmaker(engine)

    def session() -> Session:
        if "session" not in g:
            g.session = sessions()
        return g.session

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        opened = g.pop("session", None)
        if opened is not None:
            opened.close()

    @app.errorhandler(Unauthorized)
    def unauthorized(_error: Unauthorized) -> tuple[Response, int]:
        return jsonify(error="token"), 401

    @app.errorhandler(ValidationError)
    def invalid(error: ValidationError) -> tuple[Response, int]:
        return jsonify(errors=error.errors(include_url=False, include_context=False)), 422

    def page() -> list[Meal]:
        return list(session().scalars(public_meals(request.args.get("max_id", MAX_ID, type=int))))

    @app.get("/api/feed/public")
    def feed() -> Response:
        meals = page()
        answer = jsonify([meal_json(meal) for meal in meals[:PAGE]])
        if len(meals) > PAGE:
            answer.headers["Link"] = next_link("/api/feed/public", meals[PAGE - 1].id)
        return answer

    @app.get("/")
    def front() -> str:
        meals = page()
        older = meals[PAGE - 1].id if len(meals) > PAGE else None
        return render_template("front.html", meals=meals[:PAGE], older=older)

    @app.get("/api/meals/<int:id>")
    def meal(id: int) -> Response:
        found = session().scalars(one_meal(id)).one_or_none()
        if found is None:
            abort(404)
        return jsonify(meal_json(found))

    @app.post("/api/meals")
    def post() -> tuple[Response, int]:
        claims = claims_of(request.headers.get("Authorization"))
        given = MealIn.model_validate_json(request.get_data())
        id = post_meal(session(), claims, given)
        return jsonify(meal_json(session().scalars(one_meal(id)).one())), 201

    return app
