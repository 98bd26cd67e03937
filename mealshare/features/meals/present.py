"""How cards go out: as JSON, and as HTML.

What does not depend on who looks is rendered once for each version of a meal (and of its author, and for HTML each
language) and kept as a fragment; a new version has a new key, so nothing has to be invalidated.  Counters, the words
for "how long ago" and what depends on the viewer are filled in live.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import orjson
from pyramid.registry import Registry

from mealshare.core.dates import rfc3339
from mealshare.core.security.identity import Identity
from mealshare.core.text import tag_path
from mealshare.features.meals.cards import Card
from mealshare.features.meals.queries import TagRow
from mealshare.features.meals.schemas_out import (
    AllergensOut,
    AuthorOut,
    MealOut,
    MentionOut,
    PlaceOut,
    TagOut,
    TagSummary,
)
from mealshare.features.meals.vocabulary import MealType, Source, Visibility
from mealshare.features.media.urls import avatar_url, media_out

_TRUTH = {True: b"true", False: b"false"}
#: The end of a meal's object: what changes without a new version, and what depends on who asks.
_LIVE = (
    b'%b,"inspired_by":%b,"likes_count":%d,"comments_count":%d,"ate_too_count":%d,'
    b'"viewer":{"liked":%b,"wanted":%b,"ate_too":%b,"own":%b,"can_edit":%b,"avoided":%b,"not_declared":%b}}'
)
#: A mention as `render_note` writes it.
_MENTION = re.compile(r'<a href="([^"]*)" class="mention">@([A-Za-z0-9_]+)</a>')


class MealJson:
    """Writes meals as JSON."""

    def __init__(self, registry: Registry) -> None:
        self.base_url: str = registry["base_url"]

    def one(self, card: Card, viewer: Identity | None) -> bytes:
        """The JSON object of a meal, as ``viewer`` sees it (the shape of `MealOut`)."""
        words = card.words
        fixed = words.json
        if fixed is None:
            fixed = words.json = self._fixed(card)
            words.grew(len(fixed))
        own = viewer is not None and viewer.account_id == card.account_id
        flag = _TRUTH[own]
        avoided, undeclared = (b"[]", b"[]") if own or not card.avoid else _cautions(card)
        return _LIVE % (
            fixed,
            b"null" if card.origin is None else orjson.dumps(card.inspired_by_id),
            card.likes_count,
            card.comments_count,
            card.ate_too_count,
            _TRUTH[card.liked],
            _TRUTH[card.wanted],
            _TRUTH[card.ate_too],
            flag,
            flag,
            avoided,
            undeclared,
        )

    def many(self, cards: Any, viewer: Identity | None) -> bytes:
        """The JSON array of meals."""
        return b"[%b]" % b",".join([self.one(card, viewer) for card in cards])

    def _fixed(self, card: Card) -> bytes:
        """The object without its live members and its closing brace."""
        text = orjson.dumps(self.out(card))
        return text[: text.index(b',"inspired_by":')]

    def out(self, card: Card) -> MealOut:
        """The card in its public shape, with no viewer."""
        place = None
        if card.place_name is not None:
            place = PlaceOut(
                card.place_name,
                card.place_city or "",
                card.place_country or "",
                card.place_latitude,
                card.place_longitude,
            )
        return MealOut(
            id=str(card.id),
            url=card.url,
            uri=card.uri,
            user=AuthorOut(
                card.username, card.display_name, avatar_url(self.base_url, card.avatar_key), card.author_url
            ),
            food=card.food,
            note=card.note,
            note_html=card.note_html,
            meal_type=MealType(card.meal_type),
            eaten_at=rfc3339(card.eaten_at, card.time_zone),
            time_zone=card.time_zone,
            eaten_on=card.eaten_on.isoformat(),
            created_at=rfc3339(card.created_at),
            edited_at=None if card.edited_at is None else rfc3339(card.edited_at),
            visibility=Visibility(card.visibility),
            sensitive=card.sensitive,
            spoiler_text=card.spoiler_text,
            language=card.language,
            media=[media_out(item, self.base_url) for item in card.media],
            place=place,
            source=None if card.source is None else Source(card.source),
            tags=[TagOut(name, tag_url(self.base_url, name)) for name in card.tag_names],
            mentions=mentions_in(card.note_html),
            diets=list(card.diets),
            allergens=AllergensOut(list(card.allergens_contained), list(card.allergens_free_from)),
            recipe_url=card.recipe_url,
            comments_closed=card.comments_closed,
            version=card.version,
        )


def _cautions(card: Card) -> tuple[bytes, bytes]:
    return orjson.dumps(card.avoided), orjson.dumps(card.undeclared)


def mentions_in(note_html: str) -> list[MentionOut]:
    """The people whom a rendered note links to, each once."""
    return [MentionOut(name, unescape(url)) for url, name in dict.fromkeys(_MENTION.findall(note_html))]


def tag_url(base_url: str, name: str) -> str:
    """The address of a tag's page, by its name as somebody wrote it."""
    return base_url + tag_path(name)


def tag_summary(tag: TagRow, base_url: str) -> TagSummary:
    """A tag in its public shape."""
    return TagSummary(tag.display, tag_url(base_url, tag.name), tag.meals_count)


def meal_etag(card: Card, viewer: Identity | None) -> str:
    """The entity tag of a meal's JSON for this viewer: its version first, then what else the answer depends on."""
    own = viewer is not None and viewer.account_id == card.account_id
    return (
        f'"{card.version}-{card.author_version}-{card.likes_count}-{card.comments_count}-{card.ate_too_count}'
        f"-{int(card.liked)}{int(card.wanted)}{int(own)}{int(card.ate_too)}"
        f'-{card.inspired_by_id or ""}-{card.avoid or 0}"'
    )


def names_version(if_match: str, version: int) -> bool:
    """Whether an ``If-Match`` header (RFC 9110 section 13.1.1) names this version of a meal.

    Only the version in front of the tag counts: a like that came in since does not make what somebody read of the
    meal's words out of date.
    """
    tags = [tag.strip() for tag in if_match.split(",")]
    return any(tag == "*" or tag.startswith(f'"{version}-') for tag in tags)
