"""The compose form: between what a browser posts and a `MealInput`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup
from pyramid.renderers import render
from pyramid.request import Request
from sqlalchemy import Connection

from mealshare.core.dates import parse_local, to_local, valid_zone, zone_choices
from mealshare.core.errors import FieldError
from mealshare.core.i18n import _
from mealshare.core.ids import parse_id
from mealshare.core.markup import trusted
from mealshare.core.settings import settings_of
from mealshare.features.meals.cards import Card
from mealshare.features.meals.queries import card_by_id
from mealshare.features.meals.schemas import MealInput, as_copy, as_input
from mealshare.features.meals.vocabulary import Allergen, Diet, MealType, Source, Visibility
from mealshare.features.media import MediaSettings
from mealshare.features.media.urls import media_out
from mealshare.web.forms import Form
from mealshare.web.ui import Ui

VOCABULARY = SimpleNamespace(MealType=MealType, Diet=Diet, Allergen=Allergen, Source=Source, Visibility=Visibility)
ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/avif,image/heic,.heic"
LISTS = ("diets", "contains", "free_from", "media_id", "media_remove")
#: What goes from the form into the meal as it is.
PLAIN = ("food", "note", "meal_type", "visibility", "source", "spoiler_text", "recipe_url", "diets")
#: Stands for the token while the box is kept.
CSRF_MARK = "__csrf_token__"
SUBMIT = _("I ate this!")
SAVE = _("Save")
#: What <input type="datetime-local"> shows.
LOCAL_TIME = "%Y-%m-%dT%H:%M"
_BETWEEN_TAGS = re.compile(r"[\s,，、;；]+")


def new_form(request: Request) -> Form[MealInput]:
    """An empty compose box."""
    return Form(request, MealInput, {"visibility": Visibility.PUBLIC})


def inspired_form(request: Request, original: Card) -> Form[MealInput]:
    """The compose box for "I ate this too": what the food is stands in it already."""
    form, copied = new_form(request), as_copy(original)
    allergens, tags = copied.pop("allergens"), " ".join(copied.pop("tags"))
    form.values |= {**copied, **allergens, "tags": tags, "inspired_by": str(original.id)}
    return form


def original_of(connection: Connection, id: Any, viewer: int) -> Card | None:
    """The meal that somebody says to have eaten too, by its id as a form has it; None where they may see none."""
    try:
        return card_by_id(connection, parse_id(id), viewer)
    except ValueError:
        return None


def edit_form(request: Request, card: Card) -> Form[MealInput]:
    """The compose box with everything that the meal says."""
    values: dict[str, Any] = as_input(card)
    values |= {
        "eaten_at": to_local(card.eaten_at, card.time_zone).strftime(LOCAL_TIME),
        "place": card.place_name or "",
        "tags": " ".join(values["tags"]),
        "contains": values["allergens"]["contains"],
        "free_from": values["allergens"]["free_from"],
        "version": card.version,
        "zone": card.time_zone,
        "_media": [media_out(item, "") for item in card.media],
    }
    return Form(request, MealInput, {name: "" if value is None else value for name, value in values.items()})


def compose_values(
    request: Request, form: Form[MealInput], action: str, submit: str = SUBMIT, original: Card | None = None
) -> dict[str, Any]:
    """What the compose template needs; ``original`` is the meal that was eaten too."""
    settings = settings_of(request.registry, MediaSettings)
    limits = SimpleNamespace(
        per_post=settings.per_post, max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, accept=ACCEPT
    )
    return {
        "form": form,
        "limits": limits,
        "vocabulary": VOCABULARY,
        "action": action,
        "submit": request.translate(submit),
        "original": original,
        "zones": zone_options(request.locale_name, form.value("zone")),
        "csrf": Ui.of(request).csrf(),
    }


def empty_box(request: Request) -> Markup:
    """The empty compose box as HTML: rendered once for each language, and for whether the reader has an account."""
    ui = Ui.of(request)
    fragments, key = request.registry["fragments"], ("compose", ui.locale, ui.identity is None)
    parts: list[Markup] | None = fragments.get(key)
    if parts is None:
        values = compose_values(request, new_form(request), "/new") | {"csrf": CSRF_MARK}
        box = trusted(render("mealshare.features.meals:templates/compose.pt", values, request=request))
        parts = box.split(CSRF_MARK)
        fragments.put(key, parts, 4 * len(box))
    return ui.csrf().join(parts)


def fill_time(form: Form[MealInput], local: Any) -> None:
    """Put the time that a link names into the box (a day of the diary has such links); what is no time is left out."""
    try:
        parse_local(local, "UTC")
    except (TypeError, ValueError):
        return
    form.values["eaten_at"] = local


def zone_options(locale: str, chosen: Any) -> Markup:
    """The time zones to choose from, as options of a list."""
    return _zone_options(locale, chosen if valid_zone(chosen) else "")


@lru_cache(maxsize=64)
def _zone_options(locale: str, chosen: str) -> Markup:
    # Four hundred: too many to be written anew for each page.
    option, group = Markup('<option value="{}"{}>{}</option>'), Markup('<optgroup label="{}">{}</optgroup>')
    marks = {chosen: Markup(' selected="selected"')}
    return Markup().join(
        group.format(label, Markup().join(option.format(zone, marks.get(zone, ""), name) for zone, name in zones))
        for label, zones in zone_choices(locale, chosen)
    )


def meal_data(form: Form[MealInput], *, card: Card | None = None) -> dict[str, Any]:
    """The posted form as data for `MealInput`, without its pictures; what cannot be read becomes an error of the form.

    A meal is in the time zone that was chosen from the list; without a choice, in that of the browser, if it tells one,
    or of the account, and an edited one keeps its own.
    """
    form.values["sensitive"] = form.values["comments_closed"] = ""
    form.read(lists=LISTS)
    values = form.values
    data = {name: values[name] for name in PLAIN if values.get(name)}
    data["sensitive"] = bool(values.get("sensitive"))
    data["comments_closed"] = bool(values.get("comments_closed"))
    data["tags"] = [tag for tag in _BETWEEN_TAGS.split(str(values.get("tags", ""))) if tag]
    data["allergens"] = {name: values.get(name, []) for name in ("contains", "free_from")}
    zone = _zone(form, card)
    if zone:
        data["time_zone"] = zone
    if values.get("eaten_at"):
        try:
            data["eaten_at"] = parse_local(values["eaten_at"], zone or "UTC")
        except ValueError:
            form.fail(FieldError("eaten_at", "bad_datetime"))
    if values.get("place"):
        data["place"] = {"name": values["place"]}
    if card is not None:
        _keep(data, card)
    return data


def _zone(form: Form[MealInput], card: Card | None) -> str | None:
    for posted in (form.values.get("zone"), card.time_zone if card else form.values.get("time_zone")):
        if isinstance(posted, str) and valid_zone(posted):
            return posted
    identity = form.request.identity
    return identity.time_zone if identity else None


def _keep(data: dict[str, Any], card: Card) -> None:
    """What the form does not show must survive an edit: the place's city, the seconds, the language."""
    before = as_input(card)
    data["language"] = card.language
    if data.get("place") and card.place_name == data["place"]["name"]:
        data["place"] = before["place"]
    # Compared as the form showed it: of an hour that came twice it cannot tell which one was meant.
    shown = to_local(card.eaten_at, card.time_zone).strftime(LOCAL_TIME)
    if data.get("time_zone") == card.time_zone and data.get("eaten_at") == parse_local(shown, card.time_zone):
        data["eaten_at"] = card.eaten_at


