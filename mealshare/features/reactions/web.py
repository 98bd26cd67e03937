"""The HTML face of reactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.security.redirects import safe_next
from mealshare.features.meals.html import feed_values, meal_title
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.reactions.queries import ATE_TOO, WANTED
from mealshare.features.reactions.rules import ReactionPermission
from mealshare.features.reactions.service import LikeService, WantService
from mealshare.web.paging import window_of
from mealshare.web.ui import Ui


@view_config(route_name="meal.like", request_method="POST", context=MealContext, permission=ReactionPermission.LIKE)
def like(context: MealContext, request: Request) -> HTTPSeeOther:
    """Like, or take it back, and return to where the button was."""
    service = LikeService(request.work)
    return _press(context, request, do=service.like, undo=service.unlike)


@view_config(route_name="meal.want", request_method="POST", context=MealContext, permission=ReactionPermission.WANT)
def want(context: MealContext, request: Request) -> HTTPSeeOther:
    """Put the meal on one's list, or take it off, and return to where the button was."""
    service = WantService(request.work)
    return _press(context, request, do=service.want, undo=service.unwant)


@view_config(
    route_name="want", request_method="GET", permission=ReactionPermission.LIST_WANTS, renderer="templates/want.pt"
)
def wants(context: Any, request: Request) -> dict[str, Any]:
    """What one wants to eat."""
    return feed_values(request, WANTED.page(request.conn, window_of(request), viewer_of(request)))


@view_config(
    route_name="meal.ate_too",
    request_method="GET",
    context=MealContext,
    permission=MealPermission.VIEW,
    renderer="templates/ate_too.pt",
)
def ate_too(context: MealContext, request: Request) -> dict[str, Any]:
    """Who ate it too."""
    page = ATE_TOO.page(request.conn, window_of(request), viewer_of(request), original=context.id)
    return feed_values(request, page) | {"card": context.card, "about": meal_title(context.card, Ui.of(request))}


def _press(
    context: MealContext, request: Request, *, do: Callable[[int, int], None], undo: Callable[[int, int], None]
) -> HTTPSeeOther:
    change = undo if "undo" in request.POST else do
    change(request.identity.account_id, context.id)
    path = safe_next(request.POST.get("next"), f"/@{context.card.username}/{context.id}")
    return HTTPSeeOther(f"{path}#meal-{context.id}")
