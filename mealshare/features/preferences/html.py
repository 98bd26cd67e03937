"""What a card tells a reader who avoids something, and the page that stands before a meal which is left out of lists.

The notes differ between readers, so they stand outside the kept fragments; the card's row has all that they need.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from babel.lists import format_list
from markupsafe import Markup
from pyramid.renderers import render
from pyramid.request import Request

from mealshare.core.i18n import _
from mealshare.features.meals.cards import Card
from mealshare.features.meals.html import meal_title
from mealshare.features.meals.vocabulary import AvoidMode, Word
from mealshare.web.ui import Ui

CONTAINS = _("Contains ${allergens}, which you avoid.")
NOT_DECLARED = _("Not declared: ${items}")
#: Between two of several things.
BETWEEN = _(", ")
NOTE = Markup('<p class="caution{}">{}<span>{}</span></p>')
#: What asks for the page of a meal that is left out of lists.
ANYWAY = "show"


def caution_note(ui: Ui, card: Card) -> str:
    """What is in the meal that this reader avoids, and what it says nothing about; nothing above one's own meals."""
    if not (card.avoid or card.keep) or _own(ui, card):
        return ""
    notes = ""
    if card.avoided:
        notes = NOTE.format(" caution--contains", ui.icon("triangle-alert"), contains(ui, card))
    silent = (*card.undeclared, *card.undeclared_diets)
    if silent:
        notes += NOTE.format("", ui.icon("info"), ui.t(NOT_DECLARED, items=ui.t(BETWEEN).join(_labels(ui, silent))))
    return notes


def contains(ui: Ui, card: Card) -> str:
    """The sentence that warns of what is declared to be in the meal."""
    return ui.t(CONTAINS, allergens=_enumeration(_labels(ui, card.avoided), ui.locale))


def caution_gate(request: Request, card: Card) -> str:
    """What stands before a meal that its reader wants left out, until they ask for it anyway."""
    ui = Ui.of(request)
    if not kept_back(ui, card) or request.GET.get(ANYWAY) == "1":
        return ""
    values = {"title": meal_title(card, ui), "warning": contains(ui, card), "anyway": meal_path(ui, card)}
    return str(render("mealshare.features.preferences:templates/gate.pt", values, request=request))


def kept_back(ui: Ui, card: Card) -> bool:
    """Whether this reader wants the meal left out of lists for what is declared to be in it."""
    return card.avoid_mode == AvoidMode.HIDE and bool(card.avoided) and not _own(ui, card)


def meal_path(ui: Ui, card: Card) -> str:
    """The address at which this reader sees the meal itself, and not the page before it."""
    path = f"/@{card.username}/{card.id}"
    return f"{path}?{ANYWAY}=1" if kept_back(ui, card) else path


def _own(ui: Ui, card: Card) -> bool:
    return ui.identity is not None and ui.identity.account_id == card.account_id


def _labels(ui: Ui, words: Iterable[Word]) -> tuple[str, ...]:
    # Within a sentence, where no language of the site writes such a word with a capital.
    return tuple(ui.t(word.label).lower() for word in words)


@lru_cache(maxsize=1024)
def _enumeration(labels: tuple[str, ...], locale: str) -> str:
    """The labels with an "and" before the last: looking up the pattern costs more than all else of a note."""
    return format_list(labels, locale=locale)
