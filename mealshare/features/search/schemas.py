"""What may be asked of a search, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mealshare.api import Query
from mealshare.api.values import Address
from mealshare.core.search import QUERY_LENGTH
from mealshare.features.accounts.schemas_out import UserOut
from mealshare.features.meals.schemas import MealFilter
from mealshare.features.meals.schemas_out import MealOut, TagSummary

#: How many people, tags and places come with a page of meals.
FEW = 10
Words = Annotated[str, Field(max_length=QUERY_LENGTH)]


class SearchType(StrEnum):
    """What can be found."""

    MEALS = "meals"
    USERS = "users"
    TAGS = "tags"
    PLACES = "places"


class SearchQuery(MealFilter):
    """What is searched for; the filters of meals narrow the meals."""

    q: Words = Field(
        description="Words, of which the last may be a beginning. Without a letter or digit nothing is found.",
        examples=["tofu"],
    )
    type: Annotated[list[SearchType], Field(max_length=4)] = Field(
        default=[], description="What to search for; may be repeated. Left out: everything.", examples=[["meals"]]
    )

    def wants(self, kind: SearchType) -> bool:
        """Whether this page of the results has that kind of thing: what follows the first page are meals."""
        if self.type and kind not in self.type:
            return False
        first = self.max_id is None and not self.min_id and not self.skip
        return first or kind is SearchType.MEALS


class SuggestQuery(Query):
    """The beginning of a name that somebody types."""

    q: Words = Field(description="What has been typed so far.", examples=["me"])
    limit: int = Field(default=FEW, ge=1, le=50, description="How many at most.")


@dataclass
class FoundPlaceOut:
    """A place, without coordinates: those belong to each single meal."""

    name: Annotated[str, Field(description="What people call it.", examples=["Old Chen"])]
    city: Annotated[str, Field(description="The town or city, or empty.", examples=["Chengdu"])]
    country_code: Annotated[str, Field(description="ISO 3166-1 alpha-2, or empty.", examples=["CN"])]
    url: Annotated[Address, Field(description="Its page.", examples=["https://meals.example/places/Old%20Chen"])]


@dataclass
class SearchOut:
    """What was found; a kind that was not asked for is empty."""

    meals: Annotated[list[MealOut], Field(description="Meals, newest post first.")] = field(default_factory=list)
    users: Annotated[list[UserOut], Field(description="People; on the first page only.")] = field(default_factory=list)
    tags: Annotated[list[TagSummary], Field(description="Tags; on the first page only.")] = field(default_factory=list)
    places: Annotated[list[FoundPlaceOut], Field(description="Places; on the first page only.")] = field(
        default_factory=list
    )
