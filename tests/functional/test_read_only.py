"""Read-only mode: everything can be read as before, nothing can be changed, and nothing is written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import event, func, select, text
from webtest import TestApp

from mealshare.cli import main
from mealshare.core.db import Base
from mealshare.core.jobs.models import Job
from mealshare.core.jobs.worker import Worker, run_due, run_told
from mealshare.core.readonly import LOOK_SECONDS, Switch, is_read_only
from tests.functional.hostile_requests import METHODS, SAFE
from tests.functional.matrix import World, about, make_world
from tests.people import form_with, sign_in
from tests.sites import site_settings, write_ini

THINGS = ("meal", "comment", "own picture", "person", "own person", "tag", "place")


@pytest.fixture
def read_only(registry: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """``read_only(True)``: from now on the site is."""

    def switch(on: bool) -> None:
        monkeypatch.setattr(registry["read_only"], "always", on)

    return switch


@contextmanager
def database_refuses_writes(registry: Any) -> Iterator[None]:
    """Each connection is one on which the database itself takes nothing."""
    engine = registry["engine"]
    forbid = "PRAGMA query_only = ON" if engine.dialect.name == "sqlite" else "SET default_transaction_read_only = on"

    def connected(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(forbid)
        cursor.close()
        connection.commit()

    engine.dispose()
    event.listen(engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(engine, "connect", connected)
        engine.dispose()


def rows(registry: Any) -> dict[str, Any]:
    """Everything in every table."""
    with registry["engine"].connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def world(
    wsgi_app: Any, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any, run_jobs: Any, picture: Any
) -> World:  # fmt: skip
    return make_world(wsgi_app, registry, make_user, token, app, run_jobs, picture)


def test_every_change_is_refused_and_every_read_is_answered_as_before(
    world: World, read_only: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The whole route table, by a browser and by a program, on a database that takes no writes."""
    thing = world.post("public")
    everybody = [*world.faces("author"), world.browsers["anonymous"]]
    open_routes = [route for route in world.table.values() if not route.is_static]
    addresses = {route.name: world.path(route, thing) for route in open_routes}
    make_stale(world.registry)

    def reads() -> dict[Any, int]:
        # A picture that is asked for by a random draw, and a token that is good once, answer differently each time.
        return {
            (route.name, method, number): world.ask(route, method, addresses[route.name], who).status
            for route in open_routes
            for method in sorted(route.methods & SAFE)
            for number, who in enumerate(everybody)
        }

    before = rows(world.registry)
    read_only(True)
    with caplog.at_level(logging.WARNING), database_refuses_writes(world.registry):
        found = reads()
        changes = {
            (route.name, method, number): world.ask(route, method, addresses[route.name], who)
            for route in open_routes
            for method in sorted(set(METHODS) - SAFE)
            for number, who in enumerate(everybody)
        }
    assert rows(world.registry) == before
    assert [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("mealshare")
    ] == []
    read_only(False)
    make_stale(world.registry)
    assert found == reads()
    own = {route.name for route in about(world.table, *THINGS)}
    for (name, method, number), answer in changes.items():
        known = method in world.table[name].methods
        if known and (number < 2 or name not in own):
            # What somebody may not see is not there for them, read-only or not.
            assert answer.status == 503 or (number == 2 and answer.status == 404), (name, method, number, answer.status)
        else:
            assert answer.status in (404, 405, 503), (name, method, number, answer.status)
        if answer.status == 503:
            headers = dict(answer.headers)
            assert headers["Retry-After"] == "300", (name, method)
            if world.table[name].is_api:
                assert answer.json["type"].endswith("/problems/read_only"), (name, method)
            else:
                assert "can only be read" in answer.text, (name, method)
    assert sum(answer.status == 503 for answer in changes.values()) > 150


def make_stale(registry: Any) -> None:
    """Sessions and tokens were seen so long ago that a read would leave a note of it."""
    with registry["engine"].begin() as connection:
        moment = "datetime('now', '-2 days')" if connection.dialect.name == "sqlite" else "now() - interval '2 days'"
        connection.execute(text(f"UPDATE sessions SET last_seen_at = {moment}"))


def test_a_page_says_so_in_both_languages(app: TestApp, make_user: Any, read_only: Callable[[bool], None]) -> None:
    mei = make_user("mei")
    sign_in(app, mei)
    page = app.get("/new")
    form = form_with(page, "food")
    form["food"] = "soup"
    assert "can only be read" not in page.text
    read_only(True)
    refused = form.submit(status=503)
    assert refused.headers["Retry-After"] == "300"
    for header, words in (("en", "can only be read"), ("zh-CN", "只能阅读")):
        app.reset()
        assert words in app.get("/", headers={"Accept-Language": header}).text
        problem = app.post_json("/api/meals", {}, headers={"Accept-Language": header}, status=503)
        assert words in problem.json["title"]
        assert problem.content_type == "application/problem+json"


