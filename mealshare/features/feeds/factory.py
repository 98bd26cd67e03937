"""Makes feeds and previews from cards: what is told, and what a content warning covers; not how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape
from pyramid.registry import Registry

from mealshare.core.i18n import _, to_bcp47, translate
from mealshare.core.markup import trusted
from mealshare.core.security import SiteSettings
from mealshare.core.settings import settings_of
from mealshare.core.storage import Storage
from mealshare.core.text import tag_path
from mealshare.features.accounts.queries import PersonContext
from mealshare.features.feeds.schemas import Author, Feed, FeedItem, Picture, Preview
from mealshare.features.meals.cards import Card
from mealshare.features.meals.html import SENSITIVE, TITLE
from mealshare.features.meals.queries import TagRow
from mealshare.features.meals.vocabulary import MealType
from mealshare.features.media.files import variant_file
from mealshare.features.media.images import VARIANT_TYPE
from mealshare.features.media.models import MediaState
from mealshare.features.media.urls import FULL, avatar_url, media_url

EATING = _("What are people eating?")
#: Longer words are cut for a preview.
DESCRIPTION_LENGTH = 200
#: When nothing has happened yet.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Teller:
    """Tells of meals, people and tags, in the language ``locale``; without one in the site's own.

    What caches keep for everybody is in the site's own language, whatever the one who asked first reads.
    """

    def __init__(self, registry: Registry, locale: str | None = None) -> None:
        self.base_url: str = registry["base_url"]
        self.site = settings_of(registry, SiteSettings).name
        self.storage: Storage = registry["storage"]
        self.icon = f"{self.base_url}{registry['static_prefix']}/img/icon-192.png"
        self.locale: str = locale or registry["default_locale"]

    def site_feed(self, cards: Sequence[Card]) -> Feed:
        """The feed of the whole site."""
        url = f"{self.base_url}/"
        return self._feed(cards, url, self.site, self._say(EATING), url, f"{self.base_url}/feed")

    def person_feed(self, person: PersonContext, cards: Sequence[Card]) -> Feed:
        """The feed of a person."""
        name = f"{person.display_name or person.username} (@{person.username})"
        avatar = avatar_url(self.base_url, person.avatar_key)
        author = Author(person.display_name or person.username, person.url, avatar)
        title, words, since = f"{name} · {self.site}", first_words(person.bio), person.created_at
        path = f"{person.url}/feed"
        return self._feed(cards, person.uri, title, words, person.url, path, author, since)

    def tag_feed(self, tag: TagRow, cards: Sequence[Card]) -> Feed:
        """The feed of a tag."""
        url = self.base_url + tag_path(tag.name)
        return self._feed(cards, url, f"#{tag.display} · {self.site}", "", url, f"{url}/feed")

    def _feed(
        self, cards: Sequence[Card], id: str, title: str, subtitle: str, url: str, path: str,
        author: Author | None = None, since: datetime = NEVER,
    ) -> Feed:  # fmt: skip
        items = [self._item(card) for card in cards]
        updated = max((item.updated for item in items), default=since)
        icon = author.avatar_url if author and author.avatar_url else self.icon
        language = to_bcp47(self.locale)
        return Feed(id, title, subtitle, url, path, icon, language, updated, author, items)

    def _item(self, card: Card) -> FeedItem:
        warning, title = self.warning(card), self.food(card)
        pictures = [] if warning else self.pictures(card)
        html = Markup("").join(map(_image, pictures)) + trusted(card.note_html)
        return FeedItem(
            id=card.uri,
            url=card.url,
            title=title,
            html="" if card.spoiler_text else str(html or Markup("<p>{}</p>").format(title)),
            summary=warning,
            published=card.created_at,
            updated=card.edited_at or card.created_at,
            author=self.author(card),
            tags=card.tag_names,
            language=card.language,
            pictures=pictures,
        )

    def preview(self, card: Card) -> Preview:
        """A link to the meal as other sites show it; what a warning covers is not in it, the note included."""
        who, title = card.display_name or card.username, self.food(card)
        warning = self.warning(card)
        pictures = [] if warning else self.pictures(card)
        headline = self._say(TITLE, who=who, food=title)
        return Preview("article", headline, warning or first_words(card.note), card.url, next(iter(pictures), None))

    def food(self, card: Card) -> str:
        """What was eaten; which meal it was, where nobody said."""
        return card.food or self._say(MealType(card.meal_type).label)

    def warning(self, card: Card) -> str:
        """The content warning of the meal; "" if it has none."""
        return card.spoiler_text or (self._say(SENSITIVE) if card.sensitive else "")

    def author(self, card: Card) -> Author:
        """The one who ate."""
        name, avatar = card.display_name or card.username, avatar_url(self.base_url, card.avatar_key)
        return Author(name, card.author_url, avatar)

    def pictures(self, card: Card) -> list[Picture]:
        """The meal's pictures, as far as they are ready."""
        return [self._picture(item) for item in card.media if item["state"] == MediaState.READY]

    def _picture(self, item: dict[str, object]) -> Picture:
        key, (width, height) = str(item["storage_key"]), size_within(item["width"], item["height"], FULL)
        url, words = media_url(self.base_url, key, FULL), str(item["description"])
        return Picture(url, str(VARIANT_TYPE), self._length(variant_file(key, FULL)), width, height, words)

    def _length(self, file: str) -> int | None:
        # Only where the file lies on this machine's disk: to ask another one would cost more than it is worth.
        path = self.storage.path(file)
        try:
            return None if path is None else path.stat().st_size
        except FileNotFoundError:
            return None

    def _say(self, message: str, **params: str) -> str:
        return translate(message, self.locale, params)


def size_within(width: object, height: object, edge: int) -> tuple[int | None, int | None]:
    """The size of the variant whose longer edge has at most this length, of a picture with the given size."""
    if not isinstance(width, int) or not isinstance(height, int) or not width or not height:
        return None, None
    scale = min(1.0, edge / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def first_words(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LENGTH else line[: DESCRIPTION_LENGTH - 1].rstrip() + "…"


def _image(picture: Picture) -> Markup:
    size = Markup(' width="{}" height="{}"').format(picture.width, picture.height) if picture.width else ""
    return Markup('<p><img src="{}" alt="{}"{}></p>').format(picture.url, escape(picture.description), size)
