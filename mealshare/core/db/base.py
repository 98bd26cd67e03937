"""The declarative base, the naming convention and the portable column types."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Integer, MetaData, String
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import DateTime, TypeDecorator

#: Every constraint and index has a name, so that a migration can address it on every database.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What every model derives from."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


#: A snowflake: 64 bits everywhere.  SQLite has one integer type, and only "INTEGER" makes a primary key the row id.
Id = BigInteger().with_variant(Integer(), "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """An instant, stored in UTC; a naive datetime is refused, and what is read carries UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: give it a time zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class BitSet(TypeDecorator[tuple[Any, ...]]):
    """A set of members of one enumeration, stored as a bit mask: member number n of the enumeration is bit n.

    A filter is then integer arithmetic that both databases know.  Members may only ever be appended to the enumeration.
    """

    impl = Integer
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: Any, dialect: Dialect) -> int:
        return value if isinstance(value, int) else mask_of(self.members, value or ())

    def process_result_value(self, value: int | None, dialect: Dialect) -> tuple[Any, ...]:
        return members_of(self.members, value or 0)


def mask_of(members: type[StrEnum], chosen: Any) -> int:
    """The bit mask of the ``chosen`` members (or their values)."""
    wanted = {members(item) for item in chosen}
    return sum(1 << position for position, member in enumerate(members) if member in wanted)


@cache
def members_of(members: type[StrEnum], mask: int) -> tuple[Any, ...]:
    """The members that the bit mask holds, in the order of the enumeration."""
    return tuple(member for position, member in enumerate(members) if mask >> position & 1)


def one_of(column: str, members: type[StrEnum]) -> CheckConstraint:
    """A CHECK constraint that keeps the string ``column`` inside the enumeration (NULL passes)."""
    values = ", ".join(f"'{member.value}'" for member in members)
    return CheckConstraint(f"{column} IN ({values})", name=column)


#: A short word of an enumeration.
Word = String(20)
