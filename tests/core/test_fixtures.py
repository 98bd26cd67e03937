"""The fixtures do what other tests take for granted."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from mealshare.core.db import Base
from mealshare.features.accounts.models import Account
from mealshare.features.meals.factory import make_meal_service
from tests.factories import MealInputFactory


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_site(
    app: Any, registry: Any, make_user: Any, picture: Any, token: Any, turn: int
) -> None:
    with registry["read_engine"].connect() as connection:
        for table in Base.metadata.sorted_tables:
            assert connection.scalar(select(func.count()).select_from(table)) == 0, table.name
    assert list(registry["storage"].keys()) == []
    assert registry["cache"].get("turn") is None
    assert registry["fragments"].get(("turn",)) is None
    # What the second turn must not find.
    registry["cache"].set("turn", b"1", None)
    registry["fragments"].put(("turn",), 1, 8)
    headers = token(app, make_user("ada"))
    app.post("/api/media", upload_files=[("file", "soup.jpg", picture())], headers=headers, status=202)
    assert list(registry["storage"].keys())


def test_people_sign_in_by_form_and_by_token(app: Any, make_user: Any, login: Any, token: Any) -> None:
    ada = make_user("ada", display_name="Ada L.", role="admin")
    assert "Ada L." not in app.get("/").text
    login(app, ada)
    assert "Ada L." in app.get("/").text
    assert token(app, ada)["Authorization"].startswith("Bearer ")


def test_people_of_whom_nothing_is_said_differ(make_user: Any) -> None:
    one, other = make_user(), make_user()
    assert one.username != other.username
    assert one.account_id != other.account_id


def test_a_meal_of_which_nothing_is_said_can_be_posted(registry: Any, make_user: Any, work: Any) -> None:
    meals = [MealInputFactory(), MealInputFactory(visibility="unlisted", note="#soup")]
    ada = make_user()
    with work() as unit:
        service = make_meal_service(unit, registry)
        posted = [service.post(ada.account_id, meal) for meal in meals]
    assert posted[0].food != posted[1].food
    assert posted[1].tag_names == ["soup"]


def test_what_a_unit_of_work_writes_is_committed(registry: Any, work: Any) -> None:
    with work() as unit:
        unit.session.add(Account(username="ada", uri="http://localhost/users/ada", url="http://localhost/@ada"))
    with registry["read_engine"].connect() as connection:
        assert connection.scalar(select(Account.username)) == "ada"


def test_statements_of_a_request_are_counted(app: Any, count_statements: Any) -> None:
    app.get("/")
    with count_statements() as statements:
        app.get("/")
    assert statements
    assert all(statement.lstrip().upper().startswith(("SELECT", "WITH")) for statement in statements)


def test_limits_hold_only_when_asked_for(registry: Any) -> None:
    assert all(registry["ratelimit"].hit("signup", "somewhere").allowed for _ in range(20))


def test_limits_hold_when_asked_for(rate_limits: Any) -> None:
    assert [rate_limits.hit("signup", "somewhere").allowed for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "avif"])
def test_pictures_are_what_they_say(picture: Any, kind: str) -> None:
    with Image.open(io.BytesIO(picture(kind, (120, 90)))) as opened:
        assert (opened.format or "").lower() == kind
        assert opened.size == (120, 90)
