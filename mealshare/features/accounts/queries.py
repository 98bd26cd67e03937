"""What is read of accounts: statements built once, at import, and the read models that they fill.

A suspended account is nowhere to be found here: neither by its name, nor by a session or token of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Row,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql import Executable

from mealshare.core.db import Page, Window, fetch, fetch_one, make_page
from mealshare.core.security.identity import Role
from mealshare.features.accounts.models import (
    Account,
    Grant,
    PasswordReset,
    PersonalToken,
    RefreshToken,
    Session,
    User,
)
from mealshare.features.accounts.visibility import ANONYMOUS, FOLLOWS, not_muted, reachable, viewer_id

LOCAL = ""
#: Not FOR UPDATE, for which whoever writes a row that names the account would have to wait as well.
HOLD_ACCOUNT = (
    select(Account.id).where(Account.id == bindparam("account_id", type_=BigInteger)).with_for_update(key_share=True)
)


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
    followers_count: int
    following_count: int
    created_at: datetime
    version: int
    relation: Relation = field(default_factory=lambda: Relation())


@dataclass(frozen=True)
class Relation:
    """How the viewer stands to a person."""

    #: None, or the state of the viewer's follow: "requested" or "accepted".
    following: str | None = None
    followed_by: bool = False
    #: The other way round: the person asks to follow the viewer.
    requested_by: bool = False
    muting: bool = False


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


_PERSON = (
    Account.id, Account.username, Account.display_name, Account.bio, Account.bio_html, Account.avatar_key,
    Account.locked, Account.uri, Account.url, Account.meals_count, Account.followers_count, Account.following_count,
    Account.created_at, Account.version,
)  # fmt: skip
_THEIRS = FOLLOWS.alias("theirs")
#: How the viewer stands to the account of the row.
_RELATION = (
    select(FOLLOWS.c.state)
    .where(FOLLOWS.c.account_id == viewer_id(), FOLLOWS.c.target_id == Account.id)
    .correlate(Account)
    .scalar_subquery(),
    select(_THEIRS.c.state)
    .where(_THEIRS.c.account_id == Account.id, _THEIRS.c.target_id == viewer_id())
    .correlate(Account)
    .scalar_subquery(),
    not_muted(viewer_id(), Account.id),
)
#: What a row about a person has in it, for a visitor and for whoever is signed in; `person_of` reads either.
PERSON_COLUMNS: Mapping[bool, tuple[Any, ...]] = {False: _PERSON, True: (*_PERSON, *_RELATION)}
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
_NAMED = (func.lower(Account.username) == bindparam("key"), Account.domain == LOCAL)
#: A person by name, for a visitor and for somebody who may have been blocked.
PERSON_BY_USERNAME = {
    False: select(*_PERSON).where(*_NAMED, reachable(Account, personal=False)),
    True: select(*_PERSON, *_RELATION).where(*_NAMED, reachable(Account)),
}
#: The same without asking for blocks: for whoever takes back a block of their own.
PERSON_WHATEVER = select(*_PERSON, *_RELATION).where(*_NAMED, Account.suspended_at.is_(None))
PERSON_URLS = select(func.lower(Account.username).label("key"), Account.url, Account.id).where(
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


def _both_ways(rows: Select[Any], id: Any) -> dict[bool, Select[Any]]:
    """The statements for a page of ``rows`` by their id, downwards (False) and upwards."""
    page = rows.where(
        id < bindparam("max_id", type_=BigInteger), id > bindparam("min_id", type_=BigInteger)
    ).limit(bindparam("limit", type_=Integer, literal_execute=True))  # fmt: skip
    return {False: page.order_by(id.desc()), True: page.order_by(id.asc())}


SESSIONS_OF = _sessions("idle_since").order_by(Session.last_seen_at.desc(), Session.id.desc())
GRANTS_OF = _grants("idle_since").order_by(Grant.last_used_at.desc(), Grant.id.desc())
_SIGNED_IN = union_all(
    _sessions("session_idle_since").add_columns(literal_column("'browser'").label("kind")),
    _grants("grant_idle_since").add_columns(literal_column("'program'").label("kind")),
).subquery("signed_in")
#: Both in one list, the one that signed in last first.
DEVICES_OF = _both_ways(select(_SIGNED_IN), _SIGNED_IN.c.id)
_TOKEN_COLUMNS: tuple[Any, ...] = (
    PersonalToken.id, PersonalToken.name, PersonalToken.scopes, PersonalToken.created_at, PersonalToken.expires_at,
    PersonalToken.last_used_at,
)  # fmt: skip
_TOKEN = select(*_TOKEN_COLUMNS).where(PersonalToken.user_id == bindparam("account_id"))
TOKENS_OF = _both_ways(_TOKEN, PersonalToken.id)
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


def person_by_username(connection: Connection, username: str, viewer: int = ANONYMOUS) -> PersonContext | None:
    """The person of this site with that name, in whatever case it was written; None also for a suspended one.

    For the account ``viewer`` with how they stand to each other, and nobody where a block stands between them.
    """
    row = fetch_one(connection, PERSON_BY_USERNAME[viewer != ANONYMOUS], {"key": username.lower(), "viewer": viewer})
    return None if row is None else person_of(row)


def person_behind_block(connection: Connection, username: str, viewer: int) -> PersonContext | None:
    """The same, whatever blocks there are."""
    row = fetch_one(connection, PERSON_WHATEVER, {"key": username.lower(), "viewer": viewer})
    return None if row is None else person_of(row)


def person_urls(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """The addresses of the people of this site with those names, by the name in lower case."""
    return {name: url for name, (url, _id) in named_people(connection, names).items()}


def named_people(connection: Connection, names: Collection[str]) -> dict[str, tuple[str, int]]:
    """The addresses and account ids of the people of this site with those names, by the name in lower case."""
    if not names:
        return {}
    rows = fetch(connection, PERSON_URLS, {"keys": [name.lower() for name in names]})
    return {row.key: (row.url, row.id) for row in rows}


def profile(connection: Connection, account_id: int) -> Profile | None:
    """All that a person sees of themselves."""
    row = fetch_one(connection, PROFILE, {"account_id": account_id})
    if row is None:
        return None
    return Profile(person_of(row), row.email, Role(row.role), row.locale, row.time_zone)


def hold_account(connection: Connection, account_id: int) -> None:
    """Take turns with whoever else changes what belongs to the account alone, until this transaction ends."""
    connection.execute(HOLD_ACCOUNT, {"account_id": account_id})


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


def devices_of(
    connection: Connection, account_id: int, window: Window, now: datetime, session_idle: datetime, grant_idle: datetime
) -> Page[DeviceRow]:
    """The browsers and programs that are signed in; the moments are those since when one must have been used."""
    values = {
        "account_id": account_id, "now": now, "session_idle_since": session_idle, "grant_idle_since": grant_idle,
    }  # fmt: skip
    rows = _window(connection, DEVICES_OF, window, values)
    devices = [
        DeviceRow(row.id, row.created_at, row.used_at, row.user_agent, row.address, row.kind) for row in rows
    ]  # fmt: skip
    return make_page(devices, window, lambda device: device.id)


def tokens_of(connection: Connection, account_id: int, window: Window) -> Page[TokenRow]:
    """The account's personal tokens, expired ones included."""
    rows = _window(connection, TOKENS_OF, window, {"account_id": account_id})
    return make_page(list(map(_token, rows)), window, lambda token: token.id)


