"""One transaction a request: what commits, what rolls back, what is tried again, and what an attempt leaves behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import IBeforeRetry, RetryableException
from sqlalchemy import Engine, create_engine, make_url, text
from webtest import TestApp, Upload

from mealshare.core import transactions
from mealshare.core.db import engine as recipe
from mealshare.core.errors import Conflict
from mealshare.core.security.permissions import CorePermission
from mealshare.core.security.policy import set_identity
from tests.core.wiring import ANN, PEOPLE, Setup, small_router

Make = Callable[..., TestApp]
View = Callable[[Request], Any]
ADD = text("UPDATE tally SET n = n + 1")
READ = text("SELECT n FROM tally")
TABLES = (
    "CREATE TABLE tally (n INTEGER NOT NULL)",
    "INSERT INTO tally VALUES (0)",
    "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
)


@pytest.fixture
def outside(database_url: str) -> Iterator[Engine]:
    """The database as somebody else sees it, with the tables of these tests."""
    engine = create_engine(database_url, connect_args={"timeout": 5} if database_url.startswith("sqlite") else {})
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement))
    yield engine
    engine.dispose()


@pytest.fixture
def make(outside: Engine, database_url: str, tmp_path: Path) -> Iterator[Make]:
    """``make(view, setup)``: an application whose every address is answered by ``view``."""
    engines = []

    def build(view: View, setup: Setup | None = None, **settings: str) -> TestApp:
        def wire(config: Configurator) -> None:
            config.add_route("any", "/*rest")
            config.add_view(view, route_name="any", permission=CorePermission.PUBLIC, require_csrf=False)
            if setup is not None:
                setup(config)

        router = small_router(database_url, tmp_path, wire, **settings)
        engines.append(router.registry["engine"])
        return TestApp(router)

    yield build
    for engine in engines:
        assert engine.pool.checkedout() == 0, "a request kept its connection"
        engine.dispose()


def tally(outside: Engine) -> int:
    with outside.connect() as connection:
        return int(connection.execute(READ).scalar_one())


# What commits and what does not.


def answer(status: int) -> View:
    def view(request: Request) -> Response:
        request.db.execute(ADD)
        return Response(status=status)

    return view


@pytest.mark.parametrize(
    ("status", "commits"),
    [(200, True), (201, True), (204, True), (302, True), (303, True), (400, False), (404, False), (422, False),
     (500, False), (503, False)],
)  # fmt: skip
def test_the_status_of_an_answer_decides(make: Make, outside: Engine, status: int, commits: bool) -> None:
    make(answer(status)).post("/", status=status)
    assert tally(outside) == int(commits)


def test_without_the_veto_an_answer_of_4xx_would_commit(
    make: Make, outside: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_veto(config: Configurator) -> None:
        config.registry.settings["tm.commit_veto"] = None

    make(answer(422), no_veto).post("/", status=422)
    assert tally(outside) == 1


@pytest.mark.parametrize(
    ("error", "status"), [(HTTPBadRequest, 400), (Conflict, 409), (ZeroDivisionError, 500), (KeyError, 500)]
)
def test_what_is_raised_rolls_back(make: Make, outside: Engine, error: type[Exception], status: int) -> None:
    def view(request: Request) -> Response:
        request.db.execute(ADD)
        raise error

    app = make(view)
    for path in ("/", "/api/x"):
        app.post(path, status=status)
    assert tally(outside) == 0


def test_a_redirect_that_is_returned_commits(make: Make, outside: Engine) -> None:
    def view(request: Request) -> Response:
        request.db.execute(ADD)
        return HTTPSeeOther("/there")

    make(view).post("/", status=303)
    assert tally(outside) == 1


@pytest.mark.parametrize("state", ["changed", "active"])
def test_what_core_statements_write_is_committed(
    make: Make, outside: Engine, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """With zope.sqlalchemy's own initial state, which the second run uses, it is rolled back without a word."""
    register = zope.sqlalchemy.register
    monkeypatch.setattr(
        "mealshare.core.db.session.zope.sqlalchemy.register",
        lambda session, **options: register(
            session, **(options | ({} if state == "changed" else {"initial_state": state}))
        ),
    )
    make(answer(200)).post("/", status=200)
    assert tally(outside) == (1 if state == "changed" else 0)


