"""CORS as a table: origin x method x headers x credentials x address x settings, from the route table of the real site.

Each cell is what a browser makes of what the site answers (`tests.cors_rules.fetch`), compared with what the settings
promise (`tests.cors_rules.promised`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import product
from typing import Any

import pytest
from pyramid.router import Router
from webtest import TestApp

from mealshare import main
from mealshare.api.cors import CorsSettings
from mealshare.api.openapi import build_document
from mealshare.core.db.migrate import upgrade
from tests.cors_rules import BROWSERS_OWN, READ_ANYWAY, SAFE_HEADERS, Ask, Promise, Script, fetch, promised
from tests.databases import new_database
from tests.functional.hostile_requests import Route, Somebody, route_table, send, send_json
from tests.sites import site_settings

LISTED = ("https://app.example", "http://localhost:5173")
#: Origins that look like a listed one, or that a careless comparison takes for one.
OTHERS = (
    "null", "https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example:443",
    "https://sub.app.example", "https://app.example.evil.example", "https://evilapp.example", "https://APP.example",
    "HTTPS://app.example", "https://app.example/", "https://app.example.", "https://app.example@evil.example",
    "https://app.example https://evil.example", "https://app.example, https://app.example", "http://localhost",
    "http://localhost:51730", "http://127.0.0.1:5173", "http://[::1]:5173", "file://", "*", "", "https://аpp.example",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "patch", "PROPFIND", "QUERY")
#: What scripts send: nothing, what is harmless, what a client of this API sends, one name too many.
HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"Accept": "application/json", "Accept-Language": "zh", "Content-Type": "text/plain"},
    {"Authorization": "Bearer a.b.c", "Content-Type": "application/json"},
    {"AUTHORIZATION": "Bearer a.b.c", "If-Match": '"1"', "Idempotency-Key": "k", "X-CSRF-Token": "t"},
    {"Last-Event-ID": "7", "If-None-Match": '"1"', "X-Request-Id": "r"},
    {"X-Evil": "1"},
    {"Authorization": "Bearer a.b.c", "X-Evil": "1"},
)  # fmt: skip
#: Made with settings that an application on another origin would have, and with what else one can set.
SETTINGS = {
    "none": CorsSettings(),
    "listed": CorsSettings(origins=LISTED),
    "credentials": CorsSettings(origins=LISTED, credentials=True),
    "everybody": CorsSettings(allow_all=True),
    "narrow": CorsSettings(origins=LISTED, methods=("GET", "PUT"), headers=("Authorization",), expose_headers=()),
}
#: One address of each kind: a list, a thing that is not there, one for those who are signed in, files, documents.
SOME = ("/api/meals", "/api/meals/0", "/api/nothing", "/api/user/profile", "/media/a/b-1600.webp", "/openapi.json")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """The real site, which is empty; on SQLite, because nothing here depends on the database."""
    folder = tmp_path_factory.mktemp("cors")
    with new_database("sqlite", folder) as url:
        upgrade(url)
        settings = site_settings(folder, url, "http://localhost") | {"jobs.engine": "worker"}
        application = main({}, **settings)
        yield application
        application.registry["engine"].dispose()


@pytest.fixture(params=sorted(SETTINGS))
def setting(request: pytest.FixtureRequest) -> CorsSettings:
    """The settings of this run of the test."""
    return SETTINGS[request.param]


@pytest.fixture
def router(site: Router, setting: CorsSettings) -> Iterator[Router]:
    """The site with these settings: the tweens are made anew, everything below them stays."""
    registry = site.registry
    before = registry["settings"][CorsSettings]
    registry["settings"][CorsSettings] = setting
    yield Router(registry)
    registry["settings"][CorsSettings] = before


def promise_of(setting: CorsSettings) -> Promise:
    """What a host means by the settings."""
    return Promise(
        frozenset(setting.origins), frozenset(setting.methods), frozenset(setting.headers),
        frozenset(name.lower() for name in setting.expose_headers), setting.allow_all, setting.credentials,
    )  # fmt: skip


def asker(router: Router, answers: list[tuple[str, str, int, dict[str, str]]]) -> Ask:
    """Asks the site over WSGI, and writes down every answer."""

    def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        kind = environ.pop("HTTP_CONTENT_TYPE", "")
        answer = send(router, method, path, Somebody(), content_type=kind, headers=environ)
        found: dict[str, str] = {}
        for name, value in answer.headers:
            lower = name.lower()
            assert lower not in found or not lower.startswith("access-control-"), "a browser refuses two of them"
            found[lower] = f"{found[lower]}, {value}" if lower in found else value
        answers.append((method, path, answer.status, found))
        return answer.status, found

    return ask


def is_shared(path: str) -> bool:
    """Whether the address is for other sites' scripts; pages and forms are not."""
    return path.startswith(("/api/", "/media/", "/avatars/")) or path in (
        "/api",
        "/openapi.json",
        "/.well-known/jwks.json",
    )


