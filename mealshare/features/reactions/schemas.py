"""What comes in with "I ate this too"."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import Field

from mealshare.core.validation import validate_json
from mealshare.features.meals.schemas import MealInput, MealPatch, as_copy, merge_patch


class AteTooPatch(MealPatch, example={"visibility": "followers", "note": "Twice as hot."}):
    """A JSON merge patch (RFC 7396) of a meal that has the food, tags, diets and allergens of the one eaten too."""

    root: dict[str, Any] = Field(default={})

    def applied_to(self, card: Any) -> MealInput:
        """The whole new meal; raises InputInvalid when it is not one that could be posted."""
        return validate_json(MealInput, orjson.dumps(merge_patch(as_copy(card), self.root)))