def test_a_work_of_its_own_commits_at_the_end_of_its_block(make: Make, outside: Engine) -> None:
    registry = make(answer(200)).app.registry
    with registry["open_work"]() as work:
        work.session.execute(ADD)
    with pytest.raises(ZeroDivisionError), registry["open_work"]() as work:
        work.session.execute(ADD)
        raise ZeroDivisionError
    assert tally(outside) == 1


# A commit that fails.


@pytest.mark.parametrize("path", ["/page", "/api/x"])
def test_a_commit_that_fails_is_one_clean_error(make: Make, outside: Engine, path: str) -> None:
    calls = []

    def view(request: Request) -> Response:
        calls.append(1)
        request.db.execute(ADD)
        if len(calls) == 1:
            # The database looks at this one only when it commits.
            request.db.execute(text("INSERT INTO children VALUES (77)"))
        request.response.text = "half an answer"
        return request.response

    app = make(view)
    failed = app.post(path, status=500)
    assert "half an answer" not in failed.text
    assert "children" not in failed.text
    assert failed.headers["X-Content-Type-Options"] == "nosniff"
    assert app.app.registry["engine"].pool.checkedout() == 0
    assert tally(outside) == 0
    app.post(path, status=200)
    assert (len(calls), tally(outside)) == (2, 1)


