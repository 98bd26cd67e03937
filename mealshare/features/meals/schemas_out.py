"""What a meal looks like when it goes out as JSON, whole or in part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from mealshare.api.values import Address, Day, Id, Moment
from mealshare.features.meals.vocabulary import Allergen, Diet, MealType, Source, Visibility
from mealshare.features.media.schemas import MediaOut

PersonUrl = Annotated[Address, Field(description="Their page.", examples=["https://meals.example/@mei_lin"])]
_TAG_LINK = '<a href="https://meals.example/tags/%s" class="hashtag" rel="tag">#%s</a>'
MealId = Annotated[Id, Field(examples=["117653444094112991"])]


@dataclass
class AuthorOut:
    """Who has published it."""

    username: Annotated[str, Field(description="Their username.", examples=["mei_lin"])]
    display_name: Annotated[str, Field(description="The name that others see.", examples=["Mei Lin 🥟"])]
    avatar_url: Annotated[
        Address | None,
        Field(
            description="Their picture, a square; null where there is none.",
            examples=["https://meals.example/avatars/d0ce686400685a2a37922669983070e2.webp"],
        ),
    ]
    url: PersonUrl


@dataclass
class PlaceOut:
    """Where it was eaten."""

    name: Annotated[str, Field(description="What people call it.", examples=["Old Chen"])]
    city: Annotated[str, Field(description="The town or city, or empty.", examples=["Chengdu"])]
    country_code: Annotated[str, Field(description="ISO 3166-1 alpha-2, or empty.", examples=["CN"])]
    latitude: Annotated[float | None, Field(description="Degrees north.", examples=[30.6586])]
    longitude: Annotated[float | None, Field(description="Degrees east.", examples=[104.0648])]


@dataclass
class TagOut:
    """A tag, as this meal writes it."""

    name: Annotated[str, Field(description="Without its #.", examples=["sichuan"])]
    url: Annotated[Address, Field(description="The tag's page.", examples=["https://meals.example/tags/sichuan"])]


@dataclass
class MentionOut:
    """Somebody who is named in the note."""

    username: Annotated[str, Field(description="Their username.", examples=["tom_b"])]
    url: Annotated[Address, Field(description="Their page.", examples=["https://meals.example/@tom_b"])]


@dataclass
class AllergensOut:
    """What the eater declared; what is in neither list is not declared."""

    contains: Annotated[list[Allergen], Field(description="What is in it.", examples=[["soybeans"]])]
    free_from: Annotated[list[Allergen], Field(description="What is not in it.", examples=[[]])]


@dataclass
class ViewerOut:
    """How the one who asks stands to the meal; for a visitor, all is false and empty."""

    liked: Annotated[bool, Field(description="You like it.", examples=[True])]
    wanted: Annotated[bool, Field(description="It is on your want list.")]
    ate_too: Annotated[bool, Field(description="You have posted that you ate it too.")]
    own: Annotated[bool, Field(description="It is yours.")]
    can_edit: Annotated[bool, Field(description="You may change it.")]
    avoided: Annotated[
        list[Allergen], Field(description="Of what you avoid: what is declared to be in it.", examples=[[]])
    ] = field(default_factory=list)
    not_declared: Annotated[
        list[Allergen], Field(description="Of what you avoid: what nothing is said about.", examples=[["peanuts"]])
    ] = field(default_factory=list)


@dataclass
class MealOut:
    """A meal: what somebody ate."""

    id: Annotated[MealId, Field(description="Its id; newer meals have higher ones.")]
    url: Annotated[
        Address,
        Field(description="Its page.", examples=["https://meals.example/@mei_lin/117653444094112991"]),
    ]
    uri: Annotated[
        Address,
        Field(
            description="The address that never changes.",
            examples=["https://meals.example/users/mei_lin/posts/117653444094112991"],
        ),
    ]
    user: Annotated[AuthorOut, Field(description="Who ate it.")]
    food: Annotated[str, Field(description="What was eaten; empty where the pictures say it.", examples=["Mapo tofu"])]
    note: Annotated[str, Field(description="Longer words, as typed.", examples=["Hot enough. #tofu #sichuan"])]
    note_html: Annotated[
        str,
        Field(
            description="The same as safe HTML, with links.",
            examples=[f"<p>Hot enough. {_TAG_LINK % ('tofu', 'tofu')} {_TAG_LINK % ('sichuan', 'sichuan')}</p>"],
        ),
    ]
    meal_type: Annotated[MealType, Field(description="Which meal of the day it was.", examples=["lunch"])]
    eaten_at: Annotated[
        Moment,
        Field(
            description="When it was eaten, with the offset of its time zone.", examples=["2026-11-20T12:30:00+08:00"]
        ),
    ]
    time_zone: Annotated[str, Field(description="Where, as an IANA time zone.", examples=["Asia/Shanghai"])]
    eaten_on: Annotated[Day, Field(description="The date on the eater's wall.", examples=["2026-11-20"])]
    created_at: Annotated[Moment, Field(description="When it was posted.", examples=["2026-11-20T04:41:12Z"])]
    edited_at: Annotated[Moment | None, Field(description="When it was last edited; null: never.", examples=[None])]
    visibility: Annotated[Visibility, Field(description="Who may see it.")]
    sensitive: Annotated[bool, Field(description="Cover the pictures until the reader asks for them.")]
    spoiler_text: Annotated[
        str, Field(description="A content warning to show in place of note and pictures, or empty.", examples=[""])
    ]
    language: Annotated[str | None, Field(description="BCP 47 tag of the words; null: not said.", examples=["en"])]
    media: Annotated[list[MediaOut], Field(description="Its pictures, in order.")]
    place: Annotated[PlaceOut | None, Field(description="Where it was eaten; null: not said.")]
    source: Annotated[
        Source | None, Field(description="Where the food came from; null: not said.", examples=["restaurant"])
    ]
    tags: Annotated[
        list[TagOut],
        Field(
            description="Its tags, those in the note included.",
            examples=[
                [
                    {"name": "tofu", "url": "https://meals.example/tags/tofu"},
                    {"name": "sichuan", "url": "https://meals.example/tags/sichuan"},
                    {"name": "spicy", "url": "https://meals.example/tags/spicy"},
                ]
            ],
        ),
    ]
    mentions: Annotated[list[MentionOut], Field(description="Who is named in the note.", examples=[[]])]
    diets: Annotated[list[Diet], Field(description="Diets that it suits, as the eater says.", examples=[["halal"]])]
    allergens: Annotated[AllergensOut, Field(description="What is in it, and what is not.")]
    recipe_url: Annotated[str | None, Field(description="Where the recipe is; null: not said.", examples=[None])]
    comments_closed: Annotated[bool, Field(description="Nobody may comment (any more).")]
    version: Annotated[int, Field(ge=1, description="Counts up with each change that others can see.", examples=[1])]
    inspired_by: Annotated[
        MealId | None,
        Field(description="The id of the meal of which it is an “I ate this too”, if you may see it.", examples=[None]),
    ] = None
    likes_count: Annotated[int, Field(ge=0, description="How many like it.", examples=[4])] = 0
    comments_count: Annotated[int, Field(ge=0, description="How many comments and replies it has.", examples=[2])] = 0
    ate_too_count: Annotated[int, Field(ge=0, description="How many posted that they ate it too.", examples=[1])] = 0
    viewer: Annotated[ViewerOut, Field(description="How you stand to it.")] = field(
        default_factory=lambda: ViewerOut(False, False, False, False, False)
    )


@dataclass
class TagSummary:
    """A tag and how many public meals have it."""

    name: Annotated[str, Field(description="Without its #.", examples=["sichuan"])]
    url: Annotated[Address, Field(description="The tag's page.", examples=["https://meals.example/tags/sichuan"])]
    meals_count: Annotated[int, Field(ge=0, description="How many public meals have it.", examples=[42])]


@dataclass
class ChangedOut:
    """How many meals have changed."""

    changed: Annotated[int, Field(ge=0, description="How many got another visibility than they had.", examples=[17])]
