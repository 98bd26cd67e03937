"""The JSON face of reactions."""

from __future__ import annotations

from pyramid.request import Request

from mealshare.api import api_view
from mealshare.features.meals.resources import MealContext
from mealshare.features.reactions.rules import ReactionPermission
from mealshare.features.reactions.service import LikeService


@api_view(
    route_name="api.meal.like",
    request_method="PUT",
    permission=ReactionPermission.LIKE,
    context=MealContext,
    status=204,
    tags=("reactions",),
    summary="Like a meal",
    description="“Yum!” Doing it twice changes nothing.",
)
def like_meal(context: MealContext, request: Request) -> None:
    """Like."""
    LikeService(request.work).like(request.identity.account_id, context.id)


@api_view(
    route_name="api.meal.like",
    request_method="DELETE",
    permission=ReactionPermission.LIKE,
    context=MealContext,
    status=204,
    tags=("reactions",),
    summary="Take a like back",
    description="Doing it twice changes nothing.",
)
def unlike_meal(context: MealContext, request: Request) -> None:
    """Take the like back."""
    LikeService(request.work).unlike(request.identity.account_id, context.id)
