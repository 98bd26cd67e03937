"""Starts a process for each framework, and lets them take turns."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.frameworks import NAMES
from benchmarks.worker import Answer, Case

ROOT = Path(__file__).resolve().parents[1]
#: What has to be installed for each; the others come with what developing needs.
NEEDS = {
    "flask": ("flask",), "falcon": ("falcon",), "django": ("django", "rest_framework"),
    "fastapi": ("fastapi", "aiosqlite"), "litestar": ("litestar", "aiosqlite"),
}  # fmt: skip


def installed() -> list[str]:
    """The names of the frameworks that can be measured here."""
    return [name for name in NAMES if all(importlib.util.find_spec(module) for module in NEEDS.get(name, ()))]


#: Seconds on a clock from which on a request is asked for a few times only.
SLOW = 0.5


class WorkerError(Exception):
    """A worker has ended, or said nothing that can be read."""


@dataclass
class Cost:
    """CPU time of one request in microseconds: of the client process, and of its PostgreSQL backends."""

    client: float
    server: float


class Worker:
    """A framework in its process."""

    def __init__(self, name: str, url: str) -> None:
        """Start it; raises WorkerError if it does not come up."""
        self.name, self.url = name, url
        environ = {key: value for key, value in os.environ.items() if not key.startswith("MEALSHARE_")}
        environ |= {"PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0", "PGAPPNAME": f"bench-{name}-{os.getpid()}"}
        command = [sys.executable, "-m", "benchmarks.worker", name, url]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environ,
            text=True,
        )
        try:
            self.started: float = self._read()["started"]
        except BaseException:
            self.stop()
            raise

    def _read(self) -> Any:
        assert self.process.stdout is not None and self.process.stderr is not None  # noqa: S101, PT018
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.name}: {self.process.stderr.read()[-3000:]}")
        return json.loads(line)

    def tell(self, what: str, case: Case | None = None, **more: Any) -> Any:
        """An order, and what comes back."""
        assert self.process.stdin is not None  # noqa: S101
        order = {"do": what, **({} if case is None else {"case": asdict(case)}), **more}
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._read()

    def ask(self, case: Case) -> Answer:
        """One answer."""
        return Answer(**self.tell("ask", case))

    def backends(self) -> list[int]:
        """The PostgreSQL processes that serve this worker; none for SQLite."""
        if not self.url.startswith("postgresql"):
            return []
        import psycopg

        with psycopg.connect(self.url.replace("+psycopg", "")) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
            return [row[0] for row in connection.execute(query, (f"bench-{self.name}-{os.getpid()}",))]

    def stop(self) -> None:
        """End it."""
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def workers(names: Sequence[str], url: str) -> Iterator[dict[str, Worker]]:
    """The processes of these frameworks on the database at ``url``; they end with the block."""
    with ExitStack() as stack:
        made = {}
        for name in names:
            made[name] = Worker(name, url)
            stack.callback(made[name].stop)
        yield made


def take_turns(given: dict[str, tuple[Worker, Case]], rounds: int, calls: int, warm: int = 20) -> dict[str, Cost]:
    """What a request costs each: the median over the rounds, in which all take turns, each the first in its turn."""
    names = list(given)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    slow = 0.0
    for worker, case in given.values():
        if worker.tell("run", case, calls=1)["wall"] < SLOW:
            worker.tell("run", case, calls=warm)
        slow = max(slow, worker.tell("run", case, calls=1)["wall"])
    if slow > SLOW:
        # Something is wrong with it; to know that takes no hundreds of them.
        rounds, calls = min(rounds, 3), 1
    backends = {name: worker.backends() for name, (worker, _) in given.items()}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            worker, case = given[name]
            taken[name].append(worker.tell("run", case, calls=calls, warm=1, backends=backends[name]))
    return {
        name: Cost(*(statistics.median(one[part] for one in values) * 1e6 for part in ("cpu", "server")))
        for name, values in taken.items()
    }
