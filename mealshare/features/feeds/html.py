"""What stands in the <head> of pages for the rest of the internet: feeds, previews of links, and what a meal is."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
from markupsafe import Markup
from pyramid.renderers import render
from pyramid.request import Request

from mealshare.core.dates import rfc3339
from mealshare.core.markup import trusted
from mealshare.features.feeds.factory import EATING, Teller, first_words
from mealshare.features.feeds.schemas import Picture, Preview
from mealshare.features.feeds.vocabulary import ATOM, JSON_FEED, OEMBED, RESTRICTED_DIETS
from mealshare.features.meals.cards import Card
from mealshare.features.meals.vocabulary import Visibility
from mealshare.features.media.urls import avatar_url

HEAD = "mealshare.features.feeds:templates/head.pt"
#: Who gets a preview when somebody passes the link on; and what machines may list.
OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)
#: What would end the element, begin a comment in it, or be a line end in an older JavaScript.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def front_head(request: Request) -> dict[str, Any]:
    """For the front page."""
    teller = Teller(request.registry, request.locale_name)
    words = request.translate(EATING)
    preview = Preview("website", teller.site, words, f"{teller.base_url}/", _icon(teller))
    return _values(teller, preview, "/feed", teller.site)


def person_head(request: Request) -> dict[str, Any]:
    """For a person's page."""
    teller, person = Teller(request.registry, request.locale_name), request.context
    name = person.display_name or person.username
    title = f"{name} (@{person.username})"
    avatar = avatar_url(teller.base_url, person.avatar_key)
    picture = Picture(avatar, "image/webp", None, None, None, name) if avatar else _icon(teller)
    preview = Preview("profile", title, first_words(person.bio), person.url, picture)
    return _values(teller, preview, f"/@{person.username}/feed", title)


def tag_head(request: Request) -> dict[str, Any]:
    """For a tag's page."""
    teller, tag = Teller(request.registry, request.locale_name), request.context.tag
    path, title = f"/tags/{quote(tag.name, safe='')}", f"#{tag.display}"
    words = request.translate(EATING)
    preview = Preview("website", title, words, f"{teller.base_url}{path}", _icon(teller))
    return _values(teller, preview, f"{path}/feed", title)


def meal_head(request: Request, card: Card) -> str:
    """For a meal's page: its author's feed; a preview if everybody may see it; what it is if it may be listed.

    A quiet meal has a preview, for its link is there to be passed on, but machines are given nothing to list.
    """
    teller = Teller(request.registry, request.locale_name)
    who = card.display_name or card.username
    preview = teller.preview(card) if card.visibility in OPEN else None
    values = _values(teller, preview, f"/@{card.username}/feed", f"{who} (@{card.username})")
    if preview is not None:
        values["embed"] = f"{teller.base_url}/oembed?url={quote(card.url, safe='')}"
        values["times"] = {"published_time": rfc3339(card.created_at)}
        values["times"] |= {"modified_time": rfc3339(card.edited_at)} if card.edited_at else {}
        values["tags"] = card.tag_names
    if card.visibility == Visibility.PUBLIC:
        values["data"] = script_json(eat_action(teller, card))
    return str(render(HEAD, values, request=request))


def _values(teller: Teller, preview: Preview | None, feed: str, title: str) -> dict[str, Any]:
    feeds = [(ATOM, f"{feed}.atom", f"{title} (Atom)"), (JSON_FEED, f"{feed}.json", f"{title} (JSON)")]
    return {
        "feeds": feeds, "preview": preview, "site": teller.site, "oembed": OEMBED, "embed": None, "times": {},
        "tags": (), "data": None,
    }  # fmt: skip


def _icon(teller: Teller) -> Picture:
    return Picture(teller.icon, "image/png", None, 192, 192, teller.site)


def eat_action(teller: Teller, card: Card) -> dict[str, Any]:
    """The meal as schema.org's EatAction.

    What was eaten is a Recipe where the eater names one, and otherwise a MenuItem ("a food or drink item"): schema.org
    has no word for a dish, and these two are the ones that may say which diets they suit.
    """
    preview, author = teller.preview(card), teller.author(card)
    eaten: dict[str, Any] = {"@type": "Recipe" if card.recipe_url else "MenuItem", "name": teller.food(card)}
    eaten |= {"url": card.recipe_url, "suitableForDiet": [RESTRICTED_DIETS[diet] for diet in card.diets]}
    agent = {"@type": "Person", "name": author.name, "url": author.url, "image": author.avatar_url}
    action = {
        "@context": "https://schema.org",
        "@type": "EatAction",
        "@id": card.uri,
        "url": card.url,
        "name": preview.title,
        "description": preview.description,
        "image": [picture.url for picture in teller.pictures(card)] if not teller.warning(card) else None,
        "actionStatus": "https://schema.org/CompletedActionStatus",
        "startTime": rfc3339(card.eaten_at, card.time_zone),
        "agent": _said(agent),
        "object": _said(eaten),
        "location": _place(card),
    }
    return _said(action)


def _place(card: Card) -> dict[str, Any] | None:
    if not card.place_name:
        return None
    address = _said({"addressLocality": card.place_city, "addressCountry": card.place_country})
    place: dict[str, Any] = {"@type": "Place", "name": card.place_name}
    if address:
        place["address"] = {"@type": "PostalAddress", **address}
    if card.place_latitude is not None:
        spot = {"latitude": card.place_latitude, "longitude": card.place_longitude}
        place["geo"] = {"@type": "GeoCoordinates", **spot}
    return place


def _said(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [])}


def script_json(value: Any) -> Markup:
    """JSON for a <script> that is only data: no character of it can mean anything to HTML."""
    return trusted(orjson.dumps(value).decode().translate(_ESCAPES))
