"""What a meal may be when it comes in, and how lists of meals are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mealshare.api import PagedQuery, SortedQuery, id_param
from mealshare.api.patch import MergePatch
from mealshare.core.clock import now
from mealshare.core.dates import rfc3339, valid_zone
from mealshare.core.text import extract_tags, normalise_tag
from mealshare.core.validation import Input, IsoDate, IsoMoment, Line, Lines, SnowflakeId, coded, validate_json
from mealshare.features.meals.vocabulary import Allergen, Diet, MealType, Source, Visibility

#: The part of an address that names a meal.
MEAL_PARAM = {"id": id_param("The id of the meal.")}
MAX_TAGS = 20
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
#: A clock may be wrong and a plane may cross the date line, but nobody has eaten the day after tomorrow.
LATEST_AHEAD = timedelta(days=1)
#: Far enough from the end of the calendar for every time zone.
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


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


WebAddress = Annotated[
    Line, Field(max_length=2000, json_schema_extra={"pattern": "^https?://"}), AfterValidator(_web_address)
]
TimeZone = Annotated[str, Field(max_length=64, json_schema_extra={"format": "time-zone"}), AfterValidator(_zone)]
TagName = Annotated[str, Field(max_length=101), AfterValidator(_tag)]
EatenAt = Annotated[IsoMoment, AfterValidator(_eaten_at)]


class PlaceInput(Input):
    """Where it was eaten."""

    name: Annotated[Line, Field(min_length=1, max_length=200)] = Field(
        description="What people call it.", examples=["Old Chen"]
    )
    city: Annotated[Line, Field(max_length=100)] = Field(
        default="", description="The town or city.", examples=["Chengdu"]
    )
    country_code: Annotated[
        str,
        AfterValidator(_country),
        Field(
            max_length=2,
            description="The country by its two letters (ISO 3166-1 alpha-2).",
            json_schema_extra={"pattern": "^([A-Za-z]{2})?$"},
            examples=["CN"],
        ),
    ] = ""
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = Field(
        default=None, description="Degrees north; only together with the longitude.", examples=[30.6586]
    )
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = Field(
        default=None, description="Degrees east; only together with the latitude.", examples=[104.0648]
    )

    @model_validator(mode="after")
    def _both_coordinates(self) -> PlaceInput:
        if (self.latitude is None) != (self.longitude is None):
            raise coded("half_a_coordinate")
        return self


class AllergensInput(Input):
    """What the eater declares; what stands in neither list is not declared."""

    contains: Annotated[list[Allergen], Field(max_length=14), AfterValidator(_distinct)] = Field(
        default=[], description="What is in it.", examples=[["soybeans"]]
    )
    free_from: Annotated[list[Allergen], Field(max_length=14), AfterValidator(_distinct)] = Field(
        default=[], description="What is not in it, as the eater says; none of what it contains.", examples=[["fish"]]
    )

    @model_validator(mode="after")
    def _not_both(self) -> AllergensInput:
        if set(self.contains) & set(self.free_from):
            raise coded("allergen_in_both")
        return self


class MediaRef(Input):
    """An uploaded picture, and what it shows in words."""

    id: SnowflakeId = Field(
        description="The id that the upload gave; your own picture, not yet in another meal.",
        examples=["117653443951375596"],
    )
    description: Annotated[Lines, Field(max_length=1500)] | None = Field(
        default=None,
        description="What it shows, for those who cannot see it; left out: as it was given with the upload.",
    )


class MealInput(Input):
    """A meal to be posted. Either `food` or one picture is needed; all else is guessed or may be left out."""

    food: Annotated[Line, Field(max_length=140)] = Field(
        default="", description="What was eaten.", examples=["Mapo tofu"]
    )
    note: Annotated[Lines, Field(max_length=2000)] = Field(
        default="",
        description="Longer words; #hashtags, @mentions and links work.",
        examples=["Hot enough. #tofu #sichuan"],
    )
    meal_type: MealType | None = Field(
        default=None,
        description="Which meal it was; left out: guessed from the local hour, and from your last meals at that hour.",
        examples=["lunch"],
    )
    eaten_at: EatenAt | None = Field(
        default=None,
        description="When it was eaten, with an offset; from 1900 until tomorrow. Left out: now.",
        examples=["2026-11-20T12:30:00+08:00"],
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="The time zone in which it was eaten, by its IANA name; left out: the account's.",
        examples=["Asia/Shanghai"],
    )
    visibility: Visibility = Field(default=Visibility.PUBLIC, description="Who may see it.")
    sensitive: bool = Field(default=False, description="The pictures are covered until the reader asks for them.")
    spoiler_text: Annotated[Line, Field(max_length=500)] = Field(
        default="", description="A content warning, shown in place of note and pictures until the reader asks."
    )
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", max_length=20)] | None = Field(
        default=None, description="BCP 47 tag of the words.", examples=["en"]
    )
    place: PlaceInput | None = Field(
        default=None,
        description="Where it was eaten.",
        examples=[
            {
                "name": "Old Chen",
                "city": "Chengdu",
                "country_code": "CN",
                "latitude": 30.6586,
                "longitude": 104.0648,
            }
        ],
    )
    source: Source | None = Field(default=None, description="Where the food came from.", examples=["restaurant"])
    tags: Annotated[list[TagName], Field(max_length=MAX_TAGS), AfterValidator(_distinct)] = Field(
        default=[], description="Tags beside those in the note, without their #.", examples=[["spicy"]]
    )
    diets: Annotated[list[Diet], Field(max_length=9), AfterValidator(_distinct)] = Field(
        default=[], description="Diets that it suits, as the eater says.", examples=[["halal"]]
    )
    allergens: AllergensInput = Field(
        default=AllergensInput(), description="What is in it, and what is not.", examples=[{"contains": ["soybeans"]}]
    )
    recipe_url: Annotated[WebAddress | None, BeforeValidator(_no_blank)] = Field(
        default=None, description="Where the recipe is: an address with http or https."
    )
    media: Annotated[list[MediaRef], Field(max_length=10)] = Field(
        default=[],
        description="Uploaded pictures in the order in which they are shown; at most `media_per_meal` (see "
        "`GET /api/instance`).",
        # No example: a body with one could not be sent as it stands, because nobody has that picture.
    )
    comments_closed: bool = Field(default=False, description="Nobody may comment (any more).")

    @model_validator(mode="after")
    def _something(self) -> MealInput:
        if not self.food and not self.media:
            raise coded("food_or_photo")
        if len({item.id for item in self.media}) != len(self.media):
            raise coded("duplicate")
        return self


class MealPatch(MergePatch, whole=MealInput, example={"meal_type": "dinner", "place": None}):
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
        "comments_closed": card.comments_closed,
    }


def as_copy(card: Any) -> dict[str, Any]:
    """What "I ate this too" takes over: what the food is, and not where, when, with which words and pictures."""
    copied = ("food", "diets", "allergens")
    return {name: value for name, value in as_input(card).items() if name in copied} | {"tags": list(card.tag_names)}


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


def _in_calendar(value: datetime | None) -> datetime | None:
    if value is not None and not EARLIEST <= value <= LATEST:
        raise coded("bad_datetime")
    return value


class VisibilityInput(Input):
    """Which of your meals get another visibility, and which."""

    visibilities: Annotated[list[Visibility], Field(min_length=1, max_length=4), AfterValidator(_distinct)] = Field(
        alias="from", description="Only meals that have one of these.", examples=[["public", "unlisted"]]
    )
    to: Visibility = Field(description="The visibility that they get.", examples=["followers"])
    before: Annotated[IsoMoment | None, AfterValidator(_in_calendar)] = Field(
        default=None,
        description="Only meals that were posted before that moment; left out: all.",
        examples=["2026-11-01T00:00:00Z"],
    )


class MealFilter(PagedQuery):
    """Which meals of a list are wanted: all conditions must hold."""

    q: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="Words in food, note, tags or place; all must be there, the last may be a beginning.",
        examples=["tofu"],
    )
    meal_type: MealType | None = Field(default=None, description="Only this meal of the day.", examples=["lunch"])
    diet: Annotated[list[Diet], Field(max_length=9)] = Field(
        default=[], description="Declared to suit this diet; may be repeated.", examples=[["vegan"]]
    )
    without: Annotated[list[Allergen], Field(max_length=14)] = Field(
        default=[],
        description="Not declared to contain this allergen; may be repeated. Says nothing about what is not declared.",
        examples=[["peanuts"]],
    )
    tag: Annotated[str, Field(max_length=101)] | None = Field(
        default=None, description="With this tag, however it is written.", examples=["sichuan"]
    )
    place: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Eaten at the place of this name.", examples=["Old Chen"]
    )
    since: IsoDate | None = Field(
        default=None, alias="from", description="Eaten on this day or later.", examples=["2026-11-01"]
    )
    until: IsoDate | None = Field(
        default=None, alias="to", description="Eaten on this day or earlier.", examples=["2026-11-30"]
    )
    photo: bool | None = Field(default=None, description="With a picture (true) or without one (false).")

    @property
    def is_empty(self) -> bool:
        """True when nothing is filtered out."""
        return not (self.diet or self.without) and all(
            value is None
            for value in (self.q, self.meal_type, self.tag, self.place, self.since, self.until, self.photo)
        )


class PersonMealFilter(MealFilter, SortedQuery):
    """The same of one person's meals, which may be read from the first one on."""