@dataclass(frozen=True)
class Kept:
    """A picture that the form keeps: its place among all pictures (1 is the first), its id and its description."""

    place: int
    id: str
    description: str


def kept_media(form: Form[MealInput], known: Sequence[Mapping[str, Any]]) -> list[Kept]:
    """The pictures of ``known`` (rows with an id) that the form keeps, in its order, as it describes them."""
    posted = form.request.POST
    ids, removed, rows = (
        form.values.get("media_id", []),
        set(form.values.get("media_remove", [])),
        {str(row["id"]) for row in known},
    )
    # A part of the form may be a file where text is expected.
    texts, places = (
        [text if isinstance(text, str) else "" for text in posted.getall(name)]
        for name in ("media_alt", "media_position")
    )
    kept = []
    for index, id in enumerate(ids):
        if id in rows and id not in removed:
            place = places[index] if index < len(places) else ""
            number = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else index + 1
            kept.append(Kept(number, id, texts[index] if index < len(texts) else ""))
    return sorted(kept, key=lambda item: item.place)


def in_order(kept: Sequence[Kept], added: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pictures of the meal: kept ones at their places, the uploaded ones, in their order, where there is room."""
    waiting = [{"id": str(row["id"]), "description": row["description"]} for row in added]
    ordered: list[dict[str, Any]] = []
    for item in kept:
        while waiting and len(ordered) + 1 < item.place:
            ordered.append(waiting.pop(0))
        ordered.append({"id": item.id, "description": item.description})
    return ordered + waiting
