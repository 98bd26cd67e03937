"""Reading notifications: a window of the newest, each with the answer whether it may (still) be read; then details.

The window is cut before anything is asked of its rows, so a page costs the same however many notifications there are,
and however many of them are hidden.  Rows become groups in Python: what several people did with one thing is one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.visitors import replacement_traverse

from mealshare.core.db import MAX_ID, Page, Window, fetch, fetch_one
from mealshare.features.accounts.models import Account, User
from mealshare.features.accounts.visibility import not_muted, unblocked, viewer_id, visible
from mealshare.features.meals.cards import suits
from mealshare.features.meals.models import Post
from mealshare.features.media.models import Media, MediaState
from mealshare.features.notifications.models import Notification, NotificationType

#: How many notifications one page is made of at most; and how far the unread ones are counted.
WINDOW_ROWS = 300
MOST_UNREAD = 100
#: How many of a group's people are named.
MAX_PEOPLE = 5
#: What everybody may switch off.
CHOICES = (
    NotificationType.LIKE,
    NotificationType.COMMENT,
    NotificationType.MENTION,
    NotificationType.FOLLOW,
    NotificationType.FOLLOW_REQUEST,
    NotificationType.ATE_TOO,
)
#: Where in `User.settings` it stands; only what is off is written down.
SETTINGS = "notifications"

#: What a notification is about (a meal or a comment); the meal itself is `Post`, its author `Account`.
SUBJECT = aliased(Post, name="subject")
#: Who did it.
MAKER = aliased(Account, name="maker")
#: A comment stands below a meal, and has its visibility.
MEAL_OF_SUBJECT = Post.id == func.coalesce(SUBJECT.root_id, SUBJECT.id)


def seen_by(condition: ColumnElement[bool], account: Any) -> ColumnElement[bool]:
    """A condition on what "the viewer" may see, asked for the account of each row instead.

    ``account`` is a column of the statement that the condition stands in, not of one around it.
    """

    def replace(element: Any, **_options: Any) -> Any:
        return account if isinstance(element, BindParameter) and element.key == "viewer" else None

    replaced: ColumnElement[bool] = replacement_traverse(condition, {}, replace)
    return replaced


def wanted(type: Any) -> ColumnElement[bool]:
    """The condition under which the person of the row (`User`) has notifications of ``type`` (a column or parameter)."""
    settings = {choice.value: User.settings[(SETTINGS, choice.value)].as_boolean() for choice in CHOICES}
    on = func.coalesce(case(settings, value=type), true())
    # As a number that differs: PostgreSQL takes a computed truth for rare, and would sort instead of reading on.
    return case((on, literal_column("1")), else_=literal_column("0")) != literal_column("0")


def from_others(account: Any, maker: Any) -> ColumnElement[bool]:
    """The condition under which ``account`` hears of what `MAKER` (with the id ``maker``) does."""
    return and_(MAKER.suspended_at.is_(None), unblocked(account, maker), not_muted(account, maker))


def _window(order: Any) -> Any:
    """The first rows of the viewer's window, by columns of the table alone."""
    mine = Notification
    return (
        select(mine.id, mine.type, mine.group_key, mine.from_id, mine.post_id, mine.created_at, mine.read_at)
        .join(User, User.id == mine.account_id)
        .where(
            mine.account_id == viewer_id(),
            mine.id < bindparam("max_id", type_=BigInteger),
            mine.id > bindparam("min_id", type_=BigInteger),
            mine.type.in_(bindparam("types", expanding=True)),
            wanted(mine.type),
        )
        .order_by(order)
        .limit(literal_column(str(WINDOW_ROWS)))
        .offset(bindparam("skip", type_=Integer))
        .subquery("recent")
    )


