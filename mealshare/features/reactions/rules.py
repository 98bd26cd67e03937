"""Who may react."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate
from mealshare.features.accounts.rules import Scope, with_scope


class ReactionPermission(Permission):
    """What can be done with a meal that one may see."""

    LIKE = "reactions:like"


RULES: Mapping[Permission, Predicate] = {ReactionPermission.LIKE: with_scope(Scope.WRITE)}
