"""The "Yum!" button below a card."""

from __future__ import annotations

from markupsafe import escape

from mealshare.core.i18n import _
from mealshare.features.meals.queries import Card
from mealshare.web.ui import Ui

YUM = _("Yum!")
# Written without a template engine: it stands twenty times on a page and would be its dearest part.
FORM = (
    '<form id="like-%(id)d" method="post" action="/@%(user)s/%(id)d/like"%(htmx)s>'
    '<input type="hidden" name="csrf_token" value="%(csrf)s"><input type="hidden" name="next" value="%(next)s">%(undo)s'
    '<button class="action" id="yum-%(id)d" type="submit" aria-pressed="%(pressed)s">'
    "%(icon)s%(label)s <span>%(count)d</span></button></form>"
)
# Only for those who are signed in: a visitor is sent to the login page, which cannot take the place of a card.
# The new button is taken from the meal's own page: on the page that the button stands on, the meal may have moved on.
HTMX = (
    ' hx-post="/@%(user)s/%(id)d/like" hx-vals=\'{"next": "/@%(user)s/%(id)d"}\''
    ' hx-target="this" hx-select="#like-%(id)d" hx-swap="outerHTML ignoreTitle:true"'
)
UNDO = '<input type="hidden" name="undo" value="1">'


def like_action(ui: Ui, card: Card) -> str:
    """The form with the button, for this reader; a visitor's press leads to the login page."""
    liked, names = card.liked, {"user": card.username, "id": card.id}
    return FORM % {
        **names,
        "htmx": HTMX % names if ui.identity is not None else "",
        "csrf": ui.csrf_token,
        "next": ui.escaped_path,
        "undo": UNDO if liked else "",
        "pressed": "true" if liked else "false",
        "icon": ui.icon("heart"),
        "label": escape(ui.t(YUM)),
        "count": card.likes_count,
    }
