"""The JSON face of search."""

from __future__ import annotations

from typing import Any

import orjson
from pyramid.request import Request

from mealshare.api import Link, RawJson, Reply, api_view, page_headers
from mealshare.core.db import Page
from mealshare.features.accounts.resources import viewer_of
from mealshare.features.accounts.schemas_out import UserOut
from mealshare.features.meals.cards import Card
from mealshare.features.meals.present import tag_summary
from mealshare.features.search.present import place_out, user_out
from mealshare.features.search.queries import Beside, beside_meals, people, places
from mealshare.features.search.resources import found_meals
from mealshare.features.search.rules import SearchPermission
from mealshare.features.search.schemas import FEW, FoundPlaceOut, SearchOut, SearchQuery, SearchType, SuggestQuery


@api_view(
    route_name="api.search",
    request_method="GET",
    permission=SearchPermission.SEARCH,
    query=SearchQuery,
    returns=SearchOut,
    paged=True,
    limit="search",
    tags=("search",),
    summary="Search everything",
    links=(Link("api.meal", "GET", id="$response.body#/meals/0/id"),),
    description="Finds meals, people, tags and places. What is not asked for by `type` is an empty list, and so are people, "
    "tags and places on every page of meals but the first. Meals: public ones, those of people whom you follow, and "
    "your own. Only the last word may be a beginning; 麻辣 finds 麻辣香锅.",
)
def search(context: Any, request: Request, query: SearchQuery) -> Reply:
    """Find."""
    base, viewer, conn = request.registry["base_url"], viewer_of(request), request.conn
    few, wants = min(query.limit, FEW), query.wants
    page = found_meals(request, query) if wants(SearchType.MEALS) else Page[Card]()
    asked = any(map(wants, (SearchType.USERS, SearchType.TAGS, SearchType.PLACES)))
    found = beside_meals(conn, query.q, few, viewer) if asked else Beside()
    parts = {
        "users": [user_out(person, base) for person in found.people if wants(SearchType.USERS)],
        "tags": [tag_summary(tag, base) for tag in found.tags if wants(SearchType.TAGS)],
        "places": [place_out(place, base) for place in found.places if wants(SearchType.PLACES)],
    }
    meals = request.registry["meal_json"].many(page.items, request.identity)
    body = b'{"meals":%b,%b' % (meals, orjson.dumps(parts)[1:])
    return Reply(RawJson(body), headers=page_headers(request, page))


@api_view(
    route_name="api.users",
    request_method="GET",
    permission=SearchPermission.SEARCH,
    query=SuggestQuery,
    returns=list[UserOut],
    limit="search",
    tags=("search",),
    links=(Link("api.user", "GET", username="$response.body#/0/username"),),
    summary="Find people by the beginning of a name",
    description="For completing what somebody types: usernames and display names with words that begin so.",
)
def find_users(context: Any, request: Request, query: SuggestQuery) -> list[UserOut]:
    """People by name."""
    found = people(request.conn, query.q, query.limit, viewer_of(request), names=True)
    return [user_out(person, request.registry["base_url"]) for person in found]


@api_view(
    route_name="api.places",
    request_method="GET",
    permission=SearchPermission.SEARCH,
    query=SuggestQuery,
    returns=list[FoundPlaceOut],
    limit="search",
    tags=("search",),
    links=(Link("api.feed.place", name="$response.body#/0/name"),),
    summary="Find places by the beginning of a name",
    description="For completing what somebody types: places of public meals, and those where you ate yourself.",
)
def find_places(context: Any, request: Request, query: SuggestQuery) -> list[FoundPlaceOut]:
    """Places by name."""
    found = places(request.conn, query.q, query.limit, viewer_of(request))
    return [place_out(place, request.registry["base_url"]) for place in found]
