"""Search over meals, tags, places and people."""

from __future__ import annotations

from datetime import timedelta

from pyramid.config import Configurator

from mealshare.core.jobs import Priority
from mealshare.features.accounts.events import AccountRegistered, ProfileChanged
from mealshare.features.meals.events import MealDeleted, MealEdited, MealPublished
from mealshare.features.search.jobs import FILL, FILL_ON, fill, fill_on
from mealshare.features.search.queries import MealWords
from mealshare.features.search.rules import RULES
from mealshare.features.search.service import forget_meal, index_meal, index_person


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_api_tags({"search": "Find meals, people, tags and places; complete what somebody types."})
    config.registry["meal_words"] = MealWords()
    for posted in (MealPublished, MealEdited):
        config.subscribe(posted, index_meal)
    config.subscribe(MealDeleted, forget_meal)
    for called in (AccountRegistered, ProfileChanged):
        config.subscribe(called, index_person)
    config.add_job(FILL, fill, every=timedelta(hours=6), priority=Priority.LOW)
    config.add_job(FILL_ON, fill_on, priority=Priority.LOW)
    config.add_route("search", "/search")
    config.add_api_route("api.search", "/api/search")
    config.add_api_route("api.places", "/api/places")
    config.scan(".web")
    config.scan(".api")
