"""A request never waits for a second connection while it holds one: with a pool of one, everything still works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from webtest import TestApp, Upload

from mealshare import main
from mealshare.core.jobs import run_due
from tests.people import PASSWORD, add_user, bearer, form_with, sign_in
from tests.sites import site_settings

ONE = {"db.pool_size": "1", "db.pool_overflow": "0", "db.pool_timeout": "1", "jobs.engine": "worker"}


@pytest.fixture
def alone(database_url: str, tmp_path: Path) -> Iterator[TestApp]:
    """A visitor at a site whose pool has one connection."""
    application = main({}, **site_settings(tmp_path, database_url, "http://localhost"), **ONE)
    yield TestApp(application)
    application.registry["engine"].dispose()


def test_a_visitor_posts_with_a_photo_and_registers(alone: TestApp, picture) -> None:
    form = form_with(alone.get("/"), "food")
    form["food"] = "soup"
    form.fields["photo"][0].value = Upload("soup.jpg", picture(), "image/jpeg")
    page = form.submit(status=303).follow()
    form = form_with(page, "password")
    form["username"], form["email"], form["password"] = "mei", "mei@example.org", PASSWORD
    assert "soup" in form.submit(status=303).follow()
    assert run_due(alone.app.registry) >= 1


def test_a_person_posts_and_edits_with_photos(alone: TestApp, picture) -> None:
    sign_in(alone, add_user(alone.app.registry, "mei"))
    form = form_with(alone.get("/new"), "food")
    form.fields["photo"][0].value = Upload("soup.jpg", picture(), "image/jpeg")
    path = form.submit(status=303).headers["Location"]
    form = form_with(alone.get(f"{path}/edit"), "food")
    form["food"] = "soup"
    form.fields["photo"][0].value = Upload("soup.png", picture("png"), "image/png")
    form.submit(status=303)


def test_a_used_address_and_a_used_refresh_token(alone: TestApp) -> None:
    mei = add_user(alone.app.registry, "mei")
    taken = {"username": "tom", "email": mei.email, "password": PASSWORD}
    assert alone.post_json("/api/users", taken, status=422).json["errors"][0]["code"] == "email_unusable"
    pair = alone.post_json("/api/login", {"username": "mei", "password": mei.password}).json
    for status in (200, 401):
        alone.post_json("/api/token/refresh", {"refresh_token": pair["refresh_token"]}, status=status)
    alone.post_json("/api/meals", {"food": "soup"}, headers=bearer(alone, mei), status=201)


def test_requests_that_come_twice(alone: TestApp) -> None:
    mei = add_user(alone.app.registry, "mei")
    headers = bearer(alone, mei) | {"Idempotency-Key": "one"}
    for _ in range(2):
        alone.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
    alone.post_json("/api/meals", {"food": "rice"}, headers=headers, status=422)
    headers["Idempotency-Key"] = "two"
    alone.post_json("/api/meals", {"food": "soup", "media": [{"id": "1"}]}, headers=headers, status=422)
    alone.delete("/api/meals/1", headers=headers, status=404)
