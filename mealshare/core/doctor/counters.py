"""Counters that must equal their rows: found in one statement, mended in batches.

Everybody who changes a counter locks its row first and counts by ``SET n = n + 1``.  So a repair locks the row, and only
then, in a statement of its own, counts: what others have written by then they have committed, and what they write
later they add to the repaired number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.registry import Registry
from sqlalchemy import ColumnElement, func, select, update

from mealshare.core.doctor import Finding

#: Rows that are locked at a time.
BATCH = 200
#: Of the wrong ones so many are named.
NAMED = 5


@dataclass(frozen=True)
class Counter:
    """``table.c[column]`` is the number of rows for which ``counted`` holds and whose ``key`` is the row's id.

    ``living`` are the rows that have such a number; ``newest_first`` is the order in which their writers lock several.
    """

    table: Any
    column: str
    key: ColumnElement[Any]
    counted: Sequence[ColumnElement[bool]] = ()
    living: Sequence[ColumnElement[bool]] = ()
    newest_first: bool = False

    @property
    def name(self) -> str:
        """How it is called in a sentence."""
        return f"{getattr(self.table, 'name', 'table')}.{self.column}"


def wrong(registry: Registry, counter: Counter) -> list[Any]:
    """The rows (id, kept, rows) whose counter does not equal its rows, in the order in which they are to be locked."""
    table, kept = counter.table, counter.table.c[counter.column]
    found = select(counter.key.label("id"), func.count().label("n")).where(counter.key.is_not(None), *counter.counted)
    counts = found.group_by(counter.key).subquery()
    there = func.coalesce(counts.c.n, 0)
    statement = (
        select(table.c.id, kept.label("kept"), there.label("rows"))
        .outerjoin(counts, counts.c.id == table.c.id)
        .where(kept != there, *counter.living)
        .order_by(table.c.id.desc() if counter.newest_first else table.c.id)
    )
    with registry["read_engine"].connect() as connection:
        return list(connection.execute(statement))


def mend(registry: Registry, counter: Counter) -> int:
    """Set the wrong ones right; gives how many there were."""
    table = counter.table
    rows = select(func.count()).where(counter.key == table.c.id, *counter.counted)
    ids = [row.id for row in wrong(registry, counter)]
    for some in _batches(ids):
        lock = select(table.c.id).where(table.c.id.in_(some), *counter.living)
        lock = lock.order_by(table.c.id.desc() if counter.newest_first else table.c.id)
        with registry["open_work"]() as work:
            locked = list(work.session.scalars(lock.with_for_update(key_share=True)))
            change = update(table).where(table.c.id.in_(locked))
            work.session.execute(change.values({counter.column: rows.correlate(table).scalar_subquery()}))
    return len(ids)


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def check_of(*counters: Counter) -> Callable[[Registry], Iterator[Finding]]:
    """The check of the counters, for ``config.add_check``."""

    def check(registry: Registry) -> Iterator[Finding]:
        for counter in counters:
            found = wrong(registry, counter)
            if found:
                some = ", ".join(f"{row.id} ({row.kept}, not {row.rows})" for row in found[:NAMED])
                more = ", ..." if len(found) > NAMED else ""
                yield Finding(f"{counter.name} is wrong in {len(found)} rows: {some}{more}")

    return check


def repair_of(*counters: Counter) -> Callable[[Registry], int]:
    """The repair that belongs to it."""
    return lambda registry: sum(mend(registry, counter) for counter in counters)
