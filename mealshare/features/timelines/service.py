"""Every write to home feeds; each is harmless when it is done twice.

A follower either has entries, written when a meal is published, or a row of `TimelinePull`, and then the author's meals
are looked up at reading.  Which of the two an author's followers get stands in the author's own row of `TimelinePull`,
written and deleted under a lock of the author's account.

An unfollow deletes the follow first and the entries then.  What writes entries first takes a share of the rows of the
follows: so either the unfollow waits and then finds the entries, or the follow is gone and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, insert, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mealshare.core.work import Work
from mealshare.features.accounts.models import Account
from mealshare.features.meals.cards import IS_MEAL
from mealshare.features.meals.events import MealDeleted, MealPublished, VisibilityChanged
from mealshare.features.meals.models import Post
from mealshare.features.meals.vocabulary import Visibility
from mealshare.features.social.events import Blocked, Followed, Unfollowed
from mealshare.features.social.models import Follow, FollowState
from mealshare.features.timelines.models import TimelineEntry, TimelinePull

#: The jobs.
FAN_OUT, WITHDRAW, BACK_FILL, SETTLE = (f"timelines.{job}" for job in ("fan_out", "withdraw", "back_fill", "settle"))
#: How many of an author's newest meals a new follower finds in the home feed.
BACK_FILLED = 200
#: How many followers one transaction looks at, and how many rows it writes: on SQLite nobody else writes meanwhile.
FOLLOWERS, ROWS = 500, 2_000

_ENTRY = ("account_id", "post_id", "author_id")
_SHOWN = (IS_MEAL, Post.deleted_at.is_(None), Post.visibility != Visibility.ONLY_ME)


# --- In the transaction of what happened ---


def meal_published(work: Work, event: MealPublished) -> None:
    """A new meal stands in its author's own home feed at once, and in those of the followers soon."""
    row = {"account_id": event.account_id, "post_id": event.meal_id, "author_id": event.account_id}
    work.session.execute(insert(TimelineEntry), row)
    if event.visibility != Visibility.ONLY_ME:
        work.enqueue(FAN_OUT, {"author_id": event.account_id, "meal_ids": [event.meal_id]})


def visibility_changed(work: Work, event: VisibilityChanged) -> None:
    """Meals that only their author may see need no place in other home feeds; whoever reads one asks by itself."""
    if Visibility.ONLY_ME in (event.before, event.after):
        job = WITHDRAW if event.after == Visibility.ONLY_ME else FAN_OUT
        work.enqueue(job, {"author_id": event.account_id, "meal_ids": list(event.meal_ids)})


def meal_deleted(work: Work, event: MealDeleted) -> None:
    """A deleted meal leaves all home feeds."""
    own = delete(TimelineEntry).where(
        TimelineEntry.account_id == event.account_id, TimelineEntry.post_id == event.meal_id
    )
    work.session.execute(own)
    work.enqueue(WITHDRAW, {"author_id": event.account_id, "meal_ids": [event.meal_id]})


def followed(work: Work, event: Followed) -> None:
    """Whoever follows somebody soon finds their newest meals at home."""
    work.enqueue(BACK_FILL, {"account_id": event.account_id, "author_id": event.target_id})


def unfollowed(work: Work, event: Unfollowed) -> None:
    """Whom one does not follow any more is not at home any more."""
    if not event.requested:
        _take_out(work, event.account_id, event.target_id)


def blocked(work: Work, event: Blocked) -> None:
    """Neither of the two is in the other's home feed any more."""
    _take_out(work, event.account_id, event.target_id)
    _take_out(work, event.target_id, event.account_id)


def _take_out(work: Work, account_id: int, author_id: int) -> None:
    session = work.session
    entries = delete(TimelineEntry).where(TimelineEntry.author_id == author_id, TimelineEntry.account_id == account_id)
    session.execute(entries)
    pull = delete(TimelinePull).where(TimelinePull.account_id == account_id, TimelinePull.author_id == author_id)
    if session.scalars(pull.returning(TimelinePull.author_id)).all():
        # Perhaps there are few enough by now.
        work.enqueue(SETTLE, {"author_id": author_id}, key=f"{SETTLE}:{author_id}")


# --- In the transactions of jobs ---


