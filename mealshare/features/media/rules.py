"""Who may do what with pictures."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate, both, owner
from mealshare.features.accounts.rules import Scope, with_scope


class MediaPermission(Permission):
    """What can be done with pictures.  Who may look at one is asked where it is looked up: the others get 404."""

    UPLOAD = "media:upload"
    #: See how far one's own picture is.
    VIEW = "media:view"
    EDIT = "media:edit"
    #: Change one's own avatar over the API.
    EDIT_AVATAR = "media:edit_avatar"


_media_scope = with_scope(Scope.MEDIA)


#: The one to whom the picture belongs; a token needs the scope.
own_picture = both(_media_scope, owner)


RULES: Mapping[Permission, Predicate] = {
    MediaPermission.UPLOAD: _media_scope,
    MediaPermission.VIEW: own_picture,
    MediaPermission.EDIT: own_picture,
    MediaPermission.EDIT_AVATAR: with_scope(Scope.WRITE),
}
