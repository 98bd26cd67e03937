"""Every write to comments: post, edit, delete, and close them on a meal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update

from mealshare.core.clock import now
from mealshare.core.errors import Conflict, InputInvalid, NotFound, PreconditionFailed
from mealshare.core.ids import new_id, new_id_at
from mealshare.core.work import Work
from mealshare.features.accounts.models import Account
from mealshare.features.comments.events import CommentDeleted, Commented, CommentEdited
from mealshare.features.comments.models import Comment
from mealshare.features.comments.queries import CommentRow, comment_by_id, comment_entity
from mealshare.features.meals.events import MealDeleted, MealEdited
from mealshare.features.meals.indexing import MentionIndex
from mealshare.features.meals.models import Mention, Post, PostRevision
from mealshare.features.meals.service import render_with_people
from mealshare.features.reactions.models import Like

#: What a tombstone keeps nothing of.
NOTHING: dict[str, Any] = {"note": "", "note_html": "", "edited_at": None, "likes_count": 0}


@dataclass(frozen=True)
class CommentService:
    """Writes comments in one unit of work.

    Whoever changes how many comments a meal has locks the meal first and the comment after it, so the count is exact
    and nobody waits in a circle.
    """

    work: Work
    base_url: str

    def post(
        self, account_id: int, meal_id: int, note: str, *, in_reply_to: int | None = None, at: datetime | None = None
    ) -> Comment:
        """Comment on a meal that the account may see, which the caller has asked, or answer a comment on it.

        ``at`` is only for data of the past.  Raises NotFound if the meal is gone, Conflict if its comments are closed,
        and InputInvalid for an ``in_reply_to`` that is no comment on this meal that the account may see.
        """
        meal = self._lock(meal_id)
        if meal.comments_closed:
            raise Conflict("comments_closed")
        answered = self._answered(account_id, meal_id, in_reply_to)
        username = self._username(account_id)
        rendered, people = render_with_people(self.work, self.base_url, note)
        id = new_id() if at is None else new_id_at(at)
        session = self.work.session
        comment = Comment(
            id=id,
            account_id=account_id,
            uri=f"{self.base_url}/users/{username}/posts/{id}",
            url=f"{self.base_url}/@{username}/{id}",
            root_id=meal_id,
            in_reply_to_id=meal_id if answered is None else answered.thread_id,
            note=note,
            note_html=rendered.html,
            visibility=meal.visibility,
            created_at=at or now(),
            tag_names=[],
        )
        session.add(comment)
        session.flush()
        mentioned = MentionIndex(session).replace(id, people)
        self._count(meal_id, 1)
        replied_to = None if answered is None else answered.account_id
        self.work.publish(Commented(id, meal_id, account_id, meal.account_id, replied_to, mentioned))
        return comment

    def edit(self, comment_id: int, note: str, *, version: int | None = None) -> Comment:
        """Let the comment say something else; what it said before is kept as a revision.

        ``version`` is the one that the client has seen, if it says so.  Raises NotFound and PreconditionFailed.
        """
        comment = self._held(comment_id, version)
        if comment.note == note:
            return comment
        session = self.work.session
        rendered, people = render_with_people(self.work, self.base_url, note)
        session.add(PostRevision(post_id=comment.id, version=comment.version, content={"note": comment.note}))
        comment.note, comment.note_html = note, rendered.html
        comment.edited_at = now()
        comment.version += 1
        session.flush()
        mentioned = MentionIndex(session).replace(comment.id, people)
        self.work.publish(CommentEdited(comment.id, comment.root_id or 0, comment.account_id, mentioned))
        return comment

    def delete(self, comment_id: int, meal_id: int, *, version: int | None = None) -> None:
        """Delete a comment on the meal: a tombstone stays for its replies, its words, likes and revisions go.

        Raises NotFound and PreconditionFailed.
        """
        self._lock(meal_id)
        comment = self._held(comment_id, version)
        session = self.work.session
        for name, value in NOTHING.items():
            setattr(comment, name, value)
        comment.deleted_at = now()
        comment.version += 1
        session.flush()
        for model in (Like, PostRevision, Mention):
            session.execute(delete(model).where(model.post_id == comment_id))
        self._count(meal_id, -1)
        self.work.publish(CommentDeleted(comment_id, meal_id, comment.account_id))

    def set_closed(self, meal_id: int, closed: bool) -> None:
        """Close the comments on a meal, or open them again; no harm if they are so already.  Raises NotFound."""
        meal = self._lock(meal_id)
        if meal.comments_closed == closed:
            return
        # A change of what others see of the meal, as if its author had used the form.
        change = update(Post).where(Post.id == meal_id)
        self.work.session.execute(change.values(comments_closed=closed, version=Post.version + 1))
        self.work.publish(MealEdited(meal_id, meal.account_id))

    def _lock(self, meal_id: int) -> Row[int, str, bool]:
        living = select(Post.account_id, Post.visibility, Post.comments_closed).where(
            Post.id == meal_id, Post.kind == "meal", Post.deleted_at.is_(None)
        )
        meal = self.work.session.execute(living.with_for_update(key_share=True)).first()
        if meal is None:
            raise NotFound
        return meal

    def _held(self, comment_id: int, version: int | None) -> Comment:
        comment = comment_entity(self.work.session, comment_id)
        if comment is None:
            raise NotFound
        if version is not None and comment.version != version:
            raise PreconditionFailed
        return comment

    def _answered(self, account_id: int, meal_id: int, comment_id: int | None) -> CommentRow | None:
        """The comment that is answered; None where it is the meal itself."""
        if comment_id is None or comment_id == meal_id:
            return None
        answered = comment_by_id(self.work.connection, comment_id, account_id)
        if answered is None or answered.meal_id != meal_id:
            raise InputInvalid.of("in_reply_to_id", "no_such_comment")
        return answered

    def _username(self, account_id: int) -> str:
        username = self.work.session.scalar(select(Account.username).where(Account.id == account_id))
        if username is None:
            raise NotFound
        return username

    def _count(self, meal_id: int, change: int) -> None:
        meal = update(Post).where(Post.id == meal_id, Post.deleted_at.is_(None))
        self.work.session.execute(meal.values(comments_count=Post.comments_count + change))


def forget_comments(work: Work, event: MealDeleted) -> None:
    """The comments on a deleted meal go with it, all at once: nothing is left that could have seen the single ones."""
    session = work.session
    comments = select(Post.id).where(Post.root_id == event.meal_id)
    for model in (Like, PostRevision, Mention):
        session.execute(delete(model).where(model.post_id.in_(comments)).execution_options(synchronize_session=False))
    living = update(Post).where(Post.root_id == event.meal_id, Post.deleted_at.is_(None))
    gone = living.values(**NOTHING, deleted_at=now(), version=Post.version + 1)
    session.execute(gone.execution_options(synchronize_session=False))
