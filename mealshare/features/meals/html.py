"""Cards as HTML: one rendered fragment for each version and language, with the live parts filled in for each reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import getsizeof
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup
from pyramid.config import Configurator
from pyramid.renderers import render
from pyramid.request import Request

from mealshare.core.db import Page
from mealshare.core.i18n import _
from mealshare.core.markup import trusted
from mealshare.features.meals.cards import Card
from mealshare.features.meals.places import place_path
from mealshare.features.meals.vocabulary import MealType, Source, Visibility
from mealshare.features.media.urls import media_out, srcset
from mealshare.web.paging import older_address
from mealshare.web.ui import Ui

#: Where the fragment is cut.  People's words cannot contain it: they are escaped or sanitised.
LIVE = "<!--live-->"
#: In place of what the forms of a page hold; no address and no word of somebody's can contain these either.
_CSRF, _PATH = Markup("<!--csrf-->"), Markup("<!--path-->")
#: Finished cards that are kept of each meal and language at most.
STANCES = 8
VISIBILITY_ICONS = {
    Visibility.PUBLIC: "globe",
    Visibility.UNLISTED: "volume-1",
    Visibility.FOLLOWERS: "users",
    Visibility.ONLY_ME: "lock",
}

SENSITIVE = _("photos that not everybody wants to see")
TITLE = _("${who}: ${food}")
PLACE = _("${name}, ${city}")
EDIT = _("Edit")
DELETE = _("Delete")

CardAction = Callable[[Ui, Card], str]
MealPanel = Callable[[Request, Card], str]


def add_card_action(config: Configurator, action: CardAction) -> None:
    """Directive ``config.add_card_action(action)``: ``action(ui, card)`` gives HTML for the row below each card.

    What it gives is kept: it may depend on the language, on what the card says, and on what is in `_stance`, and has
    ``ui.csrf_token`` and ``ui.escaped_path`` (which are marks then) as they are.
    """
    config.registry["card_actions"].append(action)


def add_card_note(config: Configurator, note: CardAction) -> None:
    """Directive ``config.add_card_note(note)``: ``note(ui, card)`` gives HTML for this reader above a card's words.

    It is kept as an action is.
    """
    config.registry["card_notes"].append(note)


def add_meal_panel(config: Configurator, panel: MealPanel, *, order: int = 100) -> None:
    """Directive ``config.add_meal_panel(panel)``: ``panel(request, card)`` gives HTML for below a meal on its page."""
    panels = config.registry["meal_panels"]
    panels.append((order, panel))
    panels.sort(key=lambda item: item[0])


def add_meal_head(config: Configurator, head: MealPanel) -> None:
    """Directive ``config.add_meal_head(head)``: ``head(request, card)`` gives elements for the <head> of its page."""
    config.registry["meal_heads"].append(head)


def add_meal_gate(config: Configurator, gate: MealPanel) -> None:
    """Directive ``config.add_meal_gate(gate)``: what ``gate(request, card)`` gives is shown instead of the meal.

    "" lets the reader through.
    """
    config.registry["meal_gates"].append(gate)


def card_values(card: Card, ui: Ui) -> dict[str, Any]:
    """What the templates of a meal need beside the card itself."""
    photos = [media_out(item, "") for item in card.media]
    meal_type = MealType(card.meal_type)
    visibility = Visibility(card.visibility)
    return {
        "card": card,
        "ui": ui,
        "photos": photos,
        "srcset": srcset,
        "ready": [photo for photo in photos if photo.state == "ready"],
        "hidden": bool(card.spoiler_text or (card.sensitive and photos)),
        "warning": card.spoiler_text or ui.t(SENSITIVE),
        "food": card.food or ui.t(meal_type.label),
        "meal_type": meal_type,
        "visibility": visibility,
        "visibility_icon": VISIBILITY_ICONS[visibility],
        "source": Source(card.source) if card.source else None,
        "where": _where(card, ui),
        "place_path": place_path(card.place_name) if card.place_name else None,
        "recipe_host": recipe_host(card.recipe_url),
        "contained": card.allergens_contained,
        "free_from": card.allergens_free_from,
        "diets": card.diets,
    }


def _where(card: Card, ui: Ui) -> str:
    if card.place_name and card.place_city:
        return ui.t(PLACE, name=card.place_name, city=card.place_city)
    return card.place_name or card.place_city or ""


def recipe_host(url: str | None) -> str:
    """The site that a recipe is on, or the whole address where none can be read from it: a page must not fail over it."""
    try:
        return urlsplit(url or "").hostname or url or ""
    except ValueError:
        return url or ""


def meal_title(card: Card, ui: Ui) -> str:
    """What a page about the meal is called."""
    return ui.t(
        TITLE,
        who=card.display_name or card.username,
        food=card.food or ui.t(MealType(card.meal_type).label),
    )


class CardHtml:
    """A meal's card in one language: rendered once, and finished once for each way in which it stands to readers.

    How it stands is in `_stance`.  A finished card is a format string: ``when`` (how long ago it was eaten), ``csrf`` and
    ``path`` (where its buttons lead back to) are filled in for each reader.
    """

    __slots__ = ("_finished", "_parts")

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = parts
        self._finished: dict[tuple[Any, ...], str] = {}

    def finished(self, card: Card, ui: Ui, account_id: int | None) -> str:
        """The format string for the reader ``account_id``."""
        stance = _stance(card, account_id)
        form = self._finished.get(stance)
        if form is None:
            form = self._finish(card, ui.marked(_CSRF, _PATH))
            if len(self._finished) >= STANCES:
                # Numbers have moved on; who counts with them will be here again.
                self._finished = {}
            else:
                card.words.grew(getsizeof(form))
            self._finished[stance] = form
        return form

    def _finish(self, card: Card, ui: Ui) -> str:
        before, above, below, after = self._parts
        text = "".join((before, LIVE, above, card_notes(ui, card), below, card_actions(ui, card), after))
        form = text.replace("%", "%%")
        for mark, name in ((LIVE, "when"), (_CSRF, "csrf"), (_PATH, "path")):
            form = form.replace(mark, f"%({name})s")
        return form


def _stance(card: Card, account_id: int | None) -> tuple[Any, ...]:
    """All that a finished card depends on beside the meal's words and the language."""
    origin = card.origin
    return (
        account_id is not None,
        account_id == card.account_id,
        card.likes_count,
        card.comments_count,
        card.ate_too_count,
        card.like_id is not None,
        card.want_id is not None,
        card.ate_too_id is not None,
        card.avoid_mode,
        card.avoid,
        card.keep,
        None if origin is None else (origin["id"], origin["username"], origin["food"]),
    )


