"""An operation that will go away: what its answers and the document say of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from webtest import TestApp, TestResponse

from mealshare.api import Deprecation, Reply
from mealshare.api.openapi import build_document
from mealshare.api.view import Operation, add_operation
from mealshare.core.errors import Conflict
from mealshare.core.security.permissions import CorePermission
from tests.core.api.conftest import BASE, ORIGIN, Configured
from tests.core.api.small import Thing, ThingPermission

OLD = Deprecation(date(2026, 1, 1), date(2027, 1, 1), replacement="api.thing")
ADMIN = {"Authorization": "Bearer admin"}


def old_thing(context: Any, request: Any) -> Reply:
    """Read a thing as one used to."""
    if request.matchdict["id"] == "9":
        raise Conflict("thing_exists", name="soup")
    return Reply(Thing(request.matchdict["id"], "soup"), headers=[("Link", '<https://meals.example/x>; rel="next"')])


def fading(context: Any, request: Any) -> None:
    """Nobody knows yet when it goes."""


@pytest.fixture
def app(configured: Configured) -> TestApp:
    """The small application, with two operations that will go away."""
    config = configured()
    config.add_api_route("api.old", r"/api/old-things/{id:\d+}")
    config.add_api_route("api.fading", "/api/fading")
    going = Operation(
        old_thing, "api.old", "GET", ThingPermission.SCOPED, returns=Thing, deprecation=OLD, errors=("thing_exists",)
    )
    add_operation(config, going)
    add_operation(
        config,
        Operation(fading, "api.fading", "POST", CorePermission.PUBLIC, deprecation=Deprecation(date(2026, 6, 1))),
    )
    return TestApp(config.make_wsgi_app())


def links(answer: TestResponse) -> list[str]:
    return answer.headers.getall("Link")


def test_every_answer_says_so(app: TestApp) -> None:
    for path, headers, status in (
        ("/api/old-things/7", ADMIN, 200), ("/api/old-things/9", ADMIN, 409), ("/api/old-things/7", {}, 401),
        ("/api/old-things/7", {"Authorization": "Bearer user"}, 403), ("/api/old-things/7?x=1", ADMIN, 400),
    ):  # fmt: skip
        answer = app.get(path, headers={**headers, "Origin": ORIGIN}, status=status)
        assert answer.headers["Deprecation"] == "@1767225600"
        assert answer.headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        thing = path[-1] if path[-1].isdigit() and "?" not in path else "7"
        assert f'<{BASE}/developers>; rel="deprecation"' in links(answer)
        assert f'<{BASE}/api/things/{thing}>; rel="successor-version"' in links(answer)
        assert {"Deprecation", "Sunset", "Link"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))


def test_links_of_its_own_stay(app: TestApp) -> None:
    assert '<https://meals.example/x>; rel="next"' in links(app.get("/api/old-things/7", headers=ADMIN))


def test_in_a_batch_no_link_takes_the_place_of_another(app: TestApp) -> None:
    request = {"id": "old", "method": "GET", "path": "/api/old-things/7"}
    (part,) = app.post_json("/api/batch", {"requests": [request]}, headers=ADMIN).json["responses"]
    told = part["headers"]
    assert (part["status"], told["Deprecation"]) == (200, "@1767225600")
    assert told["Link"].split(", ") == links(app.get("/api/old-things/7", headers=ADMIN))
    assert told["Link"].count("rel=") == 3


def test_a_forged_request_hears_it_too(app: TestApp) -> None:
    app.set_cookie("__Host-session", "somebody")
    assert app.post("/api/fading", status=403).headers["Deprecation"] == "@1780272000"


def test_without_an_end_and_a_successor(app: TestApp) -> None:
    answer = app.post("/api/fading", status=204)
    assert answer.headers["Deprecation"] == "@1780272000"
    assert "Sunset" not in answer.headers
    assert links(answer) == [f'<{BASE}/developers>; rel="deprecation"']


def test_others_say_nothing(app: TestApp) -> None:
    answer = app.get("/api/things/7")
    assert not {"Deprecation", "Sunset", "Link"} & set(answer.headers)


def test_document(app: TestApp) -> None:
    document = app.get("/openapi.json").json
    validate(document, cls=OpenAPIV31SpecValidator)
    old = document["paths"]["/api/old-things/{id}"]["get"]
    assert old["deprecated"] is True
    assert old["description"].startswith(
        "**Deprecated** since 2026-01-01; may be gone from 2027-01-01 on. Use `GET /api/things/{id}` instead.\n\n"
    )
    fades = document["paths"]["/api/fading"]["post"]
    assert fades["description"].startswith("**Deprecated** since 2026-06-01.\n\n")
    for answer in old["responses"].values():
        name = answer.get("$ref", "").rpartition("/")[2]
        told = document["components"]["responses"][name] if name else answer
        assert {"Deprecation", "Sunset", "Link"} <= set(told["headers"])
    assert "deprecated" not in document["paths"]["/api/things/{id}"]["get"]


@pytest.mark.parametrize("replacement", ["api.no-such", "api.thing"])
def test_a_successor_that_cannot_be_found(configured: Configured, replacement: str) -> None:
    config = configured()
    config.add_api_route("api.fading", "/api/fading")
    going = Deprecation(date(2026, 1, 1), replacement=replacement)
    add_operation(config, Operation(fading, "api.fading", "GET", CorePermission.PUBLIC, deprecation=going))
    with pytest.raises(ValueError, match="cannot be replaced"):
        build_document(config.make_wsgi_app().registry)


def test_gone_before_it_was_announced() -> None:
    with pytest.raises(ValueError, match="not before"):
        Deprecation(date(2027, 1, 1), date(2026, 1, 1))
