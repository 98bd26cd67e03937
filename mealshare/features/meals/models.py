"""Posts (whatever is published; meals here, comments above), tags, places, revisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, Float, ForeignKey, Index, String, Text, UniqueConstraint, and_, false
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db import Base, BitSet, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id
from mealshare.features.meals.vocabulary import Allergen, AvoidMode, Diet, MealType, Source, Visibility


class Post(Base):
    """What is published, of whatever kind: authorship, visibility, words and counters are the same for all kinds."""

    __tablename__ = "posts"
    __table_args__ = (one_of("visibility", Visibility), one_of("meal_type", MealType), one_of("source", Source))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    kind: Mapped[str] = mapped_column(Word)
    uri: Mapped[str] = mapped_column(String(500), unique=True)
    url: Mapped[str] = mapped_column(String(500))
    account_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    in_reply_to_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="SET NULL"))
    root_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="SET NULL"))
    note: Mapped[str] = mapped_column(Text, default="")
    note_html: Mapped[str] = mapped_column(Text, default="")
    spoiler_text: Mapped[str] = mapped_column(String(500), default="")
    sensitive: Mapped[bool] = mapped_column(default=False)
    #: BCP 47.
    language: Mapped[str | None] = mapped_column(String(20))
    visibility: Mapped[str] = mapped_column(Word, default=Visibility.PUBLIC)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    edited_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: A deleted post is a tombstone: its address stays taken, its content is gone.
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Counts the changes of what a reader sees; part of the key of rendered fragments, and the ETag.
    version: Mapped[int] = mapped_column(default=1)
    likes_count: Mapped[int] = mapped_column(default=0)
    comments_count: Mapped[int] = mapped_column(default=0)
    ate_too_count: Mapped[int] = mapped_column(default=0)

    # What only a meal has.
    food: Mapped[str | None] = mapped_column(String(140))
    meal_type: Mapped[str | None] = mapped_column(Word)
    eaten_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    time_zone: Mapped[str | None] = mapped_column(String(64))
    #: The date on the eater's wall: what diary and calendar go by.
    eaten_on: Mapped[date | None] = mapped_column(Date)
    place_id: Mapped[int | None] = mapped_column(Id, ForeignKey("places.id", ondelete="SET NULL"))
    #: What makes two people's names of the place the same (`place_key`); here as well, so that a place is one index.
    place_key: Mapped[str | None] = mapped_column(String(400))
    source: Mapped[str | None] = mapped_column(Word)
    diets: Mapped[tuple[Diet, ...]] = mapped_column(BitSet(Diet), default=())
    allergens_contained: Mapped[tuple[Allergen, ...]] = mapped_column(BitSet(Allergen), default=())
    allergens_free_from: Mapped[tuple[Allergen, ...]] = mapped_column(BitSet(Allergen), default=())
    recipe_url: Mapped[str | None] = mapped_column(String(2000))
    #: Whether the author wants no (more) comments.
    comments_closed: Mapped[bool] = mapped_column(default=False, server_default=false())
    inspired_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="SET NULL"))
    #: The tags as they were typed, in order; the rows of post_tags are the index.
    tag_names: Mapped[list[str]] = mapped_column(JSON, default=list)

    __mapper_args__: Mapping[str, Any] = {"polymorphic_on": "kind", "polymorphic_abstract": True}


class Meal(Post):
    """Something that somebody ate."""

    __mapper_args__: Mapping[str, Any] = {"polymorphic_identity": "meal"}


_meal = and_(Post.kind == "meal", Post.deleted_at.is_(None))
_public_meal = and_(_meal, Post.visibility == "public")
# Every list reads one of these backwards and stops when its page is full, whatever the size of the table.
Index("ix_posts_public_meals", Post.id, sqlite_where=_public_meal, postgresql_where=_public_meal)
Index("ix_posts_account_meals", Post.account_id, Post.id, sqlite_where=_meal, postgresql_where=_meal)
Index("ix_posts_account_eaten_on", Post.account_id, Post.eaten_on, Post.id, sqlite_where=_meal, postgresql_where=_meal)
_placed = and_(_meal, Post.place_key.is_not(None))
Index("ix_posts_place_key", Post.place_key, Post.id, sqlite_where=_placed, postgresql_where=_placed)
# Without the many that are NULL, which would make SQLite's statistics say that a search in it finds the whole table.
for _column in (Post.in_reply_to_id, Post.root_id, Post.inspired_by_id):
    _there = _column.is_not(None)
    Index(f"ix_posts_{_column.key}", _column, Post.id, sqlite_where=_there, postgresql_where=_there)
_copied = and_(Post.inspired_by_id.is_not(None), Post.deleted_at.is_(None))
Index(
    "ix_posts_account_inspired_by", Post.account_id, Post.inspired_by_id, Post.id, sqlite_where=_copied,
    postgresql_where=_copied,
)  # fmt: skip


class Tag(Base):
    """A hashtag: ``name`` is what makes two the same, ``display`` how the first one to use it wrote it."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    display: Mapped[str] = mapped_column(String(100))
    #: Public meals with the tag, kept exact with each write.
    meals_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


Index("ix_tags_meals_count", Tag.meals_count, Tag.id)


class PostTag(Base):
    """Which post has which tag."""

    __tablename__ = "post_tags"

    tag_id: Mapped[int] = mapped_column(
        Id, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    post_id: Mapped[int] = mapped_column(
        Id, ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    )


class Mention(Base):
    """Who is named in a post with an @."""

    __tablename__ = "mentions"

    post_id: Mapped[int] = mapped_column(
        Id, ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    )


class EatingPreference(Base):
    """What somebody avoids, and which diets they keep to."""

    __tablename__ = "eating_preferences"
    __table_args__ = (one_of("mode", AvoidMode),)

    account_id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    mode: Mapped[str] = mapped_column(Word, default=AvoidMode.WARN)
    avoid: Mapped[tuple[Allergen, ...]] = mapped_column(BitSet(Allergen), default=())
    diets: Mapped[tuple[Diet, ...]] = mapped_column(BitSet(Diet), default=())


class Place(Base):
    """Where somebody ate; people who say the same, to the letter and the coordinate, share its row.

    Nobody gets another's spelling, let alone another's coordinates: those may be of a meal that nobody else may see.
    """

    __tablename__ = "places"
    __table_args__ = (UniqueConstraint("name", "city", "country_code", "spot"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    city: Mapped[str] = mapped_column(String(100), default="")
    country_code: Mapped[str] = mapped_column(String(2), default="")
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    #: The coordinates as text, or "": two NULLs would not be equal to a unique constraint.
    spot: Mapped[str] = mapped_column(String(60), default="")
    #: What makes names the same to a search.
    name_key: Mapped[str] = mapped_column(String(400), index=True)
    city_key: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class PostRevision(Base):
    """What a post said before an edit."""

    __tablename__ = "post_revisions"
    __table_args__ = (UniqueConstraint("post_id", "version"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    post_id: Mapped[int] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column()
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
