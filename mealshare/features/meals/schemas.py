"""What a meal may be when it comes in, and what it looks like when it goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, RootModel, model_validator

from mealshare.api import PagedQuery
from mealshare.core.clock import now
from mealshare.core.dates import rfc3339, valid_zone
from mealshare.core.text import extract_tags, normalise_tag
from mealshare.core.validation import Input, Line, Lines, SnowflakeId, coded, validate_json
from mealshare.features.meals.vocabulary import Allergen, Diet, MealType, Source, Visibility
from mealshare.features.media.schemas import MediaOut

MAX_TAGS = 20
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
#: A clock may be wrong and a plane may cross the date line, but nobody has eaten the day after tomorrow.
LATEST_AHEAD = timedelta(days=1)


def _eaten_at(value: datetime) -> datetime:
    if not EARLIEST <= value <= now() + LATEST_AHEAD:
        raise coded("eaten_at_range")
    return value


def _zone(value: str) -> str:
    if not valid_zone(value):
        raise coded("bad_time_zone")
    return value


def _tag(value: str) -> str:
    try:
        return normalise_tag(value).display
    except ValueError as error:
        raise coded(str(error)) from None


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        # Reading the port refuses one that is no number.
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(char.isspace() for char in value):
        raise coded("bad_url")
    return value


def _country(value: str) -> str:
    if value and not (len(value) == 2 and value.isascii() and value.isalpha()):
        raise coded("bad_country")
    return value.upper()


def _distinct(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _no_blank(value: Any) -> Any:
    return None if value == "" else value


WebAddress = Annotated[Line, Field(max_length=2000), AfterValidator(_web_address)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
TagName = Annotated[str, Field(max_length=101), AfterValidator(_tag)]
EatenAt = Annotated[AwareDatetime, AfterValidator(_eaten_at)]


class PlaceInput(Input):
    """Where it was eaten."""

    name: Annotated[Line, Field(min_length=1, max_length=200)] = Field(
        description="What people call it.", examples=["Chez Nous"]
    )
    city: Annotated[Line, Field(max_length=100)] = ""
    country_code: Annotated[
        str, AfterValidator(_country), Field(max_length=2, description="ISO 3166-1 alpha-2.", examples=["FR"])
    ] = ""
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _both_coordinates(self) -> PlaceInput:
        if (self.latitude is None) != (self.longitude is None):
            raise coded("half_a_coordinate")
        return self


class AllergensInput(Input):
    """What the eater declares; what stands in neither list is not declared."""

    contains: Annotated[list[Allergen], Field(max_length=14), AfterValidator(_distinct)] = Field(default=[])
    free_from: Annotated[list[Allergen], Field(max_length=14), AfterValidator(_distinct)] = Field(default=[])

    @model_validator(mode="after")
    def _not_both(self) -> AllergensInput:
        if set(self.contains) & set(self.free_from):
            raise coded("allergen_in_both")
        return self


class MediaRef(Input):
    """An uploaded picture, and what it shows in words."""

    id: SnowflakeId
    description: Annotated[Lines, Field(max_length=1500)] | None = Field(
        default=None, description="Alternative text; left out: as it was given with the upload."
    )


class MealInput(Input):
    """A meal to be posted.  Either ``food`` or one picture is needed; all else is guessed or may be left out."""

    food: Annotated[Line, Field(max_length=140)] = Field(
        default="", description="What was eaten.", examples=["麻辣香锅"]
    )
    note: Annotated[Lines, Field(max_length=2000)] = Field(
        default="", description="Longer words; #hashtags and links work."
    )
    meal_type: MealType | None = Field(default=None, description="Left out: guessed from the local hour.")
    eaten_at: EatenAt | None = Field(default=None, description="RFC 3339 with an offset; left out: now.")
    time_zone: TimeZone | None = Field(
        default=None, description="IANA name; left out: the account's.", examples=["Asia/Shanghai"]
    )
    visibility: Visibility = Visibility.PUBLIC
    sensitive: bool = Field(default=False, description="The pictures are covered until the reader asks for them.")
    spoiler_text: Annotated[Line, Field(max_length=500)] = Field(
        default="", description="A content warning shown instead of note and pictures."
    )
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", max_length=20)] | None = Field(
        default=None, description="BCP 47 tag of the words.", examples=["zh-Hans"]
    )
    place: PlaceInput | None = None
    source: Source | None = None
    tags: Annotated[list[TagName], Field(max_length=MAX_TAGS), AfterValidator(_distinct)] = Field(
        default=[], examples=[["brunch"]]
    )
    diets: Annotated[list[Diet], Field(max_length=9), AfterValidator(_distinct)] = Field(default=[])
    allergens: AllergensInput = AllergensInput()
    recipe_url: Annotated[WebAddress | None, BeforeValidator(_no_blank)] = None
    media: Annotated[list[MediaRef], Field(max_length=10)] = Field(
        default=[], description="Pictures in the order in which they are shown."
    )

    @model_validator(mode="after")
    def _something(self) -> MealInput:
        if not self.food and not self.media:
            raise coded("food_or_photo")
        if len({item.id for item in self.media}) != len(self.media):
            raise coded("duplicate")
        return self


class MealPatch(RootModel[dict[str, Any]]):
    """A JSON merge patch of a meal (RFC 7396): the members that change; null takes one back to its default."""

    def applied_to(self, card: Any) -> MealInput:
        """The whole meal after the patch; raises InputInvalid when the result is not one that could be posted."""
        return validate_json(MealInput, orjson.dumps(merge_patch(as_input(card), self.root)))


def as_input(card: Any) -> dict[str, Any]:
    """What somebody would have to send to post the meal of ``card`` again."""
    place = None
    if card.place_name is not None:
        place = {
            "name": card.place_name,
            "city": card.place_city or "",
            "country_code": card.place_country or "",
            "latitude": card.place_latitude,
            "longitude": card.place_longitude,
        }
    return {
        "food": card.food,
        "note": card.note,
        "meal_type": card.meal_type,
        "eaten_at": rfc3339(card.eaten_at, card.time_zone),
        "time_zone": card.time_zone,
        "visibility": card.visibility,
        "sensitive": card.sensitive,
        "spoiler_text": card.spoiler_text,
        "language": card.language,
        "place": place,
        "source": card.source,
        "tags": _typed_tags(card),
        "diets": list(card.diets),
        "recipe_url": card.recipe_url,
        "allergens": {"contains": list(card.allergens_contained), "free_from": list(card.allergens_free_from)},
        "media": [{"id": str(item["id"]), "description": item["description"]} for item in card.media],
    }


def _typed_tags(card: Any) -> list[str]:
    """The tags that were given beside the note; those in it come back with it."""
    of_note = {tag.key for tag in extract_tags(card.note)}
    return [name for name in card.tag_names if normalise_tag(name).key not in of_note]


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


class MealFilter(PagedQuery):
    """Which meals of a list are wanted: all conditions must hold."""

    meal_type: MealType | None = None
    diet: Annotated[list[Diet], Field(max_length=9)] = Field(
        default=[], description="Declared to suit this diet; may be repeated."
    )
    without: Annotated[list[Allergen], Field(max_length=14)] = Field(
        default=[],
        description="Not declared to contain this allergen; may be repeated. Says nothing about what is not declared.",
    )
    tag: Annotated[str, Field(max_length=101)] | None = None
    place: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="The name of a place.")
    since: date | None = Field(default=None, alias="from", description="Eaten on this day or later.")
    until: date | None = Field(default=None, alias="to", description="Eaten on this day or earlier.")
    photo: bool | None = Field(default=None, description="With a picture (true) or without one (false).")

    @property
    def is_empty(self) -> bool:
        """True when nothing is filtered out."""
        return not (self.diet or self.without) and all(
            value is None for value in (self.meal_type, self.tag, self.place, self.since, self.until, self.photo)
        )


@dataclass
class AuthorOut:
    """The one who ate."""

    username: str
    display_name: str
    avatar_url: str | None
    url: str


@dataclass
class PlaceOut:
    """Where it was eaten."""

    name: str
    city: str
    country_code: str
    latitude: float | None
    longitude: float | None


@dataclass
class TagOut:
    """A tag, as this meal writes it."""

    name: str
    url: str


@dataclass
class AllergensOut:
    """What the eater declared; what is in neither list is not declared."""

    contains: list[Allergen]
    free_from: list[Allergen]


@dataclass
class ViewerOut:
    """How the one who asks stands to the meal."""

    liked: bool
    wanted: bool
    ate_too: bool
    own: bool
    can_edit: bool


@dataclass
class MealOut:
    """A meal."""

    id: str
    url: str
    uri: str
    user: AuthorOut
    food: str
    note: str
    note_html: str
    meal_type: MealType
    eaten_at: str
    time_zone: str
    eaten_on: str
    created_at: str
    edited_at: str | None
    visibility: Visibility
    sensitive: bool
    spoiler_text: str
    language: str | None
    media: list[MediaOut]
    place: PlaceOut | None
    source: Source | None
    tags: list[TagOut]
    diets: list[Diet]
    allergens: AllergensOut
    recipe_url: str | None
    inspired_by: str | None
    version: int
    likes_count: int = 0
    comments_count: int = 0
    ate_too_count: int = 0
    viewer: ViewerOut = field(default_factory=lambda: ViewerOut(False, False, False, False, False))


@dataclass
class TagSummary:
    """A tag and how many public meals have it."""

    name: str
    url: str
    meals_count: int
