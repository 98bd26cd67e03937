"""PostgreSQL is restarted, killed, stopped, slow, read-only: nobody sees more than "try again", and nothing is lost."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from webtest import TestApp

from mealshare import main
from mealshare.cli import main as command
from mealshare.core.db import migrate
from mealshare.core.db.hurry import unhurried
from mealshare.core.db.migrate import LockedError, upgrade
from tests.hammer import Seen, hammering, token, wait_for_good
from tests.people import add_user, bearer
from tests.postgres_cluster import Cluster, own_cluster
from tests.sites import running_site, site_settings, write_ini
from tests.tcp_proxy import Door

#: Seconds within which a site is back by itself when its database is (promised in docs/hosting.md).
BACK = 10.0
WORKER = {"jobs.engine": "worker"}


@pytest.fixture(scope="module")
def cluster(need_postgres_server: None) -> Iterator[Cluster]:
    with own_cluster() as cluster:
        yield cluster


@pytest.fixture
def database(cluster: Cluster) -> Iterator[str]:
    """The name of a migrated database there."""
    cluster.run("CREATE DATABASE site")
    upgrade(cluster.url("site"))
    yield "site"
    cluster.run("DROP DATABASE site WITH (FORCE)")


@pytest.fixture
def make_app(database: str, cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., TestApp]]:
    """``make_app(port=..., **settings)``: the application in this process; ``port`` if it is to go another way."""
    with ExitStack() as stack:

        def make(port: int | None = None, **more: str) -> TestApp:
            url = cluster.url(database).replace(str(cluster.port), str(port or cluster.port))
            settings = site_settings(tmp_path, url, "http://localhost") | WORKER
            router = main({}, **settings | {name.replace("__", "."): value for name, value in more.items()})
            stack.callback(router.registry["engine"].dispose)
            return TestApp(router)

        yield make


def foods(cluster: Cluster, database: str) -> set[str]:
    return {row[0] for row in cluster.run("SELECT food FROM posts", database)}


def test_a_database_that_comes_and_goes(
    cluster: Cluster, database: str, make_app: Callable[..., TestApp], tmp_path: Path
) -> None:
    people = [f"person{number}" for number in range(5)]
    for name in people:
        add_user(make_app().app.registry, name)
    with running_site(tmp_path, cluster.url(database)) as site:
        with hammering(site, [token(site, name) for name in people]) as seen:
            troubles(cluster, seen)
        # The thread that runs jobs has outlived it all, too.
        deadline = time.monotonic() + 60
        due = "SELECT count(*) FROM jobs WHERE state = 'queued' AND run_at < now()"
        while cluster.run(due, database) != [(0,)]:
            assert time.monotonic() < deadline, "nobody runs jobs any more"
            time.sleep(0.2)
    assert seen.wrong == []
    assert seen.count(503) > 0, "nobody noticed anything: the test is none"
    assert len(seen.posted) > 8
    assert set(seen.posted) - foods(cluster, database) == set()


def troubles(cluster: Cluster, seen: Seen) -> None:
    """One after the other; each time the site has to come back by itself."""
    for trouble in (cluster.restart, lambda: cluster.restart("immediate"), lambda: away(cluster, 1.5), cluster.kill):
        trouble()
        if not cluster.answers():
            cluster.start()
        wait_for_good(seen, time.monotonic(), BACK)
        time.sleep(0.5)
    cluster.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'site'")
    wait_for_good(seen, time.monotonic(), BACK)
    with cluster.frozen():
        time.sleep(1.5)
    wait_for_good(seen, time.monotonic(), BACK)


def away(cluster: Cluster, seconds: float) -> None:
    cluster.stop()
    time.sleep(seconds)


class Interrupted(Door):
    """A door that falls shut when the answer to a COMMIT is to go through: done, and nobody learns of it."""

    armed = False

    def _pass_on(self, pair: dict[socket.socket, socket.socket]) -> None:
        client, server = pair
        asked = threading.Event()

        def there() -> None:
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if self.armed and b"COMMIT\0" in data:
                        asked.set()
                    server.sendall(data)

        thread = threading.Thread(target=there, daemon=True)
        thread.start()
        while data := server.recv(65536):
            if asked.is_set():
                self.armed = False
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(data)


def test_a_commit_whose_answer_is_lost_is_not_tried_again(
    cluster: Cluster, database: str, make_app: Callable[..., TestApp]
) -> None:
    door = Interrupted("127.0.0.1", cluster.port)
    app = make_app(port=door.port)
    headers = bearer(app, add_user(app.app.registry, "mei")) | {"Idempotency-Key": "dinner"}
    door.armed = True
    answer = app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=503)
    assert not door.armed, "the commit was not interrupted"
    assert (answer.json["type"].rpartition("/")[2], answer.headers["Retry-After"]) == ("unavailable", "5")
    deadline = time.monotonic() + 10
    while (rows := cluster.run("SELECT count(*) FROM posts", database)) == [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert rows == [(1,)], "it was done twice"
    again = app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert cluster.run("SELECT count(*) FROM posts", database) == [(1,)]
    door.close()


def test_a_statement_of_a_request_ends_in_time_and_one_of_a_job_does_not(
    cluster: Cluster, database: str, make_app: Callable[..., TestApp]
) -> None:
    app = make_app(db__statement_timeout="0.3", db__pool_size="1", db__pool_overflow="0")
    registry = app.app.registry
    headers = bearer(app, add_user(registry, "mei"))
    with psycopg.connect(host="127.0.0.1", port=cluster.port, user="postgres", dbname=database) as other:
        other.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
        for request in (
            lambda: app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=503),
            lambda: app.get("/api/meals", status=503),
            lambda: app.get("/", status=503),
        ):
            began = time.monotonic()
            assert request().headers["Retry-After"] == "5"
            assert 0.25 < time.monotonic() - began < 5
    app.post_json("/api/meals", {"food": "rice"}, headers=headers, status=201)
    assert foods(cluster, database) == {"rice"}
    limit = text("SELECT current_setting('statement_timeout')")
    for _ in range(2):
        # The pool has one connection, which goes from one to the other.
        with unhurried(), registry["open_work"]() as work:
            assert work.session.scalar(limit) == "0"
        with unhurried(), registry["read_engine"].connect() as connection:
            assert connection.execute(limit).scalar() == "0"
        with registry["read_engine"].connect() as connection:
            assert connection.execute(limit).scalar() == "300ms"
        with registry["open_work"]() as work:
            assert work.session.scalar(limit) == "300ms"


def test_a_database_that_may_only_be_read_for_a_while(
    cluster: Cluster, database: str, make_app: Callable[..., TestApp]
) -> None:
    """As a primary is that has just been replaced: reading goes on, and writing does again by itself."""
    app = make_app()
    headers = bearer(app, add_user(app.app.registry, "mei"))
    cluster.run("ALTER DATABASE site SET default_transaction_read_only = on")
    app.app.registry["engine"].dispose()
    app.get("/", status=200)
    answer = app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=503)
    assert answer.headers["Retry-After"] == "5"
    cluster.run("ALTER DATABASE site RESET default_transaction_read_only")
    app.app.registry["engine"].dispose()
    app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)


def test_a_migration_does_not_wait_for_ever_and_is_tried_again(
    cluster: Cluster, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = cluster.url(database)
    upgrade_to = ["-c", str(tmp_path / "site.ini"), "db", "upgrade", "--lock-timeout", "0.2"]
    write_ini(tmp_path / "site.ini", site_settings(tmp_path, url, "http://localhost"), 1)
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        migrate.downgrade(url, "-1")
        revision = cluster.run("SELECT version_num FROM alembic_version", database)
        monkeypatch.setattr(migrate, "PAUSE", 0.01)
        # What the newest migration changes or refers to.
        for table in ("jobs", "posts", "accounts", "users", "alembic_version"):
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(LockedError, match=r"in use for longer than 0\.2 seconds, 3 times"):
            upgrade(url, lock_timeout=0.2, attempts=3)
        assert time.monotonic() - began < 20
        assert [record.getMessage() for record in caplog.records].count("db.upgrade_locked") == 2
        monkeypatch.setattr(migrate, "PAUSE", 1.0)
        # As soon as the other has ended, an attempt succeeds.
        timer = threading.Timer(0.6, other.rollback)
        timer.start()
        with pytest.raises(SystemExit) as ended:
            command(upgrade_to)
        timer.join()
        assert not ended.value.code
    assert cluster.run("SELECT version_num FROM alembic_version", database) != revision
