"""What streams read: which meals are new, what each listener may see of them, and who is still signed in.

Nothing here says who may see what: the lists are made of the same conditions as the feeds of the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, or_, select

from mealshare.core.db import Window, fetch
from mealshare.core.security.identity import AuthMethod, Identity
from mealshare.features.accounts.models import Account, Grant, PersonalToken, Session, User
from mealshare.features.accounts.queries_access import GRANT_COUNTS, SESSION_COUNTS
from mealshare.features.accounts.visibility import ANONYMOUS, follows, unmuted, viewer_id, visible
from mealshare.features.meals.cards import IS_MEAL, Card, CardList
from mealshare.features.meals.models import Post
from mealshare.features.meals.queries import PUBLIC, of_everybody
from mealshare.features.streams.cursor import MOST_KNOWN, Cursor, id_before
from mealshare.features.streams.vocabulary import Feed
from mealshare.features.timelines.queries import home_of

#: Meals that somebody who comes back is sent at most, and meals that are looked up at once.
MOST_MISSED = 100
#: A home feed is filled by a job.  What is younger than this may not be in it yet, and is looked for among all meals.
FAN_OUT_SECONDS = 600

_NEW = select(Post.id).where(IS_MEAL, Post.id > bindparam("floor", type_=BigInteger), Post.deleted_at.is_(None))
_IDS = Post.id.in_(bindparam("ids", type_=BigInteger, expanding=True))


def _of_home(personal: bool) -> Sequence[Any]:
    """One's own meals and those of whom one follows, as the home feed has them; read without waiting for its job."""
    me = viewer_id()
    return (
        visible(Post, Account, personal=personal),
        unmuted(Post, personal=personal),
        or_(Post.account_id == me, follows(me, Post.account_id)),
    )


_HOME = CardList.where(_of_home)
_AMONG: Mapping[Feed, CardList] = {
    Feed.PUBLIC: CardList.where(lambda personal: (*of_everybody(personal), _IDS)),
    Feed.HOME: CardList.where(lambda personal: (*_of_home(personal), _IDS)),
}


def ids_above(connection: Connection, floor: int) -> set[int]:
    """The ids of all meals above ``floor``, whoever may see them."""
    return {row.id for row in fetch(connection, _NEW, {"floor": floor})}


def seen_among(connection: Connection, feed: Feed, ids: Sequence[int], viewer: int = ANONYMOUS) -> list[Card]:
    """The meals of ``ids`` (at most `MOST_MISSED`) that ``viewer`` has in ``feed``, the oldest first."""
    page = _AMONG[feed].page(connection, Window(limit=MOST_MISSED), viewer, ids=list(ids))
    return list(reversed(page.items))


@dataclass(frozen=True)
class Missed:
    """What was posted since a cursor, the oldest first; ``more``: there is more than that."""

    cards: Sequence[Card]
    more: bool


def missed_since(connection: Connection, feed: Feed, cursor: Cursor, viewer: int = ANONYMOUS) -> Missed:
    """What ``viewer`` has in ``feed`` and has not been sent, the oldest first, at most `MOST_MISSED` meals."""
    lists = [(PUBLIC, cursor.floor)]
    if feed is Feed.HOME:
        lists = [
            (home_of(connection, viewer).meals, cursor.floor),
            (_HOME, max(cursor.floor, id_before(FAN_OUT_SECONDS))),
        ]
    found: dict[int, Card] = {}
    more = False
    for meals, floor in lists:
        page = meals.page(connection, Window(min_id=floor, limit=MOST_MISSED + MOST_KNOWN), viewer)
        found |= {card.id: card for card in page.items if not cursor.knows(card.id)}
        more = more or page.prev_min_id is not None
    cards = sorted(found.values(), key=lambda card: card.id)
    return Missed(cards[:MOST_MISSED], more or len(cards) > MOST_MISSED)


@dataclass(frozen=True)
class Credential:
    """By what somebody is signed in, as far as it can come to an end."""

    #: "session", "grant" or "token", and its row.
    kind: str
    id: int
    account_id: int
    #: Of an access token: the account's counter, which a new password or role raises.
    generation: int | None = None

    @classmethod
    def of(cls, identity: Identity, generation: int | None) -> Credential:
        """The credential behind ``identity``; ``generation`` is that of its access token, if it came with one."""
        bearer = "token" if identity.personal else "grant"
        kind = "session" if identity.method is AuthMethod.SESSION else bearer
        return cls(kind, identity.session_id, identity.account_id, generation)


def _holders(model: Any, *counts: Any) -> Select[Any]:
    return (
        select(model.id, User.id.label("account_id"), User.generation)
        .join(User, User.id == model.user_id)
        .join(Account, Account.id == User.id)
        .where(model.id.in_(bindparam("ids", type_=BigInteger, expanding=True)), *counts)
    )


_HOLDERS: Mapping[str, Select[Any]] = {
    "session": _holders(Session, *SESSION_COUNTS),
    "grant": _holders(Grant, *GRANT_COUNTS),
    "token": _holders(
        PersonalToken,
        or_(PersonalToken.expires_at.is_(None), PersonalToken.expires_at > bindparam("now")),
        Account.suspended_at.is_(None),
    ),
}


def still_good(
    connection: Connection, credentials: Iterable[Credential], now: datetime, idle_since: datetime
) -> set[Credential]:
    """Those of ``credentials`` that would still let somebody in: a statement for each kind of them, however many."""
    kinds: dict[str, list[Credential]] = {}
    for one in credentials:
        kinds.setdefault(one.kind, []).append(one)
    good: set[Credential] = set()
    for kind, group in kinds.items():
        values: dict[str, Any] = {"ids": sorted({one.id for one in group}), "now": now}
        if kind == "session":
            values["idle_since"] = idle_since
        rows = {row.id: row for row in fetch(connection, _HOLDERS[kind], values)}
        good |= {one for one in group if one.id in rows and _fits(one, rows[one.id])}
    return good


def _fits(one: Credential, row: Any) -> bool:
    return row.account_id == one.account_id and one.generation in (None, row.generation)
