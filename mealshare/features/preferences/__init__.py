"""What somebody avoids: allergens and diets.

The row is read by `meals.cards`, so that every list of meals leaves out or marks what it must without another
statement; here is how it is written, and what cards and pages say.
"""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from mealshare.features.preferences.html import caution_gate, caution_note
from mealshare.features.preferences.rules import RULES


def _link(request: Request) -> dict[str, Any]:
    return {"here": request.path == "/settings/food"}


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_api_tags({"preferences": "What you avoid and keep to: allergies and diets."})
    config.add_card_note(caution_note)
    config.add_meal_gate(caution_gate)
    config.add_slot("settings.nav", "mealshare.features.preferences:templates/link.pt", _link)
    config.add_route("settings.food", "/settings/food")
    config.add_api_route("api.preferences", "/api/preferences")
    config.scan(".web")
    config.scan(".api")
