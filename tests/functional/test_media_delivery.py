"""Pictures on their whole way, for each storage and each way in which they leave; and a site whose S3 is away."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from webtest import TestApp, Upload

from mealshare import main
from mealshare.core.db.migrate import upgrade
from mealshare.core.jobs import run_due
from mealshare.core.settings import SettingsError
from mealshare.features.media import sweep
from mealshare.features.media.sweep import Swept
from tests.databases import new_database
from tests.features.media.helpers import send
from tests.nginx_server import own_nginx
from tests.people import add_user, bearer, draw, form_with, sign_in
from tests.s3_server import OwnS3, is_signed_for, nobody
from tests.sites import site_settings

#: Storage and way; the last with a real nginx in front.
WAYS = ("local app", "s3 app", "s3 redirect", "local accel", "s3 accel")
JUST_HERE = {"Content-Type", "Content-Disposition", "Cache-Control", "ETag", "Content-Security-Policy",
             "Cross-Origin-Resource-Policy", "X-Content-Type-Options"}  # fmt: skip


@contextmanager
def site(folder: Path, **settings: str) -> Iterator[Any]:
    """The application, on an empty database of its own; jobs run when a test says so."""
    with new_database("sqlite", folder) as url:
        upgrade(url)
        given = {name.replace("__", "."): value for name, value in settings.items()}
        application = main({}, **(site_settings(folder, url, "http://localhost") | {"jobs.engine": "worker"} | given))
        yield application
        application.registry["engine"].dispose()


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """A thread for each request."""


class SilentHandler(WSGIRequestHandler):
    """Writes nothing for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(application: Any) -> Iterator[str]:
    """The address at which it answers."""
    with make_server("127.0.0.1", 0, application, ThreadingServer, SilentHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Answer:
    """What came back, after at most one redirect."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    redirect: http.client.HTTPMessage | None = None


def ask(base: str, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    """Ask as a browser does: what S3 answers comes without the headers that were for the site."""
    given, redirect = headers or {}, None
    for _ in range(2):
        target = urlsplit(path if path.startswith("http") else base + path)
        connection = http.client.HTTPConnection(target.netloc, timeout=60)
        connection.request(method, f"{target.path}?{target.query}" if target.query else target.path, headers=given)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 302:
            return Answer(answer.status, answer.headers, body, redirect)
        path, redirect = answer.headers["Location"], answer.headers
        given = {name: value for name, value in given.items() if name not in ("Authorization", "Cookie")}
    raise AssertionError("it leads on and on")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(way: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A site with that storage and that way: its application, and the address that browsers use."""
    storage, delivery = way.split()
    settings = {"media__delivery": delivery}
    s3 = ""
    if storage == "s3":
        server = request.getfixturevalue("s3_server")
        settings, s3 = settings | server.settings(), server.url
    if delivery == "accel":
        request.getfixturevalue("need_nginx")
    with site(tmp_path, **settings) as application, served(application) as behind:
        found = SimpleNamespace(application=application, registry=application.registry, url=behind, behind=behind)
        if delivery != "accel":
            yield found
            return
        media = None if s3 else application.registry["storage"].folder
        with own_nginx(tmp_path / "nginx", behind, media=media, s3=s3) as front:
            found.url = front
            yield found


@pytest.fixture
def journey(place: SimpleNamespace, way: str) -> SimpleNamespace:
    """Mei has posted a meal with a picture; ``ask`` asks for something as a visitor, or with ``headers`` as her."""
    app = TestApp(place.application)
    headers = bearer(app, add_user(place.registry, "mei"))
    id = send(app, headers, draw()).json["id"]
    run_due(place.registry)
    meal = app.post_json("/api/meals", {"food": "soup", "media": [{"id": id}]}, headers=headers, status=201).json
    path = urlsplit(meal["media"][0]["url"]).path

    def get(path: str, more: dict[str, str] | None = None, **options: Any) -> Answer:
        return ask(place.url, path, more, **options)

    return SimpleNamespace(
        app=app, headers=headers, meal=meal, address=f"/api/meals/{meal['id']}", path=path, get=get, way=way,
        registry=place.registry, behind=place.behind, storage=place.registry["storage"],
    )  # fmt: skip


def kept(storage: Any, journey: SimpleNamespace) -> bytes:
    """The picture as it is stored."""
    key = journey.path.split("/")[2]
    with storage.open(f"media/{key}-1600.webp") as file:
        data: bytes = file.read()
    return data


def test_a_picture_arrives_whole(journey: SimpleNamespace) -> None:
    answer = journey.get(journey.path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
    assert answer.body == kept(journey.storage, journey)
    assert answer.headers["Content-Disposition"] == f'inline; filename="{journey.meal["media"][0]["id"]}-1600.webp"'
    head = journey.get(journey.path, method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))
    assert head.headers["Content-Type"] == "image/webp"


def test_part_of_a_picture(journey: SimpleNamespace) -> None:
    whole = kept(journey.storage, journey)
    answer = journey.get(journey.path, {"Range": "bytes=10-19"})
    # Whoever sends it may send all of it (RFC 9110 section 14.2).
    expected = (200, whole) if journey.way.endswith("app") else (206, whole[10:20])
    assert (answer.status, answer.body) == expected


def test_the_headers_are_those_that_the_application_sends(journey: SimpleNamespace) -> None:
    answer = journey.get(journey.path)
    if journey.way == "s3 redirect":
        assert answer.redirect is not None
        assert answer.redirect["Cache-Control"] == "private, no-cache"
        assert {"Cookie", "Authorization"} <= set(answer.redirect["Vary"].split(", "))
        assert answer.headers["Cache-Control"] == "private"
        return
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"Cookie", "Authorization"} <= set(", ".join(answer.headers.get_all("Vary")).split(", "))
    assert [name for name in JUST_HERE if len(answer.headers.get_all(name)) != 1] == []
    assert not {"x-accel-redirect", "last-modified", "x-amz-request-id"} & {name.lower() for name in answer.headers}
    etag = answer.headers["ETag"]
    again = journey.get(journey.path, {"If-None-Match": etag})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert again.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    other = journey.get(journey.path, {"If-None-Match": '"other"'})
    assert (other.status, other.headers["ETag"]) == (200, etag)


