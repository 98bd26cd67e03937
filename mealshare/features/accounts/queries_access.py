"""What is read to let somebody in: their credentials, and the sessions, grants and tokens that they have.

Statements built once, at import, and the read models that they fill.  No session and no grant of a suspended account
lets anybody in; its credentials and its personal tokens are found, and whoever reads them is told that it is suspended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, literal_column, select, union_all
from sqlalchemy.sql import Executable

from mealshare.core.db import Page, Window, both_ways, fetch, fetch_one, fetch_window, make_page
from mealshare.core.security.identity import Role
from mealshare.features.accounts.models import (
    LOCAL,
    Account,
    Grant,
    PasswordReset,
    PersonalToken,
    RefreshToken,
    Session,
    User,
)


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


@dataclass(frozen=True)
class DeviceRow(AccessRow):
    """The same in a list of both; ``kind`` is "browser" or "program"."""

    kind: str


@dataclass(frozen=True)
class TokenRow:
    """A personal token, without the token."""

    id: int
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_IDENTITY = (
    Account.username, Account.display_name, Account.avatar_key,
    User.id.label("account_id"), User.role, User.locale, User.time_zone,
)  # fmt: skip
_CREDENTIALS = (
    User.id, Account.username, Account.display_name, Account.avatar_key, Account.url, User.email, User.password_hash,
    User.role, User.locale, User.time_zone, User.generation, Account.suspended_at,
)  # fmt: skip

#: When a session counts, and when a grant does, in whatever is asked about them.
SESSION_COUNTS = (
    Session.expires_at > bindparam("now"),
    Session.last_seen_at > bindparam("idle_since"),
    Account.suspended_at.is_(None),
)
GRANT_COUNTS = (Grant.revoked_at.is_(None), Grant.expires_at > bindparam("now"), Account.suspended_at.is_(None))
#: The identity behind a session cookie: one statement, and only for a session that counts.
SESSION_IDENTITY = (
    select(*_IDENTITY, Session.id.label("session_id"), Session.last_seen_at)
    .join(User, User.id == Session.user_id)
    .join(Account, Account.id == User.id)
    .where(Session.token_hash == bindparam("token_hash"), *SESSION_COUNTS)
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
        User.generation == bindparam("generation"),
        *GRANT_COUNTS,
    )
)
#: The identity behind a personal token, whatever the state of either; the token's hash is all that has to be checked.
PERSONAL_IDENTITY = (
    select(
        *_IDENTITY, PersonalToken.id.label("token_id"), PersonalToken.scopes, PersonalToken.expires_at,
        PersonalToken.last_used_at, Account.suspended_at,
    )
    .join(User, User.id == PersonalToken.user_id)
    .join(Account, Account.id == User.id)
    .where(PersonalToken.token_hash == bindparam("token_hash"))
)  # fmt: skip
CREDENTIALS_BY_USERNAME = (
    select(*_CREDENTIALS)
    .join(Account, Account.id == User.id)
    .where(func.lower(Account.username) == bindparam("key"), Account.domain == LOCAL)
)
CREDENTIALS_BY_EMAIL = (
    select(*_CREDENTIALS).join(Account, Account.id == User.id).where(func.lower(User.email) == bindparam("key"))
)
CREDENTIALS_BY_ID = select(*_CREDENTIALS).join(Account, Account.id == User.id).where(User.id == bindparam("account_id"))


def _sessions(idle_since: str) -> Select[Any]:
    """Sessions that count; ``idle_since`` names the parameter before which they were not used for too long."""
    columns: tuple[Any, ...] = (
        Session.id, Session.created_at, Session.last_seen_at.label("used_at"), Session.user_agent, Session.address,
    )  # fmt: skip
    return select(*columns).where(
        Session.user_id == bindparam("account_id"),
        Session.expires_at > bindparam("now"),
        Session.last_seen_at > bindparam(idle_since),
    )  # fmt: skip


def _grants(idle_since: str) -> Select[Any]:
    """The same of grants.  One whose every refresh token has expired can only wait for the sweep; it is not shown."""
    columns: tuple[Any, ...] = (
        Grant.id,
        Grant.created_at,
        Grant.last_used_at.label("used_at"),
        Grant.user_agent,
        Grant.address,
    )
    return select(*columns).where(
        Grant.user_id == bindparam("account_id"),
        Grant.revoked_at.is_(None),
        Grant.expires_at > bindparam("now"),
        Grant.last_used_at > bindparam(idle_since),
    )  # fmt: skip


SESSIONS_OF = _sessions("idle_since").order_by(Session.last_seen_at.desc(), Session.id.desc())
GRANTS_OF = _grants("idle_since").order_by(Grant.last_used_at.desc(), Grant.id.desc())
_SIGNED_IN = union_all(
    _sessions("session_idle_since").add_columns(literal_column("'browser'").label("kind")),
    _grants("grant_idle_since").add_columns(literal_column("'program'").label("kind")),
).subquery("signed_in")
#: Both in one list, the one that signed in last first.
DEVICES_OF = both_ways(select(_SIGNED_IN), _SIGNED_IN.c.id)
_TOKEN_COLUMNS: tuple[Any, ...] = (
    PersonalToken.id, PersonalToken.name, PersonalToken.scopes, PersonalToken.created_at, PersonalToken.expires_at,
    PersonalToken.last_used_at,
)  # fmt: skip
_TOKEN = select(*_TOKEN_COLUMNS).where(PersonalToken.user_id == bindparam("account_id"))
TOKENS_OF = both_ways(_TOKEN, PersonalToken.id)
TOKEN_BY_ID = _TOKEN.where(PersonalToken.id == bindparam("token_id"))
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


def credentials(connection: Connection, login: str) -> Credentials | None:
    """The account that ``login`` names: an e-mail address if there is an @ in it, else a username."""
    statement = CREDENTIALS_BY_EMAIL if "@" in login else CREDENTIALS_BY_USERNAME
    return _credentials(fetch_one(connection, statement, {"key": login.lower()}))


def credentials_of(connection: Connection, account_id: int) -> Credentials | None:
    """The same by id."""
    return _credentials(fetch_one(connection, CREDENTIALS_BY_ID, {"account_id": account_id}))


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


def devices_of(
    connection: Connection, account_id: int, window: Window, now: datetime, session_idle: datetime, grant_idle: datetime
) -> Page[DeviceRow]:
    """The browsers and programs that are signed in; the moments are those since when one must have been used."""
    values = {
        "account_id": account_id, "now": now, "session_idle_since": session_idle, "grant_idle_since": grant_idle,
    }  # fmt: skip
    rows = fetch_window(connection, DEVICES_OF[window.upwards], window, values)
    devices = [
        DeviceRow(row.id, row.created_at, row.used_at, row.user_agent, row.address, row.kind) for row in rows
    ]  # fmt: skip
    return make_page(devices, window, lambda device: device.id)


def tokens_of(connection: Connection, account_id: int, window: Window) -> Page[TokenRow]:
    """The account's personal tokens, expired ones included."""
    rows = fetch_window(connection, TOKENS_OF[window.upwards], window, {"account_id": account_id})
    return make_page(list(map(_token, rows)), window, lambda token: token.id)


def token_of(connection: Connection, account_id: int, token_id: int) -> TokenRow | None:
    """The account's personal token with that id."""
    row = fetch_one(connection, TOKEN_BY_ID, {"account_id": account_id, "token_id": token_id})
    return None if row is None else _token(row)


def _token(row: Row[Any]) -> TokenRow:
    return TokenRow(row.id, row.name, row.scopes, row.created_at, row.expires_at, row.last_used_at)


def read_credentials(row: Row[Any]) -> Credentials:
    """The credentials among the columns of ``row``."""
    return Credentials(
        row.id, row.username, row.display_name, row.avatar_key, row.url, row.email, row.password_hash, Role(row.role),
        row.locale, row.time_zone, row.generation, row.suspended_at is not None,
    )  # fmt: skip


def _credentials(row: Row[Any] | None) -> Credentials | None:
    return None if row is None else read_credentials(row)


def _access(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> list[AccessRow]:
    return [
        AccessRow(row.id, row.created_at, row.used_at, row.user_agent, row.address)
        for row in fetch(connection, statement, values)
    ]
