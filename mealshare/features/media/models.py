"""Pictures: a row exists before the post that shows it, and before its variants are made."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db import Base, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id


class MediaState(StrEnum):
    """Where a picture stands on its way from upload to variants."""

    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class UploadBasket(Base):
    """Where a visitor's pictures wait until there is an account: the browser holds the token, this row its hash."""

    __tablename__ = "upload_baskets"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    #: The words that wait with the pictures, as the form sent them (JSON).
    form: Mapped[str] = mapped_column(Text, default="{}")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class Media(Base):
    """A picture of a meal.  ``account_id`` is None only while it lies in a visitor's basket."""

    __tablename__ = "media"
    __table_args__ = (one_of("state", MediaState),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    account_id: Mapped[int | None] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    basket_id: Mapped[int | None] = mapped_column(Id, ForeignKey("upload_baskets.id", ondelete="SET NULL"), index=True)
    post_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="SET NULL"))
    position: Mapped[int] = mapped_column(default=0)
    description: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(Word, default=MediaState.PROCESSING)
    #: Why it failed, as a code of the picture pipeline.
    error: Mapped[str | None] = mapped_column(String(50))
    #: Names the variants in storage and in their addresses; random, so it cannot be guessed from another.
    storage_key: Mapped[str] = mapped_column(String(100), unique=True)
    blurhash: Mapped[str | None] = mapped_column(String(100))
    width: Mapped[int | None] = mapped_column()
    height: Mapped[int | None] = mapped_column()
    remote_url: Mapped[str | None] = mapped_column(String(2000))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


Index("ix_media_post_id_position", Media.post_id, Media.position)
Index(
    "ix_media_unattached",
    Media.created_at,
    sqlite_where=Media.post_id.is_(None),
    postgresql_where=Media.post_id.is_(None),
)
