"""Who may do what with meals."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate, both, owner, owner_or_moderator, public
from mealshare.features.accounts.rules import Scope, with_scope


class MealPermission(Permission):
    """What can be done with meals; that one may see the meal at all was settled when it was looked up."""

    LIST = "meals:list"
    VIEW = "meals:view"
    #: See what one ate oneself, private meals included.
    LIST_OWN = "meals:list_own"
    POST = "meals:post"
    #: Post under the name in the address: only oneself.
    POST_AS = "meals:post_as"
    EDIT = "meals:edit"
    #: Change who may see many of one's own meals.
    CHANGE_VISIBILITY = "meals:change_visibility"
    DELETE = "meals:delete"


WRITE = with_scope(Scope.WRITE)

RULES: Mapping[Permission, Predicate] = {
    MealPermission.LIST: public,
    MealPermission.VIEW: public,
    MealPermission.LIST_OWN: with_scope(Scope.READ),
    MealPermission.POST: WRITE,
    MealPermission.POST_AS: both(WRITE, owner),
    MealPermission.EDIT: both(WRITE, owner),
    MealPermission.CHANGE_VISIBILITY: WRITE,
    MealPermission.DELETE: both(WRITE, owner_or_moderator),
}
