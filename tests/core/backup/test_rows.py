"""Rows as they are in neither database: what is equal has one checksum, and what differs another."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import JSON, Boolean, Date, Float, Integer, LargeBinary, String, Text

from mealshare.core.backup.rows import Sum, canonical
from mealshare.core.db.base import Base, BitSet, UTCDateTime
from mealshare.core.models import import_models

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: Of each two of them somebody might take one for the other.
VALUES = [
    None, 0, 1, -1, 2**63 - 1, 0.0, 1.0, 0.1, "", "0", "1", "None", "i1", b"", b"1", "1.0", "é", "e\u0301", NOON,
    NOON + timedelta(microseconds=1), date(2026, 1, 1), "2026-01-01",
]  # fmt: skip


def test_each_value_has_bytes_of_its_own() -> None:
    assert len({canonical([value]) for value in VALUES}) == len(VALUES)


def test_where_one_value_ends_is_part_of_it() -> None:
    rows = [("a", "b"), ("ab", ""), ("", "ab"), ("a", "b", ""), ("a1:b",), ("a", None), (None, "a")]
    assert len({canonical(row) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("one", "other"),
    [(True, 1), (False, 0), (NOON, NOON.astimezone(timezone(timedelta(hours=8))))],
)
def test_what_the_databases_give_in_different_shapes_is_the_same(one: object, other: object) -> None:
    assert canonical([one]) == canonical([other])


def test_a_sum_knows_no_order_but_every_row() -> None:
    def of(*rows: tuple[object, ...]) -> Sum:
        total = Sum()
        assert list(total.through(rows)) == list(rows)
        return total

    assert of((1, "a"), (2, "b")) == of((2, "b"), (1, "a"))
    assert of((1, "a"), (2, "b")) != of((1, "b"), (2, "a"))
    # Two equal rows do not cancel each other out.
    assert of((1,), (1,)) != of()
    assert of((1,), (1,)) != of((2,), (2,))


def test_every_column_is_of_a_kind_that_can_be_carried() -> None:
    import_models()
    known = (Integer, String, Text, Boolean, Float, Date, LargeBinary, JSON, UTCDateTime, BitSet)
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            assert isinstance(column.type, known), (
                f"{table.name}.{column.name}: teach mealshare.core.backup.rows its kind"
            )
