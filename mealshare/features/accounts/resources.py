"""From an address to a person."""

from __future__ import annotations

import re

from pyramid.request import Request

from mealshare.features.accounts.queries import PersonContext, person_by_username

__all__ = ["PersonContext", "Users"]

#: What a username can be made of; anything else is not even looked for (a NUL byte could not be).
_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")


class Users:
    """All people of this site by username, without regard to case; one statement each."""

    __parent__ = None
    __name__ = ""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, username: str) -> PersonContext:
        """The person; KeyError, which becomes 404, where there is none or a suspended one."""
        person = person_by_username(self.request.conn, username) if _NAME.fullmatch(username) else None
        if person is None:
            raise KeyError(username)
        return person
