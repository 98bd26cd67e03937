"""Measures what reading costs as a site grows: CPU time and SQL statements of MealShare's requests, by number of meals.

    python -m benchmarks.growth --sizes 2000 20000 200000

The sites are those of `benchmarks.data`: a reader who follows fifty people who ate something long ago and five who still
do, and a loner who follows the dormant ones only: a home feed that looked through everybody's meals for theirs would
cost the more, the more others post.  The sizes take turns, so that a noisy machine treats them alike.  On PostgreSQL the
CPU time is that of the client and of the server processes that work for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.data import Site, backends, meal_id, open_site
from benchmarks.worker import Case
from benchmarks.workers import Worker, take_turns, workers
from tests.databases import POSTGRES_LEFT_OUT

#: What a thousand pages of twenty are; of a site that has fewer, the page in the middle.
DEEP = 1000 * 20


def requests_of(worker: Worker, meals: int) -> dict[str, Case]:
    """What is measured, by name."""
    reader, loner = (
        {"Authorization": f"Bearer {worker.tell('sign in', username=name)}"} for name in ("reader", "loner")
    )
    # Eight of ten meals are public.
    deep = meal_id(meals - min(DEEP * 10 // 8, meals // 2))
    meal = meal_id(meals // 2 + 2)
    author = json.loads(worker.ask(Case(path=f"/api/meals/{meal}")).body)["user"]["username"]
    return {
        "public feed": Case(path="/api/feed/public"),
        "public feed, page 1,000": Case(path="/api/feed/public", query=f"max_id={deep}"),
        "front page": Case(path="/"),
        "home": Case(path="/api/feed/home", headers=reader),
        "home, only dormant followees": Case(path="/api/feed/home", headers=loner),
        "meal": Case(path=f"/api/meals/{meal}"),
        "meal page": Case(path=f"/@{author}/{meal}"),
        "a person's meals": Case(path="/api/users/diarist/meals"),
        "diary month": Case(path="/@diarist/diary/2023/1"),
        "tag, common": Case(path="/api/feed/tags/noodles"),
        "tag, rare": Case(path="/api/feed/tags/rare7"),
        "place": Case(path="/api/feed/places/Noodle house 6"),
        "want list": Case(path="/api/want", headers=reader),
    }


def measure(sites: Sequence[Site], rounds: int, calls: int) -> dict[str, Any]:
    """CPU microseconds (client, and server on PostgreSQL) and statements of each request, by size of the site."""
    found: dict[str, Any] = {"sizes": [site.meals for site in sites], "cpu": {}, "statements": {}}
    with ExitStack() as stack:
        given = {site.meals: stack.enter_context(workers(["mealshare"], site.url))["mealshare"] for site in sites}
        asked = {meals: requests_of(worker, meals) for meals, worker in given.items()}
        for name in next(iter(asked.values())):
            for meals, worker in given.items():
                answer = worker.ask(asked[meals][name])
                if answer.status != 200 or len(answer.body) < 100:
                    raise RuntimeError(f"{name} of {meals} meals: {answer.status} {answer.body[:300]}")
            turns = {str(meals): (worker, asked[meals][name]) for meals, worker in given.items()}
            costs = take_turns(turns, rounds, calls)
            found["cpu"][name] = {meals: round(cost.client + cost.server, 1) for meals, cost in costs.items()}
            largest = str(sites[-1].meals)
            found["statements"][name] = len(turns[largest][0].tell("statements", turns[largest][1]))
    return found


def as_table(backend: str, found: dict[str, Any]) -> str:
    """The costs as a table, with the ratio to those of the smallest site."""
    sizes = [str(size) for size in found["sizes"]]
    lines = [f"{backend}: CPU microseconds of a request, the ratio to the smallest site, SQL statements", ""]
    lines.append(" " * 30 + "".join(f"{int(size):>20,}" for size in sizes))
    for name, costs in found["cpu"].items():
        cells = "".join(f"{costs[size]:11.1f} {costs[size] / costs[sizes[0]]:7.2f}x" for size in sizes)
        lines.append(f"{name:30}{cells}{found['statements'][name]:4}")
    return "\n".join(lines) + "\n\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 200_000], help="numbers of meals")
    parser.add_argument("--rounds", type=int, default=15, help="how often all take their turn (the median counts)")
    parser.add_argument("--calls", type=int, default=20, help="requests in one turn")
    given = parser.parse_args()
    for backend in backends():
        sites = [open_site(backend, meals) for meals in given.sizes]
        sys.stdout.write(as_table(backend, measure(sites, given.rounds, given.calls)))
    if len(backends()) == 1:
        sys.stdout.write(f"LEFT OUT {POSTGRES_LEFT_OUT}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