def test_who_may_not_see_it_gets_nothing_of_it(journey: SimpleNamespace) -> None:
    etag = journey.get(journey.path).headers["ETag"]
    journey.app.patch_json(journey.address, {"visibility": "only_me"}, headers=journey.headers)
    missing = journey.get(f"/media/{'0' * 32}/1600.webp")
    for more in ({}, {"If-None-Match": etag}, {"Range": "bytes=0-1"}):
        for method in ("GET", "HEAD"):
            answer = journey.get(journey.path, more, method=method)
            assert (answer.status, answer.redirect) == (404, None)
            assert set(answer.headers) == set(missing.headers)
            plain = ask(journey.behind, journey.path, more, method=method)
            assert not {"X-Accel-Redirect", "Location"} & set(plain.headers)
    assert journey.get(journey.path, journey.headers).body == kept(journey.storage, journey)


def test_nobody_comes_to_the_files_around_the_application(journey: SimpleNamespace) -> None:
    if journey.way.endswith("accel"):
        answer = ask(journey.behind, journey.path)
        inside = answer.headers["X-Accel-Redirect"]
        assert inside.startswith("/_media/")
        assert answer.body == b""
        assert journey.get(inside).status == 404
        assert journey.get("/_media/").status == 404
    if journey.way == "s3 redirect":
        answer = journey.get(journey.path)
        unsigned = ask(journey.behind, journey.path).redirect
        assert unsigned is not None
        assert ask("", unsigned["Location"].partition("?")[0]).status == 403


