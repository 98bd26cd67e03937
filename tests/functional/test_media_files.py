"""Who gets which picture: the addresses of the files, for every viewer and every visibility."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from sqlalchemy import update
from webtest import Upload

from mealshare.core.clock import now
from mealshare.core.db import record_statements
from mealshare.features.accounts.models import Account
from tests.features.media.helpers import pictures, send, upload
from tests.people import form_with

SEEN = {"public": True, "unlisted": True, "followers": False, "only_me": False}


@pytest.fixture
def mei(make_user):
    return make_user("mei")


@pytest.fixture
def headers(app, mei, token):
    return token(app, mei)


@pytest.fixture
def shown(app, headers, picture, registry, run_jobs):
    """``shown(visibility)``: a new meal of Mei's with one picture that is ready."""

    def make(visibility="public"):
        id = send(app, headers, picture()).json["id"]
        run_jobs(registry)
        body = {"food": "soup", "visibility": visibility, "media": [{"id": id}]}
        return app.post_json("/api/meals", body, headers=headers, status=201).json

    return make


def plain(answer):
    """What a stranger learns from an answer."""
    changing = {"X-Request-Id", "Content-Length", "Set-Cookie"}
    return answer.status, {key: value for key, value in answer.headers.items() if key not in changing}


def test_headers(app, shown):
    url = shown()["media"][0]["url"]
    answer = app.get(url)
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"Cookie", "Authorization"} <= set(answer.headers["Vary"].split(", "))
    assert answer.headers["Content-Disposition"].startswith("inline; filename=")
    head = app.head(url)
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(answer.body))
    again = app.get(url, headers={"If-None-Match": answer.headers["ETag"]}, status=304)
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert again.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["ETag"] != app.get(shown()["media"][0]["url"]).headers["ETag"]
    cors = app.get(url, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in cors.headers


@pytest.mark.parametrize("visibility", SEEN)
def test_a_picture_is_seen_by_those_who_see_the_meal(app, new_app, headers, make_user, token, shown, visibility):
    [item] = shown(visibility)["media"]
    stranger = token(app, make_user("li"))
    missing = plain(new_app().get(f"/media/{'0' * 32}/1600.webp", status=404))
    for address in (item["url"], item["preview_url"]):
        etag = app.get(address, headers=headers).headers["ETag"]
        for viewer in ({}, stranger):
            status = 200 if SEEN[visibility] else 404
            answer = new_app().get(address, headers=viewer, status=status)
            if status == 404:
                assert plain(answer) == missing
            # What somebody kept of the picture does not tell whether it is still there.
            new_app().get(address, headers=viewer | {"If-None-Match": etag}, status=304 if status == 200 else 404)


def test_a_change_of_visibility_reaches_the_picture_at_once(app, new_app, headers, shown):
    meal = shown()
    url, address = meal["media"][0]["url"], f"/api/meals/{meal['id']}"
    for visibility in ("only_me", "public", "followers", "unlisted"):
        app.patch_json(address, {"visibility": visibility}, headers=headers)
        new_app().get(url, status=200 if SEEN[visibility] else 404)


def test_a_deleted_meal_has_no_picture(app, headers, shown, run_jobs, registry):
    meal = shown()
    url = meal["media"][0]["url"]
    app.delete(f"/api/meals/{meal['id']}", headers=headers, status=204)
    app.get(url, status=404)
    app.get(url, headers=headers, status=404)
    run_jobs(registry)
    assert list(registry["storage"].keys()) == []


def test_a_suspended_persons_picture_is_gone(app, mei, shown, registry):
    url = shown()["media"][0]["url"]
    with registry["open_work"]() as work:
        work.session.execute(update(Account).where(Account.id == mei.account_id).values(suspended_at=now()))
    app.get(url, status=404)


def test_an_unattached_picture_is_its_uploaders_alone(
    app, new_app, headers, make_user, token, picture, run_jobs, registry
):
    address = send(app, headers, picture()).headers["Location"]
    [row] = pictures(registry)
    file = f"/media/{row.storage_key}/400.webp"
    app.get(file, headers=headers, status=404)  # It is not ready.
    run_jobs(registry)
    app.get(file, headers=headers)
    new_app().get(file, status=404)
    new_app().get(file, headers=token(app, make_user("li")), status=404)
    assert app.get(address, headers=headers).json["preview_url"].endswith(file)


def test_a_visitor_sees_the_pictures_in_the_own_basket(app, new_app, picture, run_jobs, registry):
    form = form_with(app.get("/new"), "food")
    form["food"] = "shy soup"
    form.fields["photo"][0].value = Upload("soup.jpg", picture(), "image/jpeg")
    form.submit(status=303)
    run_jobs(registry)
    [row] = pictures(registry)
    file = f"/media/{row.storage_key}/1600.webp"
    app.get(file)
    new_app().get(file, status=404)
    other = new_app()
    other.set_cookie("basket", "x" * 43)
    other.get(file, status=404)


@pytest.mark.parametrize(
    "path",
    ["/media/{key}/800.webp", "/media/{key}/1600.jpg", "/media/{key}/original", "/media/{key}", "/originals/{key}",
     "/media/../originals/{key}", "/media/{upper}/400.webp", "/media/%00/400.webp", "/avatars/{key}.webp", "/avatars/x.webp"],
)  # fmt: skip
def test_nothing_else_is_served(app, headers, picture, registry, path):
    send(app, headers, picture())
    [row] = pictures(registry)
    app.get(path.format(key=row.storage_key, upper=row.storage_key.upper()), headers=headers, status=404)


def test_the_original_is_never_served_while_it_waits(app, headers, picture, registry):
    send(app, headers, picture())
    [row] = pictures(registry)
    for edge in (400, 1600):
        app.get(f"/media/{row.storage_key}/{edge}.webp", headers=headers, status=404)


def test_a_lost_file_is_404_and_no_server_error(app, shown, registry):
    url = shown()["media"][0]["url"]
    for file in list(registry["storage"].keys("media/")):
        registry["storage"].delete(file)
    app.get(url, status=404)


def test_a_picture_costs_one_statement(app, new_app, headers, shown):
    url = shown()["media"][0]["url"]
    visitor = new_app()
    etag = visitor.get(url).headers["ETag"]
    for extra in ({}, {"If-None-Match": etag}):
        with record_statements() as statements:
            visitor.get(url, headers=extra)
        assert len(statements) == 1, statements


def test_small_pictures_are_not_enlarged(app, mei, headers, picture, run_jobs, registry):
    upload(registry, picture("png", (30, 20)), account_id=mei.account_id)
    run_jobs(registry)
    [row] = pictures(registry)
    answer = app.get(f"/media/{row.storage_key}/1600.webp", headers=headers)
    assert Image.open(io.BytesIO(answer.body)).size == (30, 20)
