"""The JSON face of timelines."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Reply, api_view
from mealshare.features.meals.api import filtered_page, list_reply
from mealshare.features.meals.queries import PUBLIC, WITH_TAG
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas import MealFilter, MealOut
from mealshare.features.timelines.resources import TagContext


@api_view(
    route_name="api.feed.public",
    request_method="GET",
    permission=MealPermission.LIST,
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=("feeds",),
    summary="Read the public feed",
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
    description="The newest public meals with the tag first.",
)
def tag_feed(context: TagContext, request: Request, query: MealFilter) -> Reply:
    """The newest public meals with a tag."""
    return list_reply(request, filtered_page(request, WITH_TAG, query, tag_id=context.tag.id))
