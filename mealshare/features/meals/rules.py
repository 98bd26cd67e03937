"""Who may do what with meals."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate, owner, owner_or_moderator, public, signed_in


class MealPermission(Permission):
    """What can be done with meals; that one may see the meal at all was settled when it was looked up."""

    LIST = "meals:list"
    VIEW = "meals:view"
    POST = "meals:post"
    #: Post under the name in the address: only oneself.
    POST_AS = "meals:post_as"
    EDIT = "meals:edit"
    DELETE = "meals:delete"


RULES: Mapping[Permission, Predicate] = {
    MealPermission.LIST: public,
    MealPermission.VIEW: public,
    MealPermission.POST: signed_in,
    MealPermission.POST_AS: owner,
    MealPermission.EDIT: owner,
    MealPermission.DELETE: owner_or_moderator,
}
