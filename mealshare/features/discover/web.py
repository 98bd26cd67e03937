"""The HTML face of discovering: explore, and what to eat."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.ids import parse_id
from mealshare.features.discover.draw import draw
from mealshare.features.discover.html import draw_address, explore_address, words_for
from mealshare.features.discover.schemas import DrawQuery
from mealshare.features.discover.vocabulary import DrawSource
from mealshare.features.meals.html import feed_values, render_cards
from mealshare.features.meals.queries import PUBLIC, filter_conditions, top_tags
from mealshare.features.meals.resources import viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.vocabulary import MealType
from mealshare.web.paging import window_of

VIEW = MealPermission.LIST


@view_config(route_name="explore", request_method="GET", permission=VIEW, renderer="templates/explore.pt")
def explore(context: Any, request: Request) -> dict[str, Any]:
    """The newest public meals by which meal it was, with photos or all, and the tags that many use."""
    given = request.GET.get("meal_type", "")
    meal_type = MealType(given) if given in list(MealType) else None
    photo = True if request.GET.get("photo") == "true" else None
    conditions = filter_conditions(
        meal_type=meal_type, diets=(), without=(), tag=None, place=None, since=None, until=None, photo=photo
    )
    page = PUBLIC.page(request.conn, window_of(request), viewer_of(request), *conditions)
    return feed_values(request, page) | {
        "tags": top_tags(request.conn, 24),
        "meal_type": meal_type,
        "photo": photo,
        "meal_types": list(MealType),
        "address": explore_address,
    }


@view_config(route_name="random", request_method="GET", permission=VIEW, renderer="templates/random.pt")
def random(context: Any, request: Request) -> dict[str, Any]:
    """A meal, drawn, and where it comes from; what cannot be asked for is not asked for."""
    query = _query(request)
    drawn = draw(request, query, but=_previous(request))
    request.response.cache_control = "no-store"
    source, card = drawn or (None, None)
    return {
        "cards": render_cards(request, [card]) if card else [],
        "why": words_for(source) if source else None,
        "again": draw_address(query, but=card.id if card else 0),
        "query": query,
        "meal_types": list(MealType),
        "sources": [(source, words_for(source)) for source in DrawSource] if request.identity else [],
        "address": draw_address,
    }


def _query(request: Request) -> DrawQuery:
    """What a link asks for; a value that cannot be is as none, as a mistyped address should be."""
    names = ("meal_type", "place", "source")
    given = {name: request.GET[name] for name in names if request.GET.get(name)}
    try:
        return DrawQuery.model_validate(given)
    except ValidationError as error:
        wrong = {item["loc"][0] for item in error.errors()}
        return DrawQuery.model_validate({name: value for name, value in given.items() if name not in wrong})


def _previous(request: Request) -> int:
    try:
        return parse_id(request.GET.get("but", ""))
    except ValueError:
        return 0