def _rows(order: Any) -> Select[Any]:
    """The window, in no order, with the answer whether the viewer may read each of them."""
    recent = _window(order)
    readable = and_(
        from_others(viewer_id(), recent.c.from_id),
        or_(recent.c.post_id.is_(None), and_(SUBJECT.deleted_at.is_(None), visible(Post, Account), suits())),
    )
    return (
        select(*recent.c, readable)
        .select_from(recent)
        .join(MAKER, MAKER.id == recent.c.from_id)
        .outerjoin(SUBJECT, SUBJECT.id == recent.c.post_id)
        .outerjoin(Post, MEAL_OF_SUBJECT)
        .outerjoin(Account, Account.id == Post.account_id)
    )


_ROWS = {False: _rows(Notification.id.desc()), True: _rows(Notification.id.asc())}
_PEOPLE = select(Account.id, Account.username, Account.display_name, Account.avatar_key, Account.url).where(
    Account.id.in_(bindparam("ids", expanding=True))
)
_ORIGIN = aliased(Post, name="origin")
_PICTURE = (
    select(Media.storage_key)
    .where(Media.post_id == Post.id, Media.state == MediaState.READY)
    .order_by(Media.position)
    .limit(literal_column("1"))
    .correlate(Post)
    .scalar_subquery()
)
_SUBJECTS = (
    select(
        SUBJECT.id, SUBJECT.root_id, SUBJECT.url, SUBJECT.note, Post.id, Post.url, Post.food, Post.meal_type,
        case((or_(Post.sensitive, Post.spoiler_text != literal_column("''")), None), else_=_PICTURE),
        _ORIGIN.id, _ORIGIN.url, _ORIGIN.food, _ORIGIN.meal_type,
    )
    .join(Post, MEAL_OF_SUBJECT)
    .outerjoin(
        _ORIGIN,
        and_(
            _ORIGIN.id == Post.inspired_by_id, _ORIGIN.account_id == viewer_id(), _ORIGIN.deleted_at.is_(None)
        ),
    )
    .where(SUBJECT.id.in_(bindparam("ids", expanding=True)))
)  # fmt: skip
_SETTINGS = select(User.settings).where(User.id == bindparam("account", type_=BigInteger))


def _unread() -> ColumnElement[int]:
    """How many of the newest unread notifications the person of the row (`User`) may read, up to `MOST_UNREAD`.

    Rows go with a block, a mute or a meal that is hidden, so they need not be asked about those again; only what has
    no event: allergens that are left out, and suspended people.
    """
    mine = Notification
    recent = (
        select(mine.account_id, mine.from_id, mine.post_id)
        .where(mine.account_id == User.id, mine.read_at.is_(None), wanted(mine.type))
        .order_by(mine.id.desc())
        .limit(literal_column(str(MOST_UNREAD)))
        .correlate(User)
        .subquery("recent")
    )
    return (
        select(func.count())
        .select_from(recent)
        .join(MAKER, MAKER.id == recent.c.from_id)
        .outerjoin(SUBJECT, SUBJECT.id == recent.c.post_id)
        .outerjoin(Post, MEAL_OF_SUBJECT)
        .where(
            MAKER.suspended_at.is_(None),
            or_(recent.c.post_id.is_(None), seen_by(suits(), recent.c.account_id)),
        )
        .scalar_subquery()
    )


#: A column for the statement that reads the session.
UNREAD = _unread()


@dataclass
class Group:
    """What one or several people did with one thing; the newest of its notifications gives it its id."""

    id: int
    type: str
    #: The type, or what sets texts of one type apart: "answer" to a comment, "comment" on one's own meal.
    kind: str
    created_at: datetime
    read: bool
    #: Who did it, the latest first; each once.
    people: list[int]
    #: What the newest one is about.
    post_id: int | None


@dataclass(frozen=True)
class PersonRow:
    """Somebody who did something."""

    id: int
    username: str
    display_name: str
    avatar_key: str | None
    url: str


@dataclass(frozen=True)
class MealRow:
    """A meal in a few words."""

    id: int
    url: str
    food: str
    meal_type: str


@dataclass(frozen=True)
class SubjectRow:
    """What a group is about."""

    meal: MealRow
    #: The comment below the meal, if it is about one: id, address, words.
    comment: tuple[int, str, str] | None
    picture: str | None
    #: The viewer's own meal, after which this one was eaten.
    origin: MealRow | None


