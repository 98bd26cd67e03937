"""Every write to reactions; doing one twice is doing it once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mealshare.core.clock import now
from mealshare.core.errors import NotFound
from mealshare.core.ids import new_id
from mealshare.core.work import Work
from mealshare.features.meals.events import MealDeleted
from mealshare.features.meals.models import Post
from mealshare.features.reactions.models import Like


@dataclass(frozen=True)
class LikeService:
    """Likes and takes likes back, with exact counts."""

    work: Work

    def like(self, account_id: int, post_id: int) -> None:
        """The account likes the post; no harm if it did already.  Raises NotFound if the post has just been deleted."""
        session = self.work.session
        if not self._lock(post_id):
            raise NotFound
        dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
        row = {"id": new_id(), "post_id": post_id, "account_id": account_id, "created_at": now()}
        insert = dialect.insert(Like).values(row).on_conflict_do_nothing(index_elements=["post_id", "account_id"])
        # Only a row that was really added comes back.
        self._count(post_id, len(session.scalars(insert.returning(Like.id)).all()))

    def unlike(self, account_id: int, post_id: int) -> None:
        """The account does not like the post any more; no harm if it never did."""
        self._lock(post_id)
        gone = delete(Like).where(Like.post_id == post_id, Like.account_id == account_id).returning(Like.id)
        self._count(post_id, -len(self.work.session.scalars(gone).all()))

    def _lock(self, post_id: int) -> bool:
        """Whether the post is still there; it stays so until the end of the transaction.

        The request found it before its transaction began: a like added after a deletion would outlive the post.
        """
        living = select(Post.id).where(Post.id == post_id, Post.deleted_at.is_(None)).with_for_update(key_share=True)
        return self.work.session.scalar(living) is not None

    def _count(self, post_id: int, change: int) -> None:
        if change:
            statement = update(Post).where(Post.id == post_id, Post.deleted_at.is_(None))
            self.work.session.execute(statement.values(likes_count=Post.likes_count + change))


def forget_likes(work: Work, event: MealDeleted) -> None:
    """The likes of a deleted meal go with it."""
    work.session.execute(delete(Like).where(Like.post_id == event.meal_id))
