"""Headers: on every answer, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.http_server import ANSWER_HOOKS
from mealshare.core.security.headers import COMMON, DATA_CSP, HSTS, HTML_CSP
from mealshare.core.security.permissions import CorePermission
from tests.core.wiring import ANN, call, small_router

HTTP, HTTPS = "http://localhost", "https://meals.example"


def wire(config: Configurator) -> None:
    def boom(request: Request) -> Response:
        raise ZeroDivisionError

    def bare(request: Request) -> Response:
        # What breaks after the last error page has been tried.
        request.add_finished_callback(lambda request: None)
        request.registry["messages"].pop("internal", None)
        raise ZeroDivisionError

    def own(request: Request) -> Response:
        headers = {"Content-Security-Policy": "sandbox", "Cache-Control": "public, max-age=60", "Vary": "Accept"}
        return Response("x", headers=headers)

    def cookies(request: Request) -> Response:
        request.flash("Done")
        return Response(request.registry["csrf"].get_csrf_token(request))

    views: dict[str, Any] = {
        "page": lambda request: Response("<p>", content_type="text/html"),
        "text": lambda request: Response("x", content_type="text/plain"),
        "redirect": lambda request: HTTPSeeOther("/page"),
        "unchanged": lambda request: Response(status=304),
        "nothing": lambda request: Response(status=204),
        "vary": lambda request: Response("x", headers={"Vary": "Accept"}),
        "boom": boom, "bare": bare, "own": own, "cookies": cookies,
    }  # fmt: skip
    for name, view in views.items():
        config.add_route(name, f"/{name}")
        config.add_view(view, route_name=name, permission=CorePermission.PUBLIC)
    config.add_api_route("api.only-post", "/api/only-post")
    config.add_view(
        lambda request: Response(), route_name="api.only-post", request_method="POST", permission=CorePermission.PUBLIC
    )


@pytest.fixture(scope="module", params=[HTTP, HTTPS])
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("headers")
    made = small_router(f"sqlite:///{folder}/x.sqlite", folder, wire, base_url=request.param)
    yield made
    made.registry["engine"].dispose()


ANSWERS = [
    ("GET", "/page", 200), ("HEAD", "/page", 200), ("GET", "/text", 200), ("GET", "/redirect", 303),
    ("GET", "/unchanged", 304), ("GET", "/nothing", 204), ("GET", "/missing", 404), ("GET", "/api/missing", 404),
    ("GET", "/api/only-post", 405), ("POST", "/page", 403), ("GET", "/boom", 500), ("GET", "/\xff", 400),
    ("GET", "/api/\xff", 400), ("GET", "/health/live", 200), ("GET", "/static/css/mealshare.css", 200),
    ("GET", "/static/missing.css", 404), ("POST", "/static/css/mealshare.css", 405), ("OPTIONS", "/api/only-post", 204), ("GET", "/robots.txt", 200),
    ("GET", "/bare", 500),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_has_them(
    router: Any, method: str, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = dict(router.registry["messages"])
    answer = call(router, method, path)
    router.registry["messages"].update(messages)
    assert answer.status_int == status
    assert {name: answer.headers.get(name) for name in COMMON} == COMMON
    https = router.registry["base_url"] == HTTPS
    assert answer.headers.get("Strict-Transport-Security") == (HSTS if https else None)
    assert "Server" not in answer.headers
    assert "Cache-Control" in answer.headers
    policy = answer.headers.get("Content-Security-Policy")
    if status == 304:
        # The stored answer keeps its own policy; one for data would take the styles away from a stored page.
        assert policy is None
    elif status == 303:
        # WebOb chooses the type of its few words after the tweens, and both policies fit them.
        assert policy in (HTML_CSP, DATA_CSP)
    else:
        assert policy == (HTML_CSP if answer.content_type == "text/html" else DATA_CSP)
        assert ("Cross-Origin-Opener-Policy" in answer.headers) is (answer.content_type == "text/html")


def test_answers_of_the_server_itself_have_hsts_too(router: Any) -> None:
    headers = [header for hook in router.registry[ANSWER_HOOKS] for header in hook("/", None)]
    https = router.registry["base_url"] == HTTPS
    assert (("Strict-Transport-Security", HSTS) in headers) is https


def test_a_file_is_only_ever_read(router: Any) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = call(router, method, "/static/css/mealshare.css")
        assert (answer.status_int, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_the_bare_answer_is_the_one_of_last_resort(router: Any) -> None:
    messages = dict(router.registry["messages"])
    answer = call(router, "GET", "/bare")
    router.registry["messages"].update(messages)
    assert (answer.status_int, answer.text) == (500, "Internal Server Error\n")


def test_an_answer_that_the_browser_has_still(router: Any) -> None:
    first = call(router, "GET", "/static/css/mealshare.css")
    again = call(router, "GET", "/static/css/mealshare.css", HTTP_IF_MODIFIED_SINCE=first.headers["Last-Modified"])
    assert again.status_int == 304
    assert {name: again.headers.get(name) for name in COMMON} == COMMON
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


def test_scripts_and_styles_come_from_here_only() -> None:
    directives = dict(part.strip().split(" ", 1) for part in HTML_CSP.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == directives["object-src"] == "'none'"
    assert "unsafe" not in HTML_CSP + DATA_CSP
    assert "*" not in HTML_CSP + DATA_CSP


def test_what_a_view_says_itself_stays(router: Any) -> None:
    answer = call(router, "GET", "/own")
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["Vary"] == "Accept"


def test_what_nobody_thought_about_is_taken_to_be_personal(router: Any) -> None:
    assert call(router, "GET", "/page").headers["Cache-Control"] == "private, no-cache"
    assert call(router, "GET", "/page").headers["Vary"] == "Accept-Encoding, Cookie, Authorization, Accept-Language"
    assert call(router, "GET", "/vary").headers["Vary"] == "Accept, Cookie, Authorization, Accept-Language"
    assert "no-store" in call(router, "GET", "/missing").headers["Cache-Control"]
    assert call(router, "GET", "/static/css/mealshare.css").headers["Cache-Control"] == "max-age=3600"


def test_cookies_carry_their_prefix_on_https_only(router: Any) -> None:
    https = router.registry["base_url"] == HTTPS
    cookies = call(router, "GET", "/cookies").headers.getall("Set-Cookie")
    assert sorted(cookie.split("=")[0] for cookie in cookies) == (
        ["__Host-csrf", "__Host-flash"] if https else ["csrf", "flash"]
    )
    assert all(("; secure" in cookie) is https and "; HttpOnly" in cookie for cookie in cookies)
    # A session cookie without the prefix counts on http only.
    page = call(router, "GET", "/about", HTTP_COOKIE=f"session={ANN}").text
    assert ('href="/@ann"' in page) is not https


def test_a_strange_host_header_changes_no_link(tmp_path: Path, router: Any) -> None:
    page = call(router, "GET", "/about", HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example")
    assert "evil.example" not in page.text
