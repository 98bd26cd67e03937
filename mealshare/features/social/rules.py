"""Who may do what with people."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate, both, owner, public
from mealshare.features.accounts.rules import Scope, with_scope


class SocialPermission(Permission):
    """What can be done with a person; that the person exists for the one who asks was settled by looking them up."""

    #: See who follows a person, and whom they follow.
    LIST = "social:list"
    #: See who asks to follow one, and whom one has blocked or muted.
    LIST_OWN = "social:list_own"
    FOLLOW = "social:follow"
    #: Answer those who ask to follow one.
    ANSWER = "social:answer"
    #: End somebody's following of the context's owner: only oneself.
    REMOVE_FOLLOWER = "social:remove_follower"
    BLOCK = "social:block"
    MUTE = "social:mute"


FOLLOW = with_scope(Scope.FOLLOW)

RULES: Mapping[Permission, Predicate] = {
    SocialPermission.LIST: public,
    SocialPermission.LIST_OWN: with_scope(Scope.READ),
    SocialPermission.FOLLOW: FOLLOW,
    SocialPermission.ANSWER: FOLLOW,
    SocialPermission.REMOVE_FOLLOWER: both(FOLLOW, owner),
    SocialPermission.BLOCK: FOLLOW,
    SocialPermission.MUTE: FOLLOW,
}
