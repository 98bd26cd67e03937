"""What the processes of a test do to one SQLite file."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from mealshare.core.db import DatabaseSettings, make_engine
from mealshare.core.settings import Secret

READ = text("SELECT n FROM tally")
WRITE = text("UPDATE tally SET n = :n")
NOTE = text("INSERT INTO notes (word) VALUES ('soup')")


def count_up(file: str, with_recipe: bool, threads: int, rounds: int) -> int:
    """Read the tally, write it back plus one, and add a note, ``rounds`` times in each thread; gives the failures."""
    url = f"sqlite:///{file}"
    engine = (
        make_engine(DatabaseSettings(url=Secret(url)))
        if with_recipe
        else create_engine(url, connect_args={"timeout": 0.2}, pool_size=threads)
    )

    def rounds_of_one_thread() -> int:
        failures = 0
        for _ in range(rounds):
            try:
                with engine.begin() as connection:
                    n = connection.execute(READ).scalar_one()
                    connection.execute(WRITE, {"n": n + 1})
                    connection.execute(NOTE)
            except OperationalError:
                failures += 1
        return failures

    with ThreadPoolExecutor(threads) as pool:
        failures = sum(future.result() for future in [pool.submit(rounds_of_one_thread) for _ in range(threads)])
    engine.dispose()
    return failures


def _report(results: Any, function: Callable[..., int], arguments: tuple[Any, ...]) -> None:
    results.put(function(*arguments))


def run_processes(number: int, function: Callable[..., int], *arguments: Any) -> int:
    """The sum of what ``function(*arguments)`` gives in ``number`` processes that run at once."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_report, args=(results, function, arguments)) for _ in range(number)]
    for process in processes:
        process.start()
    try:
        return sum(results.get(timeout=60) for _ in processes)
    except queue.Empty:
        raise AssertionError("a process ended without a result") from None
    finally:
        for process in processes:
            process.join(5)
            process.kill()
