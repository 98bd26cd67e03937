"""Thousands of requests that no honest client sends: each gets a short, calm answer, and none gets a 500."""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router

from tests.functional.hostile import Hostile
from tests.functional.hostile_requests import (
    METHODS,
    SAFE,
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

#: A different seed each day would find more but could not be repeated by somebody else; this can be set by hand.
SEED = int(os.environ.get("HOSTILE_SEED", "2026"))
#: Seconds for the long run on one database.
SECONDS = float(os.environ.get("HOSTILE_SECONDS", "20"))
SLOWEST = 5.0
#: Whatever the Host header said: this site, on some port.
LOCATION = re.compile(r"http://localhost(:\d{1,5})?/(?!/)")
FORM = "application/x-www-form-urlencoded"
#: Addresses of which most requests hash a password, which is slow by design.
HASHING = {"register", "login", "api.login", "api.users", "password.reset", "settings.password"}
#: What is written into a form to say whose it is, in place of the right token.
DOCUMENTS: dict[str, Any] = {
    "api.users": {"username": "eve", "email": "eve@example.org", "password": "a long enough password", "time_zone": "UTC"},
    "api.login": {"username": "mei", "password": "wrong but well formed"},
    "api.token.refresh": {"refresh_token": "x" * 43},
    "api.profile": {"display_name": "Mei", "bio": "eats", "locale": "en", "time_zone": "Asia/Shanghai"},
    "api.media.item": {"description": "noodles"},
    "api.meals": {
        "food": "rice", "note": "a #note", "meal_type": "lunch", "eaten_at": "2026-01-02T12:00:00+08:00", "time_zone": "UTC",
        "visibility": "public", "sensitive": False, "spoiler_text": "", "language": "en", "source": "home", "tags": ["rice"],
        "place": {"name": "Home", "city": "Xi'an", "country_code": "CN", "latitude": 1.5, "longitude": 2.5}, "diets": ["vegan"],
        "allergens": {"contains": ["milk"], "free_from": ["nuts"]}, "recipe_url": "https://example.org/", "media": [],
    },
}  # fmt: skip
DOCUMENTS |= {"api.meal": DOCUMENTS["api.meals"], "api.user.meals": DOCUMENTS["api.meals"]}
MEAL_FORM = {
    "food": "rice", "note": "a #note", "meal_type": "lunch", "eaten_at": "2026-01-02T12:00", "time_zone": "UTC", "visibility": "public",
    "sensitive": "1", "spoiler_text": "", "source": "home", "tags": "rice, beans", "place": "Home", "diets": "vegan", "contains": "milk",
    "free_from": "nuts", "recipe_url": "https://example.org/", "media_id": "1", "media_alt": "x", "media_position": "1", "media_remove": "1",
    "version": "1", "photo_alt": "words",
}  # fmt: skip
FORMS = {
    "meal.new": MEAL_FORM, "meal.edit": MEAL_FORM, "meal.delete": {"next": "/"}, "meal.like": {"undo": "1", "next": "/"},
    "register": {"username": "eve", "email": "eve@example.org", "password": "a long enough password", "time_zone": "UTC", "next": "/new"},
    "login": {"login": "mei", "password": "wrong", "next": "/new"}, "logout": {"x": "1"}, "language": {"lang": "en", "next": "/about"},
    "password.forgot": {"email": "mei@example.org"}, "password.reset": {"token": "x" * 43, "new_password": "a long one here", "again": "a long one here"},
    "settings.profile": {"display_name": "Mei", "bio": "eats", "locale": "en", "time_zone": "UTC"},
    "settings.password": {"current_password": "x", "new_password": "a long one here", "again": "a long one here"},
    "settings.sessions.end": {"kind": "session", "id": "1"}, "settings.sessions.end_others": {"x": "1"}, "avatar.form": {"remove": "1"},
}  # fmt: skip


@pytest.fixture
def site(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any, picture: Any, run_jobs: Any
) -> SimpleNamespace:  # fmt: skip
    """A site with a person, a meal with a picture, and the means to attack it."""
    mei = make_user("mei", role="admin")
    program = Somebody(authorization=token(app, mei)["Authorization"])
    body, kind = multipart([("file", "a.jpg", picture(size=(40, 30)))])
    media_id = send(wsgi_app, "POST", "/api/media", program, body=body, content_type=kind).json["id"]
    meal = send_json(
        wsgi_app, "POST", "/api/meals", program, {"food": "rice", "tags": ["rice"], "media": [{"id": media_id}]}
    ).json
    run_jobs(registry)
    url = send(wsgi_app, "GET", f"/api/media/{media_id}", program).json["preview_url"]
    key = url.split("/")[-2]
    table = route_table(registry)
    values = {"username": "mei", "id": meal["id"], "key": key, "edge": "400", "tag": "rice", "code": "csrf"}
    paths = {name: [route.path(**values)] for name, route in table.items()}
    paths["api.media.item"] = [f"/api/media/{media_id}"]
    hostile = Hostile(Random(SEED), paths, DOCUMENTS, FORMS, picture("png", size=(8, 8)))
    return SimpleNamespace(
        app=wsgi_app, registry=registry, mei=mei, program=program, table=table, hostile=hostile, paths=paths
    )


def check(route: Route, answer: Answer, said: str) -> None:
    """What holds for every answer to whatever it was."""
    assert answer.status < 500, said
    assert answer.seconds < SLOWEST, said
    assert b"Traceback (most recent" not in answer.body, said
    assert answer.header("X-Content-Type-Options") == "nosniff", said
    assert answer.header("Content-Security-Policy") or answer.status == 304, said
    kind = answer.header("Content-Type")
    if kind.startswith("text/html"):
        assert b"<svg/onload" not in answer.body, said
    if route.is_api and answer.status >= 400:
        assert kind == "application/problem+json", said
        assert answer.body == b"" or answer.json["status"] == answer.status, said
    for name, value in answer.headers:
        assert not set(value) & set("\r\n\0"), (name, said)
        assert name.lower() != "x-injected", said
    location = answer.header("Location")
    assert not location or LOCATION.match(location), (location, said)


def test_thousands_of_malformed_requests(site: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    """Every route with every method, over and over, until the time is up; at least a thousand requests."""
    caplog.set_level(logging.ERROR)
    hostile, random = site.hostile, site.hostile.random
    routes = sorted(site.table.values(), key=lambda route: route.name)
    who, browser = [visitor(), site.program, Somebody()], browser_of(site.registry, site.mei.account_id)
    seen: Counter[int] = Counter()
    faults: dict[str, str] = {}
    for route in routes:  # Compiling a template, once in its life, takes longer than any request.
        send(site.app, "GET", site.paths[route.name][0], browser)
        send(site.app, "GET", site.paths[route.name][0], visitor())
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or sum(seen.values()) < 1000:
        route = random.choice(routes)
        if route.name in HASHING and random.random() < 0.7:
            continue
        known = sorted(route.methods) or ["GET"]
        method = (
            random.choice(known)
            if random.random() < 0.85
            else random.choice((*METHODS, "TRACE", "PROPFIND", "get", "X" * 40))
        )
        body, kind = hostile.body(route) if method not in SAFE or random.random() < 0.1 else (b"", "")
        somebody = random.choice((*who, browser, browser))
        path, headers = hostile.path(route), hostile.headers()
        said = f"{method} {path[:200]!r} {kind[:60]!r} {body[:300]!r} { {k: v[:80] for k, v in headers.items()} } {somebody!r}"
        try:
            answer = send(site.app, method, path, somebody, body=body, content_type=kind, headers=headers)
            check(route, answer, said)
        except Exception as error:
            faults.setdefault(f"{route.name} {method} {type(error).__name__}", f"{error}\n{said}"[:1500])
            continue
        seen[answer.status] += 1
        if route.name in ("logout", "settings.password", "password.reset", "settings.sessions.end", "api.logout"):
            browser = browser_of(site.registry, site.mei.account_id)
    errors = [
        (record.getMessage(), record.__dict__.get("path"), record.exc_info)
        for record in caplog.records
        if record.levelno >= logging.ERROR
    ]
    assert not faults, "\n\n".join(f"{name}: {what}" for name, what in faults.items())
    assert not errors
    # The requests went past the gates: not all of them were turned away for the same reason.
    assert {200, 204, 303, 400, 401, 403, 404, 405, 415, 422} <= set(seen), seen