@dataclass(frozen=True)
class Notice:
    """A group with what a page shows of it."""

    group: Group
    users: Sequence[PersonRow]
    subject: SubjectRow | None


@dataclass(frozen=True)
class NoticePage:
    """A page, and the ids between which all its notifications are (0 where it is empty)."""

    page: Page[Notice]
    newest: int
    oldest: int


def notices(connection: Connection, account_id: int, window: Window, types: Collection[str] = ()) -> NoticePage:
    """The page of groups that ``window`` asks for, newest first; at most `WINDOW_ROWS` notifications in it.

    Three statements.  ``types`` are the ones to show (none: all).  A page is a run of neighbouring notifications, so
    none is lost between two pages or stands on both, whatever comes in meanwhile.
    """
    values = {
        "viewer": account_id,
        "max_id": window.max_id,
        "min_id": window.min_id,
        "skip": window.skip,
        "types": list(types or NotificationType),
    }
    rows = sorted(fetch(connection, _ROWS[window.upwards], values), key=lambda row: row.id, reverse=not window.upwards)
    taken, groups = _take(rows, window.limit)
    more = len(taken) < len(rows) or len(rows) == WINDOW_ROWS
    newest, oldest = _ends(taken)
    first = window.max_id == MAX_ID and not window.skip
    page = Page(
        _with_details(connection, account_id, groups),
        oldest if taken and (more or window.upwards) else None,
        newest if taken and (more if window.upwards else not first) else None,
    )
    return NoticePage(page, newest, oldest)


def settings_of(connection: Connection, account_id: int) -> dict[str, bool]:
    """Which types the account wants."""
    row = fetch_one(connection, _SETTINGS, {"account": account_id})
    off = (row[0] or {}).get(SETTINGS, {}) if row is not None else {}
    return {choice.value: off.get(choice.value, True) for choice in CHOICES}


def _ends(rows: Sequence[Any]) -> tuple[int, int]:
    ids = [row.id for row in rows]
    return (max(ids), min(ids)) if ids else (0, 0)


def _take(rows: Sequence[Any], limit: int) -> tuple[list[Any], list[Group]]:
    """The first rows that make at most ``limit`` groups, hidden ones among them, and the groups, newest first."""
    taken: list[Any] = []
    members: dict[str, list[Any]] = {}
    for row in rows:
        readable = row[-1]
        if readable and row.group_key not in members and len(members) == limit:
            break
        taken.append(row)
        if readable:
            members.setdefault(row.group_key, []).append(row)
    groups = [_group(sorted(found, key=lambda row: -row.id)) for found in members.values()]
    return taken, sorted(groups, key=lambda group: -group.id)


def _group(rows: Sequence[Any]) -> Group:
    newest = rows[0]
    return Group(
        newest.id,
        newest.type,
        newest.group_key.partition(":")[0],
        newest.created_at,
        all(row.read_at is not None for row in rows),
        list(dict.fromkeys(row.from_id for row in rows)),
        newest.post_id,
    )


def _with_details(connection: Connection, viewer: int, groups: Sequence[Group]) -> list[Notice]:
    ids = sorted({id for group in groups for id in group.people[:MAX_PEOPLE]})
    posts = sorted({group.post_id for group in groups if group.post_id is not None})
    people = {row.id: PersonRow(*tuple(row)) for row in fetch(connection, _PEOPLE, {"ids": ids})} if ids else {}
    found = fetch(connection, _SUBJECTS, {"ids": posts, "viewer": viewer}) if posts else ()
    subjects = {row[0]: _subject(row) for row in found}
    return [
        Notice(group, [people[id] for id in group.people[:MAX_PEOPLE]], subjects.get(group.post_id or 0))
        for group in groups
    ]


def _subject(row: Sequence[Any]) -> SubjectRow:
    id, root_id, url, note, *meal = row[:8]
    return SubjectRow(
        MealRow(*meal),
        None if root_id is None else (id, url, note),
        row[8],
        None if row[9] is None else MealRow(*row[9:]),
    )
