"""Who asks: a frozen value, never a database object, so that it outlives the transaction (error pages need it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Role(StrEnum):
    """What a person may do in general; each role may do all that the ones before it may."""

    GUEST = "guest"
    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for a guest up to 3 for an administrator."""
        return _RANK[self]

    def at_least(self, other: Role) -> bool:
        """True when this role may do what ``other`` may."""
        return self.rank >= other.rank


_RANK = {role: rank for rank, role in enumerate(Role)}


class AuthMethod(StrEnum):
    """How the request proved who it comes from."""

    SESSION = "session"
    BEARER = "bearer"


@dataclass(frozen=True)
class Identity:
    """An authenticated person, as one statement at the start of the request read them."""

    account_id: int
    username: str
    role: Role
    method: AuthMethod
    #: The row of the session, of the grant behind the access token, or of the personal token.
    session_id: int
    display_name: str = ""
    avatar_key: str | None = None
    locale: str | None = None
    time_zone: str = "UTC"
    #: What the token may be used for: never more than the person may at this moment.
    scopes: frozenset[str] = frozenset()
    #: What features read along with the person (`config.add_identity_column`); of a browser's session only.
    more: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    #: True for a token that the person made by hand, and that no sign-in stands behind.
    personal: bool = False

    @property
    def is_moderator(self) -> bool:
        """True for moderators and administrators."""
        return self.role.at_least(Role.MODERATOR)
