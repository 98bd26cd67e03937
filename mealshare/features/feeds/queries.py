"""What is read for the rest of the internet: always as a visitor sees it, and never more than one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, func, literal_column, null, select, union_all

from mealshare.core.db import UTCDateTime, Window, fetch
from mealshare.core.text import tag_path
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import OPEN, listed
from mealshare.features.feeds.vocabulary import NEWEST
from mealshare.features.meals.cards import IS_MEAL, Card, CardList
from mealshare.features.meals.models import Post, Tag
from mealshare.features.meals.queries import PUBLIC, WITH_TAG, of_everybody

#: sitemaps.org: a site map has at most so many addresses, an index at most so many site maps.
MOST_ADDRESSES = 50_000
#: A site map has what was made within 2 ** bits of id: 37 hours of meals, 25 days of people and of tags.
BITS = {"meals": 43, "people": 47, "tags": 47}

_OF_ACCOUNT = CardList.where(
    lambda personal: (*of_everybody(personal), Post.account_id == bindparam("account", type_=BigInteger))
)


def newest_meals(connection: Connection) -> Sequence[Card]:
    """The newest public meals."""
    return PUBLIC.page(connection, Window(limit=NEWEST)).items


def newest_of_account(connection: Connection, account_id: int) -> Sequence[Card]:
    """A person's newest public meals, without the quiet ones."""
    return _OF_ACCOUNT.page(connection, Window(limit=NEWEST), account=account_id).items


def newest_with_tag(connection: Connection, tag_id: int) -> Sequence[Card]:
    """The newest public meals with the tag."""
    return WITH_TAG.page(connection, Window(limit=NEWEST), tag_id=tag_id).items


# --- The site map ---


@dataclass(frozen=True)
class Address:
    """An address of a site map, and when what it leads to changed, where that is known."""

    url: str
    changed: datetime | None


_PUBLIC_MEAL = (IS_MEAL, Post.deleted_at.is_(None), Post.visibility == OPEN[0])


def _first(id: Any, behind: Any, conditions: Sequence[Any]) -> Any:
    """The lowest id from ``behind`` on: the only bound, for of two SQLite begins at the first and walks to the other."""
    return select(id).where(id >= behind, *conditions).order_by(id).limit(literal_column("1"))


def _slices(kind: str, id: Any, *conditions: Any) -> Any:
    """The slices in which there is anything: from the first row one look into the index leads to the next slice.

    So it costs as many looks as there are slices, however many rows lie in them.
    """
    bits = BITS[kind]
    start = _first(id, literal_column("0"), conditions).scalar_subquery()
    part = select(start.label("first_id")).cte(f"part_of_{kind}", recursive=True)
    behind = literal_column(f"((({part.name}.first_id >> {bits}) + 1) << {bits})", type_=BigInteger)
    following = _first(id, behind, conditions).correlate(part).scalar_subquery()
    part = part.union_all(select(following).where(part.c.first_id.is_not(None)))
    number = literal_column(f"first_id >> {bits}", type_=BigInteger)
    return select(literal_column(f"'{kind}'"), number).select_from(part).where(part.c.first_id.is_not(None))


_INDEX = union_all(
    _slices("meals", Post.id, *_PUBLIC_MEAL),
    _slices("people", Account.id),
    _slices("tags", Tag.id),
).limit(literal_column(str(MOST_ADDRESSES - 1)))


def _within(id: Any, *columns: Any) -> Select[Any]:
    low, high = bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
    page = select(*columns).where(id.between(low, high)).order_by(id.desc())
    return page.limit(literal_column(str(MOST_ADDRESSES)))


_CHANGED = func.coalesce(Post.edited_at, Post.created_at, type_=UTCDateTime)
_PARTS: dict[str, Select[Any]] = {
    "meals": _within(Post.id, Post.url, _CHANGED)
    .join(Account, Account.id == Post.account_id)
    .where(IS_MEAL, listed(Post, Account, personal=False)),
    # Somebody of whom visitors see nothing is not told of.
    "people": _within(Account.id, Account.url, null()).where(
        Account.suspended_at.is_(None),
        Account.domain == literal_column("''"),
        Account.meals_count > literal_column("0"),
    ),
    "tags": _within(Tag.id, Tag.name, null()).where(Tag.meals_count > literal_column("0")),
}


def site_map_parts(connection: Connection) -> list[tuple[str, int]]:
    """The kind and the number of each part of the site map."""
    return [(kind, int(number)) for kind, number in map(tuple, fetch(connection, _INDEX))]


def site_map_part(connection: Connection, base_url: str, kind: str, number: int) -> list[Address]:
    """What a part of the site map lists, the newest first; nothing, where there is no such part."""
    bits = BITS[kind]
    if number >> (63 - bits):
        return []
    window = {"low": number << bits, "high": ((number + 1) << bits) - 1}
    rows = [tuple(row) for row in fetch(connection, _PARTS[kind], window)]
    if kind == "tags":
        return [Address(base_url + tag_path(name), None) for name, _changed in rows]
    return [Address(url, changed) for url, changed in rows]
