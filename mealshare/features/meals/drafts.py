"""Post before signing up: a visitor's words and pictures wait in a basket, and are published with the new account.

The basket is a row; the browser holds only a random token, in a cookie.
"""

from __future__ import annotations

from typing import Any

import orjson
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from mealshare.core.errors import DomainError, FieldError
from mealshare.core.i18n import _
from mealshare.core.ratelimit import address_key
from mealshare.core.validation import validate_json
from mealshare.features.meals.factory import meal_service
from mealshare.features.meals.form import LISTS, PLAIN, in_order, kept_media, new_form, original_of
from mealshare.features.meals.pictures import finish, store_uploads
from mealshare.features.meals.schemas import MealInput
from mealshare.features.media.factory import media_service
from mealshare.features.media.queries import (
    BASKET_COOKIE,
    BASKET_LIFETIME,
    BasketView,
    find_basket,
    media_in_basket,
    waiting_media,
)
from mealshare.features.media.service import MediaService
from mealshare.features.media.urls import media_out
from mealshare.web.forms import Form

#: What of a posted form is kept; whoever posts may have added anything.
FIELDS = frozenset(
    (*PLAIN, *LISTS, "sensitive", "comments_closed", "tags", "place", "eaten_at", "time_zone", "zone", "inspired_by")
)
#: Much more than a meal with all its descriptions of pictures takes.
MAX_FORM_BYTES = 256 * 1024


def keep(request: Request, form: Form[MealInput], data: dict[str, Any]) -> HTTPSeeOther | None:
    """Keep the visitor's meal and send them to the registration; None when the form must be shown again."""
    jar = request.registry["cookies"]
    if not jar.get(request, BASKET_COOKIE) and not _may_start(request, form):
        finish(form, data, [], [])
        return None
    with request.open_work() as work:
        basket, token = media_service(work, request.registry).open_basket(jar.get(request, BASKET_COOKIE))
        basket_id = basket.id
    known = media_in_basket(request.conn, basket_id)
    stored = store_uploads(request, form, basket_id=basket_id)
    finish(form, data, in_order(kept_media(form, known), stored), [*known, *stored])
    meal = form.validate(data)
    with request.open_work() as work:
        basket, token = media_service(work, request.registry).open_basket(token)
        text = orjson.dumps({"data": data, "values": {k: v for k, v in form.values.items() if k in FIELDS}})
        # What is longer is no meal: the visitor sees what is wrong with it, and the site does not keep megabytes.
        if len(text) <= MAX_FORM_BYTES:
            basket.form = text.decode()
    remember(request, token)
    if meal is None or form.errors:
        return None
    request.flash(_("Your meal is kept. It is published as soon as you have registered."), "info")
    return HTTPSeeOther("/register")


def _may_start(request: Request, form: Form[MealInput]) -> bool:
    """Whether this address may have one more basket; they count with the uploads."""
    key = f"address:{address_key(request.environ.get('REMOTE_ADDR'))}"
    decision = request.registry["ratelimit"].hit("upload", key)
    if not decision.allowed:
        form.fail(FieldError("", "rate_limited", {"retry_after": decision.retry_after}))
    return bool(decision.allowed)


def form_of(request: Request) -> Form[MealInput] | None:
    """The compose form as the visitor (or the person who signed in with a meal that could not be published) left it."""
    basket = _basket(request)
    if basket is None:
        return None
    form = new_form(request)
    form.values |= basket.form.get("values", {})
    rows = basket.media
    if request.identity is not None:
        # They went over to the account when it was entered.
        ids = [item["id"] for item in basket.form.get("data", {}).get("media", [])]
        rows = waiting_media(request.conn, request.identity.account_id, ids)
    form.values["_media"] = [media_out(row, "") for row in rows]
    return form


def _basket(request: Request) -> BasketView | None:
    token = request.registry["cookies"].get(request, BASKET_COOKIE)
    return find_basket(request.conn, token) if token else None


def remember(request: Request, token: str) -> None:
    """Let the browser remember its basket, as long as the basket is kept."""
    jar, seconds = request.registry["cookies"], int(BASKET_LIFETIME.total_seconds())
    request.add_response_callback(lambda _request, response: jar.set(response, BASKET_COOKIE, token, max_age=seconds))


def forget(request: Request) -> None:
    """The browser need not remember its basket any more; what is left of it is swept up within a day."""
    jar = request.registry["cookies"]
    if jar.get(request, BASKET_COOKIE):
        request.add_response_callback(lambda _request, response: jar.delete(response, BASKET_COOKIE))


def publish(request: Request, account_id: int) -> str | None:
    """After registering or signing in: publish the meal that waits in the browser's basket, and give its address.

    One that cannot be published goes on waiting, in a new basket, and the address is that of its form.
    """
    token = request.registry["cookies"].get(request, BASKET_COOKIE)
    if not token:
        return None
    service = meal_service(request)
    basket = service.media.claim_basket(token, account_id)
    if basket is None:
        forget(request)
        return None
    if basket.form.get("unsent"):
        # Shared from another application: nobody has said yet that it is a meal of theirs.
        return _wait(request, service.media, basket)
    try:
        meal = validate_json(MealInput, orjson.dumps(basket.form["data"]))
        # It may have been hidden from this person, or deleted, while the visitor registered.
        original = original_of(service.work.connection, basket.form["values"].get("inspired_by"), account_id)
        # The account is committed in any case, and half a meal must not be with it.
        with service.work.session.begin_nested():
            posted = service.post(account_id, meal, inspired_by=original.id if original else None)
    except (DomainError, KeyError):
        request.flash(_("Your meal could not be published. Please look at it again."), "error")
        return _wait(request, service.media, basket)
    forget(request)
    request.flash(_("Welcome! Your meal is published."))
    return posted.url.removeprefix(request.registry["base_url"])


def _wait(request: Request, media: MediaService, basket: BasketView) -> str:
    """Keep the words in a new basket; gives the address of their form."""
    again, token = media.open_basket(None)
    again.form = orjson.dumps(basket.form).decode()
    remember(request, token)
    return "/new"
