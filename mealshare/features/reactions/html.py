"""The "Yum!" button below a card."""

from __future__ import annotations

from markupsafe import escape

from mealshare.core.i18n import _
from mealshare.features.meals.queries import Card
from mealshare.web.ui import Ui

YUM = _("Yum!")
# Written without a template engine: it stands twenty times on a page and would be its dearest part.
FORM = (
    '<form method="post" action="/@%(user)s/%(id)d/like" hx-post="/@%(user)s/%(id)d/like"'
    ' hx-target="#meal-%(id)d" hx-select="#meal-%(id)d" hx-swap="outerHTML">'
    '<input type="hidden" name="csrf_token" value="%(csrf)s"><input type="hidden" name="next" value="%(next)s">%(undo)s'
    '<button class="action" type="submit" aria-pressed="%(pressed)s">'
    "%(icon)s%(label)s <span>%(count)d</span></button></form>"
)
UNDO = '<input type="hidden" name="undo" value="1">'


def like_action(ui: Ui, card: Card) -> str:
    """The form with the button, for this reader; a visitor's press leads to the login page."""
    liked = card.liked
    return FORM % {
        "user": card.username,
        "id": card.id,
        "csrf": ui.csrf_token,
        "next": ui.escaped_path,
        "undo": UNDO if liked else "",
        "pressed": "true" if liked else "false",
        "icon": ui.icon("heart"),
        "label": escape(ui.t(YUM)),
        "count": card.likes_count,
    }
