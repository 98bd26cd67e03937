"""What is read of accounts: statements built once, at import, and the read models that they fill.

A suspended account is nowhere to be found here: neither by its name, nor by a session or token of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select
from sqlalchemy.sql import Executable

from mealshare.core.db import fetch, fetch_one
from mealshare.core.security.identity import Role
from mealshare.features.accounts.models import Account, Grant, PasswordReset, RefreshToken, Session, User

LOCAL = ""


@dataclass(frozen=True)
class PersonContext:
    """A person of this site as everybody sees them."""

    account_id: int
    username: str
    display_name: str
    bio: str
    bio_html: str
    avatar_key: str | None
    locked: bool
    uri: str
    url: str
    meals_count: int
    created_at: datetime
    version: int


@dataclass(frozen=True)
class Profile:
    """A person as they see themselves."""

    person: PersonContext
    email: str
    role: Role
    locale: str | None
    time_zone: str


@dataclass(frozen=True)
class Credentials:
    """What signing in needs to know of an account; never leaves the server."""

    account_id: int
    username: str
    display_name: str
    avatar_key: str | None
    url: str
    email: str
    password_hash: str
    role: Role
    locale: str | None
    time_zone: str
    generation: int
    suspended: bool


@dataclass(frozen=True)
class AccessRow:
    """A browser or a program that is signed in."""

    id: int
    created_at: datetime
    used_at: datetime
    user_agent: str
    address: str


_PERSON = (
    Account.id, Account.username, Account.display_name, Account.bio, Account.bio_html, Account.avatar_key,
    Account.locked, Account.uri, Account.url, Account.meals_count, Account.created_at, Account.version,
)  # fmt: skip
_IDENTITY = (
    Account.username, Account.display_name, Account.avatar_key,
    User.id.label("account_id"), User.role, User.locale, User.time_zone,
)  # fmt: skip
_CREDENTIALS = (
    User.id, Account.username, Account.display_name, Account.avatar_key, Account.url, User.email, User.password_hash,
    User.role, User.locale, User.time_zone, User.generation, Account.suspended_at,
)  # fmt: skip

#: The identity behind a session cookie: one statement, and only for a session that counts.
SESSION_IDENTITY = (
    select(*_IDENTITY, Session.id.label("session_id"), Session.last_seen_at)
    .join(User, User.id == Session.user_id)
    .join(Account, Account.id == User.id)
    .where(
        Session.token_hash == bindparam("token_hash"),
        Session.expires_at > bindparam("now"),
        Session.last_seen_at > bindparam("idle_since"),
        Account.suspended_at.is_(None),
    )
)
#: The identity behind an access token, by its grant: the token itself is as good as its signature says, this tells
#: whether it has been revoked since.
GRANT_IDENTITY = (
    select(*_IDENTITY, Grant.scopes)
    .join(User, User.id == Grant.user_id)
    .join(Account, Account.id == User.id)
    .where(
        Grant.id == bindparam("grant_id"),
        Grant.user_id == bindparam("account_id"),
        Grant.revoked_at.is_(None),
        Grant.expires_at > bindparam("now"),
        User.generation == bindparam("generation"),
        Account.suspended_at.is_(None),
    )
)
PERSON_BY_USERNAME = select(*_PERSON).where(
    func.lower(Account.username) == bindparam("key"), Account.domain == LOCAL, Account.suspended_at.is_(None)
)
PERSON_URLS = select(func.lower(Account.username).label("key"), Account.url).where(
    func.lower(Account.username).in_(bindparam("keys", expanding=True)),
    Account.domain == LOCAL,
    Account.suspended_at.is_(None),
)
PROFILE = (
    select(*_PERSON, User.email, User.role, User.locale, User.time_zone)
    .join(User, User.id == Account.id)
    .where(Account.id == bindparam("account_id"))
)
CREDENTIALS_BY_USERNAME = (
    select(*_CREDENTIALS)
    .join(Account, Account.id == User.id)
    .where(func.lower(Account.username) == bindparam("key"), Account.domain == LOCAL)
)
CREDENTIALS_BY_EMAIL = (
    select(*_CREDENTIALS).join(Account, Account.id == User.id).where(func.lower(User.email) == bindparam("key"))
)
CREDENTIALS_BY_ID = select(*_CREDENTIALS).join(Account, Account.id == User.id).where(User.id == bindparam("account_id"))
USERNAME_TAKEN = select(Account.id).where(func.lower(Account.username) == bindparam("key"), Account.domain == LOCAL)
SESSIONS_OF = (
    select(Session.id, Session.created_at, Session.last_seen_at.label("used_at"), Session.user_agent, Session.address)
    .where(
        Session.user_id == bindparam("account_id"),
        Session.expires_at > bindparam("now"),
        Session.last_seen_at > bindparam("idle_since"),
    )
    .order_by(Session.last_seen_at.desc(), Session.id.desc())
)
#: A grant whose every refresh token has expired can only wait for the sweep; it is not shown.
GRANTS_OF = (
    select(Grant.id, Grant.created_at, Grant.last_used_at.label("used_at"), Grant.user_agent, Grant.address)
    .where(
        Grant.user_id == bindparam("account_id"),
        Grant.revoked_at.is_(None),
        Grant.expires_at > bindparam("now"),
        Grant.last_used_at > bindparam("idle_since"),
    )
    .order_by(Grant.last_used_at.desc(), Grant.id.desc())
)
#: A refresh token with its grant and the owner of that, whatever their state.
REFRESH_TOKEN = (
    select(
        *_CREDENTIALS, RefreshToken.id.label("token_id"), RefreshToken.used_at, RefreshToken.expires_at,
        Grant.id.label("grant_id"), Grant.scopes, Grant.revoked_at, Grant.expires_at.label("grant_expires_at"),
    )
    .join(Grant, Grant.id == RefreshToken.grant_id)
    .join(User, User.id == Grant.user_id)
    .join(Account, Account.id == User.id)
    .where(RefreshToken.token_hash == bindparam("token_hash"))
)  # fmt: skip
#: The account that a mailed link still may give a new password.
RESET = (
    select(*_CREDENTIALS, PasswordReset.id.label("reset_id"))
    .join(User, User.id == PasswordReset.user_id)
    .join(Account, Account.id == User.id)
    .where(
        PasswordReset.token_hash == bindparam("token_hash"),
        PasswordReset.used_at.is_(None),
        PasswordReset.expires_at > bindparam("now"),
        Account.suspended_at.is_(None),
    )
)


def person_by_username(connection: Connection, username: str) -> PersonContext | None:
    """The person of this site with that name, in whatever case it was written; None also for a suspended one."""
    row = fetch_one(connection, PERSON_BY_USERNAME, {"key": username.lower()})
    return None if row is None else _person(row)


def person_urls(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """The addresses of the people of this site with those names, by the name in lower case."""
    if not names:
        return {}
    return {row.key: row.url for row in fetch(connection, PERSON_URLS, {"keys": [name.lower() for name in names]})}


def profile(connection: Connection, account_id: int) -> Profile | None:
    """All that a person sees of themselves."""
    row = fetch_one(connection, PROFILE, {"account_id": account_id})
    if row is None:
        return None
    return Profile(_person(row), row.email, Role(row.role), row.locale, row.time_zone)


def credentials(connection: Connection, login: str) -> Credentials | None:
    """The account that ``login`` names: an e-mail address if there is an @ in it, else a username."""
    statement = CREDENTIALS_BY_EMAIL if "@" in login else CREDENTIALS_BY_USERNAME
    return _credentials(fetch_one(connection, statement, {"key": login.lower()}))


def credentials_of(connection: Connection, account_id: int) -> Credentials | None:
    """The same by id."""
    return _credentials(fetch_one(connection, CREDENTIALS_BY_ID, {"account_id": account_id}))


def is_username_taken(connection: Connection, username: str) -> bool:
    """Whether somebody has that name, be they suspended or not."""
    return fetch_one(connection, USERNAME_TAKEN, {"key": username.lower()}) is not None


def reset_credentials(connection: Connection, token_hash: bytes, now: datetime) -> tuple[int, Credentials] | None:
    """The id of the reset link with that hash and the account it is for; None if it is unknown, used or too old."""
    row = fetch_one(connection, RESET, {"token_hash": token_hash, "now": now})
    found = _credentials(row)
    return None if row is None or found is None else (row.reset_id, found)


def sessions_of(connection: Connection, account_id: int, now: datetime, idle_since: datetime) -> list[AccessRow]:
    """The browsers that are signed in, the one used last first."""
    return _access(connection, SESSIONS_OF, {"account_id": account_id, "now": now, "idle_since": idle_since})


def grants_of(connection: Connection, account_id: int, now: datetime, idle_since: datetime) -> list[AccessRow]:
    """The programs that are signed in, the one used last first."""
    return _access(connection, GRANTS_OF, {"account_id": account_id, "now": now, "idle_since": idle_since})


def read_credentials(row: Row[Any]) -> Credentials:
    """The credentials among the columns of ``row``."""
    return Credentials(
        row.id, row.username, row.display_name, row.avatar_key, row.url, row.email, row.password_hash, Role(row.role),
        row.locale, row.time_zone, row.generation, row.suspended_at is not None,
    )  # fmt: skip


def _credentials(row: Row[Any] | None) -> Credentials | None:
    return None if row is None else read_credentials(row)


def _person(row: Row[Any]) -> PersonContext:
    return PersonContext(*row[: len(_PERSON)])


def _access(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> list[AccessRow]:
    return [
        AccessRow(row.id, row.created_at, row.used_at, row.user_agent, row.address)
        for row in fetch(connection, statement, values)
    ]
