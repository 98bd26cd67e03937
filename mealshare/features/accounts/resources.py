"""From an address to a person."""

from __future__ import annotations

import re

from pyramid.request import Request

from mealshare.core.security.identity import Identity
from mealshare.features.accounts.queries import PersonContext, person_behind_block, person_by_username
from mealshare.features.accounts.visibility import ANONYMOUS

__all__ = ["PersonContext", "Users", "UsersWhateverBlocks", "viewer_of"]

#: What a username can be made of; anything else is not even looked for (a NUL byte could not be).
_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")


def viewer_of(request: Request) -> int:
    """The account id of the one who looks, or `ANONYMOUS`."""
    identity: Identity | None = request.identity
    return ANONYMOUS if identity is None else identity.account_id


class Users:
    """All people of this site by username, without regard to case; one statement each."""

    __parent__ = None
    __name__ = ""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, username: str) -> PersonContext:
        """The person; KeyError, which becomes 404, where there is none that exists for the viewer."""
        person = self._find(username) if _NAME.fullmatch(username) else None
        if person is None:
            raise KeyError(username)
        return person

    def _find(self, username: str) -> PersonContext | None:
        return person_by_username(self.request.conn, username, viewer_of(self.request))


class UsersWhateverBlocks(Users):
    """The same for those who are signed in, people behind a block included: for taking a block back."""

    def _find(self, username: str) -> PersonContext | None:
        return person_behind_block(self.request.conn, username, viewer_of(self.request))
