"""What a process takes before it answers anything: memory, the time until it is there; and what validation takes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.data import Site
from benchmarks.over_http import BIN, Served, ServerError, load, server, wait_until_it_answers
from benchmarks.settings import FOLDER, ROOT, settings_of
from benchmarks.worker import pss
from tests.sites import free_port, write_ini

_START = """
import json, sys, time
begin, used = time.perf_counter(), time.process_time()
from mealshare import main
main({}, **json.loads(sys.argv[1]))
print(json.dumps([time.perf_counter() - begin, time.process_time() - used]))
"""


def cold_start(site: Site, rounds: int) -> dict[str, float]:
    """Seconds to import MealShare and to make the application, with compiled templates kept: on a clock, and of CPU."""
    command = [sys.executable, "-W", "ignore", "-c", _START, json.dumps(settings_of(site.url))]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MEALSHARE_")}
    taken = []
    # The first one compiles what is missing and is not counted.
    for _ in range(rounds + 1):
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        taken.append(json.loads(done.stdout.splitlines()[-1]))
    wall, cpu = (round(statistics.median(values), 2) for values in zip(*taken[1:], strict=True))
    return {"wall": wall, "cpu": cpu}


def memory(site: Site) -> dict[str, int]:
    """PSS in KiB, after some thousand requests: of one process under pserve, and of a further preloaded one of gunicorn."""
    with server("mealshare", site.url) as served:
        load(served, 2)
        alone = sum(map(pss, served.pids()))
    # Two and three workers of one parent: the difference is what one more takes, shared pages counted by share.
    few, many = (_gunicorn(site, workers) for workers in (2, 3))
    return {"process": alone, "further worker": many - few}


def _gunicorn(site: Site, workers: int) -> int:
    """PSS in KiB of all processes of ``deploy/gunicorn.conf.py`` with that many workers, after requests."""
    port = free_port()
    ini = FOLDER / f"serve-{port}.ini"
    write_ini(ini, settings_of(site.url), port)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MEALSHARE_")}
    environ |= {"WEB_CONCURRENCY": str(workers), "MEALSHARE_CONFIG": str(ini), "PYTHONWARNINGS": "ignore"}
    command = [str(BIN / "gunicorn"), "--paste", str(ini), "-c", str(ROOT / "deploy" / "gunicorn.conf.py")]
    log = FOLDER / "serve-preloaded.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out)
    served = Served([port], [process])
    try:
        wait_until_it_answers(served, log)
        load(served, 3, connections=8 * workers)
        pids = served.pids()
        if len(pids) != workers + 1:
            raise ServerError(f"{len(pids)} processes for {workers} workers")
        return sum(map(pss, pids))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        ini.unlink(missing_ok=True)


def validation(rounds: int = 15, calls: int = 2000) -> dict[str, float]:
    """Microseconds of CPU to validate a meal as it is posted, and one of one word; medians."""
    from benchmarks.api_layer import MEAL, medians
    from mealshare.features.meals.schemas import MealInput

    body = json.dumps(MEAL).encode()
    taken = medians(
        {
            "a meal": lambda: MealInput.model_validate_json(body),
            "a meal of one word": lambda: MealInput.model_validate_json(b'{"food":"Tofu"}'),
        },
        rounds,
        calls,
    )
    return {name: round(value, 1) for name, value in taken.items()}


def machine() -> dict[str, Any]:
    """What it was measured on, as far as it matters."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        "processors": len(os.sched_getaffinity(0)),
        "model": models[0] if models else os.uname().machine,
        "python": sys.version.split()[0],
        "load before": round(os.getloadavg()[0], 2),
        "time": time.strftime("%Y-%m-%d", time.gmtime()),
    }
