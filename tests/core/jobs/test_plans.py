"""With 100,000 jobs in the table, what is asked all the time reads a few rows of an index, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, event, func, insert, select, text

from mealshare.core.clock import now
from mealshare.core.ids import new_id
from mealshare.core.jobs.models import Job, JobState, Priority
from mealshare.core.jobs.outbox import BATCH

#: Jobs that are due, that wait for their time, and that run; and a fiftieth of it.
MANY, FEW = (100_000, 20_000, 20), (2_000, 400, 20)
#: More pages that may be touched with `MANY` than with `FEW`: levels of an index, and how the rows of a batch lie.  What
#: reads the table, or a whole range, would take fifty times as many.
LEVELS, FACTOR = 5, 2


def fill(registry: Any, queued: int, waiting: int, running: int) -> None:
    """Jobs that are due, in any order; the most urgent ones wait for their time, and some run.

    Of those that are due the broker has been told of the older three quarters.
    """
    moment = now()
    blank = {"name": "test.full", "payload": {}, "attempts": 0, "created_at": moment}
    rows = []
    for n in range(queued + waiting + running):
        age = (n * 7919) % queued + 1
        run_at, told = moment - timedelta(seconds=age), moment if age > queued // 4 else None
        row = blank | {"id": new_id(), "state": JobState.QUEUED, "priority": n % 2 + 1, "run_at": run_at}
        row |= {"leased_until": None, "published_at": told}
        if n >= queued + waiting:
            row |= {"state": JobState.RUNNING, "leased_until": moment + timedelta(minutes=1)}
        elif n >= queued:
            row |= {"priority": Priority.HIGH, "run_at": moment + timedelta(hours=1), "published_at": None}
        rows.append(row)
    with registry["engine"].begin() as connection:
        # Rows that are deleted only would still be met in the index for as long as anybody might want to see them.
        connection.execute(text("TRUNCATE jobs") if connection.dialect.name == "postgresql" else delete(Job))
        connection.execute(insert(Job), rows)
    if registry["engine"].dialect.name == "postgresql":
        with registry["read_engine"].connect() as connection:
            connection.execute(text("VACUUM ANALYZE jobs"))


def claim(registry: Any) -> Any:
    with registry["open_work"]() as work:
        return work.queue.claim(work.session)


def publish(registry: Any) -> None:
    with registry["read_engine"].connect() as connection:
        assert registry["outbox"].anything(connection)
    with registry["open_work"]() as work:
        assert len(registry["outbox"].take(work.session)[0]) == BATCH


@contextmanager
def looked_at(engine: Any) -> Iterator[list[int]]:
    """Each reading statement is explained just before it runs; the list gets the pages that it touches (SQLite: none).

    Afterwards would be too late: there is no saying for how long rows that have been changed are met in an index.
    """
    found: list[int] = []

    def explain(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT"):
            on_sqlite = connection.dialect.name == "sqlite"
            found.append((expect_search if on_sqlite else pages)(connection, statement, values))

    event.listen(engine, "before_cursor_execute", explain)
    yield found
    event.remove(engine, "before_cursor_execute", explain)


def expect_search(connection: Connection, statement: str, values: Any) -> int:
    """EXPLAIN of SQLite: a search of an index, without a sort; it counts no pages."""
    plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert not [step for step in plan if step.startswith("SCAN")], plan
    # The few that run may be sorted.
    if JobState.RUNNING not in values:
        assert not [step for step in plan if "TEMP B-TREE" in step], plan
    return 0


def pages(connection: Connection, statement: str, values: Any) -> int:
    """How many pages PostgreSQL touches for it, with an index."""
    # With few rows it would rather read all of them.
    connection.exec_driver_sql("SET enable_seqscan = off")
    lines = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", values)]
    connection.exec_driver_sql("RESET enable_seqscan")
    assert "Seq Scan" not in "\n".join(lines), lines
    return sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", lines[1]))


def test_many_jobs_cost_no_more_than_few(registry: Any) -> None:
    costs = []
    for numbers in (FEW, MANY):
        fill(registry, *numbers)
        with registry["read_engine"].connect() as connection:
            due = select(func.min(Job.run_at)).where(Job.priority == Priority.NORMAL, Job.state == JobState.QUEUED)
            oldest = connection.scalars(
                select(Job.id).where(Job.priority == Priority.NORMAL, Job.run_at == due.scalar_subquery())
            ).all()
        with looked_at(registry["engine"]) as found:
            claimed = claim(registry)
            publish(registry)
        # The oldest of the most urgent.
        assert claimed.id in oldest
        costs.append(found)
    few, many = costs
    assert len(few) == len(many) > 4
    for before, after in zip(few, many, strict=True):
        assert after <= FACTOR * before + LEVELS, costs
