"""What reactions add to a card: the buttons below it, the meal that inspired it; and below its page, who ate it too."""

from __future__ import annotations

from markupsafe import Markup, escape
from pyramid.renderers import render
from pyramid.request import Request

from mealshare.core.db import Window
from mealshare.core.i18n import _
from mealshare.features.meals.cards import Card
from mealshare.features.meals.resources import viewer_of
from mealshare.features.meals.vocabulary import MealType
from mealshare.features.preferences.html import meal_path
from mealshare.features.reactions.queries import ATE_TOO
from mealshare.web.ui import Ui

YUM = _("Yum!")
WANT = _("Want to eat")
ATE_TOO_LABEL = _("I ate this too")
AGAIN = _("I ate this again")
DONE = _("(you have)")
INSPIRED = _("Inspired by @${username}’s ${food}")
INSPIRED_BY_PHOTO = _("Inspired by a meal of @${username}")
EATEN_AGAIN = _("Eaten again: ${food}")
EATEN_AGAIN_PHOTO = _("Eaten again")
#: How many of those who ate it too are shown on the meal's page.
FEW = 10
# Written without a template engine: they stand twenty times on a page and would be its dearest part.
FORM = (
    '<form id="%(word)s-%(id)d" method="post" action="/@%(user)s/%(id)d/%(word)s"%(htmx)s>'
    '<input type="hidden" name="csrf_token" value="%(csrf)s"><input type="hidden" name="next" value="%(next)s">%(undo)s'
    '<button class="action" id="%(button)s-%(id)d" type="submit" aria-pressed="%(pressed)s">'
    '%(icon)s<span class="action__label">%(label)s</span>%(count)s</button></form>'
)
# Only for those who are signed in: a visitor is sent to the login page, which cannot take the place of a card.
# The new button is taken from the meal's own page: on the page that the button stands on, the meal may have moved on.
HTMX = (
    ' hx-post="/@%(user)s/%(id)d/%(word)s" hx-vals=\'{"next": "%(page)s"}\''
    ' hx-target="this" hx-select="#%(word)s-%(id)d" hx-swap="outerHTML ignoreTitle:true"'
)
UNDO = '<input type="hidden" name="undo" value="1">'
COUNT = " <span>%d</span>"
LINK = '<a class="action%s" href="/new?inspired_by=%d" rel="nofollow">%s<span class="action__label">%s</span>%s</a>'
HIDDEN = '<span class="visually-hidden"> %s</span>'
ORIGIN = Markup('<p class="origin">{}<a dir="auto" href="/@{}/{}">{}</a></p>')


def like_action(ui: Ui, card: Card) -> str:
    """The form with the button "Yum!", for this reader; a visitor's press leads to the login page."""
    return _button(ui, card, "like", "yum", pressed=card.liked, icon="heart", label=YUM, count=_count(card.likes_count))


def want_action(ui: Ui, card: Card) -> str:
    """The form with the button that puts the meal on the reader's private list."""
    return _button(ui, card, "want", "bookmark", pressed=card.wanted, icon="bookmark", label=WANT)


def ate_too_action(ui: Ui, card: Card) -> str:
    """The link to a compose box that has the food in it already; for visitors as well."""
    own = ui.identity is not None and ui.identity.account_id == card.account_id
    label = escape(ui.t(AGAIN if own else ATE_TOO_LABEL))
    # A link cannot be pressed; that it was is said in words to those who do not see its colour.
    state, done = (" action--done", HIDDEN % escape(ui.t(DONE))) if card.ate_too else ("", "")
    return LINK % (state, card.id, ui.icon("utensils"), label, _count(card.ate_too_count) + done)


def origin_note(ui: Ui, card: Card) -> str:
    """Which meal made its author eat this, where the reader may see that one."""
    origin = card.origin
    if origin is None:
        return ""
    again, food = origin["username"] == card.username, origin["food"]
    if again:
        words = ui.t(EATEN_AGAIN, food=food) if food else ui.t(EATEN_AGAIN_PHOTO)
    else:
        message = INSPIRED if food else INSPIRED_BY_PHOTO
        words = ui.t(message, username=origin["username"], food=food)
    return ORIGIN.format(ui.icon("utensils"), origin["username"], origin["id"], words)


def ate_too_panel(request: Request, card: Card) -> str:
    """Some of those who ate it too, below the meal on its page; nothing while nobody has whom the reader may see."""
    page = ATE_TOO.page(request.conn, Window(limit=FEW), viewer_of(request), original=card.id)
    if not page.items:
        return ""
    path = f"/@{card.username}/{card.id}/ate-too"
    values = {"cards": page.items, "more": page.next_max_id is not None, "path": path, "MealType": MealType}
    return str(render("mealshare.features.reactions:templates/ate_too_panel.pt", values, request=request))


def _count(number: int) -> str:
    """The number behind a button's word; a nought says nothing and is left out."""
    return COUNT % number if number else ""


def _button(
    ui: Ui, card: Card, word: str, button: str, *, pressed: bool, icon: str, label: str, count: str = ""
) -> str:
    names = {"user": card.username, "id": card.id, "word": word, "page": meal_path(ui, card)}
    return FORM % {
        **names,
        "button": button,
        "htmx": HTMX % names if ui.identity is not None else "",
        "csrf": ui.csrf_token,
        "next": ui.escaped_path,
        "undo": UNDO if pressed else "",
        "pressed": "true" if pressed else "false",
        "icon": ui.icon(icon),
        "label": escape(ui.t(label)),
        "count": count,
    }
