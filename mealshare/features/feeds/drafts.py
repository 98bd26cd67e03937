"""What an application of the reader's own device shares: it is put into the compose box, and never published by itself.

The operating system opens the address with a POST that can carry no token of ours.  So nothing comes of it but words
and pictures that wait in a basket, as a visitor's do, until their owner has looked at them and presses the button.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pyramid.exceptions import BadCSRFOrigin
from pyramid.request import Request

from mealshare.core.errors import TooMany
from mealshare.core.ratelimit import address_key
from mealshare.core.text import clean_text
from mealshare.features.feeds.schemas import Shared
from mealshare.features.meals.drafts import remember
from mealshare.features.meals.form import new_form
from mealshare.features.meals.pictures import store_uploads
from mealshare.features.meals.schemas import MealInput, WebAddress
from mealshare.features.media.factory import media_service
from mealshare.features.media.queries import BASKET_COOKIE
from mealshare.web.forms import Form

FOOD_LENGTH, NOTE_LENGTH = 140, 2000
#: More than any field holds is not even looked at.
MAX_TEXT = 10_000
_ADDRESS: TypeAdapter[str] = TypeAdapter(WebAddress)


def check_sender(request: Request) -> None:
    """Raise BadCSRFOrigin unless the POST comes from the device itself or from a page of this site.

    A browser that opens a share target says ``Sec-Fetch-Site: none``, for no page asked for it, and then its
    ``Origin`` is ``null``; some say ``same-origin``.  One too old to say anything must not name another origin, nor
    ``null``, behind which any page can hide.
    """
    environ = request.environ
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    own = (None, request.registry["base_url"], request.host_url)
    if site not in (None, "none", "same-origin") or not (origin in own or (origin == "null" and site == "none")):
        raise BadCSRFOrigin("another site shares")


def form_with(request: Request, shared: Shared) -> Form[MealInput]:
    """The compose box with what is shared; nothing is kept."""
    form = new_form(request)
    form.values |= prefilled(shared)
    return form


def keep(request: Request, shared: Shared) -> list[str]:
    """Keep the words and the posted pictures for the compose box; gives what is to be said about pictures refused.

    What somebody has written into the box before wins over what is shared; pictures are added.  Raises TooMany.
    """
    _count(request)
    identity, registry = request.identity, request.registry
    with request.open_work() as work:
        basket, token = media_service(work, registry).open_basket(registry["cookies"].get(request, BASKET_COOKIE))
        basket_id, before = basket.id, orjson.loads(basket.form)
    form = new_form(request)
    owner = {"basket_id": basket_id} if identity is None else {"account_id": identity.account_id}
    stored = store_uploads(request, form, **owner)
    with request.open_work() as work:
        basket, token = media_service(work, registry).open_basket(token)
        basket.form = orjson.dumps(_joined(before, prefilled(shared), stored)).decode()
    remember(request, token)
    return [words for errors in form.errors.values() for words in errors]


def _count(request: Request) -> None:
    """Count the basket with the uploads.  Raises TooMany."""
    identity = request.identity
    key = (
        f"address:{address_key(request.environ.get('REMOTE_ADDR'))}"
        if identity is None
        else f"account:{identity.account_id}"
    )
    decision = request.registry["ratelimit"].hit("upload", key)
    if not decision.allowed:
        raise TooMany(decision.retry_after, decision.limit)


def _joined(before: dict[str, Any], words: dict[str, str], stored: Any) -> dict[str, Any]:
    values, media = before.get("values", {}), before.get("data", {}).get("media", [])
    written = {name: value for name, value in values.items() if value}
    values = {**values, **words} if before.get("unsent") else {**values, **words, **written}
    added = [{"id": str(row["id"]), "description": row["description"]} for row in stored]
    return {"unsent": True, "values": values, "data": {"media": [*media, *added]}}


def prefilled(shared: Shared) -> dict[str, str]:
    """What of the compose box is filled in: food or note, and the link to the recipe.

    Many applications put the address into the text, behind the words.
    """
    title, text = _clean(shared.title, multiline=False), _clean(shared.text, multiline=True)
    url = _address(shared.url)
    head, _space, last = text.replace("\n", " ").rpartition(" ")
    if _address(last) and (not url or last == url):
        url, text = last, text[: len(head)].rstrip()
    if text == title:
        text = ""
    if not title and len(text) <= FOOD_LENGTH and "\n" not in text:
        title, text = text, ""
    if len(title) > FOOD_LENGTH:
        title, text = "", f"{title}\n{text}".strip()
    found: Mapping[str, str] = {"food": title, "note": text[:NOTE_LENGTH], "recipe_url": url}
    words = {name: value for name, value in found.items() if value}
    # The fields below the fold must not be filled in unseen.
    return words | ({"_open": "1"} if words.keys() & {"note", "recipe_url"} else {})


def _clean(text: str, *, multiline: bool) -> str:
    try:
        return clean_text(text[:MAX_TEXT], multiline=multiline)
    except ValueError:
        return ""


def _address(text: str) -> str:
    try:
        return _ADDRESS.validate_python(text)
    except ValidationError:
        return ""
