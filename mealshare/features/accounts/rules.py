"""Who may do what with accounts: pure functions of the one who asks and of the thing at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.permissions import (
    Denial,
    Permission,
    Predicate,
    asking_scope,
    both,
    no_personal_token,
)


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
    #: See one's personal tokens; what they are is shown once, to whoever made them.
    LIST_TOKENS = "accounts:list_tokens"
    #: Make and revoke them.
    CHANGE_TOKENS = "accounts:change_tokens"
    #: See which browsers and programs are signed in.
    LIST_DEVICES = "accounts:list_devices"
    #: Sign them out.
    END_DEVICES = "accounts:end_devices"
    #: Change what one signs in with: the password, by giving the current one.
    CHANGE_SIGN_IN = "accounts:change_sign_in"


def with_scope(scope: Scope) -> Predicate:
    """A predicate that asks for somebody signed in and, of a token, for ``scope``; a session may do everything."""

    def predicate(identity: Identity | None, context: Any) -> Denial | None:
        if identity is None:
            return Denial.LOGIN_REQUIRED
        if identity.method is AuthMethod.BEARER and scope not in identity.scopes:
            return Denial.SCOPE_MISSING
        return None

    return asking_scope(scope, predicate)


#: What shows something to whoever asks; what the others do is told in the answer to having done it.
SEEING = frozenset({Scope.READ, Scope.MEDIA, Scope.ADMIN_READ})


def scopes_for(role: Role) -> tuple[Scope, ...]:
    """What a program may do for somebody who gave it name and password: all that the person may."""
    own = (Scope.READ, Scope.WRITE, Scope.FOLLOW, Scope.MEDIA)
    return (*own, Scope.ADMIN_READ, Scope.ADMIN_WRITE) if role.at_least(Role.MODERATOR) else own


_SCOPES = {role: frozenset(map(str, scopes_for(role))) for role in Role}


def scopes_now(stored: str, role: Role) -> frozenset[str]:
    """What is left of the scopes that a token was given (with spaces between), for somebody who has ``role`` now."""
    return _SCOPES[role].intersection(stored.split())


def in_order(scopes: Iterable[str]) -> tuple[Scope, ...]:
    """Scopes in the order in which they are always written, each once."""
    wanted = set(scopes)
    return tuple(scope for scope in Scope if scope in wanted)


def _signed_in_with(scope: Scope) -> Predicate:
    return both(no_personal_token, with_scope(scope))


RULES: Mapping[Permission, Predicate] = {
    AccountPermission.READ_OWN_PROFILE: with_scope(Scope.READ),
    AccountPermission.EDIT_OWN_PROFILE: with_scope(Scope.WRITE),
    AccountPermission.LIST_TOKENS: _signed_in_with(Scope.READ),
    AccountPermission.CHANGE_TOKENS: _signed_in_with(Scope.WRITE),
    AccountPermission.LIST_DEVICES: _signed_in_with(Scope.READ),
    AccountPermission.END_DEVICES: _signed_in_with(Scope.WRITE),
    AccountPermission.CHANGE_SIGN_IN: _signed_in_with(Scope.WRITE),
}
