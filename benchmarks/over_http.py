"""Requests per second and waiting times over HTTP, with wrk, each framework under the server that it is run under.

MealShare under its own server (pserve, waitress; each process has a port of its own, as in deploy/supervisor.conf), Flask,
Falcon and Django under gunicorn with threads, FastAPI and Litestar under uvicorn.  None writes a log of requests.

What a second process adds can only be seen where its processor is free.  So one process with all that belongs to it (wrk,
PostgreSQL's processes) is held to one processor, and two to two: a program that scales serves twice as much.  The
numbers of requests per second in the table are measured without that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import Site
from benchmarks.settings import FOLDER, ROOT, settings_of
from benchmarks.worker import pss
from tests.sites import free_port, write_ini

BIN = Path(sys.executable).parent
THREADS = 8
CONNECTIONS = 16
PATH = "/api/feed/public"
SERVERS = {
    "mealshare": "pserve (waitress)", "flask": "gunicorn", "falcon": "gunicorn", "django": "gunicorn",
    "fastapi": "uvicorn", "litestar": "uvicorn",
}  # fmt: skip
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class ServerError(Exception):
    """A server did not come up, or failed requests."""


@dataclass
class Served:
    """A server that answers: its ports, and the processes that belong to it."""

    ports: list[int]
    processes: list[subprocess.Popen[bytes]]

    def pids(self) -> list[int]:
        """The processes and their children."""
        found = [process.pid for process in self.processes]
        for pid in found:
            with suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
                found.extend(int(child) for child in children)
        return found


@dataclass
class Load:
    """What wrk has seen: requests a second, and the milliseconds below which half of them and 99 of 100 were answered."""

    per_second: float
    median: float
    p99: float
    errors: int = 0


def _commands(name: str, url: str, processes: int, threads: int, ports: list[int]) -> list[list[str]]:
    if name == "mealshare":
        commands = []
        for port in ports:
            ini = FOLDER / f"serve-{port}.ini"
            write_ini(ini, settings_of(url) | {"db.pool_size": str(threads + 2)}, port)
            with ini.open("a", encoding="utf-8") as file:
                file.write(f"threads = {threads}\n")
            commands.append([sys.executable, "-m", "pyramid.scripts.pserve", str(ini)])
        return commands
    port = ports[0]
    if SERVERS[name] == "uvicorn":
        more = ["--workers", str(processes)] if processes > 1 else []
        return [[str(BIN / "uvicorn"), "benchmarks.serve:app", "--port", str(port), "--no-access-log", "--log-level",
                 "warning", *more]]  # fmt: skip
    return [[str(BIN / "gunicorn"), "benchmarks.serve:app", "--bind", f"127.0.0.1:{port}", "--workers", str(processes),
             "--worker-class", "gthread", "--threads", str(threads), "--keep-alive", "20", "--log-level", "warning"]]  # fmt: skip


@contextmanager
def server(
    name: str, url: str, processes: int = 1, threads: int = THREADS, cpus: Sequence[int] = ()
) -> Iterator[Served]:
    """A framework's server on free ports; raises ServerError if it does not answer within a minute."""
    ports = [free_port() for _ in range(processes if name == "mealshare" else 1)]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MEALSHARE_")}
    environ |= {"BENCH_APP": name, "BENCH_URL": url, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    environ["PGAPPNAME"] = f"bench-http-{os.getpid()}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"serve-{name}.log"
    with log.open("wb") as out:
        started = [
            subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out)
            for command in _commands(name, url, processes, threads, ports)
        ]
    served = Served(ports, started)
    try:
        wait_until_it_answers(served, log)
        if cpus:
            _pin(served.pids(), cpus)
        yield served
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for port in ports:
            (FOLDER / f"serve-{port}.ini").unlink(missing_ok=True)


