"""Who may see and change what somebody avoids: only they themselves."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate
from mealshare.features.accounts.rules import Scope, with_scope


class PreferencePermission(Permission):
    """What can be done with one's own preferences; nobody else's can be named at all."""

    READ = "preferences:read"
    WRITE = "preferences:write"


RULES: Mapping[Permission, Predicate] = {
    PreferencePermission.READ: with_scope(Scope.READ),
    PreferencePermission.WRITE: with_scope(Scope.WRITE),
}
