"""`Idempotency-Key` on operations that do what no feature does: fail once, keep a secret, write nothing, write late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid_retry import RetryableException
from sqlalchemy import Engine, create_engine, text
from webtest import TestApp

from mealshare.api.idempotency import MAX_BODY, KeyInvalid, parse_key
from mealshare.api.reply import Reply
from mealshare.api.view import Operation, add_operation
from mealshare.core.errors import Conflict
from mealshare.core.idempotency import Key, store
from mealshare.core.jobs.models import Job
from mealshare.core.security.permissions import CorePermission
from tests.core.wiring import ANN, BOB, small_router

ADD = text("UPDATE tally SET n = n + 1")
READ = text("SELECT n FROM tally")
ASK = {"Authorization": f"Bearer {ANN}", "Idempotency-Key": "one"}
DO = Callable[[Request], Any]


class Said(BaseModel):
    """A body."""

    word: str = ""


@pytest.fixture
def outside(database_url: str) -> Iterator[Engine]:
    """The database as somebody else sees it, with a tally."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tally (n INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO tally VALUES (0)"))
    yield engine
    engine.dispose()


@pytest.fixture
def make(outside: Engine, database_url: str, tmp_path: Path) -> Iterator[Callable[..., TestApp]]:
    """``make(do, keep_answer=...)``: an application that does this at ``POST /api/do``."""
    engines = []

    def build(do: DO, **options: Any) -> TestApp:
        def function(context: Any, request: Request, body: Said) -> Any:
            return do(request)

        def wire(config: Configurator) -> None:
            config.add_api_route("do", "/api/do", factory=options.pop("factory", None))
            permission = options.pop("permission", CorePermission.SIGNED_IN)
            add_operation(config, Operation(function, "do", "POST", permission, Said, documented=False, **options))

        router = small_router(database_url, tmp_path, wire)
        engines.append(router.registry["engine"])
        return TestApp(router)

    yield build
    for engine in engines:
        assert engine.pool.checkedout() == 0, "a request kept its connection"
        engine.dispose()


def ask(app: TestApp, status: int = 200, word: str = "", **headers: str) -> Any:
    """The request of these tests."""
    return app.post_json("/api/do", {"word": word}, headers=ASK | headers, status=status)


def value(outside: Engine, statement: str = "SELECT n FROM tally") -> Any:
    """One value, as somebody else sees it."""
    with outside.connect() as connection:
        return connection.scalar(text(statement))


def count(request: Request) -> dict[str, int]:
    """Count, and say how far."""
    request.db.execute(ADD)
    return {"n": request.db.scalar(READ)}


def test_a_further_attempt_after_a_passing_conflict(make: Any, outside: Engine) -> None:
    attempts = []

    def do(request: Request) -> dict[str, int]:
        attempts.append(request.environ["retry.attempt"])
        answer = count(request)
        if len(attempts) < 3:
            raise RetryableException
        return answer

    app = make(do)
    assert ask(app).json == ask(app).json == {"n": 1}
    assert (attempts, value(outside)) == ([0, 1, 2], 1)


@pytest.mark.parametrize("how", ["declared", "no-store", "too long"])
def test_an_answer_that_is_not_kept(make: Any, outside: Engine, how: str) -> None:
    """A repeat is told that it was done, and where to look; the answer stands nowhere."""

    def do(request: Request) -> Reply:
        more = [("Cache-Control", "no-store")] if how == "no-store" else []
        padding = "x" * (MAX_BODY if how == "too long" else 0)
        return Reply(count(request) | {"secret": "opensesame" + padding}, 201, [("Location", "/api/it/1"), *more])

    app = make(do, keep_answer=how != "declared")
    assert ask(app, 201).json["secret"].startswith("opensesame")
    again = ask(app, 409)
    assert again.json["type"].endswith("/problems/idempotency_done")
    assert again.headers["Location"] == "http://localhost/api/it/1"
    assert value(outside) == 1
    assert "opensesame" not in str(list(rows(outside)))
    assert b"opensesame" not in b"".join(row.body or b"" for row in rows(outside))


def rows(outside: Engine) -> Any:
    """What is kept."""
    with outside.connect() as connection:
        return connection.execute(text("SELECT * FROM idempotency_keys")).all()


