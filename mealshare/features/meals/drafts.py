"""Post before signing up: a visitor's words and pictures wait in a basket, and are published with the new account.

The basket is a row; the browser holds only a random token, in a cookie.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from mealshare.core.errors import DomainError
from mealshare.core.i18n import _
from mealshare.core.validation import validate_json
from mealshare.features.meals.factory import meal_service
from mealshare.features.meals.form import LISTS, PLAIN, in_order, kept_media, new_form
from mealshare.features.meals.pictures import finish, store_uploads
from mealshare.features.meals.schemas import MealInput
from mealshare.features.media.factory import media_service
from mealshare.features.media.queries import find_basket, media_in_basket
from mealshare.features.media.urls import media_out
from mealshare.web.forms import Form

COOKIE = "basket"
LIFETIME = 24 * 3600
#: What of a posted form is kept; whoever posts may have added anything.
FIELDS = frozenset((*PLAIN, *LISTS, "sensitive", "tags", "place", "eaten_at", "time_zone"))
#: Much more than a meal with all its descriptions of pictures takes.
MAX_FORM_BYTES = 256 * 1024


def keep(request: Request, form: Form[MealInput], data: dict[str, Any]) -> HTTPSeeOther | None:
    """Keep the visitor's meal and send them to the registration; None when the form must be shown again."""
    jar = request.registry["cookies"]
    with request.registry["open_work"]() as work:
        basket, token = media_service(work, request.registry).open_basket(jar.get(request, COOKIE))
        basket_id = basket.id
    known = media_in_basket(request.conn, basket_id)
    stored = store_uploads(request, form, basket_id=basket_id)
    finish(form, data, in_order(kept_media(form, known), stored), [*known, *stored])
    meal = form.validate(data)
    with request.registry["open_work"]() as work:
        basket, token = media_service(work, request.registry).open_basket(token)
        text = orjson.dumps({"data": data, "values": {k: v for k, v in form.values.items() if k in FIELDS}})
        # What is longer is no meal: the visitor sees what is wrong with it, and the site does not keep megabytes.
        if len(text) <= MAX_FORM_BYTES:
            basket.form = text.decode()
    request.add_response_callback(lambda _request, response: jar.set(response, COOKIE, token, max_age=LIFETIME))
    if meal is None or form.errors:
        return None
    request.flash(_("Your meal is kept. It is published as soon as you have registered."), "info")
    return HTTPSeeOther("/register")


def form_of(request: Request) -> Form[MealInput] | None:
    """The compose form as the visitor (or the person who signed in with a meal that could not be published) left it."""
    basket = _basket(request)
    if basket is None:
        return None
    form = new_form(request)
    form.values |= basket.form.get("values", {})
    form.values["_media"] = [media_out(row, "") for row in basket.media]
    return form


def _basket(request: Request) -> Any:
    token = request.registry["cookies"].get(request, COOKIE)
    return find_basket(request.conn, token) if token else None


def publish(request: Request, account_id: int) -> str | None:
    """After registering or signing in: publish the meal that waits in the browser's basket, and give its address."""
    jar = request.registry["cookies"]
    token = jar.get(request, COOKIE)
    if not token:
        return None
    request.add_response_callback(lambda _request, response: jar.delete(response, COOKIE))
    service = meal_service(request)
    basket = service.media.claim_basket(token, account_id)
    if basket is None:
        return None
    try:
        meal = validate_json(MealInput, orjson.dumps(basket.form["data"]))
        posted = service.post(account_id, meal)
    except (DomainError, ValidationError, KeyError):
        request.flash(_("Your meal could not be published. Please look at it again."), "error")
        return "/new"
    request.flash(_("Welcome! Your meal is published."))
    return posted.url.removeprefix(request.registry["base_url"])
