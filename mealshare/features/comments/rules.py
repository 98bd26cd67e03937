"""Who may do what with comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mealshare.core.security.identity import Identity
from mealshare.core.security.permissions import Denial, Permission, Predicate, both, owner, owner_or_moderator, public
from mealshare.features.accounts.rules import Scope, with_scope


class CommentPermission(Permission):
    """What can be done with comments; that one may see the meal was settled when it, or the comment, was looked up."""

    #: Read the comments on a meal.
    LIST = "comments:list"
    VIEW = "comments:view"
    #: Write one, on a meal.
    POST = "comments:post"
    EDIT = "comments:edit"
    DELETE = "comments:delete"
    LIKE = "comments:like"
    #: Close the comments on one's own meal, and open them again.
    CLOSE = "comments:close"


def may_delete(identity: Identity | None, comment: Any) -> Denial | None:
    """Who wrote it, who ate the meal (``comment.meal_account_id``), and who keeps the site clean."""
    if identity is not None and identity.account_id == comment.meal_account_id:
        return None
    return owner_or_moderator(identity, comment)


WRITE = with_scope(Scope.WRITE)

RULES: Mapping[Permission, Predicate] = {
    CommentPermission.LIST: public,
    CommentPermission.VIEW: public,
    CommentPermission.POST: WRITE,
    CommentPermission.EDIT: both(WRITE, owner),
    CommentPermission.DELETE: both(WRITE, may_delete),
    CommentPermission.LIKE: WRITE,
    CommentPermission.CLOSE: both(WRITE, owner),
}
