"""Words of the page for developers: what scopes and limits are about."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.i18n import _
from mealshare.features.accounts.rules import Scope

SCOPES: Mapping[Scope, str] = {
    Scope.READ: _("See what you see: followers' meals, your own lists, settings and notifications."),
    Scope.WRITE: _("Post, change and delete meals and comments, like, want, and change your profile."),
    Scope.FOLLOW: _("Follow, block and mute people, and answer those who ask to follow you."),
    Scope.MEDIA: _("Upload, describe and delete pictures."),
    Scope.ADMIN_READ: _("See what moderators see; for moderators only."),
    Scope.ADMIN_WRITE: _("Do what moderators do; for moderators only."),
}
#: By the names of the settings ``ratelimit.*``.
LIMITS: Mapping[str, str] = {
    "api": _("All requests of one account, or of one address without an account"),
    "write": _("Of these, what changes something"),
    "search": _("Of these, searches and completions"),
    "batch": _("Of these, batches; what is in them counts as well"),
    "stream": _("Of these, streams that are opened"),
    "upload": _("Uploads of one account"),
    "comment": _("Comments of one account, and changes of them"),
    "address": _("All accounts from one address together"),
    "login_account": _("Attempts to log in to one account from one address"),
    "login_address": _("Attempts to log in from one address"),
    "login_all": _("Attempts to log in, of everybody together"),
    "signup": _("Registrations from one address"),
    "reset": _("Mails to set a new password, for one account"),
}
