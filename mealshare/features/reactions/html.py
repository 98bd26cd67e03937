"""The "Yum!" button below a card."""

from __future__ import annotations

from markupsafe import Markup

from mealshare.core.i18n import _
from mealshare.features.meals.queries import Card
from mealshare.web.ui import Ui

YUM = _("Yum!")
FORM = Markup(
    '<form method="post" action="/@{user}/{id}/like" hx-post="/@{user}/{id}/like"'
    ' hx-target="#meal-{id}" hx-select="#meal-{id}" hx-swap="outerHTML">'
    '<input type="hidden" name="csrf_token" value="{csrf}"><input type="hidden" name="next" value="{next}">{undo}'
    '<button class="action" type="submit" aria-pressed="{pressed}">{icon}{label} <span>{count}</span></button></form>'
)
UNDO = Markup('<input type="hidden" name="undo" value="1">')


def like_action(ui: Ui, card: Card) -> str:
    """The form with the button, for this reader; a visitor's press leads to the login page."""
    return FORM.format(
        user=card.username,
        id=card.id,
        csrf=ui.csrf(),
        next=ui.path,
        undo=UNDO if card.liked else "",
        pressed="true" if card.liked else "false",
        icon=ui.icon("heart"),
        label=ui.t(YUM),
        count=card.likes_count,
    )
