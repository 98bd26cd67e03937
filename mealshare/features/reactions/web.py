"""The HTML face of reactions."""

from __future__ import annotations

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.security.redirects import safe_next
from mealshare.features.meals.resources import MealContext
from mealshare.features.reactions.rules import ReactionPermission
from mealshare.features.reactions.service import LikeService


@view_config(route_name="meal.like", request_method="POST", context=MealContext, permission=ReactionPermission.LIKE)
def like(context: MealContext, request: Request) -> HTTPSeeOther:
    """Like, or take it back, and return to where the button was."""
    service = LikeService(request.work)
    change = service.unlike if "undo" in request.POST else service.like
    change(request.identity.account_id, context.id)
    path = safe_next(request.POST.get("next"), f"/@{context.card.username}/{context.id}")
    return HTTPSeeOther(f"{path}#meal-{context.id}")
