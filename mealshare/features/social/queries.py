"""Lists of people: one statement each, whatever their length; statements are built once, at import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    func,
    join,
    literal_column,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from mealshare.core.db import Page, Window, both_ways, fetch_one, fetch_window, make_page
from mealshare.features.accounts.models import Account, User
from mealshare.features.accounts.queries import PERSON_COLUMNS, PersonContext, person_of
from mealshare.features.accounts.visibility import ACCEPTED, ANONYMOUS, reachable, viewer_id
from mealshare.features.social.models import Block, Follow, Mute

REQUESTED: ColumnElement[str] = literal_column("'requested'")
#: How many requests are counted; where there are more, it does not matter how many more.
MOST_COUNTED = 99


@dataclass(frozen=True)
class ListedPerson:
    """A person in a list, and the row that put them there: its id, its moment and, of a mute, its end."""

    key: int
    since: datetime
    until: datetime | None
    person: PersonContext


@dataclass(frozen=True)
class PeopleList:
    """A list of people in its four forms: for a visitor and for a person, downwards and upwards."""

    forms: Mapping[tuple[bool, bool], Select[Any]]

    @classmethod
    def of(cls, model: Any, person: Any, conditions: Callable[[bool], Sequence[Any]], until: Any = None) -> PeopleList:
        """The people in the column ``person`` of the rows of ``model`` for which ``conditions(personal)`` hold."""
        forms: dict[tuple[bool, bool], Select[Any]] = {}
        for personal in (False, True):
            base = (
                select(model.id, model.created_at, null() if until is None else until, *PERSON_COLUMNS[personal])
                .select_from(model.__table__.join(Account.__table__, Account.id == person))
                .where(*conditions(personal))
            )
            forms |= {(personal, upwards): page for upwards, page in both_ways(base, model.id).items()}
        return cls(forms)

    def page(
        self, connection: Connection, window: Window, viewer: int = ANONYMOUS, **parameters: Any
    ) -> Page[ListedPerson]:
        """The page of ``window`` as the account ``viewer`` sees it."""
        statement = self.forms[viewer != ANONYMOUS, window.upwards]
        rows: Sequence[Sequence[Any]] = fetch_window(connection, statement, window, {"viewer": viewer, **parameters})
        people = [ListedPerson(row[0], row[1], row[2], person_of(row[3:])) for row in rows]
        return make_page(people, window, lambda listed: listed.key)


_OF = bindparam("account", type_=BigInteger)
#: Who follows ``account``, and whom it follows; the follow that was asked for last first.
FOLLOWERS = PeopleList.of(
    Follow,
    Follow.account_id,
    lambda personal: (Follow.target_id == _OF, Follow.state == ACCEPTED, reachable(Account, personal=personal)),
)
FOLLOWING = PeopleList.of(
    Follow,
    Follow.target_id,
    lambda personal: (Follow.account_id == _OF, Follow.state == ACCEPTED, reachable(Account, personal=personal)),
)
#: Who asks to follow the viewer.
REQUESTS = PeopleList.of(
    Follow,
    Follow.account_id,
    lambda _personal: (Follow.target_id == viewer_id(), Follow.state == REQUESTED, reachable(Account)),
)
#: Whom the viewer has muted, for now.
MUTES = PeopleList.of(
    Mute,
    Mute.target_id,
    lambda _personal: (
        Mute.account_id == viewer_id(),
        or_(Mute.until.is_(None), Mute.until > func.current_timestamp()),
        reachable(Account),
    ),
    until=Mute.until,
)
#: Whom the viewer has blocked: the only list that shows people behind a block, or nobody could take one back.
BLOCKS = PeopleList.of(
    Block, Block.target_id, lambda _personal: (Block.account_id == viewer_id(), Account.suspended_at.is_(None))
)
_MINE = select(Block.id).where(Block.account_id == viewer_id(), Block.target_id == _OF).exists()
_THEIRS = select(Block.id).where(Block.account_id == _OF, Block.target_id == viewer_id()).exists()
_STANDING = select(case((_MINE, true()), else_=~_THEIRS))


def may_block(connection: Connection, viewer: int, account: int) -> bool:
    """Whether the viewer may know of the account in order to block it, or to take a block of their own back.

    Of somebody who has blocked the viewer they know nothing, unless it is through a block of their own.
    """
    row = fetch_one(connection, _STANDING, {"viewer": viewer, "account": account})
    return row is not None and bool(row[0])


_asking = aliased(Account)
_ASKING = (
    select(literal_column("1"))
    .select_from(join(Follow, _asking, _asking.id == Follow.account_id))
    .where(Follow.target_id == User.id, Follow.state == REQUESTED, _asking.suspended_at.is_(None))
    .correlate(User)
    .limit(MOST_COUNTED)
    .subquery("asking")
)
#: How many people ask to follow the one who is signed in; read along with the session.
WAITING = select(func.count()).select_from(_ASKING).correlate(User).scalar_subquery()
