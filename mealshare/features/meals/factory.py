"""Makes the service from what a request, a job or a command has at hand."""

from __future__ import annotations

from pyramid.registry import Registry
from pyramid.request import Request

from mealshare.core.work import Work
from mealshare.features.meals.service import MealService
from mealshare.features.media.factory import media_service


def make_meal_service(work: Work, registry: Registry) -> MealService:
    """The service for one unit of work."""
    return MealService(work, media_service(work, registry), registry["base_url"])


def meal_service(request: Request) -> MealService:
    """The service for this request's transaction."""
    return make_meal_service(request.work, request.registry)
