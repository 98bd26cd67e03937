"""What is told to whom when something happens, what is taken back again, and what people do with what they were told.

The handlers run in the transaction of the event.  The ``key`` of a notification is what happens once only: a follow, a
like by one person for one post, a new post.  So somebody who is named in an answer to their comment on their own meal
is told once, by the first of those reasons: named, answered, commented on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import aliased

from mealshare.core.clock import now
from mealshare.core.db import MAX_ID
from mealshare.core.errors import NotFound
from mealshare.core.ids import new_id_at
from mealshare.core.work import Work
from mealshare.features.accounts.models import User
from mealshare.features.comments.events import CommentDeleted, Commented, CommentEdited
from mealshare.features.meals.events import MealDeleted, MealEdited, MealPublished, VisibilityChanged
from mealshare.features.meals.models import Mention, Post
from mealshare.features.meals.vocabulary import Visibility
from mealshare.features.notifications.indexing import News, NotificationIndex
from mealshare.features.notifications.models import Notification, NotificationType
from mealshare.features.notifications.queries import CHOICES, SETTINGS
from mealshare.features.reactions.events import Liked, Unliked
from mealshare.features.social.events import Blocked, Followed, FollowRequested, Muted, Unfollowed

LIKE, COMMENT, MENTION = NotificationType.LIKE, NotificationType.COMMENT, NotificationType.MENTION
FOLLOW, FOLLOW_REQUEST, ATE_TOO = NotificationType.FOLLOW, NotificationType.FOLLOW_REQUEST, NotificationType.ATE_TOO
#: A meal that is shown to more people tells those whom it concerns, unless it is older: then it is no news.
NEWS = timedelta(days=7)
#: Read notifications are kept for so long, and go in transactions of so many.
KEPT = timedelta(days=180)
BATCH = 1_000


@dataclass(frozen=True)
class NotificationService:
    """What somebody does with their own notifications."""

    work: Work

    def mark_read(
        self,
        account_id: int,
        *,
        max_id: int | None = None,
        min_id: int | None = None,
        types: Collection[NotificationType] = (),
    ) -> None:
        """Mark as read what is unread: up to ``max_id``, from ``min_id`` (both included), of ``types``; or all."""
        unread = update(Notification).where(
            Notification.account_id == account_id,
            Notification.read_at.is_(None),
            Notification.id <= (MAX_ID if max_id is None else max_id),
            Notification.id >= (min_id or 0),
        )
        if types:
            unread = unread.where(Notification.type.in_([type.value for type in types]))
        self.work.connection.execute(unread.values(read_at=now()))

    def hold_settings(self, account_id: int) -> None:
        """Nobody else changes them before this transaction ends.  Raises NotFound when the account is gone."""
        self._held(account_id)

    def change_settings(self, account_id: int, wanted: Mapping[str, bool]) -> None:
        """From now on the account has notifications of the types that are true; those not named are wanted.

        What is off is neither written down nor shown, nor counted.  Raises NotFound when the account is gone.
        """
        user = self._held(account_id)
        off = {choice.value: False for choice in CHOICES if not wanted.get(choice.value, True)}
        user.settings = {name: value for name, value in user.settings.items() if name != SETTINGS} | (
            {SETTINGS: off} if off else {}
        )
        self.work.session.flush()

    def _held(self, account_id: int) -> User:
        user = self.work.session.get(User, account_id, with_for_update=True)
        if user is None:
            raise NotFound
        return user


def on_liked(work: Work, event: Liked) -> None:
    """Tell the author of a meal or comment that somebody likes it."""
    key = _like_key(event.post_id, event.account_id)
    news = News(LIKE, event.author_id, event.account_id, key, f"like:{event.post_id}", event.post_id)
    NotificationIndex(work).tell([news])


def on_unliked(work: Work, event: Unliked) -> None:
    """Take that back."""
    author = select(Post.account_id).where(Post.id == event.post_id).scalar_subquery()
    NotificationIndex(work).forget_key(author, _like_key(event.post_id, event.account_id))


def on_follow_requested(work: Work, event: FollowRequested) -> None:
    """Tell a person with a locked account who asks."""
    key = f"follow_request:{event.account_id}"
    NotificationIndex(work).tell([News(FOLLOW_REQUEST, event.target_id, event.account_id, key, "follow_request")])


def on_followed(work: Work, event: Followed) -> None:
    """Tell a person of a new follower; a request that was accepted is done."""
    index = NotificationIndex(work)
    index.forget_key(event.target_id, f"follow_request:{event.account_id}")
    key, group = f"follow:{event.account_id}", f"follow:{now().date()}"
    index.tell([News(FOLLOW, event.target_id, event.account_id, key, group)])


def on_unfollowed(work: Work, event: Unfollowed) -> None:
    """Take the follow or the request back, and from the follower what only followers may see."""
    index = NotificationIndex(work)
    kind = "follow_request" if event.requested else "follow"
    index.forget_key(event.target_id, f"{kind}:{event.account_id}")
    if not event.requested:
        index.forget_hidden_between(event.account_id, event.target_id)


def on_blocked(work: Work, event: Blocked) -> None:
    """Neither of the two has anything of the other any more, nor of others at the other's meals."""
    index = NotificationIndex(work)
    for one, other in ((event.account_id, event.target_id), (event.target_id, event.account_id)):
        index.forget(Notification.account_id == one, Notification.from_id == other)
        index.forget_hidden_between(one, other)


