"""Finding something: explore, what to eat, and what to fill in."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.core.i18n import _
from mealshare.features.discover.html import own_places


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_problems(
        {"nothing_to_draw": (404, _("Nothing fits. Ask for less, or put something on your want list."))}
    )
    config.add_slot("compose.after", "mealshare.features.discover:templates/own_places.pt", own_places)
    config.add_route("explore", "/explore")
    config.add_route("random", "/random")
    config.add_api_route("api.meals.random", "/api/meals/random")
    config.add_api_route("api.meals.suggestions", "/api/meals/suggestions")
    config.scan(".web")
    config.scan(".api")
