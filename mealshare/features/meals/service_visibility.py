"""Who may see the meals of the past: many at once, in one transaction, with every count exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, select, update

from mealshare.core.db import fetch
from mealshare.core.work import Work
from mealshare.features.accounts.models import Account
from mealshare.features.meals.events import VisibilityChanged
from mealshare.features.meals.indexing import counts_publicly
from mealshare.features.meals.models import Post, PostTag, Tag
from mealshare.features.meals.vocabulary import Visibility

#: So many ids stand in one statement and in one event.
CHUNK = 500

# As tables, for many rows change in one statement, each by a value of its own.
_POSTS: Any = Post.__table__
_TAGS: Any = Tag.__table__
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_SET = update(_POSTS).where(_POSTS.c.id.in_(_IDS))
_LOCK = (
    select(_POSTS.c.id, _POSTS.c.account_id, _POSTS.c.visibility, _POSTS.c.inspired_by_id, _POSTS.c.deleted_at)
    .where(_POSTS.c.id.in_(_IDS))
    .order_by(_POSTS.c.id.desc())
    .with_for_update(key_share=True)
)
_TAGS_OF = select(PostTag.tag_id, func.count()).where(PostTag.post_id.in_(_IDS)).group_by(PostTag.tag_id)
_COUNT_TAG = (
    update(_TAGS).where(_TAGS.c.id == bindparam("row_id")).values(meals_count=_TAGS.c.meals_count + bindparam("change"))
)
_COUNT_COPIES = (
    update(_POSTS)
    .where(_POSTS.c.id == bindparam("row_id"), _POSTS.c.deleted_at.is_(None))
    .values(ate_too_count=_POSTS.c.ate_too_count + bindparam("change"))
)


def _of_account(account_id: int, visibilities: Collection[str], before: datetime | None) -> Sequence[Any]:
    """The conditions for the account's living meals that have one of ``visibilities`` and were posted before that."""
    conditions = [
        _POSTS.c.account_id == account_id,
        _POSTS.c.kind == "meal",
        _POSTS.c.deleted_at.is_(None),
        _POSTS.c.visibility.in_(sorted(visibilities)),
    ]
    return conditions if before is None else [*conditions, _POSTS.c.created_at < before]


def count_meals(connection: Connection, account_id: int, before: datetime | None = None) -> Mapping[str, int]:
    """How many living meals the account has of each visibility (posted before that moment)."""
    conditions = _of_account(account_id, list(Visibility), before)
    grouped = select(_POSTS.c.visibility, func.count()).where(*conditions).group_by(_POSTS.c.visibility)
    rows: Sequence[Sequence[Any]] = fetch(connection, grouped)
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True)
class VisibilityService:
    """Changes who may see meals of the past."""

    work: Work

    def change(
        self, account_id: int, from_visibilities: Collection[str], to: str, before: datetime | None = None
    ) -> int:
        """Give the account's meals that have one of ``from_visibilities`` the visibility ``to``; gives how many.

        ``before``: only those that were posted before that moment.  Nothing but the visibility changes: the meals do
        not count as edited.
        """
        wanted = set(from_visibilities) - {to}
        meals = [
            meal
            for meal in self._lock(_of_account(account_id, wanted, before))
            # As it is now that it is locked: it may have been edited or deleted since it was found.
            if meal.account_id == account_id and meal.deleted_at is None and meal.visibility in wanted
        ]
        for ids in _chunks([meal.id for meal in meals]):
            self.work.session.execute(_SET.values(visibility=to, version=_POSTS.c.version + 1), {"ids": ids})
        self._count_publicly(account_id, meals, to)
        self._count_tags(meals, to)
        self._tell(account_id, meals, to)
        return len(meals)

    def _lock(self, conditions: Sequence[Any]) -> list[Any]:
        """The meals for which ``conditions`` hold and the originals that they copy, locked, as they are by then.

        The newest first, originals among them, and before authors and tags: the order in which whoever writes a single
        meal locks as well, so that nobody waits in a circle.
        """
        session = self.work.session
        found = session.execute(select(_POSTS.c.id, _POSTS.c.inspired_by_id).where(*conditions)).all()
        ids = {id for row in found for id in row if id is not None}
        rows: list[Any] = []
        for chunk in _chunks(sorted(ids, reverse=True)):
            rows.extend(session.execute(_LOCK, {"ids": chunk}).all())
        return rows

    def _count_publicly(self, account_id: int, meals: Sequence[Any], to: str) -> None:
        """The counts in which meals are that everybody may see: of the originals they copy, and of the account."""
        after = counts_publicly(to)
        turned = [meal for meal in meals if counts_publicly(meal.visibility) != after]
        step = 1 if after else -1
        originals = Counter(meal.inspired_by_id for meal in turned if meal.inspired_by_id is not None)
        self._add(_COUNT_COPIES, [(id, step * count) for id, count in originals.items()])
        if turned:
            author = update(Account).where(Account.id == account_id)
            self.work.session.execute(author.values(meals_count=Account.meals_count + step * len(turned)))

    def _count_tags(self, meals: Sequence[Any], to: str) -> None:
        """The counts of tags, in which public meals are."""
        became = to == Visibility.PUBLIC
        changed = [meal.id for meal in meals if became or meal.visibility == Visibility.PUBLIC]
        changes: Counter[int] = Counter()
        for ids in _chunks(changed):
            for tag_id, count in self.work.session.execute(_TAGS_OF, {"ids": ids}):
                changes[tag_id] += count if became else -count
        # In the order in which those of a single meal are counted.
        self._add(_COUNT_TAG, sorted(changes.items()))

    def _add(self, statement: Any, changes: Sequence[tuple[int, int]]) -> None:
        if changes:
            self.work.connection.execute(statement, [{"row_id": id, "change": n} for id, n in changes])

    def _tell(self, account_id: int, meals: Sequence[Any], to: str) -> None:
        for before in Visibility:
            for ids in _chunks([meal.id for meal in meals if meal.visibility == before]):
                self.work.publish(VisibilityChanged(tuple(ids), account_id, before.value, to))


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
