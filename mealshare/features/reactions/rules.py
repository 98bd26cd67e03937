"""Who may react."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate
from mealshare.features.accounts.rules import Scope, with_scope


class ReactionPermission(Permission):
    """What can be done with a meal that one may see."""

    LIKE = "reactions:like"
    WANT = "reactions:want"
    #: See one's own list of what one wants to eat; nobody sees another's.
    LIST_WANTS = "reactions:list_wants"
    #: Post a meal as one that was eaten too.
    ATE_TOO = "reactions:ate_too"


RULES: Mapping[Permission, Predicate] = {
    ReactionPermission.LIKE: with_scope(Scope.WRITE),
    ReactionPermission.WANT: with_scope(Scope.WRITE),
    ReactionPermission.LIST_WANTS: with_scope(Scope.READ),
    ReactionPermission.ATE_TOO: with_scope(Scope.WRITE),
}