def test_whoever_is_signed_in_stays_so(app: TestApp, make_user: Any, read_only: Callable[[bool], None]) -> None:
    sign_in(app, make_user("mei"))
    read_only(True)
    assert "mei" in app.get("/settings/profile", status=200).text
    # Nobody is told that they are signed out while the session is still there.
    app.post("/logout", status=503)
    app.get("/settings/profile", status=200)
    read_only(False)
    form = next(form for form in app.get("/").forms.values() if form.action == "/logout")
    form.submit(status=303)
    app.get("/settings/profile", status=303)


def test_no_job_begins(app: TestApp, make_user: Any, token: Any, registry: Any, picture: Any, read_only: Any) -> None:
    headers = token(app, make_user("mei"))
    app.post("/api/media", upload_files=[("file", "a.jpg", picture())], headers=headers, status=202)
    read_only(True)
    with registry["engine"].connect() as connection:
        waiting = connection.scalar(select(func.count()).select_from(Job))
        one = connection.scalar(select(Job.id).where(Job.name.like("media%")))
    assert waiting
    assert run_due(registry) == 0
    worker = Worker(registry, 0.01, threading.Event())
    stop = worker.start()
    told: list[bool] = []
    ended = threading.Event()
    thread = threading.Thread(target=lambda: told.append(run_told(registry, one, ended)))
    thread.start()
    thread.join(1.5)
    assert thread.is_alive(), "whoever was told of a job keeps it until it can run"
    with registry["engine"].connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Job)) == waiting
    read_only(False)
    thread.join(30)
    stop()
    assert told == [True]


# The switch.


def test_the_file_switches_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, clock, looks = tmp_path / "read-only", [100.0], []
    monkeypatch.setattr("mealshare.core.readonly.time.monotonic", lambda: clock[0])
    exists = monkeypatch.context
    with exists() as patch:
        patch.setattr("mealshare.core.readonly.os.path.exists", lambda name: bool(looks.append(name)) or file.is_file())
        switch = Switch(False, str(file))
        assert [switch.on for _ in range(100)] == [False] * 100
        file.touch()
        assert switch.on is False
        clock[0] += LOOK_SECONDS
        assert [switch.on for _ in range(100)] == [True] * 100
        file.unlink()
        clock[0] += LOOK_SECONDS
        assert switch.on is False
        assert len(looks) == 3, "the disk is asked once a second"


def test_no_file_and_no_setting_is_never_read_only() -> None:
    assert Switch(False, "").on is False
    assert Switch(True, "").on is True
    assert is_read_only({}) is False


def run(ini: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["-c", str(ini), "readonly", *words])
    return result.exit_code, result.output


def test_the_command(tmp_path: Path) -> None:
    """No database is needed for it."""
    ini, file = tmp_path / "site.ini", tmp_path / "var" / "read-only"
    settings = site_settings(tmp_path, "sqlite:////nowhere/at/all", "http://localhost")
    write_ini(ini, settings, 6543)
    code, said = run(ini, "on")
    assert (code, "site.read_only_file" in said) == (1, True)
    write_ini(ini, settings | {"site.read_only_file": str(file)}, 6543)
    assert run(ini, "status") == (0, "The site can be read and written.\n")
    assert run(ini, "on")[0] == 0
    assert file.is_file()
    assert run(ini, "on")[0] == 0, "twice is as good as once"
    assert run(ini, "status") == (0, "The site can only be read.\n")
    assert run(ini, "off")[0] == 0
    assert not file.exists()
    assert run(ini, "off")[0] == 0
    write_ini(ini, settings | {"site.read_only_file": str(file), "site.read_only": "true"}, 6543)
    code, said = run(ini, "off")
    assert (code, "site.read_only still says" in said) == (1, True)


def test_a_running_site_obeys_the_command(start_server: Callable[..., Any], tmp_path: Path) -> None:
    import httpx

    from tests.functional.streams import wait_until

    file = tmp_path / "read-only"
    new = {"username": "mei", "email": "mei@example.org", "password": "a password for the tests"}
    with start_server(site__read_only_file=str(file)) as site:
        assert run(site.ini, "on")[0] == 0
        wait_until(lambda: httpx.post(f"{site.url}/api/users", json={}).status_code == 503)
        assert httpx.get(f"{site.url}/api/feed/public").status_code == 200
        assert httpx.get(f"{site.url}/health/ready").json()["status"] == "ok"
        assert run(site.ini, "off")[0] == 0
        wait_until(lambda: httpx.post(f"{site.url}/api/users", json=new).status_code == 201)