def test_an_avatar(journey: SimpleNamespace) -> None:
    files = [("file", "me.png", draw("png"))]
    url = journey.app.put("/api/user/avatar", upload_files=files, headers=journey.headers).json["avatar_url"]
    answer = journey.get(urlsplit(url).path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
    caching = (answer.redirect or answer.headers)["Cache-Control"]
    if answer.redirect is None:
        assert caching == "public, max-age=31536000, immutable"
    else:
        # The address is good for 300 seconds, and may have been made for somebody else before.
        seconds = int(caching.removeprefix("public, max-age="))
        assert 0 < seconds <= 150


def test_what_is_deleted_leaves_nothing(journey: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, registry = journey.storage, journey.registry
    assert len(list(storage.keys())) == 2
    orphans = [f"media/{'f' * 32}-400.webp", f"originals/{'f' * 32}", f"avatars/{'f' * 32}.webp"]
    for orphan in orphans:
        storage.put(orphan, b"x", "image/webp")
    assert sweep.sweep(registry) == Swept()  # Their transactions may be on their way.
    monkeypatch.setattr(sweep, "FILE_AGE", -60.0)
    assert sweep.sweep(registry) == Swept(files=3)
    assert len(list(storage.keys())) == 2
    journey.app.delete(journey.address, headers=journey.headers, status=204)
    assert journey.get(journey.path).status == 404
    run_due(registry)
    assert list(storage.keys()) == []


def test_pages_feeds_and_their_policy(journey: SimpleNamespace) -> None:
    page = journey.get(urlsplit(journey.meal["url"]).path)
    assert page.status == 200
    assert journey.path in page.body.decode()
    images = page.headers["Content-Security-Policy"].partition("img-src ")[2].partition(";")[0]
    origin = f" {journey.storage.origin()}" if journey.way == "s3 redirect" else ""
    assert images == f"'self' blob:{origin}"
    feed = journey.get("/feed.json")
    assert (feed.status, journey.path in feed.body.decode()) == (200, True)


def test_a_lost_file_is_404(journey: SimpleNamespace) -> None:
    for key in list(journey.storage.keys()):
        journey.storage.delete(key)
    # S3 says 403 to a key that may not list the bucket; what is sure is that there is no picture.
    assert journey.get(journey.path).status in ((403, 404) if journey.way in ("s3 redirect", "s3 accel") else (404,))


# The addresses that S3 answers.


def test_an_address_is_signed_for_what_is_asked(tmp_path: Path, s3_server: OwnS3) -> None:
    """The server of these tests believes every signature; Amazon's takes one for GET with GET only."""
    for delivery in ("redirect", "accel"):
        folder = tmp_path / delivery
        folder.mkdir()
        with site(folder, **s3_server.settings(), media__delivery=delivery) as application:
            app = TestApp(application)
            headers = bearer(app, add_user(application.registry, "mei"))
            files = [("file", "a.png", draw("png"))]
            path = urlsplit(app.put("/api/user/avatar", upload_files=files, headers=headers).json["avatar_url"]).path
            for method in ("GET", "HEAD"):
                found = app.request(path, method=method).headers
                url = found.get("Location") or s3_server.url + found["X-Accel-Redirect"].removeprefix("/_media")
                assert is_signed_for(url, method)


def test_an_address_is_kept_for_a_while_and_never_too_long(tmp_path: Path, s3_server: OwnS3, time_machine: Any) -> None:
    settings = s3_server.settings() | {"media__delivery": "redirect", "media__url_seconds": "100"}
    with site(tmp_path, **settings) as application:
        app = TestApp(application)
        headers = bearer(app, add_user(application.registry, "mei"))
        url = app.put("/api/user/avatar", upload_files=[("file", "a.png", draw("png"))], headers=headers).json[
            "avatar_url"
        ]
        time_machine.move_to(1_800_000_000, tick=False)
        first = app.get(url, status=302).headers
        assert "X-Amz-Expires=100&" in first["Location"]
        assert first["Cache-Control"] == "public, max-age=50"
        time_machine.move_to(1_800_000_049, tick=False)
        again = app.get(url, status=302).headers
        assert again["Location"] == first["Location"]
        assert again["Cache-Control"] == "public, max-age=25"
        assert app.head(url, status=302).headers["Location"] != first["Location"]
        time_machine.move_to(1_800_000_051, tick=False)
        assert app.get(url, status=302).headers["Location"] != first["Location"]


def test_only_s3_can_be_redirected_to(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match=r"media\.delivery is wrong: only S3"),
        site(tmp_path, media__delivery="redirect"),
    ):
        pass


# S3 is away.


@pytest.fixture
def away(tmp_path: Path, s3_server: OwnS3) -> Iterator[SimpleNamespace]:
    """A site whose S3 has gone: Mei has a meal with a picture there."""
    settings = s3_server.settings() | {"storage__endpoint": nobody(), "storage__timeout": "1"}
    with site(tmp_path, **settings) as application:
        app = TestApp(application)
        mei = add_user(application.registry, "mei")
        yield SimpleNamespace(app=app, mei=mei, headers=bearer(app, mei), registry=application.registry)


def test_pages_and_words_need_no_s3(away: SimpleNamespace) -> None:
    meal = away.app.post_json("/api/meals", {"food": "soup"}, headers=away.headers, status=201).json
    for path in ("/", "/feed.atom", f"/api/meals/{meal['id']}", urlsplit(meal["url"]).path, "/@mei"):
        away.app.get(path, status=200)
    ready = away.app.get("/health/ready", status=200).json
    assert (ready["status"], ready["checks"]["storage"]) == ("degraded", "degraded")


def test_an_upload_is_asked_to_come_again(away: SimpleNamespace, picture: Callable[..., bytes]) -> None:
    file = [("file", "a.jpg", picture())]
    for send_it in (
        lambda: away.app.post("/api/media", upload_files=file, headers=away.headers, status=503),
        lambda: away.app.put("/api/user/avatar", upload_files=file, headers=away.headers, status=503),
    ):
        problem = send_it()
        assert problem.content_type == "application/problem+json"
        assert problem.json["type"].endswith("/problems/unavailable")
        assert int(problem.headers["Retry-After"]) > 0
        assert "S3" not in problem.text
    with away.registry["read_engine"].connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM media").scalar() == 0


def test_a_form_comes_back_with_its_words(away: SimpleNamespace, picture: Callable[..., bytes]) -> None:
    sign_in(away.app, away.mei)
    form = form_with(away.app.get("/new"), "food")
    form["food"] = "a soup that took three hours"
    form.fields["photo"][0].value = Upload("soup.jpg", picture(), "image/jpeg")
    page = form.submit(status=422)
    assert form_with(page, "food")["food"].value == "a soup that took three hours"
    assert "The site is busy" in page.text
    form = form_with(away.app.get("/settings/profile"), "avatar")
    form["avatar"] = Upload("me.jpg", picture(), "image/jpeg")
    assert "The site is busy" in form.submit("save" if "save" in form.fields else None, status=303).follow().text


def test_a_picture_is_asked_for_again_later(away: SimpleNamespace) -> None:
    started = time.monotonic()
    for _ in range(5):
        answer = away.app.get(f"/avatars/{'0' * 32}.webp", status=503)
        assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - started < 10