def render_cards(request: Request, cards: Sequence[Card]) -> list[Markup]:
    """Each card as HTML for this reader."""
    ui = Ui.of(request)
    locale, identity = ui.locale, ui.identity
    account_id = None if identity is None else identity.account_id
    values = {"csrf": ui.csrf_token, "path": ui.escaped_path} if cards else {}
    rendered = []
    for card in cards:
        html: CardHtml | None = card.words.html.get(locale)
        if html is None:
            html = card.words.html[locale] = _render(request, card, ui)
        form = html.finished(card, ui, account_id)
        # Of templates, and of buttons and notes that escape what they hold.
        rendered.append(trusted(form % {**values, "when": ui.relative(card.eaten_at)}))
    return rendered


def _render(request: Request, card: Card, ui: Ui) -> CardHtml:
    text = render("mealshare.features.meals:templates/card.pt", card_values(card, ui), request=request)
    card.words.grew(getsizeof(text))
    return CardHtml(text.split(LIVE))


def card_notes(ui: Ui, card: Card) -> str:
    """What this reader is told before the meal's words."""
    return "".join([note(ui, card) for note in ui.registry["card_notes"]])


def card_actions(ui: Ui, card: Card) -> str:
    """What the reader can do with the meal; the eater's own links stand at the end of the row."""
    return "".join([*(action(ui, card) for action in ui.registry["card_actions"]), own_action(ui, card)])


def own_action(ui: Ui, card: Card) -> str:
    """The links to edit and to delete one's own meal."""
    identity = ui.identity
    if identity is None or identity.account_id != card.account_id:
        return ""
    path = f"/@{card.username}/{card.id}"
    return Markup(
        '<span class="actions__end"><a class="action" href="{}/edit">{}<span class="action__label">{}</span></a>'
        '<a class="action" href="{}/delete">{}<span class="action__label">{}</span></a></span>'
    ).format(path, ui.icon("pencil"), ui.t(EDIT), path, ui.icon("trash-2"), ui.t(DELETE))


def feed_values(request: Request, page: Page[Card]) -> dict[str, Any]:
    """What ``feed.pt`` needs to show a page of meals: the cards, and the address of older ones, filters kept."""
    return {
        "cards": render_cards(request, page.items),
        "older": older_address(request, page.next_max_id),
        "first": "max_id" not in request.GET,
    }
