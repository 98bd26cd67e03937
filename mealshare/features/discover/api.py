"""The JSON face of discovering."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Link, RawJson, Reply, api_view
from mealshare.api.reply import NO_ETAG
from mealshare.core.errors import NotFound
from mealshare.features.discover.draw import draw
from mealshare.features.discover.schemas import DrawQuery, SuggestionsOut
from mealshare.features.meals.habits import habits_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas_out import MealOut


@api_view(
    route_name="api.meals.random",
    request_method="GET",
    permission=MealPermission.LIST,
    query=DrawQuery,
    returns=MealOut,
    tags=("meals",),
    errors=("nothing_to_draw",),
    etag=False,
    links=(
        Link("api.meal", "GET", id="$response.body#/id"),
        Link("api.meal.want", "PUT", id="$response.body#/id"),
        Link("api.meal.ate_too", "POST", id="$response.body#/id"),
    ),
    summary="Draw what to eat",
    description="A draw from your want list, what you like and have not eaten lately, and the people you follow; without "
    "any of these, or without an account, from everybody's newest. Each request draws anew; 404 where "
    "nothing fits.",
)
def random_meal(context: Any, request: Request, query: DrawQuery) -> Reply:
    """A meal, drawn."""
    drawn = draw(request, query)
    if drawn is None:
        raise NotFound("nothing_to_draw")
    body = request.registry["meal_json"].one(drawn[1], request.identity)
    return Reply(RawJson(body), headers=[("Cache-Control", "no-store")], etag=NO_ETAG)


@api_view(
    route_name="api.meals.suggestions",
    request_method="GET",
    permission=MealPermission.LIST_OWN,
    returns=SuggestionsOut,
    tags=("meals",),
    summary="Suggest what to fill in",
    description="What a form could be filled in with: the probable meal by the clock, and places and tags, "
    "learnt from your own last meals.",
)
def suggestions(context: Any, request: Request) -> SuggestionsOut:
    """What the last meals tell."""
    habits = habits_of(request.conn, request.identity.account_id)
    return SuggestionsOut(habits.by_half_hour(), list(habits.places), list(habits.tags))
