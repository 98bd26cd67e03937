"""`auth.session_cache_seconds`: one statement less for a read, and whoever is signed out is so at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text
from webtest import TestApp

from mealshare import main
from mealshare.core.db import record_statements
from mealshare.core.security.identity import Role
from mealshare.features.accounts.service import set_role
from tests.conftest import left_out
from tests.databases import REDIS_LEFT_OUT, redis_url
from tests.functional.streams import wait_until
from tests.people import PASSWORD, add_user, bearer, form_with, sign_in
from tests.sites import site_settings


@pytest.fixture
def prefix() -> Iterator[str]:
    """What the keys of this test in Redis begin with."""
    name = f"test-{secrets.token_hex(8)}"
    yield name
    with redis.Redis.from_url(redis_url() or "") as client:
        for key in client.scan_iter(match=f"{name}:*"):
            client.delete(key)


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest, prefix: str) -> dict[str, str]:
    if request.param == "memory":
        return {}
    if redis_url() is None:
        left_out(REDIS_LEFT_OUT)
    return {"cache.backend": "redis", "cache.url": redis_url() or "", "cache.prefix": prefix, "cache.timeout": "5"}


@pytest.fixture
def make_app(cache: dict[str, str], database_url: str, tmp_path: Path) -> Iterator[Callable[..., TestApp]]:
    """``make_app(seconds)``: a process of a site that remembers senders so long."""
    with ExitStack() as stack:

        def make(seconds: float) -> TestApp:
            settings = site_settings(tmp_path, database_url, "http://localhost") | {"jobs.engine": "worker"} | cache
            router = main({}, **settings, **{"auth.session_cache_seconds": str(seconds)})
            stack.callback(router.registry["engine"].dispose)
            return TestApp(router)

        yield make


def statements(ask: Callable[[], Any]) -> int:
    """How many statements an answer takes when it was given a moment ago."""
    best = 99
    # A busy machine may take more than the second that there is.
    for _ in range(5):
        ask()
        with record_statements() as seen:
            ask()
        best = min(best, len(seen))
    return best


def test_a_read_takes_one_statement_less(make_app: Callable[..., TestApp]) -> None:
    plain, remembering = make_app(0), make_app(1)
    mei = add_user(plain.app.registry, "mei")
    browser, headers = TestApp(plain.app), bearer(plain, mei)
    sign_in(browser, mei)
    other = TestApp(remembering.app)
    other.set_cookie("session", browser.cookies["session"])
    fewer = statements(lambda: browser.get("/home")) - statements(lambda: other.get("/home"))
    assert fewer == 1
    assert statements(lambda: TestApp(plain.app).get("/api/meals", headers=headers)) == 2
    assert statements(lambda: TestApp(remembering.app).get("/api/meals", headers=headers)) == 1
    assert other.get("/home").text.count("@mei") == browser.get("/home").text.count("@mei") > 0


def signed_in(browser: TestApp) -> bool:
    return browser.get("/settings/profile", status="*").status_int == 200


def copies(app: TestApp, user: Any, number: int = 2) -> list[TestApp]:
    """Browsers with one and the same session."""
    sign_in(app, user)
    made = [app]
    for _ in range(number - 1):
        copy = TestApp(app.app)
        for name, value in app.cookies.items():
            copy.set_cookie(name, value)
        made.append(copy)
    return made


def ends_logout(app: TestApp, user: Any) -> None:
    form = next(form for form in app.get("/").forms.values() if form.action == "/logout")
    form.submit()


def ends_password(app: TestApp, user: Any) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long password 7"}
    TestApp(app.app).put_json("/api/user/password", body, headers=bearer(app, user), status="2*")


def ends_role(app: TestApp, user: Any) -> None:
    with app.app.registry["open_work"]() as work:
        set_role(work, "http://localhost", user.username, Role.MODERATOR)


@pytest.mark.parametrize("end", [ends_logout, ends_password, ends_role])
def test_whatever_ends_a_session_ends_it_at_once(make_app: Callable[..., TestApp], end: Callable[..., None]) -> None:
    app = make_app(1)
    mei = add_user(app.app.registry, "mei")
    mine, copy = copies(TestApp(app.app), mei)
    headers = bearer(app, mei)
    for _ in range(3):
        assert signed_in(copy)
        TestApp(app.app).get("/api/user/profile", headers=headers, status=200)
    end(mine, mei)
    assert not signed_in(copy)
    if end is not ends_logout:
        TestApp(app.app).get("/api/user/profile", headers=headers, status=401)


def test_what_nobody_tells_the_cache_counts_within_a_second(make_app: Callable[..., TestApp]) -> None:
    app = make_app(1)
    mei = add_user(app.app.registry, "mei")
    [browser] = copies(TestApp(app.app), mei, 1)
    assert signed_in(browser)
    with app.app.registry["open_work"]() as work:
        work.session.execute(text("UPDATE accounts SET suspended_at = CURRENT_TIMESTAMP"))
    asked = ended = time.monotonic()
    while signed_in(browser):
        # However often it is asked: only what the database said counts, and for a second only.  What was asked later
        # than that is refused, however long the answer takes.
        assert asked - ended <= 1
        asked = time.monotonic()


def test_what_somebody_changes_themselves_is_told_at_once(make_app: Callable[..., TestApp]) -> None:
    app = make_app(1)
    browser = TestApp(app.app)
    sign_in(browser, add_user(app.app.registry, "mei"))
    form = form_with(browser.get("/settings/profile"), "display_name")
    form["display_name"] = "Mei Somebody"
    form.submit(status=303)
    assert "Mei Somebody" in browser.get("/")


@pytest.mark.parametrize("cache", ["redis"], indirect=True)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_logging_out_in_one_process_counts_in_the_other(make_app: Callable[..., TestApp], prefix: str) -> None:
    one, other = make_app(1), make_app(1)
    mei = add_user(one.app.registry, "mei")
    mine = TestApp(one.app)
    sign_in(mine, mei)
    copy = TestApp(other.app)
    copy.set_cookie("session", mine.cookies["session"])
    with redis.Redis.from_url(redis_url() or "") as client:
        cache = other.app.registry["cache"]
        seen: list[tuple[bytes, bytes, int]] = []

        def remembered() -> bool:
            """Whether it is in Redis; an answer of a busy machine may take longer than it stays there."""
            assert signed_in(copy)
            for key in client.keys(f"{prefix}:cache:session:*"):
                value, left = client.get(key), client.pttl(key)
                name = key.decode().removeprefix(f"{prefix}:cache:")
                kept = cache.get(name)
                # Kept on for longer than any machine takes, so that it is not time that ends it.
                if value is not None and left > 0 and kept is not None and cache.set(name, kept, 600):
                    seen.append((key, value, left))
            return bool(seen)

        wait_until(remembered)
        [(key, value, left)] = seen
        assert mine.cookies["session"].encode() not in key + value
        assert b"argon2" not in value
        assert left <= 1000
        ends_logout(mine, mei)
        assert client.keys(f"{prefix}:cache:session:*") == []
    assert not signed_in(copy)
