"""Keeps ``notifications`` in step with what happens: one row is added, or some go, in the transaction of the event.

A row is added by a statement that asks, with the recipient as the viewer, all that the list asks: nobody is told of
what they may not see, by somebody whom they blocked or muted, or of what they want to hear nothing about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, String, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from mealshare.core.clock import now
from mealshare.core.db import UTCDateTime
from mealshare.core.ids import new_id
from mealshare.core.work import Work
from mealshare.features.accounts.models import Account, User
from mealshare.features.accounts.visibility import viewer_id, visible
from mealshare.features.meals.models import Mention, Post
from mealshare.features.notifications.models import Notification, NotificationType
from mealshare.features.notifications.queries import MAKER, MEAL_OF_SUBJECT, SUBJECT, from_others, seen_by, wanted

_TABLE: Any = Notification.__table__
_COLUMNS = ("id", "account_id", "type", "from_id", "post_id", "key", "group_key", "created_at")


@dataclass(frozen=True)
class News:
    """Something to tell somebody; ``key`` is what makes it one piece of news, however often it happens."""

    type: NotificationType
    account_id: int
    from_id: int
    key: str
    group_key: str
    post_id: int | None = None


def _allowed(*, about_post: bool) -> Any:
    """The row to add, or none: the recipient is the viewer."""
    maker = bindparam("maker", type_=BigInteger)
    type = bindparam("new_type", type_=String)
    row = (
        select(
            bindparam("new_id", type_=BigInteger), User.id, type, MAKER.id, bindparam("subject", type_=BigInteger),
            bindparam("new_key", type_=String), bindparam("new_group", type_=String),
            bindparam("at", type_=UTCDateTime),
        )
        .select_from(User)
        .join(MAKER, MAKER.id == maker)
        .where(User.id == viewer_id(), User.id != MAKER.id, from_others(viewer_id(), maker), wanted(type))
    )  # fmt: skip
    if not about_post:
        return row
    return (
        row.join(SUBJECT, SUBJECT.id == bindparam("subject", type_=BigInteger))
        .join(Post, MEAL_OF_SUBJECT)
        .join(Account, Account.id == Post.account_id)
        .where(SUBJECT.deleted_at.is_(None), visible(Post, Account))
    )


_ADD = {
    (dialect.__name__.rpartition(".")[2], about_post): dialect.insert(_TABLE)
    .from_select(_COLUMNS, _allowed(about_post=about_post))
    .on_conflict_do_nothing(index_elements=["account_id", "key"])
    for dialect in (postgresql, sqlite)
    for about_post in (True, False)
}
_TOLD = aliased(Notification, name="told")


def _no_more_seen() -> Any:
    """The ids of notifications about what their recipient may not see; conditions on the three tables narrow it."""
    return (
        select(_TOLD.id)
        .join(SUBJECT, SUBJECT.id == _TOLD.post_id)
        .join(Post, MEAL_OF_SUBJECT)
        .join(Account, Account.id == Post.account_id)
        .where(~seen_by(visible(Post, Account), _TOLD.account_id))
    )


@dataclass(frozen=True)
class NotificationIndex:
    """Adds and removes notifications in one unit of work."""

    work: Work

    def tell(self, news: Sequence[News]) -> None:
        """Write down what may be told; of several with one key for one person the first counts."""
        self.work.session.flush()
        connection, at = self.work.connection, now()
        for item in news:
            statement = _ADD[connection.dialect.name, item.post_id is not None]
            connection.execute(statement, _values(item) | {"at": at})

    def forget(self, *conditions: Any) -> None:
        """Remove the notifications that fulfil all ``conditions``."""
        self.work.connection.execute(delete(_TABLE).where(*conditions))

    def forget_key(self, account_id: Any, key: str) -> None:
        """Remove that piece of news from that person's."""
        self.forget(Notification.account_id == account_id, Notification.key == key)

    def forget_posts(self, posts: Any, *conditions: Any) -> None:
        """Remove what is about the posts whose ids the statement ``posts`` gives."""
        self.forget(Notification.post_id.in_(posts), *conditions)

    def forget_hidden_meals(self, meal_ids: Sequence[int]) -> None:
        """Remove what is about these meals, or comments on them, from those who may not see them any more."""
        self._forget_unseen(or_(SUBJECT.id.in_(meal_ids), SUBJECT.root_id.in_(meal_ids)))

    def forget_hidden_between(self, reader: int, author: int) -> None:
        """Remove from one person's what is about another's meals and may not be seen any more."""
        self._forget_unseen(_TOLD.account_id == reader, Post.account_id == author)

    def forget_unnamed(self, post_id: int) -> list[int]:
        """Remove the mentions of those whom the post does not name any more; gives their ids."""
        named = select(Mention.account_id).where(Mention.post_id == post_id)
        gone = delete(_TABLE).where(
            Notification.post_id == post_id,
            Notification.type == NotificationType.MENTION.value,
            Notification.account_id.not_in(named),
        )
        self.work.session.flush()
        return list(self.work.connection.scalars(gone.returning(_TABLE.c.account_id)))

    def _forget_unseen(self, *conditions: Any) -> None:
        self.work.session.flush()
        self.forget(Notification.id.in_(_no_more_seen().where(*conditions)))


def _values(news: News) -> dict[str, Any]:
    return {
        "new_id": new_id(),
        "viewer": news.account_id,
        "maker": news.from_id,
        "new_type": news.type.value,
        "new_key": news.key,
        "new_group": news.group_key,
        "subject": news.post_id,
    }
