"""What a cache between us and the readers may keep: nothing personal for everybody, and nothing beyond its time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router

from tests.functional.hostile_requests import (
    Answer,
    Route,
    Somebody,
    browser_of,
    multipart,
    route_table,
    send,
    send_json,
    visitor,
)

#: The only addresses whose answers anybody may share: they are the same for everybody.
SHARED = {
    "avatar.file", "api.jwks", "api.openapi", "api.instance", "manifest", "robots", "health.live", "health.ready", "feed.atom",
    "feed.json", "person.feed.atom", "person.feed.json", "tag.feed.atom", "tag.feed.json", "oembed", "sitemap", "sitemap.part",
}  # fmt: skip


@pytest.fixture
def site(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any, picture: Any, run_jobs: Any
) -> SimpleNamespace:  # fmt: skip
    """A person with a meal and a picture, and somebody else."""
    found = SimpleNamespace(app=wsgi_app, registry=registry)
    for name in ("mei", "eve"):
        person = make_user(name)
        person.program = Somebody(authorization=token(app, person)["Authorization"])
        person.browser = browser_of(registry, person.account_id)
        setattr(found, name, person)
    body, kind = multipart([("file", "a.jpg", picture(size=(40, 30)))])
    media = send(wsgi_app, "POST", "/api/media", found.mei.program, body=body, content_type=kind).json["id"]
    found.meal = send_json(
        wsgi_app,
        "POST",
        "/api/meals",
        found.mei.program,
        {"food": "unmistakable", "tags": ["rare"], "media": [{"id": media}]},
    ).json
    run_jobs(registry)
    found.photo = (
        send(wsgi_app, "GET", f"/api/media/{media}", found.mei.program).json["url"].removeprefix("http://localhost")
    )
    found.media = media
    return found


def directives(answer: Answer) -> set[str]:
    """The words of Cache-Control."""
    return {word.strip().partition("=")[0].lower() for word in answer.header("Cache-Control").split(",")}


def varies(answer: Answer) -> set[str]:
    """The headers that Vary names, in lower case."""
    return {word.strip().lower() for word in answer.header("Vary").split(",")}


def address(site: SimpleNamespace, route: Route) -> str:
    """Where there is something to see under the route."""
    id = site.media if route.name == "api.media.item" else site.meal["id"]
    return route.path(username="mei", id=id, key=site.photo.split("/")[2], edge="1600", tag="rare", code="csrf")


def test_no_personal_answer_is_for_shared_caches(site: SimpleNamespace) -> None:
    """Every address, every kind of reader, good and bad answers: private or no-store, and Vary names what decides."""
    table = route_table(site.registry)
    for route in table.values():
        if route.is_static:
            continue
        for who in (
            visitor(),
            Somebody(),
            site.mei.browser,
            site.mei.program,
            site.eve.browser,
            Somebody(authorization="Bearer a.b.c"),
        ):
            for method in ("GET", "POST", "DELETE"):
                answer = send(site.app, method, address(site, route), who)
                words, said = directives(answer), (route.name, method, answer.status, answer.headers)
                if answer.header("Set-Cookie") or answer.status >= 400:
                    assert words & {"private", "no-store"}, said
                if route.name in SHARED and answer.status < 400:
                    assert not answer.header("Set-Cookie"), said
                    continue
                assert words & {"private", "no-store"}, said
                assert "public" not in words and "s-maxage" not in words, said
                if "no-store" not in words:
                    assert {"cookie", "authorization"} <= varies(answer), said
                if route.is_api and answer.status != 405:
                    assert "origin" in varies(answer), said


def test_shared_answers_are_the_same_for_everybody(site: SimpleNamespace) -> None:
    """What may be kept publicly must not depend on who asked first."""
    table = route_table(site.registry)
    for name in SHARED - {"avatar.file"}:
        path = table[name].path()
        bodies = {
            send(site.app, "GET", path, who).body for who in (visitor(), Somebody(), site.mei.browser, site.eve.program)
        }
        answer = send(site.app, "GET", path)
        if "public" in directives(answer):
            assert len(bodies) == 1, path
            others = {
                send(site.app, "GET", path, headers={"HTTP_ACCEPT_LANGUAGE": language}).body
                for language in ("en", "zh-CN")
            }
            assert len(others) == 1 or "accept-language" in varies(answer), path


def test_a_tag_names_one_reader_s_answer(site: SimpleNamespace) -> None:
    """Two different bodies of one address never have the same ETag, and equal tags mean equal bytes."""
    send(site.app, "PUT", f"/api/meals/{site.meal['id']}/like", site.eve.program)
    readers = (Somebody(), site.mei.program, site.eve.program)
    for path in (
        f"/api/meals/{site.meal['id']}",
        "/api/meals",
        "/api/users/mei/meals",
        "/api/users/mei",
        "/api/user/profile",
        "/api/feed/tags/rare",
        "/api/tags",
    ):
        answers = [send(site.app, "GET", path, who) for who in readers]
        by_tag: dict[str, set[bytes]] = {}
        for answer in answers:
            if answer.status == 200:
                assert answer.header("ETag"), path
                by_tag.setdefault(answer.header("ETag"), set()).add(answer.body)
        assert all(len(bodies) == 1 for bodies in by_tag.values()), path
        # The tag of one reader gives another no 304 where the two see different things.
        for who, answer in zip(readers, answers, strict=True):
            for other in answers:
                if other.status == answer.status == 200:
                    again = send(site.app, "GET", path, who, headers={"HTTP_IF_NONE_MATCH": other.header("ETag")})
                    assert (again.status == 304) == (other.body == answer.body), path
                    assert again.status != 304 or again.body == b""


@pytest.mark.parametrize("change", ["only_me", "followers", "delete", "remove_picture"])
def test_what_is_hidden_is_gone_at_once(site: SimpleNamespace, change: str) -> None:
    """A cache that asks again, with every tag it has, hears of the change at the next request."""
    paths = ["/", "/@mei", f"/@mei/{site.meal['id']}", "/tags/rare", f"/api/meals/{site.meal['id']}", "/api/meals", "/api/users/mei/meals", "/api/feed/public", "/api/feed/tags/rare", "/api/tags", "/api/users/mei", site.photo, site.photo.replace("1600", "400")]  # fmt: skip
    readers = (Somebody(), site.eve.browser, site.eve.program)
    before = {(path, number): send(site.app, "GET", path, who) for path in paths for number, who in enumerate(readers)}
    assert {answer.status for answer in before.values()} == {200}
    for path in paths:
        if before[path, 0].header("ETag"):
            kept = send(site.app, "GET", path, headers={"HTTP_IF_NONE_MATCH": before[path, 0].header("ETag")})
            assert kept.status == 304, path
    api = f"/api/meals/{site.meal['id']}"
    if change == "delete":
        assert send(site.app, "DELETE", api, site.mei.program).status == 204
    elif change == "remove_picture":
        assert send(site.app, "DELETE", f"/api/media/{site.media}", site.mei.program).status == 204
    else:
        assert send_json(site.app, "PATCH", api, site.mei.program, {"visibility": change}).status == 200
    for (path, number), old in before.items():
        for tags in (old.header("ETag") or '"x"', f"W/{old.header('ETag') or chr(34) * 2}", "*"):
            headers = {"HTTP_IF_NONE_MATCH": tags, "HTTP_IF_MODIFIED_SINCE": "Fri, 01 Jan 2999 00:00:00 GMT"}
            answer = send(site.app, "GET", path, readers[number], headers=headers)
            if change == "remove_picture":
                assert path.startswith("/media/") or site.photo.split("/")[2] not in answer.text, path
                if path.startswith("/media/"):
                    assert answer.status == 404
                continue
            assert b"unmistakable" not in answer.body, (path, tags)
            if path.startswith("/media/") or path.endswith((site.meal["id"], "/tags/rare")):
                assert answer.status == 404, (path, tags)
            elif tags != "*" and path != "/api/tags":
                assert answer.status == 200, (path, tags)


def test_a_picture_comes_back_with_its_meal(site: SimpleNamespace) -> None:
    """Hidden and shown again: the same address serves the same picture, and its author always saw it."""
    api = f"/api/meals/{site.meal['id']}"
    for visibility, strangers in (("only_me", 404), ("unlisted", 200), ("followers", 404), ("public", 200)):
        assert send_json(site.app, "PATCH", api, site.mei.program, {"visibility": visibility}).status == 200
        for who, status in ((Somebody(), strangers), (site.eve.browser, strangers), (site.mei.browser, 200)):
            answer = send(site.app, "GET", site.photo, who)
            assert answer.status == status, visibility
            assert "public" not in directives(answer)
            if status == 200:
                assert answer.header("Content-Type") == "image/webp"
                assert "sandbox" in answer.header("Content-Security-Policy")


def test_after_signing_out_nothing_of_the_person_is_served(site: SimpleNamespace) -> None:
    """The same browser with the same cookie and the tags of its old pages."""
    paths = ("/settings/profile", "/settings/sessions", "/api/user/profile", "/api/meals/today")
    old = {path: send(site.app, "GET", path, site.mei.browser) for path in paths}
    out = send(site.app, "POST", "/logout", site.mei.browser)
    assert "cache" in out.header("Clear-Site-Data")
    for path, answer in old.items():
        assert "no-store" in directives(answer) or "private" in directives(answer)
        headers = {"HTTP_IF_NONE_MATCH": answer.header("ETag") or "*"}
        assert send(site.app, "GET", path, site.mei.browser, headers=headers).status in (303, 401), path
