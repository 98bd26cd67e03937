"""Every write between people; doing one twice is doing it once.

Whatever changes a follow or a block first locks the rows of both accounts, the one with the smaller id first.  So two
such changes between the same two people happen one after the other, each sees what the other has done, and the counts
on the accounts are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mealshare.core.clock import now
from mealshare.core.errors import Conflict, NotFound
from mealshare.core.ids import new_id
from mealshare.core.work import Work
from mealshare.features.accounts.models import Account
from mealshare.features.social.events import Blocked, Followed, FollowRequested, Muted, Unblocked, Unfollowed, Unmuted
from mealshare.features.social.models import Block, Follow, FollowState, Mute


@dataclass(frozen=True)
class FollowService:
    """Follows, asks to, answers, and ends it; from either side."""

    work: Work

    def follow(self, account_id: int, target_id: int) -> FollowState:
        """The account follows ``target_id`` from now on, or asks to where that one is locked; gives which of the two.

        Asking again after the account was unlocked is following.  Raises Conflict ``oneself``; NotFound when the person
        has gone since, or a block stands between the two.
        """
        _not_oneself(account_id, target_id)
        session = self.work.session
        target = _lock_both(session, account_id, target_id)[target_id]
        if session.scalar(select(Block.id).where(_between(Block, account_id, target_id)).limit(1)) is not None:
            raise NotFound
        state = session.scalar(select(Follow.state).where(*_row(Follow, account_id, target_id)))
        if state == FollowState.ACCEPTED or (state is not None and target.locked):
            return FollowState(state)
        if state is not None:
            self._accept(account_id, target_id)
            return FollowState.ACCEPTED
        wanted = FollowState.REQUESTED if target.locked else FollowState.ACCEPTED
        session.add(Follow(account_id=account_id, target_id=target_id, state=wanted))
        session.flush()
        if wanted is FollowState.ACCEPTED:
            _count_follow(session, account_id, target_id, 1)
            self.work.publish(Followed(account_id, target_id))
        else:
            self.work.publish(FollowRequested(account_id, target_id))
        return wanted

    def unfollow(self, account_id: int, target_id: int) -> None:
        """The account does not follow ``target_id`` any more, nor asks to; no harm if it never did."""
        _lock_both(self.work.session, account_id, target_id)
        _end_follows(self.work, *_row(Follow, account_id, target_id))

    def remove_follower(self, account_id: int, follower_id: int) -> None:
        """``follower_id`` does not follow the account any more; a request that waits goes on waiting."""
        _lock_both(self.work.session, account_id, follower_id)
        _end_follows(self.work, *_row(Follow, follower_id, account_id), Follow.state == FollowState.ACCEPTED)

    def accept(self, account_id: int, follower_id: int) -> None:
        """Let ``follower_id``, who has asked for it, follow the account; NotFound if they do not (or no longer) ask."""
        session = self.work.session
        _lock_both(session, account_id, follower_id)
        state = session.scalar(select(Follow.state).where(*_row(Follow, follower_id, account_id)))
        if state is None:
            raise NotFound
        if state == FollowState.REQUESTED:
            self._accept(follower_id, account_id)

    def reject(self, account_id: int, follower_id: int) -> None:
        """Take the request of ``follower_id`` to follow the account away; no harm if there is none."""
        _lock_both(self.work.session, account_id, follower_id)
        _end_follows(self.work, *_row(Follow, follower_id, account_id), Follow.state == FollowState.REQUESTED)

    def _accept(self, account_id: int, target_id: int) -> None:
        session = self.work.session
        session.execute(update(Follow).where(*_row(Follow, account_id, target_id)).values(state=FollowState.ACCEPTED))
        _count_follow(session, account_id, target_id, 1)
        self.work.publish(Followed(account_id, target_id, requested=True))


@dataclass(frozen=True)
class BlockService:
    """Blocks people, and takes it back."""

    work: Work

    def block(self, account_id: int, target_id: int) -> None:
        """Neither of the two sees the other from now on; follows and requests between them end.

        Raises Conflict ``oneself``, and NotFound when the person has gone since.
        """
        _not_oneself(account_id, target_id)
        session = self.work.session
        _lock_both(session, account_id, target_id)
        added = _insert_ignoring(session, Block, {"account_id": account_id, "target_id": target_id})
        _end_follows(self.work, _between(Follow, account_id, target_id))
        if added:
            self.work.publish(Blocked(account_id, target_id))

    def unblock(self, account_id: int, target_id: int) -> None:
        """Take the account's block back, if there is one; what it has ended does not begin again by itself."""
        session = self.work.session
        _lock_both(session, account_id, target_id)
        gone = delete(Block).where(*_row(Block, account_id, target_id)).returning(Block.id)
        if session.scalars(gone).all():
            self.work.publish(Unblocked(account_id, target_id))


