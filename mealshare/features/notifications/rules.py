"""Who may read and settle notifications: each their own."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate
from mealshare.features.accounts.rules import Scope, with_scope


class NotificationPermission(Permission):
    """What can be done with one's own notifications."""

    READ = "notifications:read"
    #: Mark them as read, and choose which ones come at all.
    CHANGE = "notifications:change"


RULES: Mapping[Permission, Predicate] = {
    NotificationPermission.READ: with_scope(Scope.READ),
    NotificationPermission.CHANGE: with_scope(Scope.WRITE),
}
