"""The HTML face of timelines."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.db import MAX_ID, Page, Window
from mealshare.core.ids import parse_id
from mealshare.features.accounts.resources import PersonContext
from mealshare.features.meals.form import empty_box
from mealshare.features.meals.html import render_cards
from mealshare.features.meals.queries import OF_ACCOUNT, PUBLIC, WITH_TAG, Card
from mealshare.features.meals.resources import viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.timelines.resources import TagContext
from mealshare.web.ui import Ui

VIEW = MealPermission.LIST


@view_config(route_name="front", request_method="GET", permission=VIEW, renderer="templates/front.pt")
def front(context: Any, request: Request) -> dict[str, Any]:
    """The compose box and the newest public meals."""
    page = PUBLIC.page(request.conn, _window(request), viewer_of(request))
    return _feed(request, page) | {"compose": empty_box(request)}


@view_config(
    route_name="person", request_method="GET", context=PersonContext, permission=VIEW, renderer="templates/person.pt"
)
def person(context: PersonContext, request: Request) -> dict[str, Any]:
    """A person and what the reader may see of their meals."""
    viewer = viewer_of(request)
    page = OF_ACCOUNT.page(request.conn, _window(request), viewer, account=context.account_id)
    return _feed(request, page) | {
        "person": context,
        "name": context.display_name or context.username,
        "own": viewer == context.account_id,
        "since": Ui.of(request).month(context.created_at),
    }


@view_config(route_name="tag", request_method="GET", context=TagContext, permission=VIEW, renderer="templates/tag.pt")
def tag(context: TagContext, request: Request) -> dict[str, Any]:
    """The newest public meals with a tag."""
    page = WITH_TAG.page(request.conn, _window(request), viewer_of(request), tag_id=context.tag.id)
    return _feed(request, page) | {"tag": context.tag}


def _window(request: Request) -> Window:
    """The page that a link asks for; what is not an id starts at the top, as a mistyped address should."""
    try:
        return Window(max_id=parse_id(request.GET.get("max_id", "")))
    except ValueError:
        return Window(max_id=MAX_ID)


def _feed(request: Request, page: Page[Card]) -> dict[str, Any]:
    older = None if page.next_max_id is None else f"{request.path}?max_id={page.next_max_id}"
    return {"cards": render_cards(request, page.items), "older": older, "first": "max_id" not in request.GET}
