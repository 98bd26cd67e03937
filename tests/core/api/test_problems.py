"""Failures of every kind as problem documents, and nothing of them on the pages."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from pyramid_retry import RetryableException, mark_error_retryable
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from webtest import TestApp

from mealshare.api.problems import problem_of, problem_types
from mealshare.core.errors import DomainError, NotFound
from mealshare.core.security import permissions
from tests.core.api.conftest import BASE, Configured, Make, problem

BAD = {"Authorization": "Bearer bad"}
USER = {"Authorization": "Bearer user"}
ADMIN = {"Authorization": "Bearer admin"}
REALM = 'Bearer realm="MealShare"'


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("missing", 404, "not_found"),
        ("too-many", 429, "rate_limited"),
        ("full", 507, "storage_full"),
        ("gone", 410, "gone"),
        ("internal", 500, "internal"),
        ("bytes", 400, "bad_encoding"),
        ("database-away", 503, "unavailable"),
        ("database-full", 507, "storage_full"),
        ("invalid", 422, "invalid"),
    ],
)
def test_failures_in_a_view(app: TestApp, kind: str, status: int, code: str) -> None:
    answer = app.get(f"/api/odd/{kind}", status=status)
    document = problem(answer, code)
    assert document["instance"] == f"/api/odd/{kind}"
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Language"] == "en"
    assert answer.headers["Vary"] == "Accept, Origin, Cookie, Authorization, Accept-Language"
    assert answer.headers["X-RateLimit-Limit"] == ("10" if kind == "too-many" else "300")


def test_the_whole_document(app: TestApp) -> None:
    answer = app.post_json("/api/things", {"name": "taken"}, headers={"X-Request-Id": "abc"}, status=409)
    assert answer.json == {
        "type": f"{BASE}/problems/thing_exists",
        "title": "There is a taken already.",
        "status": 409,
        "detail": "There is a taken already.",
        "instance": "/api/things",
        "request_id": "abc",
    }


def test_own_limit(app: TestApp) -> None:
    answer = app.get("/api/odd/too-many", status=429)
    assert answer.headers["Retry-After"] == "42"
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert 40 <= int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 44
    assert answer.json["detail"] == "That was too often. Try again in 42 seconds."


def test_pointer_is_escaped(app: TestApp) -> None:
    assert app.get("/api/odd/invalid", status=422).json["errors"] == [
        {"pointer": "#/a/b~0c/0", "code": "too_long", "detail": "This may have at most 3 characters."}
    ]


def test_an_internal_error_tells_nothing_and_is_logged_once(app: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = app.get("/api/odd/internal", status=500)
    assert b"secret" not in answer.body
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_an_error_of_the_real_database(app: TestApp) -> None:
    problem(app.get("/api/broken", status=500), "internal")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("internal", 500, "internal"), ("database-away", 503, "unavailable"), ("database-full", 507, "storage_full")],
)
def test_a_failed_commit_is_a_problem_too(
    app: TestApp, caplog: pytest.LogCaptureFixture, kind: str, status: int, code: str
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = app.post(f"/api/odd/{kind}", headers={"Origin": "https://app.example"}, status=status)
    problem(answer, code)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_the_language_of_the_reader(app: TestApp) -> None:
    answer = app.get("/api/odd/missing", headers={"Accept-Language": "zh-CN"}, status=404)
    assert answer.headers["Content-Language"] == "zh-Hans"


@pytest.mark.parametrize(
    ("method", "headers", "status", "code", "challenge"),
    [
        ("GET", {}, 401, "login_required", REALM),
        ("GET", BAD, 401, "token_expired", f'{REALM}, error="invalid_token", error_description="token_expired"'),
        ("GET", USER, 403, "scope_missing", f'{REALM}, error="insufficient_scope"'),
        ("PUT", {}, 401, "login_required", REALM),
        ("PUT", USER, 403, "role_too_low", None),
        ("POST", USER, 403, "session_required", None),
        ("DELETE", ADMIN, 403, "no_rule", None),
    ],
)
def test_denials(
    app: TestApp, method: str, headers: dict[str, str], status: int, code: str, challenge: str | None
) -> None:
    answer = app.request("/api/guarded", method=method, headers=headers, status=status)
    problem(answer, code)
    assert answer.headers.get("WWW-Authenticate") == challenge


def test_permitted(app: TestApp) -> None:
    assert app.get("/api/guarded", headers=ADMIN).json == {"user": "ann"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "__Host-session=x"},
        {"Cookie": "__Host-session=x", "Origin": "https://evil.example"},
        {"Cookie": "__Host-session=x", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_forged_requests(app: TestApp, headers: dict[str, str]) -> None:
    answer = app.post(
        "/api/things", b'{"name": "soup"}', headers=headers | {"Content-Type": "application/json"}, status=403
    )
    problem(answer, "csrf")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/things/404", "/api/things/abc", "/api/", "/api/odd/none/"])
def test_addresses_that_do_not_exist(app: TestApp, path: str) -> None:
    problem(app.get(path, status=404), "not_found")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/api/things", "GET, HEAD, OPTIONS, POST"),
        ("/api/things/7", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/api/photos", "OPTIONS, POST"),
    ],
)
def test_wrong_methods(app: TestApp, path: str, allow: str) -> None:
    # The checks of WebTest know only the methods of the RFC.
    unchecked = TestApp(app.app, lint=False)
    for method in ("PUT", "TRACE", "FROBNICATE", "get"):
        answer = unchecked.request(path, method=method, headers={"Cookie": "__Host-session=x"}, status=405)
        problem(answer, "method_not_allowed")
        assert answer.headers["Allow"] == allow
    answer = app.options(path, status=204)
    assert answer.headers["Allow"] == allow
    assert answer.headers["X-RateLimit-Limit"] == "300"


def test_a_wrong_method_on_what_does_not_exist(app: TestApp) -> None:
    problem(app.put("/api/things/404", status=404), "not_found")


def test_head_where_only_post_is(app: TestApp) -> None:
    assert app.head("/api/photos", status=405).body == b""


def test_a_known_method_with_another_context_is_not_found(make: Make) -> None:
    app = TestApp(make().app, lint=False)
    app.app.registry["api_methods"]["api.thing"].add("LINK")
    problem(app.request("/api/things/7", method="LINK", status=404), "not_found")


def test_a_redirect_is_no_problem(app: TestApp) -> None:
    assert app.get("/api/odd/found", status=302).headers["Location"] == f"{BASE}/"


def test_pages_have_errors_of_their_own(app: TestApp) -> None:
    answer = app.get("/page", status=500)
    assert answer.headers["Content-Type"] != "application/problem+json"
    assert app.get("/missing", status=404).headers["Content-Type"].startswith("text/plain")


def test_other_faces_may_have_general_views(configured: Configured) -> None:
    """A view of the pages for all exceptions and one for a particular one do not get in the way."""
    config = configured()
    for context in (Exception, NotFound):
        config.add_exception_view(lambda error, request: "page", context=context, renderer="string")
    app = TestApp(config.make_wsgi_app())
    problem(app.get("/api/odd/missing", status=404), "not_found")
    assert app.get("/page").body == b"page"


def error(cls: type[Any], **attributes: Any) -> Any:
    original = type("Original", (Exception,), attributes)()
    return cls("SELECT", {}, original)


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (PoolTimeout("pool"), 503, "unavailable"),
        (RetryableException(), 503, "unavailable"),
        (error(OperationalError), 500, "internal"),
        (error(OperationalError, sqlstate=None), 503, "unavailable"),
        (error(OperationalError, sqlstate="08006"), 503, "unavailable"),
        (error(OperationalError, sqlstate="53300"), 503, "unavailable"),
        (error(OperationalError, sqlstate="57P03"), 503, "unavailable"),
        (error(OperationalError, sqlstate="53100"), 507, "storage_full"),
        (error(OperationalError, sqlstate="57014"), 503, "unavailable"),
        (error(OperationalError, sqlstate="57P01"), 503, "unavailable"),
        (error(OperationalError, sqlstate="55P03"), 503, "unavailable"),
        (error(InternalError, sqlstate="25006"), 503, "unavailable"),
        (error(OperationalError, sqlstate="58030"), 503, "unavailable"),
        (error(OperationalError, sqlite_errorname="SQLITE_FULL"), 507, "storage_full"),
        (error(OperationalError, sqlite_errorname="SQLITE_READONLY_DIRECTORY"), 503, "unavailable"),
        (error(OperationalError, sqlite_errorname="SQLITE_IOERR_WRITE"), 503, "unavailable"),
        (error(OperationalError, sqlite_errorname="SQLITE_CANTOPEN"), 503, "unavailable"),
        (error(InternalError, sqlstate="25P02"), 500, "internal"),
        (error(OperationalError, sqlite_errorname="SQLITE_CORRUPT"), 500, "internal"),
        (error(ProgrammingError, sqlstate="42P01"), 500, "internal"),
        (error(IntegrityError, sqlstate="23505"), 500, "internal"),
        (MemoryError(), 500, "internal"),
        (DomainError("odd"), 400, "odd"),
    ],
)
def test_problem_of(exception: BaseException, status: int, code: str) -> None:
    found = problem_of(exception)
    assert (found.status, found.code) == (status, code)
    assert (("Retry-After", "5") in found.headers) == (status == 503)


def test_a_conflict_that_no_retry_cured() -> None:
    exception = error(OperationalError, sqlstate="40001")
    mark_error_retryable(exception)
    assert problem_of(exception).code == "unavailable"


def test_an_error_with_a_challenge_of_its_own() -> None:
    class WrongError(DomainError):
        status = 401
        code = "wrong_password"

    assert problem_of(WrongError()).headers == [("WWW-Authenticate", REALM)]


def test_every_denial_and_problem_has_a_status_and_words(app: TestApp) -> None:
    registry = app.app.registry
    types = problem_types(registry)
    assert types["thing_exists"] == (409, "There is a ${name} already.")
    assert types["token_expired"][0] == 401
    assert set(map(str, permissions.Denial)) <= set(types)
    assert all(400 <= status < 600 and title for status, title in types.values())


def test_a_problem_has_one_status(configured: Configured) -> None:
    config = configured()
    with pytest.raises(ValueError, match="thing_exists"):
        config.add_problems({"thing_exists": (400, "again")})


def test_the_limit(make: Make) -> None:
    app = make(**{"ratelimit.api": "3/5 minutes"})
    paths = ("/api/tagged", "/api/nothing", "/api/things?limit=x")
    remaining = [app.get(path, expect_errors=True).headers["X-RateLimit-Remaining"] for path in paths]
    assert remaining == ["2", "1", "0"]
    for path in ("/api/tagged", "/api/nothing", "/api/guarded"):
        answer = app.get(path, status=429)
        problem(answer, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 300
        assert answer.headers["X-RateLimit-Limit"] == "3"
        assert abs(int(answer.headers["X-RateLimit-Reset"]) - time.time() - 300) < 5
    # An account has a limit of its own, and so has another address.
    assert app.get("/api/guarded", headers=ADMIN).headers["X-RateLimit-Remaining"] == "2"
    app.get("/api/tagged", extra_environ={"REMOTE_ADDR": "192.0.2.7"})
    app.get("/page", expect_errors=True, status=500)


def test_one_ipv6_network_is_one_client(make: Make) -> None:
    app = make(**{"ratelimit.api": "1/5 minutes"})
    app.get("/api/tagged", extra_environ={"REMOTE_ADDR": "2001:db8::1"})
    app.get("/api/tagged", extra_environ={"REMOTE_ADDR": "2001:db8::2"}, status=429)


def test_a_bad_token_counts_for_the_address(make: Make) -> None:
    app = make(**{"ratelimit.api": "1/5 minutes"})
    app.get("/api/guarded", headers=BAD, status=401)
    app.get("/api/guarded", headers=BAD, status=429)


def test_without_limits(make: Make) -> None:
    app = make(**{"ratelimit.api": "1/5 minutes", "ratelimit.enabled": "false"})
    for _ in range(3):
        app.get("/api/tagged")


def test_a_request_that_is_tried_again_counts_once(app: TestApp) -> None:
    answer = app.get("/api/odd/retried")
    assert answer.json == {"a": 2}
    assert answer.headers["X-RateLimit-Remaining"] == "299"
    answer = app.get("/api/odd/busy", status=503)
    problem(answer, "unavailable")
    assert answer.headers["X-RateLimit-Remaining"] == "298"


def test_a_bad_token_on_a_missing_address(app: TestApp) -> None:
    answer = app.get("/api/nothing", headers=BAD, status=404)
    problem(answer, "not_found")
    assert app.get("/api/tagged").headers["X-RateLimit-Remaining"] == "298"


def test_an_exception_view_that_fails(app: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = app.get("/api/odd/unanswerable", headers={"Origin": "https://app.example"}, status=500)
    problem(answer, "internal")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_a_limiter_that_fails_is_an_internal_error(app: TestApp) -> None:
    class BrokenLimiter:
        def hit(self, *keys: str) -> None:
            raise ZeroDivisionError

    app.app.registry["ratelimit"] = BrokenLimiter()
    problem(app.get("/api/tagged", headers={"Origin": "https://app.example"}, status=500), "internal")


def test_an_application_without_limiter(app: TestApp) -> None:
    del app.app.registry["ratelimit"]
    assert "X-RateLimit-Limit" not in app.get("/api/tagged").headers
    assert "X-RateLimit-Limit" not in app.get("/api/nothing", status=404).headers
