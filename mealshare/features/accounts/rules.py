"""Who may do what with accounts: pure functions of the one who asks and of the thing at hand."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.permissions import Denial, Permission, Predicate


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    WRITE = "write"
    FOLLOW = "follow"
    MEDIA = "media"
    ADMIN_READ = "admin:read"
    ADMIN_WRITE = "admin:write"


class AccountPermission(Permission):
    """What can be done with an account."""

    #: See one's own profile, the e-mail address included.
    READ_OWN_PROFILE = "accounts:read_own_profile"
    #: Change one's own profile.
    EDIT_OWN_PROFILE = "accounts:edit_own_profile"


def with_scope(scope: Scope) -> Predicate:
    """A predicate that asks for somebody signed in and, of a token, for ``scope``; a session may do everything."""

    def predicate(identity: Identity | None, context: Any) -> Denial | None:
        if identity is None:
            return Denial.LOGIN_REQUIRED
        if identity.method is AuthMethod.BEARER and scope not in identity.scopes:
            return Denial.SCOPE_MISSING
        return None

    return predicate


def scopes_for(role: Role) -> tuple[Scope, ...]:
    """What a program may do for somebody who gave it name and password: all that the person may."""
    own = (Scope.READ, Scope.WRITE, Scope.FOLLOW, Scope.MEDIA)
    return (*own, Scope.ADMIN_READ, Scope.ADMIN_WRITE) if role.at_least(Role.MODERATOR) else own


RULES: Mapping[Permission, Predicate] = {
    AccountPermission.READ_OWN_PROFILE: with_scope(Scope.READ),
    AccountPermission.EDIT_OWN_PROFILE: with_scope(Scope.WRITE),
}
