"""Measures what the API layer costs: the CPU time of a request beyond that of a plain Pyramid view.

    python benchmarks/api_layer.py
    MEALSHARE_TEST_POSTGRES=postgresql+psycopg://user@host:5432/database python benchmarks/api_layer.py --json > run.json

Each request is made in four ways, in this process and in turns, so that a noisy machine treats them alike:

- ``whole``: the application as it is: tweens, route, rate limit, token, permission, validation, ETag, headers, commit;
- ``work``: a plain Pyramid view that runs the same statements through the same queries and services, writes the same
  JSON, and asks nothing: no tweens, no identity, no validation, no entity tag;
- ``bare``: a plain Pyramid view that returns the same bytes;
- ``whole`` is measured twice, to tell what of a difference is noise.

``whole - work`` is what the layer costs.  Beside it some of its parts are measured alone.  That OpenAPI costs nothing is
not measured but counted: no function of its modules may run while requests are answered.

It fills a database of its own on SQLite (on PostgreSQL, if the variable names a server) and removes it afterwards.  The
CPU time is that of this process; the database server's is the same in ``whole`` and ``work``.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from mealshare import main as make_application
from mealshare.api.body import JSON, read_json
from mealshare.api.etag import if_none_match
from mealshare.api.limit import limit_headers, spend
from mealshare.api.query import parse_query
from mealshare.api.reply import RawJson, respond
from mealshare.core.db import record_statements
from mealshare.core.db.keyset import MAX_ID, Window
from mealshare.core.db.migrate import upgrade
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.present import meal_etag
from mealshare.features.meals.queries import PUBLIC, card_by_id
from mealshare.features.meals.schemas import MealFilter, MealInput
from tests.databases import new_database, postgres_url
from tests.people import PASSWORD
from tests.sites import site_settings

WAYS = ("whole", "work", "bare", "whole again")
MEALS = 40
#: No request may be refused for having come too often, and each must be counted all the same.
LIMITS = {"ratelimit.enabled": "true"} | {
    f"ratelimit.{name}": "10000000/5 minutes" for name in ("api", "write", "address")
}
MEAL = {
    "food": "Mapo tofu", "note": "Hot enough. #tofu #sichuan", "eaten_at": "2026-01-20T12:30:00+08:00",
    "place": {"name": "Old Chen", "city": "Chengdu", "country_code": "CN"}, "diets": ["halal"],
    "allergens": {"contains": ["soybeans"]}, "tags": ["noodles"],
}  # fmt: skip
#: In microseconds of CPU, of this file alone; performance.md has the one on validation.
GOALS = {"validate a meal": 30.0, "validate a meal of one word": 30.0, "validate a query": 30.0}


@dataclass(frozen=True)
class Case:
    """A request, and the plain view that does the same work (None: it does none)."""

    name: str
    method: str
    path: str
    status: int
    work: Callable[[Request], Response] | None
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, Any]:
        """The request as the server would hand it on, but for its body."""
        return {
            "REQUEST_METHOD": self.method, "SCRIPT_NAME": "", "PATH_INFO": self.path, "QUERY_STRING": self.query,
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.7", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True,
            "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.errors": sys.stderr,
            "CONTENT_LENGTH": str(len(self.body)), **({"CONTENT_TYPE": JSON} if self.body else {}), **self.headers,
        }  # fmt: skip


@dataclass
class Site:
    """The application, and somebody who is signed in."""

    app: Any
    token: str = ""
    account_id: int = 0

    def ask(self, case: Case) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body of the answer."""
        return ask(self.app, case.environ(), case.body)

    def send(self, path: str, value: Any) -> Any:
        """The JSON that comes back for a POST; RuntimeError if it fails."""
        headers = {"HTTP_AUTHORIZATION": f"Bearer {self.token}"} if self.token else {}
        status, _, body = self.ask(Case("", "POST", path, 0, None, body=json.dumps(value).encode(), headers=headers))
        if status >= 300:
            raise RuntimeError(body.decode())
        return json.loads(body)


