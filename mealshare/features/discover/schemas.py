"""What can be asked for, and what is suggested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from mealshare.api import Query
from mealshare.features.discover.vocabulary import DrawSource
from mealshare.features.meals.vocabulary import Allergen, Diet, MealType


class DrawQuery(Query):
    """What a suggestion has to fulfil; all conditions must hold."""

    meal_type: MealType | None = Field(default=None, description="Only this meal of the day.", examples=["dinner"])
    place: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Eaten at the place of this name.", examples=["Old Chen"]
    )
    diet: Annotated[list[Diet], Field(max_length=9)] = Field(
        default=[], description="Declared to suit this diet; may be repeated.", examples=[["vegetarian"]]
    )
    without: Annotated[list[Allergen], Field(max_length=14)] = Field(
        default=[],
        description="Not declared to contain this allergen; may be repeated. Says nothing about what is not declared.",
        examples=[["peanuts"]],
    )
    source: DrawSource | None = Field(
        default=None,
        description="Only from your want list, your favourites, the people you follow, or everybody.",
        examples=["want"],
    )


#: An example: what the windows of the day give to somebody who has not posted anything.
_DAY = ["late_night"] * 8 + ["breakfast"] * 13 + ["lunch"] * 8 + ["snack"] * 5 + ["dinner"] * 9 + ["late_night"] * 5


@dataclass
class SuggestionsOut:
    """What to fill in, learnt from your own last meals."""

    meal_types: Annotated[
        list[MealType],
        Field(
            description="The probable meal for each half hour of your day, from midnight: 48 of them.",
            min_length=48,
            max_length=48,
            examples=[_DAY],
        ),
    ]
    places: Annotated[
        list[str], Field(description="Where you eat most, the most frequent first.", examples=[["Old Chen", "Home"]])
    ]
    tags: Annotated[list[str], Field(description="The tags that you use most.", examples=[["sichuan", "spicy"]])]
