"""Reactions: "Yum!"."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.features.meals.events import MealDeleted
from mealshare.features.meals.resources import Meals, MealsOfPerson
from mealshare.features.reactions.html import like_action
from mealshare.features.reactions.rules import RULES
from mealshare.features.reactions.service import forget_likes


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.subscribe(MealDeleted, forget_likes)
    config.add_route("meal.like", "/@{username}/{id}/like", factory=MealsOfPerson, traverse="/{username}/{id}")
    config.add_api_route("api.meal.like", "/api/meals/{id}/like", factory=Meals, traverse="/{id}")
    config.add_card_action(like_action)
    config.scan(".web")
    config.scan(".api")