def on_muted(work: Work, event: Muted) -> None:
    """The one who muted has nothing of the other any more; so it does not count as unread either."""
    NotificationIndex(work).forget(Notification.account_id == event.account_id, Notification.from_id == event.target_id)


def on_meal_published(work: Work, event: MealPublished) -> None:
    """Tell whoever ate it first, and whoever is named."""
    eaters = [] if event.inspired_by_id is None else _eaters_first(work, (event.meal_id,))
    news = [_ate_too(event.meal_id, event.account_id, *eater) for _id, _account, *eater in eaters]
    NotificationIndex(work).tell([*news, *_mentions(event.meal_id, event.account_id, event.mentioned)])


def on_meal_edited(work: Work, event: MealEdited) -> None:
    """Tell whoever is named now; whoever is not any more was not meant."""
    index = NotificationIndex(work)
    index.forget_unnamed(event.meal_id)
    index.tell(_mentions(event.meal_id, event.account_id, event.mentioned))


def on_visibility_changed(work: Work, event: VisibilityChanged) -> None:
    """Take it from those who may not see the meals any more; tell those who may see a new meal only now."""
    index = NotificationIndex(work)
    if event.after in (Visibility.FOLLOWERS, Visibility.ONLY_ME):
        index.forget_hidden_meals(event.meal_ids)
    since = new_id_at(now() - NEWS)
    recent = [id for id in event.meal_ids if id > since]
    if not recent or event.after == Visibility.ONLY_ME:
        return
    eaters = _eaters_first(work, recent)
    named = work.connection.execute(select(Mention.post_id, Mention.account_id).where(Mention.post_id.in_(recent)))
    news = [_ate_too(id, account, *eater) for id, account, *eater in eaters]
    index.tell([*news, *(item for id, account in named for item in _mentions(id, event.account_id, (account,)))])


def on_meal_deleted(work: Work, event: MealDeleted) -> None:
    """What was about the meal, the comments on it, and who ate it too, goes with it."""
    index = NotificationIndex(work)
    index.forget(Notification.post_id == event.meal_id)
    index.forget_posts(select(Post.id).where(Post.root_id == event.meal_id))
    copies = select(Post.id).where(Post.inspired_by_id == event.meal_id)
    index.forget_posts(copies, Notification.type == ATE_TOO.value)