def ask(app: Any, environ: dict[str, Any], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """One WSGI call, as a server makes it."""
    environ["wsgi.input"] = io.BytesIO(body)
    told: list[Any] = []
    parts = app(environ, lambda status, headers, _error=None: told.extend((status, headers)))
    content = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return int(told[0][:3]), told[1], content


@contextmanager
def site() -> Iterator[Site]:
    """A site with some meals, which is gone afterwards."""
    backend = "sqlite" if postgres_url() is None else "postgresql"
    with tempfile.TemporaryDirectory() as name, new_database(backend, Path(name)) as url:
        upgrade(url)
        settings = site_settings(Path(name), url, "http://localhost") | LIMITS | {"jobs.engine": "worker"}
        made = Site(make_application({}, **settings))
        made.send("/api/users", {"username": "mei", "email": "mei@example.org", "password": PASSWORD})
        made.token = made.send("/api/login", {"username": "mei", "password": PASSWORD})["access_token"]
        for _ in range(MEALS):
            made.send("/api/meals", MEAL)
        with made.app.registry["read_engine"].connect() as connection:
            newest = PUBLIC.page(connection, Window(max_id=MAX_ID, min_id=0, limit=1), 0).items[0]
        made.account_id = newest.account_id
        try:
            yield made
        finally:
            made.app.registry["engine"].dispose()


def cases(made: Site) -> list[Case]:
    """What is measured; the plain views know the application's registry and nothing else of it."""
    registry = made.app.registry
    with registry["read_engine"].connect() as connection:
        card = PUBLIC.page(connection, Window(max_id=MAX_ID, min_id=0, limit=1), 0).items[0]
    path, body, etag = f"/api/meals/{card.id}", json.dumps(MEAL).encode(), meal_etag(card, None)
    token = {"HTTP_AUTHORIZATION": f"Bearer {made.token}"}
    meal, window = MealInput.model_validate_json(body), Window(max_id=MAX_ID, min_id=0, limit=20)

    def answer(content: bytes, status: int = 200) -> Response:
        return Response(content, status, [("Content-Type", JSON)])

    def read(viewer: int) -> Callable[[Request], Response]:
        def view(request: Request) -> Response:
            with registry["read_engine"].connect() as connection:
                found = card_by_id(connection, card.id, viewer)
            if found is None:
                raise LookupError
            if if_none_match(request, meal_etag(found, None)):
                return Response(status=304)
            return answer(registry["meal_json"].one(found, None))

        return view

    def feed(request: Request) -> Response:
        with registry["read_engine"].connect() as connection:
            page = PUBLIC.page(connection, window, 0)
        return answer(registry["meal_json"].many(page.items, None))

    def post(request: Request) -> Response:
        with registry["open_work"]() as work:
            id = make_meal_service(work, registry).post(made.account_id, meal).id
            work.session.flush()
            found = card_by_id(work.connection, id, made.account_id)
        if found is None:
            raise LookupError
        return answer(registry["meal_json"].one(found, None), 201)

    return [
        Case("GET a meal, 200", "GET", path, 200, read(0)),
        Case("GET a meal, 200, signed in", "GET", path, 200, read(made.account_id), headers=token),
        Case("GET a meal, 304", "GET", path, 304, read(0), headers={"HTTP_IF_NONE_MATCH": etag}),
        Case("GET the public feed of 20", "GET", "/api/feed/public", 200, feed, query="limit=20"),
        Case("POST a meal", "POST", "/api/meals", 201, post, body=body, headers=token),
    ]


def plain(case: Case, view: Callable[[Request], Response]) -> Any:
    """An application of Pyramid's own with this one view."""
    config = Configurator()
    config.add_route("it", case.path)
    config.add_view(view, route_name="it", request_method=case.method)
    return config.make_wsgi_app()


def ways(made: Site, case: Case) -> dict[str, Any]:
    """The applications that answer the case.  RuntimeError if one of them answers it otherwise."""
    status, headers, body = made.ask(case)
    same = [header for header in headers if header[0] != "Content-Length"]

    def same_bytes(_request: Request) -> Response:
        return Response(body, status, same) if body else Response(status=status, headerlist=same)

    bare = plain(case, same_bytes)
    work = bare if case.work is None else plain(case, case.work)
    for app in (made.app, work, bare):
        answer = ask(app, case.environ(), case.body)
        if answer[0] != case.status or (app is bare and answer[2] != body):
            raise RuntimeError(f"{case.name}: {answer[0]} {answer[2][:200]!r}")
    return dict(zip(WAYS, (made.app, work, bare, made.app), strict=True))


def microseconds(call: Callable[[], Any], calls: int) -> float:
    """CPU time of one call, by the mean of some."""
    begin = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begin) / calls * 1e6


def medians(things: Mapping[str, Callable[[], Any]], rounds: int, calls: int) -> dict[str, float]:
    """The median of each over the rounds; all take turns in each round, and every one is first once."""
    names = list(things)
    taken: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken[name].append(microseconds(things[name], calls))
    return {name: statistics.median(values) for name, values in taken.items()}


