"""Home feeds, written when a meal is published and only read afterwards."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.db import Base, Id


class TimelineEntry(Base):
    """A meal in somebody's home feed.

    Whether they may still see it is asked when it is read; ``post_id`` refers to a post without a foreign key, because
    deleting one would have to look through all entries.
    """

    __tablename__ = "timeline_entries"

    account_id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    post_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    author_id: Mapped[int] = mapped_column(Id)


class TimelinePull(Base):
    """An author with very many followers, whose meals are looked up when this follower reads, not written for each.

    The author's row for themselves says that this is so for whoever will follow.
    """

    __tablename__ = "timeline_pulls"

    account_id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    author_id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    )


Index("ix_timeline_entries_author_id", TimelineEntry.author_id, TimelineEntry.account_id)