def shared_routes(site: Router) -> list[Route]:
    """Every address that other sites' scripts may have a use for."""
    return [route for route in route_table(site.registry).values() if is_shared(route.path())]


def assert_kept(promise: Promise, script: Script, path: str, ask: Ask) -> None:
    """The browser does with the site's answers what the settings promise."""
    seen = fetch(script, path, ask)
    expected = promised(promise, script, shared=is_shared(path))
    assert (seen.status is not None) is expected, (script, path)
    if seen.status is not None:
        # Everything in the answer that is exposed, and nothing that is not.
        assert seen.names <= promise.exposed | READ_ANYWAY, (script, path)
        assert seen.status < 500, (script, path)
        if promise.exposed and path.startswith("/api/"):
            assert {"x-ratelimit-remaining", "ratelimit", "x-request-id"} <= seen.names, (script, path)


def test_every_origin_method_and_header(router: Router, setting: CorsSettings) -> None:
    """Preflights and answers of one address of each kind, in all combinations."""
    promise, answers = promise_of(setting), []
    known = asker(router, answers)
    remembered: dict[Any, tuple[int, dict[str, str]]] = {}

    def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        # What is granted to the request itself follows from its origin alone; so many scripts need few answers.
        key = (method, path, tuple(headers.items()) if method == "OPTIONS" else headers["Origin"])
        if key not in remembered:
            remembered[key] = known(method, path, headers)
        return remembered[key]

    for path, origin, method, headers, credentials in product(
        SOME, (*LISTED, *OTHERS), METHODS, HEADERS, (False, True)
    ):
        if method == "OPTIONS" and not headers:
            continue  # Is its own preflight; `test_every_address` has it.
        assert_kept(promise, Script(origin, method, headers, credentials), path, ask)
    granted = {answer.get("access-control-allow-origin") for *_, answer in answers}
    wanted = {"*"} if setting.allow_all else set(setting.origins)
    # And nothing at all where a preflight was refused.
    assert granted == {None, *wanted}, "an origin that is not listed was written into an answer"
    assert {answer.get("access-control-allow-credentials") for *_, answer in answers} == (
        {None, "true"} if setting.credentials else {None}
    )
    for method, path, _, answer in answers:
        assert "access-control-allow-private-network" not in answer
        assert "origin" in map(str.strip, answer["vary"].lower().split(",")), (method, path)


def test_the_table_through_webtest(router: Router, setting: CorsSettings) -> None:
    """The same through WebTest, which holds requests and answers against the WSGI specification (PEP 3333)."""
    client, promise = TestApp(router), promise_of(setting)

    def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        answer = client.request(path, method=method, headers=headers, expect_errors=True)
        return answer.status_int, {name.lower(): value for name, value in answer.headers.items()}

    origins = [origin for origin in (*LISTED, *OTHERS) if origin.isascii()]
    for path, origin, method, headers in product(SOME, origins, ("GET", "POST", "DELETE"), HEADERS[1:3]):
        assert_kept(promise, Script(origin, method, headers, promise.credentials), path, ask)


