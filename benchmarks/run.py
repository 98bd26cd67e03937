"""Measures everything that `goals.toml` has a goal for, and writes what came out.

    python -m benchmarks.run                 all of it: up to 2,000,000 meals; a quarter of an hour, the first time
    python -m benchmarks.run --quick         small sites, few rounds: whether it runs, and roughly what comes out
    python -m benchmarks.run --resume        go on with a run that was stopped
    python -m benchmarks.run --only "growth sqlite" --resume

A run is a row of parts.  A part that fails is noted and the others go on; after each, what there is so far is written to
``var/bench/run.json``, and at the end to ``benchmarks/results.json`` and the tables of ``docs/performance.md`` (not with
``--quick``).  What has not begun when the time is up is left out.  Status 1 if a part failed; goals that are missed are
told and are no failure.

Nothing is timed before the contract holds: see `benchmarks.contract`.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import goals, growth, inprocess, over_http, processes, report
from benchmarks.data import backends, open_site
from benchmarks.settings import FOLDER, ROOT
from benchmarks.workers import installed
from tests.databases import POSTGRES_LEFT_OUT, Backend

RESULTS = Path(__file__).with_name("results.json")
STATE = FOLDER / "run.json"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    meals: int
    sizes: tuple[int, ...]
    rounds: int
    calls: int
    seconds: int
    starts: int
    minutes: float


FULL = Plan(meals=20_000, sizes=(2_000, 2_000_000), rounds=20, calls=20, seconds=4, starts=5, minutes=14)
QUICK = Plan(meals=2_000, sizes=(2_000, 20_000), rounds=5, calls=5, seconds=1, starts=1, minutes=3)


def parts_of(plan: Plan, names: list[str]) -> dict[str, Callable[[], Any]]:
    """The parts of a run, by name and in order."""
    found: dict[str, Callable[[], Any]] = {}

    def in_process(backend: Backend) -> Callable[[], Any]:
        return lambda: inprocess.measure(open_site(backend, plan.meals), names, plan.rounds, plan.calls)

    def grown(backend: Backend) -> Callable[[], Any]:
        def measure() -> Any:
            sites = [open_site(backend, size) for size in plan.sizes]
            made = growth.measure(sites, max(plan.rounds * 3 // 4, 2), plan.calls)
            return made | {"filling seconds": {str(site.meals): site.filled_seconds for site in sites}}

        return measure

    def over(backend: Backend) -> Callable[[], Any]:
        served = [name for name in names if name in over_http.SERVERS]
        if backend == "sqlite" and "postgresql" in backends():
            # All frameworks are compared on PostgreSQL; here it is about threads.
            served = [name for name in served if name in ("mealshare", "flask")]
        return lambda: over_http.measure(open_site(backend, plan.meals), served, plan.seconds)

    for backend in backends():
        found[backend] = in_process(backend)
    found["statements"] = lambda: inprocess.statements_of_pages(open_site("sqlite", plan.meals))
    found["processes"] = lambda: {
        "cold start": processes.cold_start(open_site("sqlite", plan.meals), plan.starts),
        "validation": processes.validation(plan.rounds),
        "memory": processes.memory(open_site(backends()[-1], plan.meals)),
    }
    for backend in backends():
        found[f"growth {backend}"] = grown(backend)
    for backend in reversed(backends()):
        found[f"http {backend}"] = over(backend)
    return found


def commit() -> str:
    """The commit that is measured, with a + if the tree differs from it; "" outside of a checkout."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip()


def run(plan: Plan, state: dict[str, Any], only: list[str]) -> dict[str, Any]:
    """Measure the parts that ``state`` lacks; it is written as it grows."""
    deadline = time.monotonic() + plan.minutes * 60
    state.setdefault("failed", {})
    for name, measure in parts_of(plan, installed()).items():
        if name in state or (only and name not in only):
            continue
        if time.monotonic() > deadline:
            state["failed"][name] = f"left out: {plan.minutes:g} minutes were over"
            continue
        begin = time.monotonic()
        print(f"{name} ...", end=" ", flush=True)
        try:
            state[name] = measure()
            state["failed"].pop(name, None)
            print(f"{time.monotonic() - begin:.0f} s")
        except Exception:
            state["failed"][name] = traceback.format_exc(limit=-3)
            print("FAILED\n" + state["failed"][name])
        FOLDER.mkdir(parents=True, exist_ok=True)
        STATE.write_text(json.dumps(state, indent=1), encoding="utf-8")
    return state


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sites and few rounds; writes no results")
    parser.add_argument("--resume", action="store_true", help="keep what the last run has found")
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="measure these parts only")
    parser.add_argument("--no-write", action="store_true", help="print only")
    given = parser.parse_args()
    # Whoever ends it ends the servers and processes that it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = QUICK if given.quick else FULL
    state: dict[str, Any] = {}
    if given.resume and STATE.exists():
        state = json.loads(STATE.read_text(encoding="utf-8"))
        if state.get("commit") != commit() or state.get("quick") != given.quick:
            print("The last run was of another commit or size: beginning anew.")
            state = {}
    state = {
        "commit": commit(),
        "quick": given.quick,
        "machine": processes.machine(),
        "versions": report.versions(),
    } | state
    missing = [name for name in over_http.SERVERS if name not in installed()]
    if missing:
        print(f"LEFT OUT {', '.join(missing)}: pip install -e '.[bench]'")
    if "postgresql" not in backends():
        print(f"LEFT OUT {POSTGRES_LEFT_OUT}")
    state = run(plan, state, given.only)
    judged = goals.judge(state)
    print(report.as_text(state), goals.as_table(judged), sep="\n\n")
    if not (given.quick or given.no_write):
        RESULTS.write_text(json.dumps(state, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        report.write_page(state, judged)
        print(f"Written: {RESULTS.relative_to(ROOT)}, {report.PAGE.relative_to(ROOT)}")
    return 1 if state["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
