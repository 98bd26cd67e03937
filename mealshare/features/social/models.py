"""Follows, blocks and mutes: rows from one account to another."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db import Base, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id


class FollowState(StrEnum):
    """Where a follow stands."""

    #: The account is locked: its owner has to agree.
    REQUESTED = "requested"
    ACCEPTED = "accepted"


class Follow(Base):
    """``account_id`` follows ``target_id``, or asks to."""

    __tablename__ = "follows"
    __table_args__ = (
        UniqueConstraint("account_id", "target_id"),
        CheckConstraint("account_id <> target_id", name="not_oneself"),
        one_of("state", FollowState),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    account_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    target_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(Word)
    uri: Mapped[str | None] = mapped_column(String(500), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


Index("ix_follows_account_id_state", Follow.account_id, Follow.state, Follow.id)
Index("ix_follows_target_id_state", Follow.target_id, Follow.state, Follow.id)


class Block(Base):
    """``account_id`` has blocked ``target_id``: neither sees anything of the other."""

    __tablename__ = "blocks"
    __table_args__ = (
        UniqueConstraint("account_id", "target_id"),
        CheckConstraint("account_id <> target_id", name="not_oneself"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    account_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    target_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


Index("ix_blocks_account_id", Block.account_id, Block.id)


class Mute(Base):
    """``account_id`` does not want to come across ``target_id``, perhaps only until some time; nobody else notices."""

    __tablename__ = "mutes"
    __table_args__ = (
        UniqueConstraint("account_id", "target_id"),
        CheckConstraint("account_id <> target_id", name="not_oneself"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    account_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    target_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    #: None: until it is taken back.
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


Index("ix_mutes_account_id", Mute.account_id, Mute.id)
