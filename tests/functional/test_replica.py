"""A real streaming replica: who reads from it, who must not, and what happens when it is late or gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from webtest import TestApp

from mealshare import main
from mealshare.core.breaker import QUIET
from mealshare.core.db import DatabaseSettings
from mealshare.core.db.migrate import upgrade
from mealshare.core.db.replica import BACK, CAUGHT_UP, FAILED, LATE
from mealshare.core.settings import Secret, SettingsError
from tests.people import add_user, bearer, form_with, sign_in
from tests.postgres_cluster import Cluster, own_cluster, own_replica
from tests.redis_server import OwnRedis, own_redis
from tests.sites import site_settings

#: So long that nothing of it happens while a test runs, on whichever machine.
PATIENT = {"db.replica_max_lag_seconds": "300", "db.replica_pin_seconds": "600", "cache.timeout": "5"}
#: What shows in a server's log that a feed was read there.
FEED = "FROM posts"


@dataclass(frozen=True)
class Pair:
    """A primary, its replica, and the Redis of the site."""

    primary: Cluster
    replica: Cluster
    redis: OwnRedis

    def catch_up(self) -> None:
        """Wait until the replica has all that the primary has."""
        [(position,)] = self.primary.run("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + 30
        while self.replica.run(f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn") != [(True,)]:
            assert time.monotonic() < deadline, "the replica does not follow"
            time.sleep(0.02)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The replica stays as it is, whatever is written."""
        self.catch_up()
        self.replica.run("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            self.replica.run("SELECT pg_wal_replay_resume()")
            self.catch_up()

    def idle(self, seconds: float, condition: Callable[[], bool]) -> bool | None:
        """Whether ``condition()`` holds after the replica has been held so long and the primary has written nothing.

        None if the primary did: a server that is left alone still notes now and then which transactions run.
        """
        with self.held():
            [before] = self.primary.run("SELECT pg_current_wal_lsn()::text")
            time.sleep(seconds)
            result = condition()
            [after] = self.primary.run("SELECT pg_current_wal_lsn()::text")
        return result if before == after else None

    @contextmanager
    def asked(self, what: str = FEED) -> Iterator[set[str]]:
        """Fills the set with the servers that were asked such a thing inside the block."""
        servers = {"primary": self.primary, "replica": self.replica}
        before = {name: server.log.stat().st_size for name, server in servers.items()}
        found: set[str] = set()
        yield found
        for name, server in servers.items():
            if what in server.log.read_text(errors="replace")[before[name] :]:
                found.add(name)


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, need_redis_server: None, need_postgres_server: None
) -> Iterator[Pair]:
    with own_cluster(log_statement="all") as primary:
        primary.run("CREATE DATABASE site")
        upgrade(primary.url("site"))
        with own_replica(primary, log_statement="all") as replica, own_redis(tmp_path_factory.mktemp("redis")) as redis:
            yield Pair(primary, replica, redis)


