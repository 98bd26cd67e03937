"""The names of form fields, for the summary of errors that stands above a form, away from its fields."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.i18n import _

LABELS: Mapping[str, str] = {
    "username": _("Username"),
    "email": _("E-mail"),
    "password": _("Password"),
    "login": _("Username or e-mail"),
    "current_password": _("Current password"),
    "new_password": _("New password"),
    "again": _("New password, again"),
    "display_name": _("Display name"),
    "bio": _("About you"),
    "locale": _("Language"),
    "time_zone": _("Time zone"),
    "name": _("Name of the token"),
    "scopes": _("What it may do"),
    "days": _("When it ends"),
}

#: What a token with a scope may do: in a word, and in a sentence.
SCOPES: Mapping[str, tuple[str, str]] = {
    "read": (_("Read"), _("See what you see: meals that not everybody may see, your diary, your notifications, your profile.")),
    "write": (_("Write"), _("Post, change and delete meals and comments, react to others, change your profile and settings.")),
    "follow": (_("People"), _("Follow, mute and block people, and answer those who ask to follow you.")),
    "media": (_("Pictures"), _("Upload pictures, and see, describe and delete those that you uploaded.")),
    "admin:read": (_("Moderation: read"), _("See what moderators see.")),
    "admin:write": (_("Moderation: act"), _("Do what moderators do.")),
}  # fmt: skip
