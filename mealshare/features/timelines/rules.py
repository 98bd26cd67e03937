"""Who may read home feeds: each their own."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate
from mealshare.features.accounts.rules import Scope, with_scope


class TimelinePermission(Permission):
    """What can be done with timelines; those that are for everybody ask for what meals ask for."""

    #: Read one's own home feed; nobody reads another's.
    HOME = "timelines:home"


RULES: Mapping[Permission, Predicate] = {TimelinePermission.HOME: with_scope(Scope.READ)}
