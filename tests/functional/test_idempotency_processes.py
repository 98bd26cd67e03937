"""One key, two processes on one database: sent at once, cut off, and killed in the middle."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, create_engine, text

from tests.functional.races import THREADS, until_somebody_waits
from tests.people import PASSWORD
from tests.sites import RunningSite, running_site

PROCESSES = 2
BASE = "http://localhost"


def request_bytes(path: str, body: Any, **headers: str) -> bytes:
    """A request as it goes over the wire."""
    data = json.dumps(body).encode()
    given = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(data))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode() + data


def connected(site: RunningSite) -> socket.socket:
    """A connection to the site."""
    return socket.create_connection(("localhost", urlsplit(site.url).port or 0), timeout=60)


def send(site: RunningSite, path: str, body: Any, **headers: str) -> tuple[int, Message, Any]:
    """Send and read the answer: status, headers, JSON."""
    with connected(site) as connection:
        connection.sendall(request_bytes(path, body, **headers))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, json.loads(answer.read())


@contextmanager
def sites(folder: Path, url: str) -> Iterator[list[RunningSite]]:
    """Two processes on one database, started together."""
    folders = [folder / str(number) for number in range(PROCESSES)]
    for one in folders:
        one.mkdir()
    with ExitStack() as stack, ThreadPoolExecutor(PROCESSES) as pool:
        # Each knows the tokens of the others: they are one site.
        settings = {"site__base_url": BASE, "jobs__engine": "worker"}
        contexts = [running_site(one, url, **settings) for one in folders]
        started = [pool.submit(stack.enter_context, context) for context in contexts]
        yield [one.result() for one in started]


@contextmanager
def held(engine: Engine, backend: str) -> Iterator[None]:
    """Nobody can finish posting: on PostgreSQL the authors are locked, on SQLite it is not even begun."""
    with engine.connect() as connection:
        if backend == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT id FROM accounts FOR UPDATE"))
        yield
        connection.rollback()


def count(engine: Engine, food: str) -> int:
    """How many meals of that name there are."""
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM posts WHERE food = :food"), {"food": food}) or 0)


def until_there(engine: Engine, food: str) -> None:
    """Return when the meal is there."""
    for _ in range(600):
        if count(engine, food):
            return
        time.sleep(0.05)
    raise AssertionError(f"no {food} came")


def test_one_meal_whatever_happens(database_url: str, backend: str, tmp_path: Path) -> None:
    engine = create_engine(database_url)
    with sites(tmp_path, database_url) as (first, second):
        mei = {"username": "mei", "password": PASSWORD}
        assert send(first, "/api/users", mei | {"email": "mei@example.org"})[0] == 201
        access = send(first, "/api/login", mei)[2]["access_token"]

        def request(food: str) -> tuple[str, dict[str, str], dict[str, str]]:
            return "/api/meals", {"food": food}, {"Authorization": f"Bearer {access}", "Idempotency-Key": f'"{food}"'}

        def post(site: RunningSite, food: str) -> tuple[int, Message, Any]:
            path, body, headers = request(food)
            return send(site, path, body, **headers)

        def post_unheard(site: RunningSite, food: str) -> socket.socket:
            path, body, headers = request(food)
            connection = connected(site)
            connection.sendall(request_bytes(path, body, **headers))
            return connection

        # Sixteen at once, over both.
        with ThreadPoolExecutor(THREADS) as pool:
            asked = [pool.submit(post, (first, second)[number % 2], "rice") for number in range(THREADS)]
            answers = [one.result(60) for one in asked]
        assert {status for status, _, _ in answers} == {201}, answers
        assert len({json.dumps(body) for _, _, body in answers}) == 1
        assert len({(headers["Location"], headers["ETag"]) for _, headers, _ in answers}) == 1
        assert sum("Idempotency-Replayed" in headers for _, headers, _ in answers) == THREADS - 1

        # The connection is cut at once: the repeat overtakes the first or waits for it.
        post_unheard(first, "soup").close()
        assert post(second, "soup")[0] == 201

        # It is cut when all is done and before the answer is read: another process has it.
        with post_unheard(first, "eggs"):
            until_there(engine, "eggs")
        status, headers, meal = post(second, "eggs")
        assert (status, meal["food"], headers["Idempotency-Replayed"]) == (201, "eggs", "true")

        # Killed when it has begun and cannot finish; the repeat comes while it still seems to run.
        with ThreadPoolExecutor(1) as pool:
            with held(engine, backend):
                cut = post_unheard(first, "tofu")
                until_somebody_waits({"engine": engine}, backend)
                repeated = pool.submit(post, second, "tofu")
                first.process.kill()
                first.process.wait()
                cut.close()
                assert count(engine, "tofu") == 0
            status, headers, meal = repeated.result(60)
        assert (status, meal["food"], "Idempotency-Replayed" in headers) == (201, "tofu", False)

        assert [count(engine, food) for food in ("rice", "soup", "eggs", "tofu")] == [1, 1, 1, 1]
    engine.dispose()