def on_commented(work: Work, event: Commented) -> None:
    """Tell whoever is named, whoever is answered, and whoever ate the meal: each once."""
    news = _mentions(event.comment_id, event.account_id, event.mentioned)
    news += _comment(event.comment_id, event.meal_id, event.account_id, event.meal_author_id, event.replied_to)
    NotificationIndex(work).tell(news)


def on_comment_edited(work: Work, event: CommentEdited) -> None:
    """Tell whoever is named now; whoever is not any more hears of the comment for another reason, if there is one."""
    index = NotificationIndex(work)
    unnamed = index.forget_unnamed(event.comment_id)
    news = _mentions(event.comment_id, event.account_id, event.mentioned)
    if unnamed:
        comment, meal, answered = aliased(Post), aliased(Post), aliased(Post)
        people = (
            select(meal.account_id, answered.account_id)
            .select_from(comment)
            .join(meal, meal.id == comment.root_id)
            .outerjoin(answered, (answered.id == comment.in_reply_to_id) & (answered.id != meal.id))
            .where(comment.id == event.comment_id)
        )
        for author, replied_to in work.connection.execute(people):
            reasons = _comment(event.comment_id, event.meal_id, event.account_id, author, replied_to)
            news += [item for item in reasons if item.account_id in unnamed]
    index.tell(news)


def on_comment_deleted(work: Work, event: CommentDeleted) -> None:
    """What was about the comment goes with it."""
    NotificationIndex(work).forget(Notification.post_id == event.comment_id)


def sweep(work: Work, moment: datetime, after: int = 0) -> int | None:
    """Delete one batch of what was read and is older than `KEPT`, beginning behind the id ``after``.

    Gives the id behind which the next batch begins, or None when there is none left.
    """
    old = (
        select(Notification.id)
        .where(
            Notification.id > after, Notification.id < new_id_at(moment - KEPT), Notification.read_at.is_not(None)
        )
        .order_by(Notification.id)
        .limit(BATCH)
    )  # fmt: skip
    ids = list(work.connection.scalars(old))
    if ids:
        work.connection.execute(delete(Notification).where(Notification.id.in_(ids)))
    return ids[-1] if len(ids) == BATCH else None


def _like_key(post_id: int, account_id: int) -> str:
    return f"like:{post_id}:{account_id}"


def _post_key(post_id: int) -> str:
    """One for all the reasons that somebody has to hear of a new post."""
    return f"post:{post_id}"


def _eaters_first(work: Work, meal_ids: Collection[int]) -> list[tuple[int, int, int, int]]:
    """Of those meals that somebody "ate too": id and author, and id and author of the meal that was before."""
    origin = aliased(Post)
    found = (
        select(Post.id, Post.account_id, origin.id, origin.account_id)
        .join(origin, origin.id == Post.inspired_by_id)
        .where(Post.id.in_(meal_ids), origin.deleted_at.is_(None))
    )
    return [(row[0], row[1], row[2], row[3]) for row in work.connection.execute(found)]


def _ate_too(meal_id: int, account_id: int, origin_id: int, author_id: int) -> News:
    return News(ATE_TOO, author_id, account_id, _post_key(meal_id), f"ate_too:{origin_id}", meal_id)


def _mentions(post_id: int, account_id: int, mentioned: Collection[int]) -> list[News]:
    key = _post_key(post_id)
    return [News(MENTION, person, account_id, key, f"mention:{post_id}", post_id) for person in mentioned]


def _comment(comment_id: int, meal_id: int, account_id: int, author_id: int, replied_to: int | None) -> list[News]:
    key = _post_key(comment_id)
    answer = [] if replied_to is None else [News(COMMENT, replied_to, account_id, key, f"answer:{meal_id}", comment_id)]
    return [*answer, News(COMMENT, author_id, account_id, key, f"comment:{meal_id}", comment_id)]
