"""What is told to the rest of the internet, apart from the format in which it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mealshare.api import Query
from mealshare.core.errors import DomainError


@dataclass(frozen=True)
class Picture:
    """A picture that everybody may see; ``length`` is its size in bytes, where that is known."""

    url: str
    type: str
    length: int | None
    width: int | None
    height: int | None
    description: str


@dataclass(frozen=True)
class Author:
    """The one who ate."""

    name: str
    url: str
    avatar_url: str | None


@dataclass(frozen=True)
class FeedItem:
    """A meal in a feed.

    ``summary`` is a content warning.  ``html`` is "" where the warning stands for all of the meal.
    """

    id: str
    url: str
    title: str
    html: str
    summary: str
    published: datetime
    updated: datetime
    author: Author
    tags: Sequence[str]
    language: str | None
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Feed:
    """The newest meals of a list.  ``path`` is where the feed is, without what names its format."""

    id: str
    title: str
    subtitle: str
    url: str
    path: str
    icon: str
    language: str
    updated: datetime
    author: Author | None
    items: Sequence[FeedItem]

    def address(self, format: str) -> str:
        """Where the feed is in this format."""
        return f"{self.path}.{format}"


@dataclass(frozen=True)
class Preview:
    """What a link to a page looks like elsewhere: a title, some words, perhaps a picture."""

    kind: Literal["website", "profile", "article"]
    title: str
    description: str
    url: str
    picture: Picture | None = None


class EmbedQuery(Query):
    """What an oEmbed consumer asks; it may add parameters of its own, which mean nothing here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    maxwidth: Annotated[int, Field(ge=1)] | None = None
    maxheight: Annotated[int, Field(ge=1)] | None = None
    format: Annotated[str, Field(max_length=20)] = "json"


class OnlyJson(DomainError):
    """oEmbed is answered in JSON only (501, as section 2.3.4 of its specification says)."""

    status = 501
    code = "only_json"


@dataclass(frozen=True)
class Shared:
    """What an application of the reader's own device shares: three texts, of which any may be empty."""

    title: str
    text: str
    url: str

    @classmethod
    def of(cls, values: Any) -> Shared:
        """From a query or a form; where a file stands in place of a text there is none."""
        texts = (values.get(name) for name in ("title", "text", "url"))
        return cls(*(text if isinstance(text, str) else "" for text in texts))
