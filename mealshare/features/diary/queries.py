"""What is read of a diary: the rows of one account between two dates, from the index made for it.

Every statement asks what the viewer may see, and leaves out what they want left out.  However many meals there are, a
calendar reads a fixed number of rows for each day out of the database, and counts the others there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Connection,
    Date,
    Integer,
    Select,
    bindparam,
    case,
    false,
    func,
    literal_column,
    null,
    select,
    union_all,
)

from mealshare.core.db import Id, Prepared, fetch, fetch_one, page_limit
from mealshare.core.db.json_rows import JsonObject
from mealshare.features.accounts.models import Account, User
from mealshare.features.accounts.visibility import ANONYMOUS, reachable, visible
from mealshare.features.diary.days import AHEAD, WEEK, Span, month_before, month_span, same_days
from mealshare.features.meals.cards import IS_MEAL, Card, cards, read_cards, suits
from mealshare.features.meals.models import Place, Post
from mealshare.features.meals.places import place_key
from mealshare.features.meals.queries import tag_key
from mealshare.features.media.models import Media

#: Of a day on a calendar: those with a photo first, then the earliest.
TILES_OF_DAY = 8
#: How far back "what I eat most" looks, and at how many meals at most: more than five a day.
RECENT_DAYS, RECENT_MEALS = timedelta(days=365), 2_000
MOST = 6
#: The days that "on this day" shows at most.
MEMORIES = 6


@dataclass(frozen=True)
class Owner:
    """Whose diary it is.  What "today" is, the owner's time zone says, whoever looks."""

    account_id: int
    username: str
    display_name: str
    avatar_key: str | None
    time_zone: str

    @property
    def name(self) -> str:
        """What people call them."""
        return self.display_name or self.username


@dataclass(frozen=True)
class Tile:
    """A meal on a calendar."""

    id: int
    day: date
    eaten_at: datetime
    meal_type: str
    food: str
    #: The first picture that is ready, as `media_out` takes it; none where the eater covered it.
    photo: dict[str, Any] | None


@dataclass(frozen=True)
class Day:
    """A day on which something was eaten: the number of meals, and some of them in the order of the day."""

    day: date
    count: int
    tiles: Sequence[Tile]

    @property
    def photo(self) -> dict[str, Any] | None:
        """The first photo of the day."""
        return next((tile.photo for tile in self.tiles if tile.photo is not None), None)


@dataclass(frozen=True)
class Often:
    """Something that was eaten (or a tag, or a place) as it was written last, how often, and on which day last."""

    name: str
    count: int
    last: date


@dataclass(frozen=True)
class Most:
    """What somebody eats most."""

    foods: Sequence[Often] = field(default=())
    tags: Sequence[Often] = field(default=())
    places: Sequence[Often] = field(default=())


_OWNER = {
    personal: select(Account.id, Account.username, Account.display_name, Account.avatar_key, User.time_zone)
    .join(User, User.id == Account.id)
    .where(
        func.lower(Account.username) == bindparam("key"),
        Account.domain == literal_column("''"),
        reachable(Account, personal=personal),
    )
    for personal in (False, True)
}
_ACCOUNT = bindparam("account", type_=Id)
_BETWEEN = (
    Post.eaten_on >= bindparam("since", type_=Date),
    Post.eaten_on <= bindparam("until", type_=Date),
)
_AMONG = (Post.eaten_on.in_(bindparam("days", type_=Date, expanding=True)),)
_PHOTO = (
    select(
        JsonObject(
            literal_column("'id'"),
            Media.id,
            literal_column("'state'"),
            Media.state,
            literal_column("'storage_key'"),
            Media.storage_key,
            literal_column("'description'"),
            Media.description,
            literal_column("'blurhash'"),
            Media.blurhash,
            literal_column("'width'"),
            Media.width,
            literal_column("'height'"),
            Media.height,
        )
    )
    .where(
        Media.post_id == Post.id,
        Media.state == literal_column("'ready'"),
        Post.sensitive.is_(false()),
        Post.spoiler_text == literal_column("''"),
    )
    .order_by(Media.position)
    .limit(literal_column("1"))
    .correlate(Post)
    .scalar_subquery()
)


def _shown(personal: bool, days: Sequence[Any]) -> tuple[Any, ...]:
    """The conditions under which a meal of the account is in the diary of those days for the viewer."""
    return (
        IS_MEAL,
        Post.account_id == _ACCOUNT,
        *days,
        visible(Post, Account, personal=personal),
        suits(personal=personal),
    )


def _tiles(personal: bool, *parts: Sequence[Any]) -> Select[Any]:
    """Some meals of each day, with the number of all of its meals; the conditions ``parts`` share no day."""
    eaten = union_all(
        *(
            select(Post.id, Post.eaten_on, Post.eaten_at, Post.meal_type, Post.food, _PHOTO.label("photo"))
            .join(Account, Account.id == Post.account_id)
            .where(*_shown(personal, days))
            for days in parts
        )
    ).subquery("eaten")
    bare = case((eaten.c.photo.is_(null()), literal_column("1")), else_=literal_column("0"))
    day = eaten.c.eaten_on
    place = func.row_number().over(partition_by=day, order_by=(bare, eaten.c.eaten_at, eaten.c.id))
    numbered = select(
        eaten, place.label("place"), func.count().over(partition_by=day).label("total")
    ).subquery("numbered")  # fmt: skip
    columns = [column for column in numbered.c if column.name != "place"]
    return (
        select(*columns)
        .where(numbered.c.place <= bindparam("per_day", type_=Integer))
        .order_by(numbered.c.eaten_on, numbered.c.eaten_at, numbered.c.id)
    )