# What is worth another attempt.


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_serialization_failure_is_tried_again(make: Make, outside: Engine) -> None:
    attempts = []

    def view(request: Request) -> dict[str, int]:
        attempts.append(1)
        connection = request.db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        seen = connection.execute(READ).scalar_one()
        if len(attempts) == 1:
            with outside.begin() as other:
                other.execute(ADD)
        request.db.execute(text("UPDATE tally SET n = :n"), {"n": seen + 10})
        return Response(str(seen))

    assert make(view).post("/").text == "1"
    assert (len(attempts), tally(outside)) == (2, 11)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_failure_of_the_commit_itself_is_tried_again(make: Make, outside: Engine) -> None:
    """Two serializable transactions that each read what the other writes: the database notices at the commit."""
    attempts = []

    def view(request: Request) -> Response:
        attempts.append(1)
        db = request.db.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        db.execute(text("SELECT count(*) FROM parents")).all()
        db.execute(READ).all()
        if len(attempts) == 1:
            with outside.connect().execution_options(isolation_level="SERIALIZABLE") as other:
                other.execute(text("SELECT count(*) FROM parents")).all()
                other.execute(ADD)
                db.execute(text("INSERT INTO parents VALUES (1)"))
                other.commit()
        else:
            db.execute(text("INSERT INTO parents VALUES (2)"))
        return Response("done")

    assert make(view).post("/").text == "done"
    with outside.connect() as connection:
        assert connection.execute(text("SELECT id FROM parents")).scalars().all() == [2]
    assert len(attempts) == 2


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("free", flush=True)
"""


@pytest.fixture
def holder(database_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a write; a line on its standard input ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(make_url(database_url).database)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("free_after", [1, 2, 3])
def test_a_database_that_another_process_holds_is_asked_three_times(
    make: Make, outside: Engine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, free_after: int
) -> None:
    monkeypatch.setattr(recipe, "LOCK_TIMEOUT", 0.2)
    holder = request.getfixturevalue("holder")
    attempts = []

    def let_go(event: Any) -> None:
        if len(attempts) == free_after:
            holder.stdin.write("\n")
            holder.stdin.flush()
            holder.stdout.readline()

    def view(request: Request) -> Response:
        attempts.append(1)
        request.db.execute(ADD)
        return Response("done")

    app = make(view, lambda config: config.add_subscriber(let_go, IBeforeRetry))
    if free_after < 3:
        assert app.post("/").text == "done"
        assert (len(attempts), tally(outside)) == (free_after + 1, 1)
        return
    failed = app.post("/", status=503)
    assert failed.headers["Retry-After"] == "5"
    assert (len(attempts), tally(outside)) == (3, 0)
    problem = app.post("/api/x", status=503)
    assert problem.json["type"] == "http://localhost/problems/unavailable"
    assert len(attempts) == 6


def test_an_error_that_lasts_is_not_tried_again(make: Make) -> None:
    attempts = []

    def view(request: Request) -> Response:
        attempts.append(1)
        request.db.execute(text("SELECT * FROM no_such_table"))
        return Response()

    make(view).post("/", status=500)
    assert len(attempts) == 1


# What is left of the first attempt.


def test_nothing_of_the_first_attempt_is_seen_in_the_second(make: Make, outside: Engine) -> None:
    seen: list[Any] = []

    def view(request: Request) -> Response:
        token = request.registry["csrf"].get_csrf_token(request)
        seen.append((request.identity, request.conn, token, request.environ.get("mealshare.user")))
        request.conn.execute(READ)
        request.flash("Done")
        request.left_over = True
        set_identity(request, PEOPLE[ANN])
        request.db.execute(ADD)
        if len(seen) == 1:
            raise RetryableException
        return Response(str("left_over" in request.__dict__))

    done = make(view).post("/")
    first, second = seen
    assert (second[0], second[3]) == (None, None)
    assert first[1] is not second[1]
    assert first[1].closed
    assert first[2] != second[2]
    cookies = done.headers.getall("Set-Cookie")
    assert [cookie.split("=")[0] for cookie in cookies] == ["csrf", "flash"]
    assert second[2] in cookies[0]
    assert tally(outside) == 1


@pytest.mark.parametrize("forgotten", [True, False])
def test_an_upload_is_read_from_its_beginning_in_each_attempt(
    make: Make, monkeypatch: pytest.MonkeyPatch, forgotten: bool
) -> None:
    """Both attempts share the environment, in which WebOb keeps the parsed form, its files read to their ends."""
    if not forgotten:
        monkeypatch.setattr(transactions, "LEFT_BEHIND", ())
    seen = []

    def view(request: Request) -> Response:
        seen.append((request.POST["note"], request.POST["file"].file.read()))
        if len(seen) == 1:
            raise RetryableException
        return Response()

    make(view).post("/", {"note": "麻辣", "file": Upload("dish.jpeg", b"picture" * 5000)})
    assert seen[0] == ("麻辣", b"picture" * 5000)
    assert seen[1] == (seen[0] if forgotten else ("麻辣", b""))


# One connection at a time, and errors that can be answered.


def test_a_request_never_holds_two_connections(make: Make) -> None:
    def view(request: Request) -> Response:
        pool = request.registry["engine"].pool
        held = [pool.checkedout()]
        request.conn.execute(READ)
        held.append(pool.checkedout())
        request.db.execute(ADD)
        held.append(pool.checkedout())
        # It sees what has just been written.
        assert request.conn.execute(READ).scalar() == 1
        held.append(pool.checkedout())
        return Response(repr(held))

    assert make(view).post("/").text == "[0, 1, 1, 1]"


def test_an_error_is_answered_although_the_transaction_is_beyond_use(make: Make, outside: Engine) -> None:
    """On PostgreSQL every further statement fails there; the answer reads with a connection of its own."""

    def view(request: Request) -> Response:
        request.db.execute(ADD)
        request.db.execute(text("SELECT * FROM no_such_table"))
        return Response()

    def apology(error: Exception, request: Request) -> Response:
        return Response(f"{request.identity.username} {request.conn.execute(READ).scalar()}", status=500)

    app = make(view, lambda config: config.add_exception_view(apology, context=Exception))
    assert app.post("/", headers={"Cookie": f"session={ANN}"}, status=500).text == "ann 0"


def test_the_worker_is_woken_after_the_commit(make: Make, outside: Engine) -> None:
    seen = []

    def view(request: Request) -> Response:
        request.work.session.execute(ADD)
        seen.append(request.registry["jobs"].wake.is_set())
        return Response()

    app = make(view)
    wake = app.app.registry["jobs"].wake
    wake.set = lambda: seen.append(tally(outside))
    app.post("/")
    assert seen == [False, 1]