def test_the_longest_answer_that_is_kept(make: Any, outside: Engine) -> None:
    def do(request: Request) -> str:
        count(request)
        return "é" * ((MAX_BODY - 2) // 2)

    app = make(do)
    first = ask(app)
    assert (len(first.body), value(outside)) == (MAX_BODY, 1)
    assert ask(app).body == first.body


def test_nothing_is_written(make: Any, outside: Engine) -> None:
    """Whoever finds that there is nothing to do has done it too; the key is taken all the same."""
    calls = []
    app = make(lambda request: calls.append(1))
    for _ in range(2):
        assert ask(app, 204).body == b""
    ask(app, 422, word="another")
    assert len(calls) == 1


def test_a_transaction_that_has_begun_before(make: Any, outside: Engine) -> None:
    """As a context does that locks what it leads to."""
    app = make(count, factory=lambda request: request.db.scalar(READ))
    for _ in range(2):
        assert ask(app).json == {"n": 1}
    ask(app, 422, word="another")


@pytest.mark.parametrize("how", ["writes", "flushes", "swallows", "stumbles"])
def test_overtaken_by_the_same_request(make: Any, outside: Engine, how: str) -> None:
    """The same request ends while this one has looked for it and not yet begun to write."""
    inner: list[Any] = []

    def do(request: Request) -> Any:
        if "HTTP_X_INNER" not in request.environ:
            inner.append(ask(app, 201, **{"X-Inner": "1"}))
            if how == "stumbles":
                assert value(outside) == 1
                raise Conflict
        if how == "flushes":
            # What waits to be written when the claim fails must not be written afterwards.
            fields = {"id": 7 if inner else 8, "name": "x", "payload": {}, "state": "queued", "attempts": 0}
            request.db.add(Job(**fields, run_at=request.registry["now"], created_at=request.registry["now"]))
        try:
            return Reply(count(request), 201, [("Location", "/api/it")])
        except Exception:
            if how != "swallows":
                raise
            return {"n": "swallowed"}

    app = make(do)
    from mealshare.core.clock import now

    app.app.registry["now"] = now()
    outer = ask(app, 201)
    assert outer.body == inner[0].body == b'{"n":1}'
    assert outer.headers["Location"] == inner[0].headers["Location"]
    assert (outer.headers["Idempotency-Replayed"], "Idempotency-Replayed" in inner[0].headers) == ("true", False)
    assert value(outside) == 1
    assert value(outside, "SELECT count(*) FROM jobs") == (1 if how == "flushes" else 0)


def test_a_first_one_that_takes_too_long(make: Any, outside: Engine, backend: str, monkeypatch: Any) -> None:
    """Then the second is told to come again, and may.  On SQLite it would wait for its turn as any writer does."""
    if backend == "sqlite":
        return
    monkeypatch.setattr(store, "WAIT_SECONDS", 1)
    app = make(count)
    with outside.connect() as connection:
        assert Key(1, "one", b"x" * 32).claim(connection)
        answer = ask(app, 409)
        assert answer.json["type"].endswith("/problems/idempotency_in_progress")
        assert int(answer.headers["Retry-After"]) > 0
        # Another account's key of the same name is another key.
        ask(app, Authorization=f"Bearer {BOB}")
        connection.rollback()
    assert ask(app).json == {"n": 2}


def test_what_the_work_waits_for_is_not_bounded(make: Any, backend: str, monkeypatch: Any) -> None:
    if backend == "sqlite":
        return
    app = make(lambda request: {"timeout": request.db.scalar(text("SHOW lock_timeout"))})
    assert ask(app).json == {"timeout": "0"}


def test_visitors_and_operations_without_keys(make: Any, outside: Engine) -> None:
    """There is nobody whose the key could be, or it is not heeded: not even a wrong one is looked at."""
    app = make(count, permission=CorePermission.PUBLIC)
    for n in (1, 2):
        assert app.post_json("/api/do", {}, headers={"Idempotency-Key": 'not " one'}).json == {"n": n}
    # Of somebody who is signed in it is refused, for that would be relied on.
    app = make(count, takes_key=False)
    assert ask(app, 400).json["type"].endswith("/problems/idempotency_key_refused")
    assert app.post_json("/api/do", {}, headers={"Authorization": ASK["Authorization"]}).json == {"n": 3}
    assert value(outside, "SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.parametrize(
    ("header", "key"),
    [("abc", "abc"), ('"abc"', "abc"), (' "a b,c" ', "a b,c"), (r'"a\"\\b"', 'a"\\b'), ("!" * 255, "!" * 255),
     ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
     ("", None), ('""', None), ("!" * 256, None), ('"' + "a" * 256 + '"', None), ("a b", None), ("a,b", None),
     ('"a", "b"', None), ('"abc', None), ('abc"', None), (r'"a\b"', None), ('"a";x=1', None), ("é", None),
     ("a\x7f", None), ('"a\x00"', None), ("a\tb", None)],
)  # fmt: skip
def test_what_a_key_is(header: str, key: str | None) -> None:
    if key is not None:
        assert parse_key(header) == key
        return
    with pytest.raises(KeyInvalid):
        parse_key(header)


def test_a_wrong_key_is_refused(make: Any, outside: Engine) -> None:
    answer = ask(make(count), 400, **{"Idempotency-Key": "a, b"})
    assert answer.json["type"].endswith("/problems/idempotency_key_invalid")
    assert value(outside) == 0
