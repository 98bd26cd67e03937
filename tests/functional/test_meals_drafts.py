"""A meal that a visitor wrote, and that cannot be published when the account is there: nothing of it, and nothing lost."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from webtest import TestApp, TestResponse, Upload

from mealshare.features.meals.models import Post
from tests.people import form_with


def keep(app: TestApp, picture: Any, times: int, **fields: str) -> None:
    """Write a meal as a visitor, with two more pictures at each of ``times``."""
    for _ in range(times):
        form = form_with(app.get("/new"), "food")
        for name, value in fields.items():
            form[name] = value
        for field in form.fields["photo"][:2]:
            field.value = Upload("soup.jpg", picture(size=(60, 40)), "image/jpeg")
        assert form.submit(status=303).headers["Location"].endswith("/register")


def register(app: TestApp) -> TestResponse:
    """Register; gives the page that comes then."""
    form = form_with(app.get("/register"), "password")
    form["username"], form["email"], form["password"] = "newcomer", "new@example.org", "plum cobbler on a tuesday"
    return form.submit(status=303).follow()


def count_posts(registry: Any) -> int:
    """How many posts there are, whoever may see them."""
    with registry["read_engine"].connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(Post.__table__)) or 0)


@pytest.fixture
def refused(app, picture):
    """The page after registering with a meal that has six pictures, two more than a meal may have."""
    keep(app, picture, 3, food="Shy soup", note="With #dill")
    return register(app)


def test_no_half_meal_is_published(refused, registry):
    assert "could not be published" in refused
    assert count_posts(registry) == 0


def test_its_words_and_pictures_are_in_the_form(refused, app):
    assert refused.request.path == "/new"
    form = form_with(refused, "food")
    assert form["food"].value == "Shy soup"
    assert form["note"].value == "With #dill"
    assert len(form.fields["media_id"]) == 6


def test_it_can_be_mended_and_is_then_forgotten(refused, app, registry):
    form = form_with(refused, "food")
    for box in form.fields["media_remove"][:2]:
        box.checked = True
    assert form.submit(status=303).follow().html.find("h1").text == "Shy soup"
    assert count_posts(registry) == 1
    (meal,) = app.get("/api/feed/public").json
    assert len(meal["media"]) == 4
    assert form_with(app.get("/new"), "food")["food"].value == ""
