"""CORS as a table: who gets which headers, on answers of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from webtest import TestApp

from mealshare.core.http_server import ANSWER_HOOKS
from mealshare.core.settings import SettingsError
from tests.core.api.conftest import ORIGIN, Make

GRANT = "Access-Control-Allow-Origin"


def preflight(app: TestApp, origin: str = ORIGIN, method: str = "PUT", headers: str | None = None, **more: str) -> Any:
    given = {"Origin": origin, "Access-Control-Request-Method": method, **more}
    if headers is not None:
        given["Access-Control-Request-Headers"] = headers
    return app.options("/api/things", headers=given, status=204)


def granted(answer: Any) -> list[str]:
    return [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/things", 200),
        ("HEAD", "/api/things", 200),
        ("GET", "/api/odd/none", 204),
        ("GET", "/api/odd/bytes", 400),
        ("GET", "/api/guarded", 401),
        ("DELETE", "/api/guarded", 403),
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/things", 405),
        ("POST", "/api/things", 415),
        ("GET", "/api/odd/invalid", 422),
        ("GET", "/api/odd/too-many", 429),
        ("GET", "/api/odd/internal", 500),
        ("GET", "/api/odd/database-away", 503),
        ("POST", "/api/odd/internal", 500),
        ("OPTIONS", "/api/things", 204),
        ("GET", "/api/%ff", 400),
        ("GET", "/openapi.json", 200),
        ("GET", "/.well-known/jwks.json", 200),
        ("GET", "/media/ab/cd.webp", 404),
        ("GET", "/avatars/ab.webp", 404),
    ],
)
def test_every_answer(app: TestApp, method: str, path: str, status: int) -> None:
    answer = app.request(path, method=method, headers={"Origin": ORIGIN}, expect_errors=True)
    assert answer.status_int == status
    assert answer.headers.getall(GRANT) == [ORIGIN]
    assert "Origin" in answer.headers["Vary"].split(", ")
    assert {"Link", "ETag", "Retry-After", "X-Request-Id"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers
    if path == "/.well-known/jwks.json":
        assert answer.headers["Vary"].startswith("Origin, Accept-Encoding")
    without = app.request(path, method=method, expect_errors=True)
    assert granted(without) == []
    assert "Origin" in without.headers["Vary"].split(", ")


def test_answers_of_413_and_304(app: TestApp) -> None:
    headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
    assert app.post("/api/things", b" " * 1_100_000, headers=headers, status=413).headers[GRANT] == ORIGIN
    assert app.get("/api/tagged", headers={"Origin": ORIGIN, "If-None-Match": "*"}, status=304).headers[GRANT] == ORIGIN


def test_answers_that_the_server_makes_itself(app: TestApp) -> None:
    def headers(path: str, origin: str | None) -> dict[str, str]:
        return dict(header for hook in app.app.registry[ANSWER_HOOKS] for header in hook(path, origin))

    assert headers("/api/things", ORIGIN)[GRANT] == ORIGIN
    for path, origin in (("/api/things", "https://evil.example"), ("/api/things", None), ("/", ORIGIN), ("", ORIGIN)):
        assert GRANT not in headers(path, origin)


@pytest.mark.parametrize("path", ["/page", "/docs", "/missing", "/", "/apis/x", "/media"])
def test_pages_are_nobody_elses(app: TestApp, path: str) -> None:
    answer = app.get(path, headers={"Origin": ORIGIN}, expect_errors=True)
    assert granted(answer) == []
    refused = app.options(path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}, expect_errors=True)
    assert granted(refused) == []


HOSTILE = [
    "https://evil.example",
    "null",
    "*",
    "",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://evilapp.example",
    "https://app.example/",
    "https://APP.example",
    "https://sub.app.example",
    "https://app.example@evil.example",
    "https://app.example, https://evil.example",
    "https://app_example",
    "file://",
    "http://localhost",
    "http://localhost:51730",
]


@pytest.mark.parametrize("origin", HOSTILE)
def test_hostile_origins(make: Make, origin: str) -> None:
    app = make(**{"cors.credentials": "true"})
    assert granted(app.get("/api/things", headers={"Origin": origin})) == []
    assert granted(app.get("/api/guarded", headers={"Origin": origin}, status=401)) == []
    assert granted(preflight(app, origin)) == []


def test_every_listed_origin(app: TestApp) -> None:
    assert app.get("/api/things", headers={"Origin": "http://localhost:5173"}).headers[GRANT] == "http://localhost:5173"


@pytest.mark.parametrize(
    ("method", "headers", "allowed"),
    [
        ("PUT", None, True),
        ("PATCH", "content-type,if-match", True),
        ("DELETE", "AUTHORIZATION , X-CSRF-Token", True),
        ("GET", "", True),
        ("POST", "accept,content-language,range", True),
        ("PUT", "x-evil", False),
        ("PUT", "authorization,x-evil", False),
        ("PUT", "*", False),
        ("PUT", "cookie", False),
        ("TRACE", None, False),
        ("CONNECT", None, False),
        ("put", None, False),
        ("", None, False),
        ("*", None, False),
    ],
)
def test_preflights(app: TestApp, method: str, headers: str | None, allowed: bool) -> None:
    answer = preflight(app, ORIGIN, method, headers)
    assert answer.body == b""
    assert answer.headers["Vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    if not allowed:
        assert granted(answer) == []
        return
    assert answer.headers[GRANT] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    assert "Access-Control-Expose-Headers" not in answer.headers


def test_a_private_network_is_not_opened(app: TestApp) -> None:
    answer = preflight(app, **{"Access-Control-Request-Private-Network": "true"})
    assert "Access-Control-Allow-Private-Network" not in answer.headers


def test_a_preflight_never_reaches_the_application(make: Make) -> None:
    app = make(**{"ratelimit.api": "1/5 minutes"})
    for path in ("/api/odd/internal", "/api/nothing", "/api/%ff"):
        headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
        answer = app.options(path, headers=headers, status=204)
        assert answer.headers[GRANT] == ORIGIN
        assert "X-RateLimit-Limit" not in answer.headers
    assert app.get("/api/tagged").headers["X-RateLimit-Remaining"] == "0"


def test_options_without_a_question_is_the_applications(app: TestApp) -> None:
    answer = app.options("/api/things", headers={"Origin": ORIGIN}, status=204)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_credentials(make: Make) -> None:
    app = make(**{"cors.credentials": "true"})
    for answer in (app.get("/api/things", headers={"Origin": ORIGIN}), preflight(app)):
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers[GRANT] == ORIGIN
    assert granted(app.get("/api/things", headers={"Origin": "null"})) == []


def test_allow_all(make: Make) -> None:
    app = make(**{"cors.allow_all": "true", "cors.origins": ""})
    for origin in ("https://anybody.example", "null"):
        assert app.get("/api/things", headers={"Origin": origin}).headers[GRANT] == "*"
        assert preflight(app, origin).headers[GRANT] == "*"
    answer = app.get("/api/things", headers={"Origin": "https://anybody.example"})
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_the_other_settings(make: Make) -> None:
    app = make(
        **{
            "cors.methods": "GET, PUT",
            "cors.headers": "X-One",
            "cors.max_age": "5",
            "cors.expose_headers": "",
        }
    )
    answer = preflight(app, headers="x-one")
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, PUT"
    assert answer.headers["Access-Control-Allow-Headers"] == "X-One"
    assert answer.headers["Access-Control-Max-Age"] == "5"
    assert granted(preflight(app, headers="authorization")) == []
    assert granted(preflight(app, method="DELETE")) == []
    assert "Access-Control-Expose-Headers" not in app.get("/api/things", headers={"Origin": ORIGIN}).headers


def test_no_origin_is_listed_by_default(make: Make) -> None:
    app = make(**{"cors.origins": ""})
    assert granted(app.get("/api/things", headers={"Origin": ORIGIN})) == []


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_origins_are_compared_as_browsers_write_them(make: Make, written: str, origin: str) -> None:
    app = make(**{"cors.origins": written})
    assert app.get("/api/things", headers={"Origin": origin}).headers[GRANT] == origin


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("origins", "*"),
        ("origins", "null"),
        ("origins", "https://app.example/"),
        ("origins", "https://app.example/path"),
        ("origins", "https://app.example?x"),
        ("origins", "https://user@app.example"),
        ("origins", "https://*.example"),
        ("origins", "app.example"),
        ("origins", "ftp://app.example"),
        ("origins", "https://"),
        ("origins", "https://app.example:0"),
        ("origins", "https://app.example:99999"),
        ("origins", "https://app.example:"),
        ("methods", "*"),
        ("methods", "GE/T"),
        ("headers", "*"),
        ("headers", "X:Y"),
        ("expose_headers", "*"),
        ("max_age", "-1"),
        ("max_age", "86401"),
        ("allow_all", "perhaps"),
    ],
)
def test_settings_that_stop_the_boot(make: Make, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"cors.{name}"):
        make(**{f"cors.{name}": value})


def test_allow_all_with_credentials_stops_the_boot(make: Make) -> None:
    with pytest.raises(SettingsError, match=r"cors\.allow_all and cors\.credentials"):
        make(**{"cors.allow_all": "true", "cors.credentials": "true"})