@pytest.fixture
def make_app(pair: Pair, tmp_path: Path) -> Iterator[Callable[..., TestApp]]:
    """``make_app(**settings)``: a site with the replica, which has been found fit."""
    with ExitStack() as stack:

        def make(**more: str) -> TestApp:
            settings = site_settings(tmp_path, pair.primary.url("site"), "http://localhost") | PATIENT
            settings |= {"db.replica_url": pair.replica.url("site"), "jobs.engine": "worker"}
            settings |= {"cache.backend": "redis", "cache.url": pair.redis.url}
            router = main({}, **settings | {name.replace("__", "."): value for name, value in more.items()})
            stack.callback(router.registry["engine"].dispose)
            stack.callback(router.registry["replica"].close)
            wait_until(router.registry["replica"].usable)
            return TestApp(router)

        pair.primary.run("DELETE FROM posts; DELETE FROM users; DELETE FROM accounts", "site")
        pair.catch_up()
        pair.redis.empty()
        yield make


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of the replica."""
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("db.replica_")]


def foods(app: TestApp, headers: dict[str, str] | None = None) -> list[str]:
    return [item["food"] for item in app.get("/api/meals", headers=headers).json]


def test_reads_go_to_the_replica_and_all_else_to_the_primary(pair: Pair, make_app: Callable[..., TestApp]) -> None:
    app = make_app()
    headers = bearer(app, add_user(app.app.registry, "mei"))
    pair.catch_up()
    for path, more in (("/", {}), ("/api/meals", {}), ("/api/meals", headers)):
        with pair.asked() as servers:
            app.get(path, headers=more)
        assert servers == {"replica"}, path
    with pair.asked("FROM grants") as servers:
        app.get("/api/meals", headers=headers)
    assert servers == {"primary"}, "a grant must be asked of the primary"
    with pair.asked("posts") as servers:
        app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
    assert servers == {"primary"}
    assert app.get("/health/ready").json["checks"]["replica"] == "ok"


def test_everybody_sees_at_once_what_they_did_themselves(pair: Pair, make_app: Callable[..., TestApp]) -> None:
    app, elsewhere = make_app(), make_app()
    mei, tom = add_user(app.app.registry, "mei"), add_user(app.app.registry, "tom")
    browser, other = TestApp(app.app), TestApp(elsewhere.app)
    meis, toms = bearer(app, mei), bearer(app, tom)
    sign_in(browser, mei)
    pair.redis.empty()
    browser.reset()
    sign_in(browser, mei)
    with pair.held():
        form = form_with(browser.get("/new"), "food")
        form["food"] = "Zhajiangmian"
        page = form.submit(status=303).follow()
        assert "Zhajiangmian" in page
        # The browser, in each process: by its cookie, even when it is signed in no more.
        assert "fresh" in browser.cookies
        assert "Zhajiangmian" in browser.get("/")
        left = TestApp(elsewhere.app)
        left.set_cookie("fresh", browser.cookies["fresh"])
        assert "Zhajiangmian" in left.get("/")
        # A program of the same account, without a cookie and in another process: by the account.
        assert foods(elsewhere, meis) == ["Zhajiangmian"]
        # Others see it a moment later.
        assert (foods(other), foods(other, toms)) == ([], [])
        other.post_json("/api/meals", {"food": "rice"}, headers=toms, status=201)
        assert "fresh" not in other.cookies, "programs do without"
        assert sorted(foods(app, toms)) == ["Zhajiangmian", "rice"]
        # Afterwards they read from the replica again.
        pair.redis.empty()
        assert foods(app, toms) == []
    assert sorted(foods(app, toms)) == ["Zhajiangmian", "rice"]


def test_the_cookie_is_short_lived_and_says_nothing(pair: Pair, make_app: Callable[..., TestApp]) -> None:
    app = make_app(db__replica_max_lag_seconds="1.5", db__replica_pin_seconds="5")
    mei = add_user(app.app.registry, "mei")
    form = form_with(app.get("/login"), "password")
    form["login"], form["password"] = mei.username, mei.password
    [cookie] = [value for value in form.submit(status=303).headers.getall("Set-Cookie") if value.startswith("fresh")]
    assert {part.strip().lower() for part in cookie.split(";")} >= {
        "fresh=1", "max-age=5", "path=/", "httponly", "samesite=lax",
    }  # fmt: skip
    with redis.Redis.from_url(pair.redis.url) as client:
        assert 0 < client.pttl(f"localhost:cache:fresh:{mei.account_id}") <= 5000


def test_whoever_is_signed_in_reads_from_the_primary_while_the_cache_is_away(
    pair: Pair, make_app: Callable[..., TestApp]
) -> None:
    app = make_app(cache__timeout="0.2")
    headers = bearer(app, add_user(app.app.registry, "mei"))
    pair.catch_up()
    pair.redis.kill()
    try:
        for more, expected in ((headers, "primary"), ({}, "replica")):
            with pair.asked() as servers:
                app.get("/api/meals", headers=more)
            assert servers == {expected}
    finally:
        pair.redis.start()
    own = make_app(cache__backend="memory")
    with pair.asked() as servers:
        own.get("/api/meals", headers=headers)
    assert servers == {"primary"}, "another process could not know what this one was told"


def test_who_has_been_signed_out_is_so_at_once(pair: Pair, make_app: Callable[..., TestApp]) -> None:
    app = make_app()
    mei = add_user(app.app.registry, "mei")
    browser, headers = TestApp(app.app), bearer(app, mei)
    sign_in(browser, mei)
    pair.catch_up()
    with pair.held():
        app.post_json("/api/logout", headers=headers, status=204)
        app.get("/api/meals", headers=headers, status=401)
        session = dict(browser.cookies)
        form = next(form for form in browser.get("/").forms.values() if form.action == "/logout")
        form.submit()
        thief = TestApp(app.app)
        thief.set_cookie("session", session["session"])
        assert thief.get("/settings/profile", status="*").status_int == 303


def test_a_replica_that_is_late_is_left_out_until_it_has_caught_up(
    pair: Pair, make_app: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
) -> None:
    # Twice as long as between two looks, so that a busy machine may be late with one.
    app = make_app(db__replica_max_lag_seconds="3", db__replica_pin_seconds="8")
    replica = app.app.registry["replica"]
    headers = bearer(app, add_user(app.app.registry, "mei"))
    visitor = TestApp(app.app)
    found = (pair.idle(4.5, replica.usable) for _ in range(10))
    assert next(usable for usable in found if usable is not None), "nothing was written: it is not late"
    caplog.clear()
    with pair.held():
        app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
        wait_until(lambda: LATE in told(caplog) and not replica.usable())
        with pair.asked() as servers:
            assert foods(visitor) == ["soup"]
        assert servers == {"primary"}
        assert visitor.get("/health/ready").json["checks"]["replica"] == "degraded"
    wait_until(replica.usable)
    with pair.asked() as servers:
        assert foods(visitor) == ["soup"]
    assert servers == {"replica"}
    assert told(caplog) == [LATE, CAUGHT_UP]


def test_a_replica_that_goes_away_fails_no_request(
    pair: Pair, make_app: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    replica = app.app.registry["replica"]
    for go in (lambda: pair.replica.stop("fast"), lambda: pair.replica.stop("immediate"), pair.replica.kill):
        assert replica.usable()
        foods(app)
        go()
        try:
            assert [foods(app) for _ in range(20)] == [[]] * 20
            assert app.get("/health/ready").json["status"] == "degraded"
        finally:
            pair.replica.start()
        wait_until(replica.usable)
        with pair.asked() as servers:
            foods(app)
        assert servers == {"replica"}
    events = told(caplog)
    assert events[0] == FAILED
    assert BACK in events
    moments = [record.created for record in caplog.records if record.getMessage() == FAILED]
    assert all(later - earlier > QUIET - 1 for earlier, later in pairwise(moments)), (
        "a line for each request is load too"
    )


def test_a_replica_that_does_not_answer_holds_up_nobody_for_long(pair: Pair, make_app: Callable[..., TestApp]) -> None:
    app = make_app()
    foods(app)
    with pair.replica.frozen():
        began = time.monotonic()
        assert foods(app) == []
        assert time.monotonic() - began < 15
        wait_until(lambda: not app.app.registry["replica"].usable(), 10)
        began = time.monotonic()
        assert foods(app) == []
        assert time.monotonic() - began < 2
    wait_until(app.app.registry["replica"].usable)


def test_visitors_go_on_reading_while_the_primary_is_away(pair: Pair, make_app: Callable[..., TestApp]) -> None:
    app = make_app()
    headers = bearer(app, add_user(app.app.registry, "mei"))
    pair.catch_up()
    pair.primary.stop("fast")
    try:
        time.sleep(1.5)
        foods(app)
        app.get("/", status=200)
        app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=503)
    finally:
        pair.primary.start()
    app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
    pair.catch_up()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"db.url": "sqlite:////tmp/none.sqlite", "db.replica_url": "postgresql+psycopg://h/x"}, "only PostgreSQL"),
        ({"db.url": "postgresql+psycopg://h/x", "db.replica_url": "sqlite:////tmp/none.sqlite"}, "only PostgreSQL"),
        ({"db.url": "postgresql+psycopg://h/x", "db.replica_url": "hunter2hunter2"}, r"db\.replica_url is wrong"),
        (
            {"db.url": "postgresql+psycopg://h/x", "db.replica_url": "postgresql+psycopg://h/x"}
            | {"db.replica_max_lag_seconds": "4"},
            r"db\.replica_pin_seconds",
        ),
    ],
)
def test_settings_that_cannot_be_right_stop_the_boot(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        main({}, **site_settings(tmp_path, "", "http://localhost") | settings)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(DatabaseSettings(url=Secret(""), replica_url=Secret(settings["db.replica_url"])))
