"""The page of the rule book about accounts."""

from __future__ import annotations

import pytest

from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.permissions import Denial
from mealshare.features.accounts.rules import RULES, AccountPermission, Scope, scopes_for


def identity(method: AuthMethod, *scopes: str) -> Identity:
    """Somebody."""
    return Identity(1, "ada", Role.USER, method, 2, scopes=frozenset(scopes))


@pytest.mark.parametrize(
    ("who", "read", "edit"),
    [
        (None, Denial.LOGIN_REQUIRED, Denial.LOGIN_REQUIRED),
        (identity(AuthMethod.SESSION), None, None),
        (identity(AuthMethod.BEARER), Denial.SCOPE_MISSING, Denial.SCOPE_MISSING),
        (identity(AuthMethod.BEARER, "read"), None, Denial.SCOPE_MISSING),
        (identity(AuthMethod.BEARER, "write"), Denial.SCOPE_MISSING, None),
        (identity(AuthMethod.BEARER, "read", "write"), None, None),
        (identity(AuthMethod.BEARER, "admin:write", "follow"), Denial.SCOPE_MISSING, Denial.SCOPE_MISSING),
    ],
)
def test_a_token_may_what_its_scopes_say(who: Identity | None, read: Denial | None, edit: Denial | None) -> None:
    assert RULES[AccountPermission.READ_OWN_PROFILE](who, None) == read
    assert RULES[AccountPermission.EDIT_OWN_PROFILE](who, None) == edit


def test_every_permission_has_a_rule() -> None:
    assert set(RULES) == set(AccountPermission)


@pytest.mark.parametrize("role", list(Role))
def test_only_those_who_keep_the_site_get_its_scopes(role: Role) -> None:
    admin = {Scope.ADMIN_READ, Scope.ADMIN_WRITE} & set(scopes_for(role))
    assert bool(admin) is (role in (Role.MODERATOR, Role.ADMIN))
    assert {Scope.READ, Scope.WRITE} <= set(scopes_for(role))
