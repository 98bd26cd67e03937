"""The rule book: which permission asks what of the one who asks and of the thing at hand.

Each feature has an enumeration of its permissions and, in ``rules.py``, one predicate for each:
``(identity or None, context) -> True or a Denial``.  A view names a permission; one that names none gets `NOBODY`,
which no rule grants, so a forgotten permission closes a door instead of opening it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pyramid.config import Configurator
from pyramid.security import Allowed, Denied

from mealshare.core.security.identity import AuthMethod, Identity, Role


class Permission(StrEnum):
    """Base of the features' permission enumerations."""


class CorePermission(Permission):
    """What has nothing to do with a feature."""

    #: Anybody may, signed in or not.
    PUBLIC = "public"
    #: Anybody who is signed in.
    SIGNED_IN = "signed_in"
    #: Signed in through the browser: what a token must not do, such as changing the password.
    BROWSER_SESSION = "browser_session"
    MODERATE = "moderate"
    ADMINISTER = "administer"
    #: Nobody may: what a view gets that names no permission.
    NOBODY = "nobody"


class Denial(StrEnum):
    """Why not; the forbidden view answers each in its own way."""

    LOGIN_REQUIRED = "login_required"
    #: The thing is somebody else's, and this person may know that it exists.
    NOT_YOURS = "not_yours"
    ROLE_TOO_LOW = "role_too_low"
    SESSION_REQUIRED = "session_required"
    SCOPE_MISSING = "scope_missing"
    #: Somebody has to sign in for it: a token that was made by hand and lies in a script must not reach that far.
    MADE_BY_HAND = "no_personal_token"
    NO_RULE = "no_rule"


Predicate = Callable[[Identity | None, Any], Denial | None]


class DeniedBecause(Denied):
    """A denial that carries its reason."""

    def __new__(cls, reason: Denial, permission: str) -> DeniedBecause:
        instance: DeniedBecause = Denied.__new__(cls, "%s: %s", permission, str(reason))
        instance.reason = reason
        return instance

    reason: Denial


def public(identity: Identity | None, context: Any) -> Denial | None:
    """Anybody."""
    return None


def signed_in(identity: Identity | None, context: Any) -> Denial | None:
    """Anybody with an account."""
    return Denial.LOGIN_REQUIRED if identity is None else None


def browser_session(identity: Identity | None, context: Any) -> Denial | None:
    """Anybody who signed in with the browser."""
    if identity is None:
        return Denial.LOGIN_REQUIRED
    return None if identity.method is AuthMethod.SESSION else Denial.SESSION_REQUIRED


def role_at_least(role: Role) -> Predicate:
    """A predicate that asks for ``role`` or a higher one."""

    def predicate(identity: Identity | None, context: Any) -> Denial | None:
        if identity is None:
            return Denial.LOGIN_REQUIRED
        return None if identity.role.at_least(role) else Denial.ROLE_TOO_LOW

    return predicate


def owner(identity: Identity | None, context: Any) -> Denial | None:
    """The one to whom the context belongs (``context.account_id``)."""
    if identity is None:
        return Denial.LOGIN_REQUIRED
    return None if identity.account_id == context.account_id else Denial.NOT_YOURS


def owner_or_moderator(identity: Identity | None, context: Any) -> Denial | None:
    """The owner of the context, or one who keeps the site clean."""
    denial = owner(identity, context)
    return None if denial is Denial.NOT_YOURS and identity is not None and identity.is_moderator else denial


def no_personal_token(identity: Identity | None, context: Any) -> Denial | None:
    """Anybody who signed in, be it with a browser or with a program.

    What makes and ends the ways into an account asks this, or a narrow token that leaked could make a wider one of
    itself, and shut its owner's other programs out.
    """
    if identity is None:
        return Denial.LOGIN_REQUIRED
    return Denial.MADE_BY_HAND if identity.personal else None


def both(*predicates: Predicate) -> Predicate:
    """A predicate that asks all of ``predicates``; the first denial counts."""

    def predicate(identity: Identity | None, context: Any) -> Denial | None:
        for single in predicates:
            denial = single(identity, context)
            if denial is not None:
                return denial
        return None

    scopes = {scope_asked(single) for single in predicates} - {None}
    if scopes:
        # A token needs one scope for an operation; two would be a rule that no document could print.
        (vars(predicate)[_SCOPE],) = scopes
    return predicate


#: Where a predicate keeps the scope that it asks of a token.
_SCOPE = "scope"


def asking_scope(scope: str, predicate: Predicate) -> Predicate:
    """``predicate``, which asks a token for ``scope``, with a note of it: the API document prints it."""
    vars(predicate)[_SCOPE] = str(scope)
    return predicate


def scope_asked(predicate: Predicate | None) -> str | None:
    """The scope that the predicate asks of a token; None if it asks for none."""
    return getattr(predicate, _SCOPE, None)


RULES: Mapping[Permission, Predicate] = {
    CorePermission.PUBLIC: public,
    CorePermission.SIGNED_IN: signed_in,
    CorePermission.BROWSER_SESSION: browser_session,
    CorePermission.MODERATE: role_at_least(Role.MODERATOR),
    CorePermission.ADMINISTER: role_at_least(Role.ADMIN),
}


@dataclass(frozen=True)
class RuleBook:
    """All rules of the application."""

    rules: dict[str, Predicate]

    def permits(self, identity: Identity | None, context: Any, permission: str) -> Allowed | DeniedBecause:
        """Ask the rule of ``permission``; without a rule the answer is no."""
        predicate = self.rules.get(permission)
        reason = Denial.NO_RULE if predicate is None else predicate(identity, context)
        return Allowed("%s", permission) if reason is None else DeniedBecause(reason, permission)

    def scope_of(self, permission: str | None) -> str | None:
        """The scope that a token needs for ``permission``; None if any token will do, or nobody asks."""
        return scope_asked(self.rules.get(str(permission)))

    def is_public(self, permission: str) -> bool:
        """Whether anybody may, signed in or not."""
        return self.rules.get(permission) is public


def _add_rules(config: Configurator, rules: Mapping[Permission, Predicate]) -> None:
    """Directive ``config.add_rules(rules)``: a feature adds its page to the rule book; no rule may be replaced."""
    book: RuleBook = config.registry["rules"]
    for permission, predicate in rules.items():
        if permission == CorePermission.NOBODY:
            raise ValueError("nobody's permission takes no rule: views that name no permission rely on it")
        if str(permission) in book.rules:
            raise ValueError(f"the permission {permission} has a rule already")
        book.rules[str(permission)] = predicate


def includeme(config: Configurator) -> None:
    """Open the rule book and close every door that has no rule."""
    config.registry["rules"] = RuleBook({})
    config.add_directive("add_rules", _add_rules, action_wrap=False)
    config.add_rules(RULES)
    config.set_default_permission(CorePermission.NOBODY)