@dataclass(frozen=True)
class TimelineService:
    """What the jobs do, one transaction at a time."""

    work: Work
    pull_above: int

    def settle(self, author_id: int) -> bool:
        """Decide whether the author is pulled, by how many follow; gives what holds from now on.

        Where that is a change, a job goes through the followers that there are.
        """
        session = self.work.session
        count = session.scalar(
            select(Account.followers_count).where(Account.id == author_id).with_for_update(key_share=True)
        )
        pulled = _is_pulled(session, author_id)
        if count is None or pulled == self._wanted(count, pulled):
            return pulled
        if pulled:
            session.execute(delete(TimelinePull).where(*_own_row(author_id)))
        else:
            session.execute(insert(TimelinePull), {"account_id": author_id, "author_id": author_id})
        self.work.enqueue(SETTLE, {"author_id": author_id}, key=f"{SETTLE}:{author_id}")
        return not pulled

    def _wanted(self, followers: int, pulled: bool) -> bool:
        # Between the two bounds all stays as it is: it would be a lot of work for one who comes and goes.
        return 2 * followers >= self.pull_above if pulled else followers > self.pull_above

    def fan_out(self, author_id: int, meal_ids: Sequence[int], after: int) -> int | None:
        """Write the meals for the next followers behind the follow ``after``; gives the last of them, None at the end.

        Not for those who look the author up; and not what by now only the author may see, or nobody.
        """
        follows = self._next_follows(author_id, after, _batch(len(meal_ids)))
        if not follows:
            return None
        session = self.work.session
        pulls = exists().where(TimelinePull.account_id == Follow.account_id, TimelinePull.author_id == Follow.target_id)
        rows = (
            select(Follow.account_id, Post.id, Post.account_id)
            .join(Post, Post.account_id == Follow.target_id)
            # Asked in a statement after the locks: it sees what those had to wait for.
            .where(Follow.id.in_(follows), Post.id.in_(meal_ids), *_SHOWN, ~pulls)
        )
        _insert_ignoring(session, TimelineEntry, _ENTRY, rows)
        return follows[-1]

    def withdraw(self, author_id: int, meal_ids: Sequence[int], after: int) -> int | None:
        """Take the meals out for the next followers, if they still are hidden; gives the last follow, None at the end."""
        session = self.work.session
        # Whoever wants to show them again waits, so that what is written after that stays.
        hidden = (
            select(Post.id)
            .where(
                Post.id.in_(meal_ids),
                Post.account_id == author_id,
                or_(Post.deleted_at.is_not(None), Post.visibility == Visibility.ONLY_ME),
            )
            .order_by(Post.id)
            .with_for_update(read=True)
        )
        gone = session.scalars(hidden).all()
        follows = self._next_follows(author_id, after, _batch(len(meal_ids))) if gone else []
        if not follows:
            return None
        followers = select(Follow.account_id).where(Follow.id.in_(follows))
        entries = delete(TimelineEntry).where(TimelineEntry.account_id.in_(followers), TimelineEntry.post_id.in_(gone))
        session.execute(entries)
        return follows[-1]

    def back_fill(self, account_id: int, author_id: int) -> None:
        """Bring the author's newest meals into the follower's home feed; nothing if they do not follow any more."""
        session = self.work.session
        # First the account, as whoever follows or unfollows does; and the decision about the author stays as it is.
        session.execute(select(Account.id).where(Account.id == author_id).with_for_update(read=True))
        follow = select(Follow.id).where(
            Follow.account_id == account_id, Follow.target_id == author_id, Follow.state == FollowState.ACCEPTED
        )
        follow_id = session.scalar(follow.with_for_update(read=True))
        if follow_id is None:
            return
        if _is_pulled(session, author_id):
            self._look_up([follow_id])
        else:
            self._write_newest([account_id], author_id)

    def turn(self, author_id: int, after: int) -> int | None:
        """Bring the next followers into the state that the author is in; gives where it is, None at the end."""
        session = self.work.session
        session.execute(select(Account.id).where(Account.id == author_id).with_for_update(read=True))
        return (self._pull if _is_pulled(session, author_id) else self._push)(author_id, after)

    def _pull(self, author_id: int, after: int) -> int | None:
        """The next followers look the author up from now on; the entries that they have may stay."""
        follows = self._next_follows(author_id, after, FOLLOWERS)
        if not follows:
            return None
        self._look_up(follows)
        return follows[-1]

    def _push(self, author_id: int, after: int) -> int | None:
        """The author's meals are written for the next followers from now on, the newest at once."""
        session = self.work.session
        pulls = (
            select(TimelinePull.account_id)
            .where(TimelinePull.author_id == author_id)
            .order_by(TimelinePull.account_id)
            .limit(ROWS // BACK_FILLED)
        )
        accounts = session.scalars(pulls).all()
        if not accounts:
            return None
        # For an update: whoever writes a new meal for them waits, and then finds that they do not look it up any more.
        mine = (Follow.target_id == author_id, Follow.account_id.in_(accounts), Follow.state == FollowState.ACCEPTED)
        locked = select(Follow.account_id).where(*mine).order_by(Follow.id).with_for_update()
        self._write_newest(session.scalars(locked).all(), author_id)
        session.execute(
            delete(TimelinePull).where(TimelinePull.author_id == author_id, TimelinePull.account_id.in_(accounts))
        )
        return after

    def _write_newest(self, accounts: Collection[int], author_id: int) -> None:
        newest = (
            select(Post.id, Post.account_id)
            .where(Post.account_id == author_id, *_SHOWN)
            .order_by(Post.id.desc())
            .limit(BACK_FILLED)
            .subquery()
        )
        everywhere = Account.__table__.join(newest, true())
        rows = select(Account.id, newest.c.id, newest.c.account_id).select_from(everywhere)
        _insert_ignoring(self.work.session, TimelineEntry, _ENTRY, rows.where(Account.id.in_(accounts)))

    def _look_up(self, follows: Sequence[int]) -> None:
        """The followers look up at reading whom they follow."""
        rows = select(Follow.account_id, Follow.target_id).where(Follow.id.in_(follows))
        _insert_ignoring(self.work.session, TimelinePull, ("account_id", "author_id"), rows)

    def _next_follows(self, author_id: int, after: int, most: int) -> Sequence[int]:
        """The ids of the next follows of the author, of which this transaction takes a share."""
        following = (
            select(Follow.id)
            .where(Follow.target_id == author_id, Follow.state == FollowState.ACCEPTED, Follow.id > after)
            .order_by(Follow.id)
            .limit(most)
            .with_for_update(read=True)
        )
        return self.work.session.scalars(following).all()


def _batch(meals: int) -> int:
    return max(1, min(FOLLOWERS, ROWS // max(1, meals)))


def _own_row(author_id: int) -> Sequence[Any]:
    return (TimelinePull.account_id == author_id, TimelinePull.author_id == author_id)


def _is_pulled(session: Session, author_id: int) -> bool:
    return session.scalar(select(TimelinePull.author_id).where(*_own_row(author_id))) is not None


def _insert_ignoring(session: Session, model: Any, columns: Sequence[str], rows: Any) -> None:
    """Add ``rows`` where there is none yet."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(model).from_select(list(columns), rows).on_conflict_do_nothing())