@dataclass(frozen=True)
class MuteService:
    """Mutes people, and takes it back; nobody else notices, and nothing is counted."""

    work: Work

    def mute(self, account_id: int, target_id: int, until: datetime | None = None) -> None:
        """The account does not come across ``target_id`` any more, until the moment ``until`` if one is given.

        Where there is a mute already, its end becomes this one.  Raises Conflict ``oneself``.
        """
        _not_oneself(account_id, target_id)
        session = self.work.session
        session.execute(delete(Mute).where(*_row(Mute, account_id, target_id), Mute.until <= now()))
        if _insert_ignoring(session, Mute, {"account_id": account_id, "target_id": target_id, "until": until}):
            self.work.publish(Muted(account_id, target_id))
        else:
            session.execute(update(Mute).where(*_row(Mute, account_id, target_id)).values(until=until))

    def unmute(self, account_id: int, target_id: int) -> None:
        """Take the mute back; no harm if there is none."""
        gone = delete(Mute).where(*_row(Mute, account_id, target_id)).returning(Mute.id)
        if self.work.session.scalars(gone).all():
            self.work.publish(Unmuted(account_id, target_id))


def sweep_mutes(work: Work) -> int:
    """Delete the mutes that have ended; gives how many.  Nobody notices: a mute that has ended is none already."""
    return len(work.session.scalars(delete(Mute).where(Mute.until <= now()).returning(Mute.id)).all())


def _not_oneself(account_id: int, target_id: int) -> None:
    if account_id == target_id:
        raise Conflict("oneself")


def _lock_both(session: Session, one: int, other: int) -> dict[int, Any]:
    """Both accounts, locked until the end of the transaction; NotFound if one is gone.

    In one order everywhere, so that two transactions never wait for each other in a circle.
    """
    statement = (
        select(Account.id, Account.locked)
        .where(Account.id.in_([one, other]), Account.suspended_at.is_(None))
        .order_by(Account.id)
        .with_for_update(key_share=True)
    )
    found: dict[int, Any] = {row.id: row for row in session.execute(statement).all()}
    if found.keys() != {one, other}:
        raise NotFound
    return found


def _row(model: Any, account_id: int, target_id: int) -> Sequence[ColumnElement[bool]]:
    return (model.account_id == account_id, model.target_id == target_id)


def _between(model: Any, one: int, other: int) -> ColumnElement[bool]:
    """The rows between two accounts, in either direction."""
    return or_(and_(*_row(model, one, other)), and_(*_row(model, other, one)))


def _insert_ignoring(session: Session, model: type[Block | Mute], values: dict[str, Any]) -> bool:
    """Whether the row was really added: False where there is one already."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    row = {"id": new_id(), "created_at": now(), **values}
    insert = dialect.insert(model).values(row).on_conflict_do_nothing(index_elements=["account_id", "target_id"])
    return bool(session.scalars(insert.returning(model.id)).all())


def _end_follows(work: Work, *conditions: ColumnElement[bool]) -> None:
    """Delete the follows and requests for which ``conditions`` hold, and count and tell each that really was there."""
    gone = delete(Follow).where(*conditions).returning(Follow.account_id, Follow.target_id, Follow.state)
    for account_id, target_id, state in work.session.execute(gone).all():
        accepted = state == FollowState.ACCEPTED
        if accepted:
            _count_follow(work.session, account_id, target_id, -1)
        work.publish(Unfollowed(account_id, target_id, requested=not accepted))


def _count_follow(session: Session, account_id: int, target_id: int, change: int) -> None:
    """Keep the counts of both sides; their rows are locked."""
    follower, followed = update(Account).where(Account.id == account_id), update(Account).where(Account.id == target_id)
    session.execute(follower.values(following_count=Account.following_count + change))
    session.execute(followed.values(followers_count=Account.followers_count + change))
