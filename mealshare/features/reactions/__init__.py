"""Reactions: "Yum!", "Want to eat", "I ate this too"."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.core.doctor.counters import check_of, repair_of
from mealshare.features.meals.events import MealDeleted
from mealshare.features.meals.resources import Meals, MealsOfPerson
from mealshare.features.meals.schemas import MEAL_PARAM
from mealshare.features.reactions.doctor import COUNTERS
from mealshare.features.reactions.html import ate_too_action, ate_too_panel, like_action, origin_note, want_action
from mealshare.features.reactions.rules import RULES
from mealshare.features.reactions.service import forget_reactions


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_check("like counts", check_of(*COUNTERS), repair_of(*COUNTERS))
    config.add_api_tags({"reactions": "“Yum!”, the private list of what you want to eat, and “I ate this too”."})
    config.subscribe(MealDeleted, forget_reactions)
    config.add_route("want", "/want")
    for name, word in (("meal.like", "like"), ("meal.want", "want"), ("meal.ate_too", "ate-too")):
        config.add_route(name, f"/@{{username}}/{{id}}/{word}", factory=MealsOfPerson, traverse="/{username}/{id}")
        pattern = f"/api/meals/{{id}}/{word}"
        config.add_api_route(f"api.{name}", pattern, params=MEAL_PARAM, factory=Meals, traverse="/{id}")
    config.add_api_route("api.want", "/api/want")
    for action in (like_action, want_action, ate_too_action):
        config.add_card_action(action)
    config.add_card_note(origin_note)
    config.add_meal_panel(ate_too_panel, order=50)
    config.scan(".web")
    config.scan(".api")
