"""The clock: ids and moments are made here, so it must not differ from others', and must never have run ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pyramid.registry import Registry
from sqlalchemy import BigInteger, func, select, text

from mealshare.core import clock
from mealshare.core.db import Base
from mealshare.core.doctor import Finding
from mealshare.core.ids import SEQUENCE_BITS

#: Seconds by which two clocks that somebody sets may differ.
TOLERANCE = 2.0


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`."""
    with registry["read_engine"].connect() as connection:
        if connection.dialect.name == "postgresql":
            before = time.time()
            theirs = float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)
            # In the middle between asking and being answered.
            differs = theirs - (before + time.time()) / 2
            if abs(differs) > TOLERANCE:
                yield Finding(f"the database's clock differs by {differs:+.1f} seconds: let both be set by NTP")
        limit = (clock.milliseconds() + int(TOLERANCE * 1000)) << SEQUENCE_BITS
        for table in Base.metadata.sorted_tables:
            if "id" not in table.c or not isinstance(table.c.id.type, BigInteger):
                continue
            newest = connection.scalar(select(func.max(table.c.id)))
            if newest is not None and newest > limit:
                moment = clock.from_milliseconds(newest >> SEQUENCE_BITS)
                yield Finding(
                    f"the newest id of {table.name} is of {moment:%Y-%m-%d %H:%M:%S} UTC, which is still to come: some "
                    "machine's clock runs ahead, or did"
                )
