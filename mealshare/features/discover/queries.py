"""Reading for those who look for something: a draw of a few candidates, each source bounded."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Select, literal_column, select, union_all

from mealshare.core.db import MAX_ID, fetch
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, listed, unmuted, viewer_id, visible
from mealshare.features.discover.vocabulary import DrawSource
from mealshare.features.meals.cards import IS_MEAL, suits
from mealshare.features.meals.models import Post
from mealshare.features.reactions.models import Want
from mealshare.features.timelines.queries import home_ids

#: How many of the newest rows of each source take part in a draw, whatever there is beyond.
CANDIDATES = 200
#: A favourite is what one has eaten at least so often, but not in the last days.
FAVOURITE_TIMES = 2
NOT_LATELY = timedelta(days=14)


@dataclass(frozen=True)
class Candidate:
    """A meal that can be drawn."""

    source: DrawSource
    id: int


def _living(source: DrawSource, order: Any, *conditions: Any) -> Select[Any]:
    newest: Any = (
        select(literal_column(f"'{source}'").label("source"), Post.id, Post.food, Post.eaten_on)
        .join(Account, Account.id == Post.account_id)
        .where(IS_MEAL, *conditions)
        .order_by(order.desc())
        .limit(literal_column(str(CANDIDATES)))
    )
    # In brackets of its own: SQLite has no ORDER BY inside a UNION otherwise.
    inner = newest.subquery()
    return select(inner.c.source, inner.c.id, inner.c.food, inner.c.eaten_on)


def _followed(dialect: str, more: Sequence[Any]) -> Any:
    found = home_ids(dialect, more)
    return (
        select(literal_column(f"'{DrawSource.FOLLOWED}'").label("source"), Post.id, Post.food, Post.eaten_on)
        .join(found, found.c.id == Post.id)
        .where(Post.account_id != viewer_id())
    )


def _sources(dialect: str, more: Sequence[Any]) -> dict[DrawSource, Select[Any]]:
    me = viewer_id()
    seen = (visible(Post, Account), suits(), *more)
    return {
        DrawSource.WANT: _living(
            DrawSource.WANT, Want.id, Want.post_id == Post.id, Want.account_id == me, unmuted(Post), *seen
        ),
        DrawSource.FAVOURITE: _living(
            DrawSource.FAVOURITE, Post.id, Post.account_id == me, Post.deleted_at.is_(None), *more
        ),
        DrawSource.FOLLOWED: _followed(dialect, more),
        DrawSource.PUBLIC: _living(
            DrawSource.PUBLIC, Post.id, listed(Post, Account), suits(), Post.account_id != me, *more
        ),
    }


def candidates(
    connection: Connection,
    viewer: int,
    today: date,
    *,
    only: DrawSource | None = None,
    conditions: Sequence[Any] = (),
) -> list[Candidate]:
    """The meals that a draw for ``viewer`` is among; one statement, of at most `CANDIDATES` rows for each source.

    ``today`` is the viewer's date; ``conditions`` are further ones (`filter_conditions`); ``only`` names one source.
    """
    if viewer == ANONYMOUS:
        everybody = listed(Post, Account, personal=False)
        statement: Any = _living(DrawSource.PUBLIC, Post.id, everybody, *conditions)
    else:
        sources = _sources(connection.dialect.name, conditions)
        wanted = [select_ for source, select_ in sources.items() if only in (None, source)]
        statement = union_all(*wanted) if len(wanted) > 1 else wanted[0]
    window = {"max_id": MAX_ID, "min_id": 0, "most": CANDIDATES}
    rows = fetch(connection, statement, {"viewer": viewer} | (window if viewer != ANONYMOUS else {}))
    own = [row for row in rows if row.source == DrawSource.FAVOURITE]
    favourites = _favourites(own, today)
    return [
        Candidate(DrawSource(row.source), row.id)
        for row in rows
        if row.source != DrawSource.FAVOURITE or row.id in favourites
    ]


def _favourites(own: Sequence[Any], today: date) -> Collection[int]:
    """Of one's own meals, newest first: for each food that was eaten often but not lately, the latest meal of it."""
    times: dict[str, int] = {}
    latest: dict[str, tuple[date, int]] = {}
    for row in own:
        food = " ".join(unicodedata.normalize("NFKC", row.food or "").casefold().split())
        if not food:
            continue
        times[food] = times.get(food, 0) + 1
        latest[food] = max(latest.get(food, (date.min, 0)), (row.eaten_on, row.id))
    return {id for food, (day, id) in latest.items() if times[food] >= FAVOURITE_TIMES and day <= today - NOT_LATELY}
