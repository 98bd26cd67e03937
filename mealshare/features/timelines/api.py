"""The JSON face of timelines."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Link, Reply, api_view
from mealshare.features.meals.api import filtered_page, list_reply
from mealshare.features.meals.queries import AT_PLACE, PUBLIC, WITH_TAG
from mealshare.features.meals.resources import viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas import MealFilter
from mealshare.features.meals.schemas_out import MealOut
from mealshare.features.timelines.queries import home_of
from mealshare.features.timelines.resources import PlaceContext, TagContext
from mealshare.features.timelines.rules import TimelinePermission

#: Where a list of meals leads to.
FIRST_MEAL = (Link("api.meal", "GET", id="$response.body#/0/id"),)


@api_view(
    route_name="api.feed.public",
    request_method="GET",
    permission=MealPermission.LIST,
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=("feeds",),
    summary="Read the public feed",
    links=FIRST_MEAL,
    description="What people are eating: the newest public meals first.",
)
def public_feed(context: Any, request: Request, query: MealFilter) -> Reply:
    """The newest public meals."""
    return list_reply(request, filtered_page(request, PUBLIC, query))


@api_view(
    route_name="api.feed.tag",
    request_method="GET",
    permission=MealPermission.LIST,
    context=TagContext,
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=("feeds",),
    summary="Read a tag's feed",
    links=FIRST_MEAL,
    description="The newest public meals with the tag first.",
)
def tag_feed(context: TagContext, request: Request, query: MealFilter) -> Reply:
    """The newest public meals with a tag."""
    return list_reply(request, filtered_page(request, WITH_TAG, query, tag_id=context.tag.id))


@api_view(
    route_name="api.feed.home",
    request_method="GET",
    permission=TimelinePermission.HOME,
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=("feeds",),
    summary="Read your home feed",
    links=FIRST_MEAL,
    description="The meals of the people whom you follow, and your own: the newest first.",
)
def home_feed(context: Any, request: Request, query: MealFilter) -> Reply:
    """The newest meals of those whom one follows."""
    return list_reply(request, filtered_page(request, home_of(request.conn, viewer_of(request)).meals, query))


@api_view(
    route_name="api.feed.place",
    request_method="GET",
    permission=MealPermission.LIST,
    context=PlaceContext,
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=("feeds",),
    summary="Read a place's feed",
    links=FIRST_MEAL,
    description="The newest public meals at the place first. Width, case and spaces do not tell two names apart.",
)
def place_feed(context: PlaceContext, request: Request, query: MealFilter) -> Reply:
    """The newest public meals at a place."""
    return list_reply(request, filtered_page(request, AT_PLACE, query, place_key=context.place.key))
