"""With 100,000 jobs in the table, what is asked all the time reads a few rows of an index, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from mealshare.core.clock import now
from mealshare.core.ids import new_id
from mealshare.core.jobs.models import Job, JobState, Priority
from mealshare.core.jobs.outbox import BATCH

QUEUED, WAITING, RUNNING = 100_000, 20_000, 20
#: Pages of 8 KB that one statement may touch: the way down an index and a few rows, not a table of thousands.
PAGES = 60


@pytest.fixture
def full(registry: Any) -> Any:
    """Jobs that are due, in any order; the most urgent ones wait for their time, and some run."""
    moment = now()
    blank = {"name": "test.full", "payload": {}, "attempts": 0, "created_at": moment}
    rows = []
    for n in range(QUEUED + WAITING + RUNNING):
        run_at = moment - timedelta(seconds=(n * 7919) % QUEUED + 1)
        row = blank | {"id": new_id(), "state": JobState.QUEUED, "priority": n % 2 + 1, "run_at": run_at}
        row |= {"leased_until": None, "published_at": None}
        if n >= QUEUED + WAITING:
            row |= {"state": JobState.RUNNING, "leased_until": moment + timedelta(minutes=1)}
        elif n >= QUEUED:
            row |= {"priority": Priority.HIGH, "run_at": moment + timedelta(hours=1)}
        rows.append(row)
    with registry["engine"].begin() as connection:
        connection.execute(insert(Job), rows)
    if registry["engine"].dialect.name == "postgresql":
        with registry["read_engine"].connect() as connection:
            connection.execute(text("VACUUM ANALYZE jobs"))
    return registry


def claim(registry: Any) -> Any:
    with registry["open_work"]() as work:
        return work.queue.claim(work.session)


def publish(registry: Any) -> Any:
    with registry["read_engine"].connect() as connection:
        assert registry["outbox"].anything(connection)
    with registry["open_work"]() as work:
        return registry["outbox"].take(work.session)[0]


@contextmanager
def selects(engine: Any) -> Iterator[list[tuple[str, Any]]]:
    """The reading statements with their values."""
    seen: list[tuple[str, Any]] = []

    def remember(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, values))

    event.listen(engine, "before_cursor_execute", remember)
    yield seen
    event.remove(engine, "before_cursor_execute", remember)


def expect_cheap(connection: Connection, statement: str, values: Any, most: int) -> None:
    """EXPLAIN: on SQLite a search of an index without a sort, on PostgreSQL few pages."""
    if connection.dialect.name == "sqlite":
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not [step for step in plan if step.startswith("SCAN")], plan
        # The few that run may be sorted.
        if JobState.RUNNING not in values:
            assert not [step for step in plan if "TEMP B-TREE" in step], plan
        return
    lines = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", values)]
    plan_text = "\n".join(lines)
    assert "Seq Scan" not in plan_text, plan_text
    assert sum(int(pages) for pages in re.findall(r"(?:hit|read)=(\d+)", lines[1])) <= most, plan_text


def test_many_jobs_cost_no_more_than_few(full: Any) -> None:
    with full["read_engine"].connect() as connection:
        oldest = connection.scalar(text("SELECT min(run_at) FROM jobs WHERE priority = 1 AND state = 'queued'"))
    # A batch is a row of the table for each, and a claim is one.
    for ask, most in ((publish, PAGES + 3 * BATCH), (claim, PAGES)):
        with selects(full["engine"]) as seen:
            got = ask(full)
        assert seen
        with full["engine"].connect() as connection:
            for statement, values in seen:
                expect_cheap(connection, statement, values, most)
            connection.rollback()
    # The last one asked has claimed: the oldest of the most urgent.
    with full["read_engine"].connect() as connection:
        assert connection.scalar(text("SELECT run_at FROM jobs WHERE id = :id"), {"id": got.id}) == oldest