@pytest.mark.parametrize("setting", [SETTINGS["credentials"], SETTINGS["everybody"]], indirect=False)
def test_every_address(router: Router, site: Router, setting: CorsSettings) -> None:
    """Each address with each of its methods and some that it does not have, for somebody listed and somebody else."""
    promise, answers = promise_of(setting), []
    ask = asker(router, answers)
    routes = shared_routes(site)
    assert len(routes) > 50
    for number, route in enumerate(routes):
        origins = (LISTED[0], OTHERS[number % len(OTHERS)])
        for method, origin in product(sorted(route.methods | {"GET", "HEAD", "POST", "PUT", "OPTIONS"}), origins):
            headers = {} if method in ("GET", "HEAD") else {"Content-Type": "application/json"}
            assert_kept(promise, Script(origin, method, headers, setting.credentials), route.path(), ask)
    assert {status for method, _, status, _ in answers if method != "OPTIONS"} >= {200, 401, 404, 405}
    for method, path, _, answer in answers:
        assert "*" in answer["vary"] or "origin" in answer["vary"].lower(), (method, path)


@pytest.mark.parametrize("setting", [SETTINGS["credentials"]], indirect=False)
def test_a_page_is_nobody_elses(router: Router, site: Router, setting: CorsSettings) -> None:
    """No page and no form grants anything, asked in whichever way.

    Feeds and what oEmbed tells are everybody's: made as for a visitor, whoever asks, and read by scripts of any origin,
    but only as a plain GET and without cookies.
    """
    answers: list[tuple[str, str, int, dict[str, str]]] = []
    ask = asker(router, answers)
    for route in route_table(site.registry).values():
        if is_shared(route.path()):
            continue
        everybodys = "feed." in route.name or route.name == "oembed"
        for script in (Script(LISTED[0]), Script(LISTED[0], credentials=True), Script(LISTED[0], "PUT")):
            seen = fetch(script, route.path(), ask)
            if seen.status is not None:
                assert everybodys, route
                assert script == Script(LISTED[0])
        named = {name for *_, answer in answers for name in answer if name.startswith("access-control-")}
        assert named <= ({"access-control-allow-origin"} if everybodys else set()), route
        answers.clear()


