"""Who asks: found once, by one statement or none, frozen, and still there when the transaction is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import IRequestFactory
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import Row, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from webtest import TestApp

from mealshare.core.db import record_statements
from mealshare.core.security.cookies import CookieJar
from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.permissions import CorePermission, RuleBook
from mealshare.core.security.policy import (
    AuthenticationFailed,
    SecurityPolicy,
    has_bearer,
    identity_if_known,
    set_identity,
)
from tests.core.wiring import ANN, BOB, PEOPLE, call, small_router

SIMPLE = (int, str, bool, type(None), Role, AuthMethod)


def request_with(**environ: str) -> Request:
    return Request.blank("/", environ=environ)


@pytest.mark.parametrize(
    ("header", "bearer"),
    [("Bearer x", True), ("bearer x", True), ("BEARER x", True), ("Bearer ", True), ("Basic x", False),
     ("", False), ("Bearerx", False), (" Bearer x", False), ("Basic bearer", False), ("Digest a=bearer, b=x", False),
     # What servers make of "Bearer " without a token, and of two headers.
     ("Bearer", True), ("bearer", True), ("Bearer, Bearer x", True), ("Basic x, Bearer y", True), ("Bearer\tx", True)],
)  # fmt: skip
def test_a_bearer_header(header: str, bearer: bool) -> None:
    assert has_bearer(request_with(HTTP_AUTHORIZATION=header)) is bearer
    assert not has_bearer(request_with())


def test_an_authenticator_is_asked_once_whatever_it_says() -> None:
    calls = []

    def nobody(request: Request) -> None:
        calls.append("session")

    def failing(request: Request) -> Identity:
        calls.append("bearer")
        raise AuthenticationFailed("token_expired")

    policy = SecurityPolicy({AuthMethod.SESSION: nobody, AuthMethod.BEARER: failing}, RuleBook({}))
    visitor, expired = request_with(), request_with(HTTP_AUTHORIZATION="Bearer x")
    assert [policy.identity(visitor), policy.authenticated_userid(visitor)] == [None, None]
    with pytest.raises(AuthenticationFailed, match="token_expired"):
        policy.identity(expired)
    # The error page asks again: it gets a visitor, and no second exception.
    assert policy.identity(expired) is None
    assert calls == ["session", "bearer"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AuthenticationFailed("token_expired"), []),
        (OperationalError("SELECT 1", {}, OSError("away")), []),
        (ZeroDivisionError(), ["identity.failed"]),
    ],
    ids=["token", "database", "fault"],
)
def test_what_goes_on_in_any_case_goes_on_without_knowing_who_asks(
    error: Exception, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        @property
        def identity(self) -> Identity:
            raise error

    assert identity_if_known(Broken()) is None
    assert [record.getMessage() for record in caplog.records] == told


def test_a_bearer_header_without_an_authenticator_is_nobody_and_never_the_cookie() -> None:
    policy = SecurityPolicy({AuthMethod.SESSION: lambda request: PEOPLE[ANN]}, RuleBook({}))
    assert policy.identity(request_with(HTTP_AUTHORIZATION="Bearer x")) is None


def test_the_policy_sets_no_cookies() -> None:
    policy = SecurityPolicy({}, RuleBook({}))
    assert policy.remember(request_with(), "1") == policy.forget(request_with()) == []


def test_an_identity_cannot_be_changed_and_holds_plain_values_only() -> None:
    identity = PEOPLE[ANN]
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.role = Role.ADMIN
    assert_plain(identity)


def assert_plain(identity: Identity) -> None:
    """Nothing that could reach for the database, however deep one looks."""
    for field in dataclasses.fields(identity):
        value = getattr(identity, field.name)
        if isinstance(value, Mapping):
            # What features read along with the person: plain values by their names, and nothing can be put in.
            assert isinstance(value, MappingProxyType), field.name
            assert all(isinstance(item, SIMPLE) for item in value.values()), field.name
            continue
        assert isinstance(value, (*SIMPLE, frozenset)), field.name
        assert not isinstance(value, Row | DeclarativeBase | Session)
        if isinstance(value, frozenset):
            assert all(isinstance(item, str) for item in value)


# In an application.


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    engines = []

    def build(view: Callable[[Request], Any]) -> Any:
        def wire(config: Configurator) -> None:
            config.add_route("any", "/*rest")
            config.add_view(view, route_name="any", permission=CorePermission.PUBLIC, require_csrf=False)

        router = small_router(f"sqlite:///{tmp_path}/x.sqlite", tmp_path, wire)
        engines.append(router.registry["engine"])
        return router

    yield build
    for engine in engines:
        engine.dispose()


def test_signing_in_and_out_counts_at_once(make: Callable[..., Any]) -> None:
    def view(request: Request) -> Response:
        before = request.identity
        set_identity(request, PEOPLE[BOB])
        after = request.identity
        set_identity(request, None)
        return Response(f"{before.username} {after.username} {request.identity}")

    assert call(make(view), "POST", "/", HTTP_COOKIE=f"session={ANN}").text == "ann bob None"


def test_an_error_page_names_the_person_although_the_transaction_is_gone(make: Callable[..., Any]) -> None:
    def view(request: Request) -> Response:
        request.db.execute(text("SELECT * FROM no_such_table"))
        return Response()

    answer = call(make(view), "POST", "/", HTTP_COOKIE=f"session={ANN}")
    assert answer.status_int == 500
    assert 'href="/@ann"' in answer.text
    assert "no_such_table" not in answer.text


def test_an_error_page_is_shown_although_nobody_can_be_asked_who_it_is(make: Callable[..., Any]) -> None:
    def view(request: Request) -> Response:
        return Response()

    router = make(view)

    def broken(request: Request) -> Identity:
        raise ZeroDivisionError

    router.registry["authenticators"][AuthMethod.SESSION] = broken
    answer = call(router, "GET", "/", HTTP_COOKIE=f"session={ANN}")
    assert answer.status_int == 500
    assert 'href="/login"' in answer.text


@pytest.mark.parametrize(("secure", "name"), [(True, "__Host-session"), (False, "session")])
def test_a_cookie_is_for_this_host_and_for_no_script(secure: bool, name: str) -> None:
    jar, response = CookieJar(secure), Response()
    jar.set(response, "session", "x", max_age=60)
    parts = {part.strip() for part in response.headers["Set-Cookie"].split(";")}
    assert {f"{name}=x", "Max-Age=60", "Path=/", "HttpOnly", "SameSite=Lax"} <= parts
    assert ("secure" in parts) is secure
    assert not any(part.lower().startswith("domain") for part in parts)
    assert jar.get(request_with(HTTP_COOKIE=f"{name}=y; other=z"), "session") == "y"
    # On https nothing is taken from the name that another host or a plain-text page could have set.
    other = "session" if secure else "__Host-session"
    assert jar.get(request_with(HTTP_COOKIE=f"{other}=y"), "session") is None
    gone = Response()
    jar.delete(gone, "session")
    assert "Max-Age=0" in gone.headers["Set-Cookie"]


def test_cookies_that_are_no_text_are_ignored() -> None:
    """A quoted value may hold any byte, written in octal."""
    broken = request_with(HTTP_COOKIE='session="\\377\\376"')
    with pytest.raises(UnicodeDecodeError):
        broken.cookies.get("session")
    assert CookieJar(False).get(broken, "session") is None


# In the real application.


def test_a_visitor_costs_no_statement_and_a_person_one(
    app: TestApp, make_user: Any, login: Callable[..., None], token: Callable[..., dict[str, str]]
) -> None:
    app.get("/about")
    with record_statements() as visitor:
        app.get("/about")
    with record_statements() as stranger:
        app.get("/about", headers={"Cookie": "session=short; csrf=x"})
    user = make_user("ann")
    headers = token(app, user)
    login(app, user)
    with record_statements() as person:
        page = app.get("/about")
    app.reset()
    with record_statements() as program:
        app.get("/about", headers=headers)
    assert [len(found) for found in (visitor, stranger, person, program)] == [0, 0, 1, 1]
    assert 'href="/@ann"' in page.text


def test_no_database_object_is_reachable_from_an_identity(
    app: TestApp, registry: Any, make_user: Any, login: Callable[..., None]
) -> None:
    login(app, make_user("ann"))
    cookie = "; ".join(f"{name}={value}" for name, value in app.cookies.items())
    request = registry.getUtility(IRequestFactory).blank("/", environ={"HTTP_COOKIE": cookie})
    request.registry = registry
    identity = request.identity
    request._process_finished_callbacks()
    assert identity.username == "ann"
    assert_plain(identity)
    # And it holds when the database is gone from under it.
    assert dataclasses.replace(identity) == identity
