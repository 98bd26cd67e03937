"""The rows of a table as they are in neither database: read, written and summed up the same for both.

What the models make of a value (a set of words of a bit mask, a dictionary of JSON) is left out: an unknown bit and the
order of JSON's keys would get lost on the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Column, Connection, Integer, Select, Table, Text, cast, column, insert, select, table
from sqlalchemy.sql.expression import TableClause
from sqlalchemy.types import TypeEngine

from mealshare.core.backup.errors import BackupError
from mealshare.core.db.base import BitSet

#: Rows that are in memory at a time.
BATCH = 2_000
_CHECKSUM_BITS = 256

Row = Sequence[Any]


@dataclass
class Sum:
    """How many rows went through, and the sum of their hashes: the same in whatever order they come."""

    rows: int = 0
    total: int = 0

    def add(self, row: Row) -> None:
        """One row more."""
        self.rows += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(canonical(row)).digest())) % (1 << _CHECKSUM_BITS)

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, which are added as they pass."""
        for row in rows:
            self.add(row)
            yield row


def canonical(row: Row) -> bytes:
    """The bytes of a row, the same whichever database it was read from; different for rows that differ."""
    parts = [_BYTES[type(value)](value) for value in row]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _nothing(value: None) -> bytes:
    return b"-"


_BYTES: dict[type, Callable[[Any], bytes]] = {
    type(None): _nothing,
    bool: lambda value: b"i%d" % value,
    int: lambda value: b"i%d" % value,
    float: lambda value: b"f" + repr(value).encode(),
    str: lambda value: b"s" + value.encode(),
    bytes: lambda value: b"b" + value,
    datetime: lambda value: b"t" + value.astimezone(UTC).isoformat(timespec="microseconds").encode(),
    date: lambda value: b"d" + value.isoformat().encode(),
}


def read_rows(connection: Connection, known: Table) -> Iterator[Row]:
    """All rows of the table in the order of their keys, a batch in memory at a time."""
    reading = connection.execution_options(yield_per=BATCH)
    return (tuple(row) for row in reading.execute(_reading(known, connection.dialect.name)))


def sum_rows(connection: Connection, known: Table) -> Sum:
    """What `Sum` says of all rows of the table."""
    total = Sum()
    for row in read_rows(connection, known):
        total.add(row)
    return total


def write_rows(connection: Connection, known: Table, rows: Iterable[Row]) -> None:
    """Write rows, as `read_rows` gives them, to the empty table.  Raises BackupError for one that does not fit."""
    if connection.dialect.name == "postgresql":
        _copy(connection, known, rows)
        return
    plain = _plain_table(known)
    names = [item.name for item in known.columns]
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        connection.execute(insert(plain), [dict(zip(names, row, strict=True)) for row in batch])


def _copy(connection: Connection, known: Table, rows: Iterable[Row]) -> None:
    """By COPY: one statement, after which the database looks at foreign keys; a row may name one that comes after it."""
    import psycopg  # Only here: a site on SQLite need not have it.

    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(item.name) for item in known.columns)
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {quote(known.name)} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise BackupError(f"PostgreSQL does not take the rows of {known.name}: {said[0]}") from error


def _reading(known: Table, dialect: str) -> Select[Any]:
    """A statement for the rows with plain values."""
    plain = _plain_table(known)
    columns = [
        cast(plain.c[item.name], Text)
        if isinstance(item.type, JSON) and dialect == "postgresql"
        else plain.c[item.name]
        for item in known.columns
    ]
    return select(*columns).select_from(plain).order_by(*(plain.c[item.name] for item in known.primary_key.columns))


def _plain_table(known: Table) -> TableClause:
    return table(known.name, *(column(item.name, _plain_type(item)) for item in known.columns))


def _plain_type(known: Column[Any]) -> TypeEngine[Any]:
    if isinstance(known.type, JSON):
        return Text()
    return Integer() if isinstance(known.type, BitSet) else known.type
