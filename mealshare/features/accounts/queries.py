"""What is read of people: statements built once, at import, and the read models that they fill.

Nobody finds a suspended account; only its name stays taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    bindparam,
    func,
    select,
)

from mealshare.core.db import fetch, fetch_one
from mealshare.core.security.identity import Role
from mealshare.features.accounts.models import LOCAL, Account, User
from mealshare.features.accounts.visibility import ANONYMOUS, FOLLOWS, not_muted, reachable, viewer_id

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
USERNAME_TAKEN = select(Account.id).where(func.lower(Account.username) == bindparam("key"), Account.domain == LOCAL)


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


def is_username_taken(connection: Connection, username: str) -> bool:
    """Whether somebody has that name, be they suspended or not."""
    return fetch_one(connection, USERNAME_TAKEN, {"key": username.lower()}) is not None


def person_of(row: Sequence[Any]) -> PersonContext:
    """The person in a row of `PERSON_COLUMNS`."""
    public = row[: len(_PERSON)]
    if len(row) == len(_PERSON) + len(_RELATION):
        mine, theirs, heard = row[len(_PERSON) :]
        relation = Relation(mine, theirs == "accepted", theirs == "requested", not heard)
        return replace(PersonContext(*public), relation=relation)
    return PersonContext(*public)
