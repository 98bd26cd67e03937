"""One framework in a process of its own, which answers requests when it is told to and says what they took.

Spawned by `benchmarks.workers`, which speaks JSON with it, a line each way.  In one process each, the frameworks neither
share a heap that somebody else's objects slow down, nor threads, nor settings; and while one works, all others wait.

    {"do": "ask", "case": "feed"}              -> status, headers and body of one answer
    {"do": "run", "case": "feed", "calls": 50} -> CPU time of so many, of this process and of its PostgreSQL backends
    {"do": "statements", "case": "feed"}       -> the SQL statements of one request
    {"do": "memory"}                           -> PSS in KiB
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A request."""

    method: str = "GET"
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body.encode()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


def environ_of(case: Case) -> dict[str, Any]:
    """A WSGI environment (PEP 3333) as a server makes it."""
    content = case.content
    environ: dict[str, Any] = {
        "REQUEST_METHOD": case.method, "SCRIPT_NAME": "", "PATH_INFO": case.path, "QUERY_STRING": case.query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.errors": sys.stderr,
        "CONTENT_LENGTH": str(len(content)), "wsgi.input": io.BytesIO(content),
    }  # fmt: skip
    if content:
        environ["CONTENT_TYPE"] = "application/json"
    environ.update({"HTTP_" + name.upper().replace("-", "_"): value for name, value in case.headers.items()})
    return environ


def ask_wsgi(app: Any, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """One WSGI call, as a server makes it."""
    told: list[Any] = []
    parts = app(environ, lambda status, headers, _error=None: told.extend((status, headers)))
    content = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return int(told[0][:3]), told[1], content


def scope_of(case: Case) -> dict[str, Any]:
    """An ASGI scope as a server makes it."""
    headers = [(b"host", b"localhost"), (b"content-length", str(len(case.content)).encode())]
    if case.body:
        headers.append((b"content-type", b"application/json"))
    headers += [(name.lower().encode(), value.encode()) for name, value in case.headers.items()]
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": case.method,
        "scheme": "http", "path": case.path, "raw_path": case.path.encode(), "query_string": case.query.encode(),
        "root_path": "", "headers": headers, "client": ("192.0.2.7", 50000), "server": ("localhost", 80), "state": {},
        "extensions": {},
    }  # fmt: skip


async def ask_asgi(app: Any, case: Case) -> tuple[int, list[tuple[str, str]], bytes]:
    """One ASGI call, as a server makes it."""
    content, sent = [case.content], []

    async def receive() -> dict[str, Any]:
        if content:
            return {"type": "http.request", "body": content.pop(), "more_body": False}
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope_of(case), receive, send)
    headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


class Runner:
    """An application and the way to call it."""

    def __init__(self, name: str, url: str) -> None:
        """Import the framework and make the application; both are what ``started`` measures."""
        self.name = name
        begin = time.perf_counter()
        module = importlib.import_module(f"benchmarks.frameworks.{name}_app")
        self.app, self.kind = module.make_app(url), module.KIND
        self.started = time.perf_counter() - begin
        self.url = url
        self.loop = asyncio.new_event_loop() if self.kind == "asgi" else None
        if self.loop is not None:
            self.loop.run_until_complete(self._begin_lifespan())
        gc.collect()
        self.statements: Callable[[], list[str]] = _record(self)

    async def _begin_lifespan(self) -> None:
        """Tell the application that the server has started, and leave it so."""
        started = asyncio.Event()
        told = [{"type": "lifespan.startup"}]

        async def receive() -> dict[str, Any]:
            if told:
                return told.pop()
            await asyncio.sleep(86400)
            return {"type": "lifespan.shutdown"}

        async def send(message: dict[str, Any]) -> None:
            started.set()

        self._lifespan = asyncio.ensure_future(self.app({"type": "lifespan", "state": {}}, receive, send))
        await asyncio.wait([asyncio.ensure_future(started.wait()), self._lifespan], return_when="FIRST_COMPLETED")

    def ask(self, case: Case) -> Answer:
        """One answer."""
        if self.kind == "calls":
            last = case.path.rsplit("/", 1)[-1]
            body = self.app.meal(int(last)) if last.isdigit() else self.app.feed()
            return Answer(200, {}, body.decode())
        if self.loop is None:
            status, headers, content = ask_wsgi(self.app, environ_of(case))
        else:
            status, headers, content = self.loop.run_until_complete(ask_asgi(self.app, case))
        return Answer(status, {name.lower(): value for name, value in headers}, content.decode())

    def run(self, case: Case, calls: int) -> None:
        """So many answers, which are thrown away."""
        if self.kind == "calls":
            last = case.path.rsplit("/", 1)[-1]
            if last.isdigit():
                for _ in range(calls):
                    self.app.meal(int(last))
            else:
                for _ in range(calls):
                    self.app.feed()
        elif self.loop is None:
            given, content = environ_of(case), case.content
            for _ in range(calls):
                ask_wsgi(self.app, {**given, "wsgi.input": io.BytesIO(content)})
        else:

            async def several() -> None:
                for _ in range(calls):
                    await ask_asgi(self.app, case)

            self.loop.run_until_complete(several())


