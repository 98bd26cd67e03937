"""The tables as SQLAlchemy's ORM maps them, for the frameworks that come without an ORM of their own.

What no answer shows is deferred, so a page loads no column more than it needs.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Select, event, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    contains_eager,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from benchmarks.frameworks.words import OPEN, PAGE


class Base(DeclarativeBase):
    """What every model derives from."""

    type_annotation_map = {datetime: DateTime(timezone=True), int: BigInteger()}


class Account(Base):
    """A person."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    display_name: Mapped[str]
    url: Mapped[str]
    suspended_at: Mapped[datetime | None] = mapped_column(deferred=True)
    meals_count: Mapped[int] = mapped_column(deferred=True)


class Place(Base):
    """Where it was eaten."""

    __tablename__ = "places"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]
    country_code: Mapped[str]
    spot: Mapped[str] = mapped_column(default="", deferred=True)
    name_key: Mapped[str] = mapped_column(deferred=True)
    city_key: Mapped[str] = mapped_column(default="", deferred=True)
    created_at: Mapped[datetime] = mapped_column(deferred=True)


class Tag(Base):
    """A tag with the number of its public meals."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    display: Mapped[str]
    meals_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class PostTag(Base):
    """Which meal has which tag."""

    __tablename__ = "post_tags"

    tag_id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(primary_key=True)


class TimelineEntry(Base):
    """A meal in a home feed."""

    __tablename__ = "timeline_entries"

    account_id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int]


class Photo(Base):
    """A picture of a meal."""

    __tablename__ = "media"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"))
    position: Mapped[int]
    description: Mapped[str]
    storage_key: Mapped[str]
    blurhash: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]


class Meal(Base):
    """A meal."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    url: Mapped[str]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    food: Mapped[str]
    note: Mapped[str]
    note_html: Mapped[str]
    meal_type: Mapped[str]
    eaten_at: Mapped[datetime]
    time_zone: Mapped[str]
    visibility: Mapped[str]
    created_at: Mapped[datetime]
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"))
    tag_names: Mapped[list[str]] = mapped_column(JSON)
    likes_count: Mapped[int] = mapped_column(default=0)
    comments_count: Mapped[int] = mapped_column(default=0)
    ate_too_count: Mapped[int] = mapped_column(default=0)
    kind: Mapped[str] = mapped_column(default="meal", deferred=True)
    uri: Mapped[str] = mapped_column(deferred=True)
    spoiler_text: Mapped[str] = mapped_column(default="", deferred=True)
    sensitive: Mapped[bool] = mapped_column(default=False, deferred=True)
    deleted_at: Mapped[datetime | None] = mapped_column(deferred=True)
    version: Mapped[int] = mapped_column(default=1, deferred=True)
    eaten_on: Mapped[date] = mapped_column(deferred=True)
    place_key: Mapped[str | None] = mapped_column(deferred=True)
    diets: Mapped[int] = mapped_column(default=0, deferred=True)
    allergens_contained: Mapped[int] = mapped_column(default=0, deferred=True)
    allergens_free_from: Mapped[int] = mapped_column(default=0, deferred=True)
    comments_closed: Mapped[bool] = mapped_column(default=False, deferred=True)

    author: Mapped[Account] = relationship(lazy="raise")
    place: Mapped[Place | None] = relationship(lazy="raise")
    photos: Mapped[list[Photo]] = relationship(lazy="raise", order_by=Photo.position)


def public_meals(max_id: int) -> Select[Any]:
    """The newest public meals below ``max_id``, one more than a page has; with author, place and photos."""
    return (
        select(Meal)
        .join(Meal.author)
        .where(
            Meal.kind == "meal",
            Meal.deleted_at.is_(None),
            Meal.visibility == OPEN[0],
            Account.suspended_at.is_(None),
            Meal.id < max_id,
        )
        .options(contains_eager(Meal.author), joinedload(Meal.place), selectinload(Meal.photos))
        .order_by(Meal.id.desc())
        .limit(PAGE + 1)
    )


def one_meal(id: int) -> Select[Any]:
    """The meal that everybody may see, with author, place and photos."""
    return (
        select(Meal)
        .join(Meal.author)
        .where(
            Meal.id == id, Meal.kind == "meal", Meal.deleted_at.is_(None), Meal.visibility.in_(OPEN),
            Account.suspended_at.is_(None),
        )
        .options(contains_eager(Meal.author), joinedload(Meal.place), selectinload(Meal.photos))
    )  # fmt: skip


def prepare_sqlite(engine: Any) -> None:
    """Set up each connection to SQLite as MealShare does: a log for writers, and patience.  ``engine`` is a sync one."""
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
