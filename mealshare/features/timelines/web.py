"""The HTML face of timelines."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.features.accounts.resources import PersonContext
from mealshare.features.meals.form import empty_box
from mealshare.features.meals.html import feed_values
from mealshare.features.meals.places import place_path
from mealshare.features.meals.queries import AT_PLACE, OF_ACCOUNT, PUBLIC, WITH_TAG
from mealshare.features.meals.resources import viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.timelines.queries import home_of
from mealshare.features.timelines.resources import PlaceContext, TagContext
from mealshare.features.timelines.rules import TimelinePermission
from mealshare.web.kept import mark, visitors_page
from mealshare.web.paging import window_of
from mealshare.web.ui import Ui

VIEW = MealPermission.LIST


FRONT = "mealshare.features.timelines:templates/front.pt"
_CARDS, _OLDER = mark("cards"), mark("older")


@view_config(route_name="front", request_method="GET", permission=VIEW, renderer=FRONT)
def front(context: Any, request: Request) -> Any:
    """The compose box and the newest public meals."""
    page = PUBLIC.page(request.conn, window_of(request), viewer_of(request))
    values = feed_values(request, page)
    cards, older = Markup().join(values["cards"]), values["older"]

    def marked() -> dict[str, Any]:
        # Without cards the page says so.
        stand_ins = {"cards": [_CARDS] if cards else [], "older": older and _OLDER}
        return values | stand_ins | {"compose": empty_box(request)}

    live = {_CARDS: cards, _OLDER: older or ""}
    kept = visitors_page(request, FRONT, marked, live, bool(cards), older is None)
    return kept or values | {"compose": empty_box(request)}


@view_config(route_name="home", request_method="GET", permission=TimelinePermission.HOME, renderer="templates/home.pt")
def home(context: Any, request: Request) -> dict[str, Any]:
    """The newest meals of those whom the reader follows, and the reader's own."""
    viewer = viewer_of(request)
    found = home_of(request.conn, viewer)
    page = found.meals.page(request.conn, window_of(request), viewer)
    return feed_values(request, page) | {"follows": found.follows, "compose": empty_box(request)}


@view_config(
    route_name="person", request_method="GET", context=PersonContext, permission=VIEW, renderer="templates/person.pt"
)
def person(context: PersonContext, request: Request) -> dict[str, Any]:
    """A person and what the reader may see of their meals."""
    viewer = viewer_of(request)
    page = OF_ACCOUNT.page(request.conn, window_of(request), viewer, account=context.account_id)
    return feed_values(request, page) | {
        "person": context,
        "name": context.display_name or context.username,
        "own": viewer == context.account_id,
        "since": Ui.of(request).month(context.created_at),
    }


@view_config(route_name="tag", request_method="GET", context=TagContext, permission=VIEW, renderer="templates/tag.pt")
def tag(context: TagContext, request: Request) -> dict[str, Any]:
    """The newest public meals with a tag."""
    page = WITH_TAG.page(request.conn, window_of(request), viewer_of(request), tag_id=context.tag.id)
    return feed_values(request, page) | {"tag": context.tag}


@view_config(
    route_name="place", request_method="GET", context=PlaceContext, permission=VIEW, renderer="templates/place.pt"
)
def place(context: PlaceContext, request: Request) -> dict[str, Any]:
    """The newest public meals at a place."""
    page = AT_PLACE.page(request.conn, window_of(request), viewer_of(request), place_key=context.place.key)
    return feed_values(request, page) | {"place": context.place, "path": place_path(context.place.key)}
