"""Accounts (a person's public face, local or remote), users (the login of a local account) and what signs them in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mealshare.core.clock import now
from mealshare.core.db import Base, Id, UTCDateTime, Word, one_of
from mealshare.core.ids import new_id
from mealshare.core.security.identity import Role

#: The domain of an account of this site.
LOCAL = ""


class Account(Base):
    """A person as others see them; every social foreign key points here."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    username: Mapped[str] = mapped_column(String(100))
    #: `LOCAL` for an account of this site.
    domain: Mapped[str] = mapped_column(String(253), default=LOCAL)
    display_name: Mapped[str] = mapped_column(String(100), default="")
    bio: Mapped[str] = mapped_column(Text, default="")
    bio_html: Mapped[str] = mapped_column(Text, default="")
    #: The storage key of the avatar's variants, unguessable and new with each picture; None shows the initials.
    avatar_key: Mapped[str | None] = mapped_column(String(100))
    locked: Mapped[bool] = mapped_column(default=False)
    uri: Mapped[str] = mapped_column(String(500), unique=True)
    url: Mapped[str] = mapped_column(String(500))
    public_key: Mapped[str | None] = mapped_column(Text)
    private_key: Mapped[str | None] = mapped_column(Text)
    suspended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    moved_to_id: Mapped[int | None] = mapped_column(Id, ForeignKey("accounts.id", ondelete="SET NULL"))
    #: Meals that everybody may see (public and unlisted), kept exact with each write.
    meals_count: Mapped[int] = mapped_column(default=0)
    #: Accepted follows in either direction, kept exact with each write.
    followers_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    following_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: Counts the changes of what cards show of the person, so that rendered fragments of older versions are not used.
    version: Mapped[int] = mapped_column(default=1)


Index("uq_accounts_username_domain", func.lower(Account.username), Account.domain, unique=True)


class User(Base):
    """The login of a local account; has the account's id."""

    __tablename__ = "users"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[int] = mapped_column(
        Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    email: Mapped[str] = mapped_column(String(254))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(Word, default=Role.USER)
    #: None: as the browser asks.
    locale: Mapped[str | None] = mapped_column(String(20))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    #: Raised when the password or the role changes: every older token is void at once.
    generation: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    account: Mapped[Account] = relationship(lazy="raise_on_sql")


Index("uq_users_email", func.lower(User.email), unique=True)


class Session(Base):
    """A sign-in with the browser; the cookie holds a random id, this row its hash."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: When the password was last given, for the pages that ask for it again.
    authenticated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    address: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(300), default="")


class Grant(Base):
    """A sign-in over the API: the family of the refresh tokens that follow each other on one device."""

    __tablename__ = "grants"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    address: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(300), default="")


class RefreshToken(Base):
    """A refresh token of a grant; used once, then only kept to notice that somebody uses it again."""

    __tablename__ = "refresh_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    grant_id: Mapped[int] = mapped_column(Id, ForeignKey("grants.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class PasswordReset(Base):
    """A link that was mailed to somebody who forgot the password."""

    __tablename__ = "password_resets"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class PersonalToken(Base):
    """An access token that somebody made by hand for a program of their own; shown once, kept as a hash."""

    __tablename__ = "personal_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: None: it has no end of its own.
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