_DAYS_BETWEEN = {personal: _tiles(personal, _BETWEEN) for personal in (False, True)}
#: Both in one, as a union: with an OR between them SQLite would read the whole account, as one list PostgreSQL.
_MONTH_AND_DAYS = {personal: _tiles(personal, _BETWEEN, _AMONG) for personal in (False, True)}
_COUNTS = {
    personal: select(Post.eaten_on, func.count())
    .join(Account, Account.id == Post.account_id)
    .where(*_shown(personal, _BETWEEN))
    .group_by(Post.eaten_on)
    .order_by(Post.eaten_on)
    for personal in (False, True)
}
_MEALS = {
    personal: Prepared(
        cards(personal=personal)
        .where(*_shown(personal, _BETWEEN))
        .order_by(Post.eaten_on, Post.eaten_at, Post.id)
        .limit(page_limit())
    )
    for personal in (False, True)
}
_RECENT = {
    personal: select(Post.eaten_on, Post.food, Post.tag_names, Place.name)
    .select_from(Post)
    .join(Account, Account.id == Post.account_id)
    .outerjoin(Place, Place.id == Post.place_id)
    .where(*_shown(personal, _BETWEEN))
    .order_by(Post.eaten_on.desc(), Post.id.desc())
    .limit(page_limit())
    for personal in (False, True)
}


def owner_by_username(connection: Connection, username: str, viewer: int = ANONYMOUS) -> Owner | None:
    """The person of this site with that name, in whatever case; None for one that does not exist for ``viewer``."""
    row = fetch_one(connection, _OWNER[viewer != ANONYMOUS], {"key": username.lower(), "viewer": viewer})
    return None if row is None else Owner(*tuple(row))


def days_between(
    connection: Connection, owner: Owner, viewer: int, span: Span, per_day: int = TILES_OF_DAY
) -> list[Day]:
    """The days of ``span`` with meals that ``viewer`` may see, and up to ``per_day`` of each day's meals."""
    values = _values(owner, viewer, span) | {"per_day": per_day}
    return _days(fetch(connection, _DAYS_BETWEEN[viewer != ANONYMOUS], values))


def counts_between(connection: Connection, owner: Owner, viewer: int, span: Span) -> dict[date, int]:
    """How many meals that ``viewer`` may see each day of ``span`` has; without the days that have none."""
    rows = fetch(connection, _COUNTS[viewer != ANONYMOUS], _values(owner, viewer, span))
    return dict(map(tuple, rows))


def meals_between(connection: Connection, owner: Owner, viewer: int, span: Span, limit: int) -> list[Card]:
    """The first ``limit`` meals of ``span`` that ``viewer`` may see, in the order in which they were eaten."""
    values = _values(owner, viewer, span) | {"limit": limit}
    return read_cards(connection, _MEALS[viewer != ANONYMOUS], values)


def this_month(connection: Connection, owner: Owner, viewer: int, today: date) -> tuple[list[Day], list[Day]]:
    """The days of the month of ``today``, and its memories: what was eaten on this day of earlier years, the latest
    first; without any, a week and a month ago.  One statement for both.
    """
    span, years, recent = month_span(today), same_days(today), (month_before(today), today - WEEK)
    values = _values(owner, viewer, span) | {
        "days": [*years, *(day for day in recent if day not in span)],
        "per_day": TILES_OF_DAY,
    }
    found = {day.day: day for day in _days(fetch(connection, _MONTH_AND_DAYS[viewer != ANONYMOUS], values))}
    memories = [found[day] for day in years if day in found][:MEMORIES]
    return (
        [found[day] for day in span if day in found],
        memories or [found[day] for day in recent[::-1] if day in found],
    )


def most_eaten(connection: Connection, owner: Owner, viewer: int, today: date) -> Most:
    """What comes up more than once among the meals of the last year that ``viewer`` may see."""
    span = Span(today - RECENT_DAYS, today + AHEAD)
    values = _values(owner, viewer, span) | {"limit": RECENT_MEALS}
    rows = fetch(connection, _RECENT[viewer != ANONYMOUS], values)
    return Most(
        # What makes two names of a place the same makes two names of a food the same.
        _often((place_key(row.food), row.food, row.eaten_on) for row in rows if row.food),
        _often((tag_key(name), name, row.eaten_on) for row in rows for name in row.tag_names or ()),
        _often((place_key(row.name), row.name, row.eaten_on) for row in rows if row.name),
    )


def _often(found: Iterable[tuple[str, str, date]]) -> list[Often]:
    """The keys that come up most often; ``found`` has the latest first, and among equals that is what counts."""
    counts: Counter[str] = Counter()
    latest: dict[str, tuple[str, date]] = {}
    for key, name, day in found:
        counts[key] += 1
        latest.setdefault(key, (name, day))
    return [Often(latest[key][0], count, latest[key][1]) for key, count in counts.most_common(MOST) if count > 1]


def _values(owner: Owner, viewer: int, span: Span) -> dict[str, Any]:
    return {"account": owner.account_id, "viewer": viewer, "since": span.first, "until": span.last}


def _days(rows: Sequence[Any]) -> list[Day]:
    return [
        Day(day, of_day[0].total, [Tile(*row[:6]) for row in of_day])
        for day, group in groupby(rows, key=lambda row: row.eaten_on)
        if (of_day := list(group))
    ]
