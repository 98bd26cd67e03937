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
}
