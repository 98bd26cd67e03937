"""Reading home feeds and places.

A home feed is read from the entries that were written for its reader, in one range of one index.  Where the reader
follows authors with very many followers, for whom nothing is written, the newest meals of each are merged in: of every
source no more rows are read than a page has, whatever the size of the site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    String,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    true,
    union,
)

from mealshare.core.db import Page, Prepared, Window, fetch_one, make_page
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import (
    ACCEPTED,
    ANONYMOUS,
    not_muted,
    reachable,
    unmuted,
    viewer_id,
    visible,
)
from mealshare.features.meals.cards import IS_MEAL, Card, CardList, Forms, cards, read_cards, suits
from mealshare.features.meals.models import Place, Post
from mealshare.features.meals.places import place_key
from mealshare.features.social.models import Follow
from mealshare.features.timelines.models import TimelineEntry, TimelinePull

DIALECTS = ("sqlite", "postgresql")
_WINDOW = {name: bindparam(name, type_=BigInteger) for name in ("max_id", "min_id")}
_LIMIT = bindparam("limit", type_=Integer, literal_execute=True)
#: How many rows of each source can come into question: those of the page, and those that ``skip`` leaves out.
_MOST = bindparam("most", type_=Integer, literal_execute=True)


def _entries(personal: bool) -> Sequence[Any]:
    """The conditions for meals that were written into the viewer's home feed."""
    return (
        TimelineEntry.account_id == viewer_id(),
        visible(Post, Account, personal=personal),
        unmuted(Post, personal=personal),
    )


#: What was written for the viewer: the whole home feed of those who follow nobody with very many followers.
WRITTEN = CardList.where(
    _entries, key=TimelineEntry.post_id, join=(TimelineEntry, TimelineEntry.post_id == Post.id), own=True
)


def _newest(statement: Select[Any], key: Any, *, upwards: bool, most: Any) -> Select[Any]:
    """The rows of ``statement`` in the window, in the direction in which the page is read."""
    inside = statement.where(key < _WINDOW["max_id"], key > _WINDOW["min_id"])
    return inside.order_by(_ordered(key, upwards=upwards)).limit(most)


def _ordered(key: Any, *, upwards: bool) -> Any:
    return key.asc() if upwards else key.desc()


def _written_ids(more: Sequence[Any], *, upwards: bool) -> Select[Any]:
    key = TimelineEntry.post_id
    written = (
        select(key.label("id"))
        .join(Post, Post.id == key)
        .join(Account, Account.id == Post.account_id)
        .where(IS_MEAL, *_entries(personal=True), suits(), *more)
    )
    found = _newest(written, key, upwards=upwards, most=_MOST).subquery("written")
    return select(found.c.id)


def _pulled_ids(dialect: str, more: Sequence[Any], *, upwards: bool) -> Select[Any]:
    """The newest meals of each pulled author.

    What speaks of the author stands outside: else all meals of a muted one would be read, to find that none will do.
    """
    author = Account.__table__
    meals = (
        select(Post.id)
        .where(IS_MEAL, Post.account_id == TimelinePull.author_id, visible(Post, author.c), suits(), *more)
        .correlate(TimelinePull, author)
    )
    newest: Any = _newest(meals, Post.id, upwards=upwards, most=_MOST)
    if dialect == "postgresql":
        newest = newest.lateral("newest")
        id = newest.c.id
    else:
        # SQLite has no LATERAL; but a table function may name what stands to its left.
        found = newest.subquery("found")
        listed = select(func.json_group_array(found.c.id)).scalar_subquery().correlate(TimelinePull, author)
        newest = func.json_each(listed).table_valued("value", name="newest")
        id = newest.c.value
    me = viewer_id()
    pulls = TimelinePull.__table__.join(author, author.c.id == TimelinePull.author_id).join(newest, true())
    return (
        select(id.label("id"))
        .select_from(pulls)
        .where(
            TimelinePull.account_id == me,
            # An author's own row only says that they are pulled; what they posted is written for them.
            TimelinePull.author_id != me,
            reachable(author.c),
            not_muted(me, TimelinePull.author_id),
        )
    )