def wait_until_it_answers(served: Served, log: Path) -> None:
    """Wait for the feed on each port; raises ServerError with the end of the log after a minute, or if it has ended."""
    deadline = time.monotonic() + 60
    for port in served.ports:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{PATH}", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                ended = any(process.poll() is not None for process in served.processes)
                if ended or time.monotonic() > deadline:
                    raise ServerError(log.read_text(encoding="utf-8", errors="replace")[-2000:]) from None
                time.sleep(0.1)


def _pin(pids: Sequence[int], cpus: Sequence[int]) -> None:
    for pid in pids:
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cpus)


def _pin_postgres(url: str, cpus: Sequence[int]) -> None:
    """Hold the PostgreSQL processes that serve us to these processors; without the right to, they stay where they are."""
    if not url.startswith("postgresql"):
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        _pin([row[0] for row in connection.execute(query, (f"bench-http-{os.getpid()}",))], cpus)


def load(served: Served, seconds: int, cpus: Sequence[int] = (), connections: int = CONNECTIONS) -> Load:
    """Ask for the public feed as fast as it comes, over kept connections, on all ports at once."""
    each = max(connections // len(served.ports), 1)
    pin = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
    running = [
        subprocess.Popen(
            [*pin, "wrk", "-t1", f"-c{each}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}{PATH}"],
            stdout=subprocess.PIPE, text=True,
        )
        for port in served.ports
    ]  # fmt: skip
    said = [process.communicate(timeout=seconds + 60)[0] for process in running]
    found = [parse(text) for text in said]
    return Load(
        round(sum(one.per_second for one in found), 1),
        round(max(one.median for one in found), 1),
        round(max(one.p99 for one in found), 1),
        sum(one.errors for one in found),
    )


def parse(text: str) -> Load:
    """What wrk printed; ServerError if that is not a result."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    waits = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+[a-z]+)", text, re.MULTILINE))
    if rate is None or len(waits) < 2:
        raise ServerError(f"wrk said: {text[-500:]}")
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(wrong[1]) if wrong else 0
    errors += sum(map(int, failed.groups())) if failed else 0
    return Load(float(rate[1]), _milliseconds(waits["50"]), _milliseconds(waits["99"]), errors)


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)([a-z]+)", text)
    if found is None:
        raise ServerError(f"not a time: {text}")
    return float(found[1]) * _UNITS[found[2]]


def measure(site: Site, names: Sequence[str], seconds: int) -> dict[str, Any]:
    """Requests per second of each framework with one process and with two, and how MealShare scales."""
    if shutil.which("wrk") is None:
        raise ServerError("wrk is not installed (Debian: apt-get install wrk)")
    found: dict[str, Any] = {"seconds": seconds, "processors": os.cpu_count(), "load": {}, "pss": {}}
    for name in names:
        for processes in (1, 2):
            with server(name, site.url, processes) as served:
                load(served, 1)
                found["load"].setdefault(name, {})[str(processes)] = asdict(load(served, seconds))
                found["pss"].setdefault(name, {})[str(processes)] = sum(map(pss, served.pids()))
    found["scaling"] = scaling(site, seconds)
    if site.backend == "sqlite":
        found["threads"] = {str(threads): asdict(_with_threads(site, threads, seconds)) for threads in (1, 4)}
    return found


def _with_threads(site: Site, threads: int, seconds: int) -> Load:
    with server("mealshare", site.url, threads=threads) as served:
        load(served, 1)
        return load(served, seconds)


def scaling(site: Site, seconds: int) -> dict[str, Any]:
    """One process and all that belongs to it on one processor, and two on two."""
    here = sorted(os.sched_getaffinity(0))
    if len(here) < 2:
        return {"left out": "this machine has one processor"}
    found = {}
    for processes in (1, 2):
        cpus = here[:processes]
        with server("mealshare", site.url, processes, cpus=cpus) as served:
            load(served, 1, cpus)
            _pin_postgres(site.url, cpus)
            found[str(processes)] = asdict(load(served, seconds, cpus))
    return found