def measure(made: Site, case: Case, rounds: int, calls: int) -> dict[str, Any]:
    """The numbers of one request."""
    apps, given = ways(made, case), case.environ()

    def caller(app: Any) -> Callable[[], Any]:
        return lambda: ask(app, dict(given), case.body)

    taken = medians({way: caller(app) for way, app in apps.items()}, rounds, calls)
    with record_statements() as statements:
        made.ask(case)
    return {
        **{way: round(value, 1) for way, value in taken.items()},
        "layer": round(taken["whole"] - taken["work"], 1),
        "whole/work": round(taken["whole"] / taken["work"], 2),
        "whole/bare": round(taken["whole"] / taken["bare"], 2),
        "statements": len(statements),
    }


def parts(made: Site, case: Case, rounds: int, calls: int) -> dict[str, float]:
    """What some of the layer's parts take alone, on requests that are made anew for each call."""
    registry, make = made.app.registry, made.app.request_factory
    body = made.ask(Case("", "GET", "/api/feed/public", 200, None))[2]

    def request() -> Request:
        made_request = make({**case.environ(), "wsgi.input": io.BytesIO(case.body)})
        made_request.registry = registry
        return made_request

    def identity() -> None:
        asked = request()
        if asked.identity is None:
            raise LookupError
        asked._process_finished_callbacks()

    def counted() -> None:
        asked = request()
        asked.environ["HTTP_AUTHORIZATION"] = ""
        limit_headers(spend(asked))

    taken = medians(
        {
            "make a request": request,
            "read a body and validate it": lambda: read_json(request(), MealInput, (JSON,)),
            "validate a meal": lambda: MealInput.model_validate_json(case.body),
            "validate a meal of one word": lambda: MealInput.model_validate_json(b'{"food":"Tofu"}'),
            "validate a query": lambda: parse_query("limit=20&meal_type=lunch", MealFilter),
            "check a token and read its grant": identity,
            "count a limit and tell it": counted,
            "make the answer": lambda: respond(request(), RawJson(body), 200, []),
        },
        rounds,
        calls,
    )
    alone = {"make a request"} | {name for name in taken if name.startswith("validate")}
    return {name: round(value - (0 if name in alone else taken["make a request"]), 1) for name, value in taken.items()}


def openapi_calls(made: Site, given: list[Case]) -> tuple[int, int]:
    """How many functions of the OpenAPI modules run while each request is answered, and how many run in all."""
    # The document is made when it is first asked for, and kept.
    made.ask(Case("", "GET", "/openapi.json", 200, None))
    seen: Counter[bool] = Counter()

    def profile(frame: Any, event: str, _argument: Any) -> None:
        if event == "call":
            seen["/mealshare/api/openapi" in frame.f_code.co_filename] += 1

    sys.setprofile(profile)
    try:
        for case in given:
            made.ask(case)
    finally:
        sys.setprofile(None)
    return seen[True], seen[True] + seen[False]


def run(rounds: int, calls: int) -> dict[str, Any]:
    """All results, in microseconds of CPU per request."""
    with site() as made:
        given = cases(made)
        of_openapi, of_all = openapi_calls(made, given)
        requests = {case.name: measure(made, case, rounds, calls) for case in given}
        single = parts(made, given[-1], rounds, calls)
        return {
            "database": made.app.registry["engine"].dialect.name,
            "rounds": rounds,
            "calls": calls,
            "requests": requests,
            "parts": single,
            "goals": {name: {"at most": most, "met": single[name] <= most} for name, most in GOALS.items()},
            "openapi calls": of_openapi,
            "python calls per request": round(of_all / len(given)),
        }


def table(results: Mapping[str, Any]) -> str:
    """The results for people."""
    columns = (*WAYS, "layer", "whole/work", "whole/bare", "statements")
    lines = [f"{'CPU microseconds, ' + results['database']:36}" + "".join(f"{name:>12}" for name in columns)]
    for name, values in results["requests"].items():
        lines.append(f"{name:36}" + "".join(f"{values[column]:12}" for column in columns))
    lines += ["", f"{'Parts of the layer':36}{'alone':>12}{'goal':>12}"]
    for name, value in results["parts"].items():
        goal = results["goals"].get(name)
        words = "" if goal is None else f"<= {goal['at most']:g} {'met' if goal['met'] else 'MISSED'}"
        lines.append(f"{name:36}{value:12}{words:>16}")
    lines += ["", f"Functions of the OpenAPI layer that ran: {results['openapi calls']} of "
              f"{results['python calls per request']} in a request"]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Measure and print; status 1 if a function of the OpenAPI layer ran."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=40, help="how often all take their turn (the median counts)")
    parser.add_argument("--calls", type=int, default=50, help="requests in one turn")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    results = run(options.rounds, options.calls)
    print(json.dumps(results, indent=1) if options.json else table(results))
    sys.exit(1 if results["openapi calls"] else 0)


if __name__ == "__main__":
    main()
