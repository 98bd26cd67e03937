"""Many at once: what the tests of races begin them with."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import text

from tests.functional.hostile_requests import Answer

THREADS = 16


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Let all calls begin at the same moment, each in a thread of its own; none may answer with a 5xx."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        gate.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(run, calls))
    for answer in answers:
        assert answer.status < 500, answer.text
    return answers


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    """How often each status came."""
    return Counter(answer.status for answer in answers)


def until_somebody_waits(registry: Any, backend: str, number: int = 1) -> None:
    """Return when ``number`` transactions wait for another; on SQLite there is but one, and nothing to see."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(200 if backend == "postgresql" else 0):
        with registry["engine"].connect() as connection:
            if (connection.scalar(waiting) or 0) >= number:
                return
        time.sleep(0.05)
    assert backend == "sqlite", "nobody waits"