def home_ids(dialect: str, more: Sequence[Any] = (), *, upwards: bool = False) -> Any:
    """A subquery with the column ``id``: of each source of the viewer's home feed, the ``most`` newest meals.

    Its parameters are ``viewer``, ``max_id``, ``min_id`` and ``most``; the conditions ``more`` hold for each source.
    """
    return union(_written_ids(more, upwards=upwards), _pulled_ids(dialect, more, upwards=upwards)).subquery("found")


def _merged(dialect: str, more: Sequence[Any] = (), *, upwards: bool) -> Select[Any]:
    found = home_ids(dialect, more, upwards=upwards)
    skip = bindparam("skip", type_=Integer)
    page = (
        select(found.c.id).order_by(_ordered(found.c.id, upwards=upwards)).limit(_LIMIT).offset(skip).subquery("page")
    )
    # What it takes to make cards is done for those of the page only.
    return (
        cards(personal=True, key=page.c.id)
        .join_from(Post, page, page.c.id == Post.id)
        .order_by(_ordered(page.c.id, upwards=upwards))
    )


@dataclass(frozen=True)
class MergedList(CardList):
    """A home feed into which the meals of pulled authors are merged; its forms are by dialect and direction."""

    forms: Forms = field(
        default_factory=lambda: {
            (dialect, upwards): Prepared(_merged(dialect, upwards=upwards))
            for dialect in DIALECTS
            for upwards in (False, True)
        }
    )
    own: bool = True

    def page(
        self, connection: Connection, window: Window, viewer: int = ANONYMOUS, *more: Any, **parameters: Any
    ) -> Page[Card]:
        """The page of ``window``; the conditions ``more`` hold for each source, before its newest meals are taken.

        Filtered afterwards, a page would lack what comes behind those of a source that the filter takes away.
        """
        dialect = connection.dialect.name
        values = {
            "max_id": window.max_id,
            "min_id": window.min_id,
            "limit": window.fetch_limit,
            "skip": window.skip,
            "most": window.fetch_limit + window.skip,
            "viewer": viewer,
            **parameters,
        }
        if more:
            rows = read_cards(connection, _merged(dialect, more, upwards=window.upwards), values)
        else:
            place = None if window.skip else self.place(window, viewer, parameters)
            rows = read_cards(connection, self.forms[dialect, window.upwards], values, place)
        return make_page(rows, window, lambda card: card.key)


MERGED = MergedList()
_ME = viewer_id()
_STATE = Prepared(
    select(
        exists().where(TimelinePull.account_id == _ME, TimelinePull.author_id != _ME),
        exists().where(Follow.account_id == _ME, Follow.state == ACCEPTED),
    )
)


@dataclass(frozen=True)
class Home:
    """What somebody's home feed is read from, and whether they follow anybody."""

    meals: CardList
    follows: bool


def home_of(connection: Connection, viewer: int) -> Home:
    """The home feed of the account ``viewer``."""
    row = fetch_one(connection, _STATE, {"viewer": viewer})
    pulls, follows = (False, False) if row is None else map(bool, tuple(row))
    return Home(MERGED if pulls else WRITTEN, follows)


@dataclass(frozen=True)
class PlaceRow:
    """A place: its key, and its name as the newest meal there says it."""

    key: str
    name: str


#: The newest meal at a place, of whatever visibility: one that only hidden meals name does not exist.
_PLACE = {
    personal: select(Post.place_key, Place.name)
    .select_from(Post)
    .join(Account, Account.id == Post.account_id)
    .join(Place, Place.id == Post.place_id)
    .where(
        IS_MEAL,
        Post.place_key == bindparam("place_key", type_=String),
        visible(Post, Account, personal=personal),
    )
    .order_by(Post.id.desc())
    .limit(literal_column("1"))
    for personal in (False, True)
}


def place_by_name(connection: Connection, name: str, viewer: int = ANONYMOUS) -> PlaceRow | None:
    """The place, however its name is written, or None if no meal that the viewer may see was eaten there."""
    row = fetch_one(connection, _PLACE[viewer != ANONYMOUS], {"place_key": place_key(name), "viewer": viewer})
    return None if row is None else PlaceRow(*tuple(row))
