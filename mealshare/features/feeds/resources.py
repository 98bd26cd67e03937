"""What the addresses of feeds lead to: people and tags as a visitor sees them, whoever asks.

The answers are the same for everybody, so that caches may keep them; who is signed in must not change them.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.errors import NotFound
from mealshare.core.ids import parse_id
from mealshare.features.accounts.queries import PersonContext, person_by_username
from mealshare.features.accounts.resources import Users
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.cards import Card
from mealshare.features.meals.queries import card_by_id, tag_by_name
from mealshare.features.timelines.resources import TagContext


class PublicUsers(Users):
    """People by username, as visitors see them."""

    def _find(self, username: str) -> PersonContext | None:
        return person_by_username(self.request.conn, username, ANONYMOUS)


class PublicTags:
    """Tags by name, as visitors see them."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, name: str) -> TagContext:
        """The tag, or KeyError (404) where no meal that everybody may see has it."""
        tag = tag_by_name(self.request.conn, name, ANONYMOUS)
        if tag is None:
            raise KeyError(name)
        return TagContext(tag)


class Embeds:
    """``/oembed``: scripts of any site may read the answers, refusals included."""

    def __init__(self, request: Request) -> None:
        self.request = request
        request.add_response_callback(readable_everywhere)


def readable_everywhere(request: Request, response: Response) -> None:
    """Let scripts of every site read the answer: it says what a visitor sees, and depends on no cookie."""
    response.headers["Access-Control-Allow-Origin"] = "*"


def meal_at(request: Request, url: str) -> Card:
    """The meal with this address or permanent address, if everybody may see it.  Raises NotFound."""
    name, id = _name_and_id(request.registry["base_url"], url)
    card = card_by_id(request.conn, id, ANONYMOUS)
    if card is None or card.username.lower() != name.lower():
        raise NotFound
    return card


def _name_and_id(base_url: str, url: str) -> tuple[str, int]:
    """The two parts of ``/@name/id`` and of ``/users/name/posts/id``.  Raises NotFound for any other address."""
    try:
        parts = urlsplit(url)
        own = f"{parts.scheme}://{parts.netloc}".lower() == base_url.lower()
        match unquote(parts.path, errors="strict").strip("/").split("/") if own else []:
            case [name, id] if name.startswith("@"):
                return name[1:], parse_id(id)
            case ["users", name, "posts", id]:
                return name, parse_id(id)
    except ValueError:
        raise NotFound from None
    raise NotFound
