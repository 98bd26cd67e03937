"""Pictures over JSON, as a program uploads them: honest ones, hostile ones, somebody else's."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest
from PIL import Image
from webtest import TestApp

from tests.features.media import corpus
from tests.features.media.helpers import pictures, send, stored

WORDS = "Noodles with two eggs"


@pytest.fixture
def mei(make_user):
    return make_user("mei")


@pytest.fixture
def headers(app, mei, token):
    return token(app, mei)


def test_upload_poll_use(app, headers, picture, run_jobs, registry):
    answer = app.post(
        "/api/media",
        {"description": WORDS},
        upload_files=[("file", "IMG_1.JPG", picture())],
        headers=headers,
        status=202,
    )
    item = answer.json
    assert answer.headers["Location"] == f"http://localhost/api/media/{item['id']}"
    assert item == {
        "id": item["id"], "type": "image", "url": None, "preview_url": None, "description": WORDS, "blurhash": None,
        "width": None, "height": None, "state": "processing", "error": None,
    }  # fmt: skip
    waiting = app.get(f"/api/media/{item['id']}", headers=headers)
    assert waiting.json == item
    run_jobs(registry)
    ready = app.get(f"/api/media/{item['id']}", headers=headers | {"If-None-Match": waiting.headers["ETag"]})
    assert ready.json["state"] == "ready"
    assert (ready.json["width"], ready.json["height"]) == (800, 600)
    assert len(ready.json["blurhash"]) > 20
    app.get(f"/api/media/{item['id']}", headers=headers | {"If-None-Match": ready.headers["ETag"]}, status=304)
    meal = app.post_json("/api/meals", {"media": [{"id": item["id"]}]}, headers=headers, status=201).json
    [shown] = meal["media"]
    assert shown["description"] == WORDS
    for address, longest in ((shown["url"], 800), (shown["preview_url"], 400)):
        file = app.get(address)
        assert file.content_type == "image/webp"
        assert max(Image.open(io.BytesIO(file.body)).size) == longest


def test_every_kind_is_taken_whatever_its_name(app, headers, picture, run_jobs, registry):
    for kind in ("jpeg", "png", "webp", "gif", "avif"):
        id = send(app, headers, picture(kind), name="evil.html", status=202).json["id"]
        run_jobs(registry)
        assert app.get(f"/api/media/{id}", headers=headers).json["state"] == "ready"


def test_a_meal_need_not_wait_and_changes_when_the_picture_is_ready(app, headers, picture, run_jobs, registry):
    id = send(app, headers, picture()).json["id"]
    meal = app.post_json("/api/meals", {"media": [{"id": id}]}, headers=headers, status=201).json
    assert meal["media"][0]["state"] == "processing"
    run_jobs(registry)
    after = app.get(f"/api/meals/{meal['id']}").json
    assert after["media"][0]["state"] == "ready"
    assert after["version"] > meal["version"]


def test_a_stored_picture_has_no_metadata(app, headers, run_jobs, registry):
    for kind in ("JPEG", "PNG", "WEBP"):
        send(app, headers, corpus.all_metadata(kind), status=202)
    run_jobs(registry)
    files = stored(registry)
    assert len(files) == 6
    for file in files:
        data = registry["storage"].path(file).read_bytes()
        assert corpus.SECRET not in data
        assert b"EXIF" not in data
        assert b"XMP " not in data
        assert b"ICCP" not in data


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"<html><script>alert(1)</script>", 415, "picture_unsupported_type"),
        (SVG, 415, "picture_unsupported_type"),
        (b"%PDF-1.7", 415, "picture_unsupported_type"),
        (b"\xff\xd8\xff" + b"\0" * 100, 422, "picture_broken"),
        (b"\x89PNG\r\n\x1a\n", 422, "picture_broken"),
        (corpus.png(60_000, 60_000), 422, "picture_too_many_pixels"),
        (b"\xff\xd8\xff" + b"x" * 12_000_000, 413, "picture_too_large"),
        (b"", 422, "empty_file"),
    ],
)
def test_a_bad_file_is_refused_and_leaves_nothing(app, headers, registry, run_jobs, data, status, code):
    problem = send(app, headers, data, status=status)
    assert problem.content_type == "application/problem+json"
    if status == 422:
        [error] = problem.json["errors"]
        assert (error["pointer"], error["code"]) == ("#/file", code)
        assert "$" not in error["detail"]
    else:
        assert problem.json["type"].endswith(f"/{code}")
    assert stored(registry) == []
    assert pictures(registry) == []
    assert run_jobs(registry) == 0


def test_hostile_files_are_never_a_server_error_and_leave_only_pictures(app, headers, registry, run_jobs):
    # Those that take long to make or to decode are tested on the pipeline alone.
    slow = ("MP", "frames", "never ends", "noise")
    files = [make() for name, make in corpus.HOSTILE.items() if not any(word in name for word in slow)]
    files += [broken for data in corpus.samples().values() for broken in corpus.mutations(data, count=6, seed=7)]
    outcomes = set()
    for data in files:
        outcomes.add(send(app, headers, data, expect_errors=True).status_int)
    assert outcomes == {202, 415, 422}
    run_jobs(registry)
    rows = pictures(registry)
    assert {row.state for row in rows} == {"ready", "failed"}
    ready = [row.storage_key for row in rows if row.state == "ready"]
    assert stored(registry) == sorted(f"media/{key}-{edge}.webp" for key in ready for edge in (400, 1600))
    assert all(app.get(f"/api/media/{row.id}", headers=headers).json["error"] for row in rows if row.state == "failed")


@pytest.mark.parametrize(
    ("fields", "files", "pointer", "code"),
    [
        ({"file": "just words"}, [], "#/file", "wrong_type"),
        ({}, [("other", "a.jpg", b"x")], "#/file", "missing"),
        ({}, [("file", "a.jpg", b"x"), ("file", "b.jpg", b"y")], "#/file", "duplicate"),
        ({"description": "x" * 1501}, [("file", "a.jpg", b"x")], "#/description", "too_long"),
        ({"description": "a\0b"}, [("file", "a.jpg", b"x")], "#/description", "control_characters"),
        ({"account_id": "1"}, [("file", "a.jpg", b"x")], "#/account_id", "unknown"),
    ],
)
def test_a_bad_form_is_explained(app, headers, registry, fields, files, pointer, code):
    padded = files or [("nothing", "n", b"n")]
    problem = app.post("/api/media", fields, upload_files=padded, headers=headers, status=422).json
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in problem["errors"]]
    assert stored(registry) == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"file": "x"}', 415),
        ("image/jpeg", b"\xff\xd8\xff", 415),
        ("multipart/form-data", b"no boundary", 400),
        ("multipart/form-data; boundary=x", b"", 422),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nabc", 422),
    ],
)
def test_another_body_is_no_upload(app, headers, content_type, body, status):
    app.post("/api/media", body, headers=headers | {"Content-Type": content_type}, status=status)


def test_visitors_cannot_upload(app, picture, registry):
    problem = send(app, {}, picture(), status=401)
    assert "WWW-Authenticate" in problem.headers
    assert stored(registry) == []


def test_a_browser_session_needs_the_csrf_token(app, make_user, login, picture, registry):
    login(app, make_user("li"))
    send(app, {}, picture(), status=403)
    assert stored(registry) == []


def test_others_have_no_such_picture(app, headers, make_user, token, picture, registry):
    id = send(app, headers, picture()).json["id"]
    other = token(app, make_user("li"))
    missing = app.get("/api/media/1", headers=other, status=404).json
    hidden = app.get(f"/api/media/{id}", headers=other, status=404).json
    for problem in (missing, hidden):
        problem.pop("instance")
        problem.pop("request_id", None)
    assert hidden == missing
    app.patch_json(f"/api/media/{id}", {"description": "mine"}, headers=other, status=404)
    app.delete(f"/api/media/{id}", headers=other, status=404)
    app.get(f"/api/media/{id}", status=404)
    for bad in ("0", "-1", "abc", "9" * 30, "%00", "1e3"):
        app.get(f"/api/media/{bad}", headers=headers, status=404)
    app.post_json("/api/meals", {"media": [{"id": id}]}, headers=other, status=422)
    [row] = pictures(registry)
    assert (row.description, row.post_id) == ("", None)


def test_describe(app, headers, picture):
    address = send(app, headers, picture()).headers["Location"]
    answer = app.patch_json(address, {"description": " Soup \n"}, headers=headers)
    assert answer.json["description"] == " Soup"
    stale = answer.headers["ETag"]
    assert app.patch_json(address, {}, headers=headers).json["description"] == " Soup"
    assert app.patch_json(address, {"description": None}, headers=headers).json["description"] == ""
    app.patch_json(address, {"description": "x"}, headers=headers | {"If-Match": stale}, status=412)
    app.delete(address, headers=headers | {"If-Match": stale}, status=412)
    app.patch_json(address, {"description": "x" * 1501}, headers=headers, status=422)
    app.patch_json(address, {"state": "ready"}, headers=headers, status=422)
    assert app.get(address, headers=headers).json["description"] == ""


def test_delete_takes_the_files_along(app, headers, picture, run_jobs, registry):
    kept, gone = (send(app, headers, picture()).headers["Location"] for _ in range(2))
    run_jobs(registry)
    assert len(stored(registry)) == 4
    app.delete(gone, headers=headers, status=204)
    app.get(gone, headers=headers, status=404)
    app.delete(gone, headers=headers, status=404)
    run_jobs(registry)
    assert len(stored(registry)) == 2
    app.get(kept, headers=headers)


def test_a_picture_deleted_before_its_job_runs_leaves_nothing(app, headers, picture, run_jobs, registry):
    app.delete(send(app, headers, picture()).headers["Location"], headers=headers, status=204)
    run_jobs(registry)
    assert stored(registry) == []


def test_uploads_are_limited(app, headers, picture, rate_limits, registry):
    small = picture(size=(8, 8))
    for _ in range(30):
        send(app, headers, small, status=202)
    problem = send(app, headers, small, status=429)
    assert int(problem.headers["Retry-After"]) > 0
    assert problem.headers["X-RateLimit-Limit"] == "30"
    assert len(stored(registry)) == 30


def test_the_limits_are_told_beforehand(app):
    limits = app.get("/api/instance").json["limits"]
    assert limits["media_bytes"] == 12_000_000
    assert limits["media_pixels"] == 50_000_000
    assert limits["media_per_meal"] == 4
    assert "image/heic" in limits["media_types"]
    assert limits["media_description"] == 1500


def test_wrong_methods(app, headers):
    assert "POST" in app.get("/api/media", headers=headers, status=405).headers["Allow"]
    assert app.options("/api/media", status=204).headers["Allow"] == "OPTIONS, POST"


@pytest.mark.stress
def test_many_at_once(wsgi_app, registry, headers, picture, run_jobs):
    data = picture(size=(60, 40))
    outcomes: list[Any] = []

    def run() -> None:
        client = TestApp(wsgi_app)
        outcomes.extend(send(client, headers, data, expect_errors=True).status_int for _ in range(5))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [202] * 30
    run_jobs(registry)
    assert {row.state for row in pictures(registry)} == {"ready"}
    assert len(stored(registry)) == 60
