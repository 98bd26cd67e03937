"""CPU time of a request without a server: a WSGI or ASGI call, each framework in its process, all in turns.

For PostgreSQL the figure is the CPU time of the client process; that of the server's processes stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import create_engine

from benchmarks.contract import FEED, FRONT, check_posts, check_reads, meal_case, post_case, same
from benchmarks.data import Site, copy_site, meal_id, remove_copy
from benchmarks.worker import Case
from benchmarks.workers import Cost, Worker, take_turns, workers

#: Frameworks that also make the page.
PAGES = ("mealshare", "flask", "django")


def a_meal(site: Site) -> int:
    """The id of a public meal in the middle, with a photo, a note, a place and tags."""
    return meal_id(site.meals // 2 + 2)


def check(given: dict[str, Worker], site: Site) -> None:
    """Raise ContractError unless all answer reads alike."""
    middle = site.meals // 2
    check_reads(given, [meal_id(number) for number in (middle + 2, middle, middle + 50, 7)])


def not_modified(worker: Worker, case: Case) -> Case:
    """The request that MealShare answers with 304."""
    etag = worker.ask(case).headers["etag"]
    asked = Case(path=case.path, headers={"If-None-Match": etag})
    answer = worker.ask(asked)
    same("304", {"wanted": (304, ""), "mealshare": (answer.status, answer.body)})
    return asked


def measure(site: Site, names: Sequence[str], rounds: int, calls: int) -> dict[str, Any]:
    """What each request costs each framework, and its statements; raises ContractError before anything is timed."""
    found: dict[str, Any] = {"meals": site.meals, "rounds": rounds, "calls": calls, "cpu": {}, "server": {}}
    with workers(names, site.url) as given:
        check(given, site)
        meal = meal_case(a_meal(site))
        cases: dict[str, dict[str, tuple[Worker, Case]]] = {
            "feed": {name: (worker, FEED) for name, worker in given.items()},
            "page": {name: (given[name], FRONT) for name in PAGES if name in given},
            "meal": {name: (worker, meal) for name, worker in given.items()},
            "304": {"mealshare": (given["mealshare"], not_modified(given["mealshare"], meal))},
        }
        for name, asked in cases.items():
            _note(found, name, take_turns(asked, rounds, calls))
        found["statements"] = {
            name: {
                framework: len(worker.tell("statements", case))
                for framework, (worker, case) in asked.items()
                if framework != "floor"
            }
            for name, asked in cases.items()
        }
    _posts(found, site, [name for name in names if name != "floor"], rounds, max(calls // 4, 1))
    return found


def _posts(found: dict[str, Any], site: Site, names: Sequence[str], rounds: int, calls: int) -> None:
    """Posting, on a copy of the site."""
    copy = copy_site(site, "posting")
    try:
        with workers(names, copy.url) as given:
            token = given["mealshare"].tell("sign in", username="diarist")
            engine = create_engine(copy.url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                check_posts(given, {"diarist": token}, connection)
            engine.dispose()
            case = post_case(token)
            _note(found, "post", take_turns({name: (worker, case) for name, worker in given.items()}, rounds, calls))
            found["statements"]["post"] = {name: len(worker.tell("statements", case)) for name, worker in given.items()}
    finally:
        remove_copy(copy)


def _note(found: dict[str, Any], name: str, costs: dict[str, Cost]) -> None:
    found["cpu"][name] = {framework: round(cost.client, 1) for framework, cost in costs.items()}
    found["server"][name] = {framework: round(cost.server, 1) for framework, cost in costs.items()}


def statements_of_pages(site: Site) -> dict[str, int]:
    """How many SQL statements MealShare's pages take, home feeds included."""
    with workers(["mealshare"], site.url) as given:
        worker = given["mealshare"]
        headers = {"Authorization": f"Bearer {worker.tell('sign in', username='reader')}"}
        meal = json.loads(worker.ask(meal_case(a_meal(site))).body)
        cases = {
            "public feed": FEED,
            "front page": FRONT,
            "home": Case(path="/api/feed/home", headers=headers),
            "meal page": Case(path=meal["url"].removeprefix("http://localhost")),
            "304": not_modified(worker, meal_case(a_meal(site))),
        }
        found = {}
        for name, case in cases.items():
            answer = worker.ask(case)
            if answer.status not in (200, 304):
                raise RuntimeError(f"{name}: {answer.status} {answer.body[:300]}")
            found[name] = len(worker.tell("statements", case))
        return found