def _record(runner: Runner) -> Callable[[], list[str]]:
    """Note the SQL statements of all SQLAlchemy engines, or of Django's connection.

    Every second call of the function gives what has come since the one before; nothing is noted otherwise, so that
    nothing is measured with it.
    """
    seen: list[str] = []
    if "django" in sys.modules and runner.kind == "wsgi" and hasattr(runner.app, "load_middleware"):
        from django.db import connection

        def toggle_django() -> list[str]:
            found = [query["sql"] for query in connection.queries_log]
            connection.queries_log.clear()
            connection.force_debug_cursor = not connection.force_debug_cursor
            return found

        return toggle_django
    from sqlalchemy import Engine, event

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not re.match(r"BEGIN|PRAGMA|SELECT pg_catalog.version|show ", statement):
            seen.append(statement)

    def toggle() -> list[str]:
        if event.contains(Engine, "before_cursor_execute", note):
            event.remove(Engine, "before_cursor_execute", note)
        else:
            event.listen(Engine, "before_cursor_execute", note)
        found = seen[:]
        seen.clear()
        return found

    return toggle


def backend_seconds(pids: list[int]) -> float:
    """The CPU time so far of PostgreSQL's processes ``pids`` (Linux: /proc/PID/schedstat, in nanoseconds)."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
        except OSError:
            continue
    return total / 1e9


def pss(pid: int | str = "self") -> int:
    """The proportional set size in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(text.split("Pss:")[1].split()[0])


def main() -> None:
    """Serve the lines on standard input."""
    name, url = sys.argv[1:3]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    runner = Runner(name, url)
    print(json.dumps({"started": runner.started}), file=out, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        case = Case(**order.get("case", {}))
        answer: Any
        match order["do"]:
            case "ask":
                answer = asdict(runner.ask(case))
            case "run":
                pids = order.get("backends", [])
                runner.run(case, order.get("warm", 0))
                servers, clock, begin = backend_seconds(pids), time.perf_counter(), time.process_time()
                runner.run(case, order["calls"])
                answer = {
                    "cpu": (time.process_time() - begin) / order["calls"],
                    "wall": (time.perf_counter() - clock) / order["calls"],
                    "server": (backend_seconds(pids) - servers) / order["calls"],
                }
            case "statements":
                answer = statements(runner, case)
            case "sign in":
                answer = sign_in(runner, order["username"])
            case _:
                answer = pss()
        print(json.dumps(answer), file=out, flush=True)


def statements(runner: Runner, case: Case) -> list[str]:
    """The SQL statements of one answer."""
    if runner.name == "mealshare":
        # It knows by itself, also of those that go to the driver past SQLAlchemy's events.
        from mealshare.core.db import record_statements

        with record_statements() as found:
            runner.ask(case)
        return list(found)
    runner.statements()
    runner.ask(case)
    return runner.statements()


def sign_in(runner: Runner, username: str) -> str:
    """An access token of MealShare."""
    from tests.people import PASSWORD

    body = json.dumps({"username": username, "password": PASSWORD})
    answer = runner.ask(Case("POST", "/api/login", body=body))
    return str(json.loads(answer.body)["access_token"])


if __name__ == "__main__":
    main()