def token_of(connection: Connection, account_id: int, token_id: int) -> TokenRow | None:
    """The account's personal token with that id."""
    row = fetch_one(connection, TOKEN_BY_ID, {"account_id": account_id, "token_id": token_id})
    return None if row is None else _token(row)


def _token(row: Row[Any]) -> TokenRow:
    return TokenRow(row.id, row.name, row.scopes, row.created_at, row.expires_at, row.last_used_at)


def _window(
    connection: Connection, statements: Mapping[bool, Select[Any]], window: Window, values: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    statement = statements[window.upwards]
    if window.skip:
        statement = statement.offset(window.skip)
    known = {"max_id": window.max_id, "min_id": window.min_id, "limit": window.fetch_limit}
    return fetch(connection, statement, {**known, **values})


def read_credentials(row: Row[Any]) -> Credentials:
    """The credentials among the columns of ``row``."""
    return Credentials(
        row.id, row.username, row.display_name, row.avatar_key, row.url, row.email, row.password_hash, Role(row.role),
        row.locale, row.time_zone, row.generation, row.suspended_at is not None,
    )  # fmt: skip


def _credentials(row: Row[Any] | None) -> Credentials | None:
    return None if row is None else read_credentials(row)


def person_of(row: Sequence[Any]) -> PersonContext:
    """The person in a row of `PERSON_COLUMNS`."""
    public = row[: len(_PERSON)]
    if len(row) == len(_PERSON) + len(_RELATION):
        mine, theirs, heard = row[len(_PERSON) :]
        relation = Relation(mine, theirs == "accepted", theirs == "requested", not heard)
        return replace(PersonContext(*public), relation=relation)
    return PersonContext(*public)


def _access(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> list[AccessRow]:
    return [
        AccessRow(row.id, row.created_at, row.used_at, row.user_agent, row.address)
        for row in fetch(connection, statement, values)
    ]
