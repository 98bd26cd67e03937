"""From an address to what stands between two people."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.features.accounts.resources import PersonContext, Users, UsersWhateverBlocks, viewer_of
from mealshare.features.social.queries import may_block

__all__ = ["FollowerContext", "FollowersOfPerson", "PersonContext", "UsersToBlock", "viewer_of"]


class UsersToBlock(UsersWhateverBlocks):
    """Everybody whom the viewer may block, or has blocked: blocking twice and unblocking are possible, and no more."""

    def _find(self, username: str) -> PersonContext | None:
        person = super()._find(username)
        if person is None or not may_block(self.request.conn, viewer_of(self.request), person.account_id):
            return None
        return person


@dataclass(frozen=True)
class FollowerContext:
    """``person`` among the followers of the account ``account_id``, whether they follow it or not."""

    account_id: int
    person: PersonContext


class FollowersOfPerson:
    """``/api/users/{username}/followers/{follower}``."""

    def __init__(self, request: Request) -> None:
        self.users = Users(request)

    def __getitem__(self, username: str) -> _Followers:
        return _Followers(self.users, self.users[username])


@dataclass(frozen=True)
class _Followers:
    users: Users
    owner: PersonContext

    def __getitem__(self, username: str) -> FollowerContext:
        return FollowerContext(self.owner.account_id, self.users[username])
