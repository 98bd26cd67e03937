"""Every write to reactions; doing one twice is doing it once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mealshare.core.clock import now
from mealshare.core.errors import NotFound
from mealshare.core.ids import new_id
from mealshare.core.work import Work
from mealshare.features.meals.events import MealDeleted
from mealshare.features.meals.models import Post
from mealshare.features.reactions.events import Liked, Unliked
from mealshare.features.reactions.models import Like, Want


@dataclass(frozen=True)
class LikeService:
    """Likes and takes likes back, with exact counts; publishes what really changed."""

    work: Work

    def like(self, account_id: int, post_id: int) -> None:
        """The account likes the post; no harm if it did already.  Raises NotFound if the post has just been deleted."""
        author_id = self._lock(post_id)
        if author_id is None:
            raise NotFound
        if _add(self.work.session, Like, account_id, post_id):
            self._count(post_id, 1)
            self.work.publish(Liked(post_id, account_id, author_id))

    def unlike(self, account_id: int, post_id: int) -> None:
        """The account does not like the post any more; no harm if it never did."""
        self._lock(post_id)
        if _remove(self.work.session, Like, account_id, post_id):
            self._count(post_id, -1)
            self.work.publish(Unliked(post_id, account_id))

    def _lock(self, post_id: int) -> int | None:
        """The author of the post, if it is still there; it stays so until the end of the transaction.

        The request found it before its transaction began: a like added after a deletion would outlive the post.  And
        it comes before all else, so that two likers, or a liker and an editor, never wait for each other in a circle.
        """
        living = select(Post.account_id).where(Post.id == post_id, Post.deleted_at.is_(None))
        return self.work.session.scalar(living.with_for_update(key_share=True))

    def _count(self, post_id: int, change: int) -> None:
        statement = update(Post).where(Post.id == post_id, Post.deleted_at.is_(None))
        self.work.session.execute(statement.values(likes_count=Post.likes_count + change))


@dataclass(frozen=True)
class WantService:
    """Keeps the private lists of what people want to eat; nobody counts them and nobody is told."""

    work: Work

    def want(self, account_id: int, post_id: int) -> None:
        """The meal is on the account's list; no harm if it was.  Raises NotFound if it has just been deleted."""
        session = self.work.session
        # Shared: many may want it at once.  Only its deletion has to wait, or the row would outlive the meal.
        living = select(Post.id).where(Post.id == post_id, Post.deleted_at.is_(None))
        if session.scalar(living.with_for_update(read=True, key_share=True)) is None:
            raise NotFound
        _add(session, Want, account_id, post_id)

    def unwant(self, account_id: int, post_id: int) -> None:
        """The meal is not on the account's list any more; no harm if it never was."""
        _remove(self.work.session, Want, account_id, post_id)


def _add(session: Session, model: type[Like | Want], account_id: int, post_id: int) -> bool:
    """Whether a row was really added: only such a one comes back."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    row = {"id": new_id(), "post_id": post_id, "account_id": account_id, "created_at": now()}
    insert = dialect.insert(model).values(row).on_conflict_do_nothing(index_elements=["post_id", "account_id"])
    return session.scalar(insert.returning(model.id)) is not None


def _remove(session: Session, model: type[Like | Want], account_id: int, post_id: int) -> bool:
    """Whether a row was really removed."""
    gone = delete(model).where(model.post_id == post_id, model.account_id == account_id)
    return session.scalar(gone.returning(model.id)) is not None


def forget_reactions(work: Work, event: MealDeleted) -> None:
    """The likes and wants of a deleted meal go with it."""
    for model in (Like, Want):
        work.session.execute(delete(model).where(model.post_id == event.meal_id))