@pytest.mark.parametrize("setting", [SETTINGS["listed"]], indirect=False)
def test_a_preflight_never_reaches_the_application(
    router: Router,
    site: Router,
    setting: CorsSettings,
    count_statements: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    """No statement runs, no limit is used up, nothing is told; for whichever origin, and a session changes nothing."""
    limiter = site.registry["ratelimit"]
    limiter.reset()
    limiter.enabled = True
    try:
        with count_statements() as statements:
            for route, origin, method in product(shared_routes(site), (LISTED[0], "https://evil.example"), METHODS):
                environ = {
                    "HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method,
                    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization", "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK": "true",
                    "HTTP_COOKIE": "session=" + "a" * 43, "HTTP_AUTHORIZATION": "Bearer a.b.c",
                }  # fmt: skip
                answer = send(router, "OPTIONS", route.path(), headers=environ)
                assert (answer.status, answer.body) == (204, b"")
                names = {name.lower() for name, _ in answer.headers}
                assert not names & {
                    "allow",
                    "x-ratelimit-limit",
                    "ratelimit",
                    "set-cookie",
                    "access-control-allow-private-network",
                }
                assert ("access-control-allow-origin" in names) is (
                    origin == LISTED[0] and method in (*setting.methods,)
                )
        assert statements == []
        assert len(limiter.storage) == 0
    finally:
        limiter.enabled = False


@pytest.mark.parametrize("setting", [SETTINGS["listed"]], indirect=False)
def test_errors_of_every_kind_can_be_read(router: Router, site: Router, setting: CorsSettings) -> None:
    """A script must be able to tell its reader why; so each error grants what a success does."""
    person = {"username": "mei", "email": "mei@example.org", "password": "sesame noodles tonight"}
    origin = {"HTTP_ORIGIN": LISTED[0]}
    assert send_json(router, "POST", "/api/users", Somebody(), person, **origin).status == 201
    password = {"password": person["password"]}
    login = send_json(router, "POST", "/api/login", Somebody(), password | {"username": "mei"}, **origin).json
    me = Somebody(authorization=f"Bearer {login['access_token']}")
    meal = send_json(router, "POST", "/api/meals", me, {"food": "noodles"}, **origin).json["id"]
    send_json(router, "POST", "/api/users", Somebody(), person | {"username": "other", "email": "o@example.org"})
    other_login = send_json(router, "POST", "/api/login", Somebody(), password | {"username": "other"}).json
    other = Somebody(authorization=f"Bearer {other_login['access_token']}")
    edit = b'{"food": "rice"}'
    errors = [
        (400, "GET", "/api/meals?nope=1", None, b"", "", {}),
        (400, "GET", "/api/%ff", None, b"", "", {}),
        (401, "GET", "/api/user/profile", None, b"", "", {}),
        (401, "GET", "/api/meals", Somebody(authorization="Bearer a.b.c"), b"", "", {}),
        (403, "DELETE", f"/api/meals/{meal}", other, b"", "", {}),
        (404, "GET", "/api/meals/1", None, b"", "", {}),
        (405, "PUT", "/api/meals", me, b"", "", {}),
        (412, "PUT", f"/api/meals/{meal}", me, edit, "application/json", {"HTTP_IF_MATCH": '"older"'}),
        (413, "POST", "/api/meals", me, b" " * 1_100_000, "application/json", {}),
        (415, "POST", "/api/meals", me, edit, "text/plain", {}),
        (422, "POST", "/api/meals", me, b"{}", "application/json", {}),
    ]  # fmt: skip
    for status, method, path, who, body, kind, more in errors:
        answer = send(router, method, path, who, body=body, content_type=kind, headers=origin | more)
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (status, LISTED[0]), (method, path)
        assert "Retry-After" in answer.header("Access-Control-Expose-Headers")
        assert answer.json["status"] == status
    limiter = site.registry["ratelimit"]
    limiter.enabled = True
    try:
        answers = [send(router, "GET", "/api/search?q=a", headers=origin) for _ in range(121)]
    finally:
        limiter.enabled = False
        limiter.reset()
    assert [answer.status for answer in answers] == [200] * 120 + [429]
    assert answers[-1].header("Access-Control-Allow-Origin") == LISTED[0]
    assert '"search";r=0' in answers[-1].header("RateLimit")


def test_every_header_of_the_document_may_be_sent_and_read(site: Router) -> None:
    """By default a script of a listed origin can use the whole API: what an operation reads and what it answers."""
    settings, document = CorsSettings(), build_document(site.registry)
    readable = {name.lower() for name in settings.expose_headers} | READ_ANYWAY
    sent = {name.lower() for name in settings.headers} | SAFE_HEADERS | BROWSERS_OWN
    parameters, answered = set(document.get("components", {}).get("headers", {})), set()
    answered |= parameters
    asked = set()
    for item in document["paths"].values():
        for operation in (value for key, value in item.items() if key in ("get", "post", "put", "patch", "delete")):
            for parameter in operation.get("parameters", ()):
                if "$ref" in parameter:
                    parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
                asked |= {parameter["name"]} if parameter["in"] == "header" else set()
            for response in operation["responses"].values():
                if "$ref" in response:
                    response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
                answered |= set(response.get("headers", ()))
    assert len(asked) >= 2
    assert len(answered) >= 8
    assert {name for name in asked if name.lower() not in sent} == set()
    assert {name for name in answered if name.lower() not in readable} == set()
    # What the document does not list: what browsers and proxies make of any API, and forms of the site's own scripts.
    assert {"authorization", "content-type", "last-event-id", "x-csrf-token", "x-request-id"} <= sent
    assert {"allow", "deprecation", "sunset", "link", "retry-after", "www-authenticate"} <= readable
