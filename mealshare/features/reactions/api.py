"""The JSON face of reactions."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Reply, SortedQuery, api_view
from mealshare.features.meals.api import MEAL_LINKS, NEW_MEAL, fresh_card, list_reply, one_reply
from mealshare.features.meals.factory import meal_service
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas_out import MealOut
from mealshare.features.reactions.queries import ATE_TOO, WANTED
from mealshare.features.reactions.rules import ReactionPermission
from mealshare.features.reactions.schemas import AteTooPatch
from mealshare.features.reactions.service import LikeService, WantService

TAGS = ("reactions",)
TWICE = "Doing it twice changes nothing."


@api_view(
    route_name="api.meal.like",
    request_method="PUT",
    permission=ReactionPermission.LIKE,
    context=MealContext,
    status=204,
    tags=TAGS,
    summary="Like a meal",
    description=f"“Yum!” Whoever ate it is told. {TWICE}",
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
    tags=TAGS,
    summary="Take the like of a meal back",
    description=f"Whoever ate it is no longer told of it. {TWICE}",
)
def unlike_meal(context: MealContext, request: Request) -> None:
    """Take the like back."""
    LikeService(request.work).unlike(request.identity.account_id, context.id)


@api_view(
    route_name="api.meal.want",
    request_method="PUT",
    permission=ReactionPermission.WANT,
    context=MealContext,
    status=204,
    tags=TAGS,
    summary="Put a meal on your want list",
    description=f"The list is private, and nobody is told. {TWICE}",
)
def want_meal(context: MealContext, request: Request) -> None:
    """Want."""
    WantService(request.work).want(request.identity.account_id, context.id)


@api_view(
    route_name="api.meal.want",
    request_method="DELETE",
    permission=ReactionPermission.WANT,
    context=MealContext,
    status=204,
    tags=TAGS,
    summary="Take a meal off your want list",
    description=f"Nobody is told. {TWICE}",
)
def unwant_meal(context: MealContext, request: Request) -> None:
    """Do not want any more."""
    WantService(request.work).unwant(request.identity.account_id, context.id)


@api_view(
    route_name="api.want",
    request_method="GET",
    permission=ReactionPermission.LIST_WANTS,
    query=SortedQuery,
    returns=list[MealOut],
    paged=True,
    tags=TAGS,
    summary="Read your want list",
    description=(
        "Meals that you want to eat, the latest wish first. The ids in the `Link` header are those of the wishes, not of "
        "the meals: follow it as it stands."
    ),
)
def list_wants(context: Any, request: Request, query: SortedQuery) -> Reply:
    """What one wants to eat."""
    return list_reply(request, WANTED.page(request.conn, query.window(), viewer_of(request)))


@api_view(
    route_name="api.meal.ate_too",
    request_method="POST",
    permission=ReactionPermission.ATE_TOO,
    context=MealContext,
    body=AteTooPatch,
    body_optional=True,
    returns=MealOut,
    status=201,
    etag=True,
    tags=TAGS,
    links=MEAL_LINKS,
    example={
        "id": "117653501234567168",
        "inspired_by": "117653444094112991",
        "note": "Twice as hot.",
        "media": [],
        "note_html": "<p>Twice as hot.</p>",
        "visibility": "followers",
        "place": None,
        "source": None,
        "url": "https://meals.example/@tom_b/117653501234567168",
        "uri": "https://meals.example/users/tom_b/posts/117653501234567168",
        "user": {
            "username": "tom_b",
            "display_name": "Tom",
            "avatar_url": None,
            "url": "https://meals.example/@tom_b",
        },
        **NEW_MEAL,
    },
    summary="Post that you ate a meal too",
    description=(
        "“I ate this too”: posts a meal of your own with the food, tags, diets and allergens of this one, and a link "
        "to it; whoever ate it first is told. The optional body is a JSON merge patch (RFC 7396) over that, with the "
        "members of a meal; it is sent as `application/json`. Each request posts another meal."
    ),
)
def post_ate_too(context: MealContext, request: Request, body: AteTooPatch) -> Reply:
    """Post what one ate too."""
    service = meal_service(request)
    meal = service.post(request.identity.account_id, body.applied_to(context.card), inspired_by=context.id)
    headers = [("Location", f"/api/meals/{meal.id}")]
    return one_reply(request, fresh_card(request, meal.id), status=201, headers=headers)


@api_view(
    route_name="api.meal.ate_too",
    request_method="GET",
    permission=MealPermission.VIEW,
    context=MealContext,
    query=SortedQuery,
    returns=list[MealOut],
    paged=True,
    tags=TAGS,
    summary="List who ate a meal too",
    description="The meals that were posted by “I ate this too” and that you may see, newest post first.",
)
def list_ate_too(context: MealContext, request: Request, query: SortedQuery) -> Reply:
    """Who ate it too."""
    return list_reply(request, ATE_TOO.page(request.conn, query.window(), viewer_of(request), original=context.id))
