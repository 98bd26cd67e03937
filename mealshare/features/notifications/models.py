"""What somebody is told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db import Base, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id


class NotificationType(StrEnum):
    """What happened; reports and moderation are to come."""

    LIKE = "like"
    COMMENT = "comment"
    MENTION = "mention"
    FOLLOW = "follow"
    FOLLOW_REQUEST = "follow_request"
    ATE_TOO = "ate_too"
    REPORT = "report"
    MODERATION = "moderation"


class Notification(Base):
    """One thing that one person did, told to another; those with the same group are shown as one."""

    __tablename__ = "notifications"
    __table_args__ = (UniqueConstraint("account_id", "key"), one_of("type", NotificationType))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    #: Who is told.
    account_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(Word)
    #: Who did it.
    from_id: Mapped[int] = mapped_column(Id, ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    #: What it is about: the meal that was liked, the comment, the meal or comment with the mention, the meal of the one
    #: who ate it too; None for follows.
    post_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"), index=True)
    #: What makes doing it twice one notification.
    key: Mapped[str] = mapped_column(String(100))
    group_key: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    read_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


Index("ix_notifications_account_id", Notification.account_id, Notification.id)
_unread = Notification.read_at.is_(None)
Index(
    "ix_notifications_unread", Notification.account_id, Notification.id, sqlite_where=_unread, postgresql_where=_unread
)
