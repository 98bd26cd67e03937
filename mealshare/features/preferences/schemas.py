"""What somebody avoids and keeps to, as it comes in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from mealshare.core.validation import Input
from mealshare.features.meals.vocabulary import Allergen, AvoidMode, Diet


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class PreferencesInput(Input):
    """What somebody avoids and keeps to; what is left out goes back to its default."""

    mode: AvoidMode = Field(
        default=AvoidMode.WARN,
        description="Meals declared to contain something you avoid: left out of every list, or shown with a warning.",
    )
    avoid: Annotated[list[Allergen], Field(max_length=14), AfterValidator(_distinct)] = Field(
        default=[], description="Allergens that you avoid.", examples=[["peanuts"]]
    )
    diets: Annotated[list[Diet], Field(max_length=9), AfterValidator(_distinct)] = Field(
        default=[],
        description="Diets that you keep to; a meal not declared to suit one says so.",
        examples=[["vegetarian"]],
    )
