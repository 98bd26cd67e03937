"""What comes in about notifications, and what goes out as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from mealshare.api import PagedQuery
from mealshare.api.values import Address, Id, Moment
from mealshare.core.validation import Input, SnowflakeId
from mealshare.features.meals.schemas_out import AuthorOut
from mealshare.features.notifications.models import NotificationType

Types = Annotated[list[NotificationType], Field(max_length=len(NotificationType))]


class NotificationQuery(PagedQuery):
    """Which part of one's notifications; ``limit`` counts groups, ``skip`` single notifications."""

    type: Types = Field(default=[], description="Only these types; may be repeated.", examples=[["comment"]])


class ReadInput(Input):
    """What is to be marked as read: all, or what lies between two ids (both included), of some types."""

    max_id: SnowflakeId | None = Field(
        default=None,
        description="The `id` of the newest one that was seen; left out: all.",
        examples=["117653444226111999"],
    )
    min_id: SnowflakeId | None = Field(default=None, description="The `id` of the oldest one.")
    type: Types = Field(default=[], description="Only these types; all if there are none.")


class NotificationSettingsInput(Input):
    """Which types you want to be told about; one that is not named is on."""

    like: bool = Field(default=True, description="Somebody likes your meal or comment.", examples=[False])
    comment: bool = Field(default=True, description="Somebody comments on your meal, or answers you.")
    mention: bool = Field(default=True, description="Somebody names you.")
    follow: bool = Field(default=True, description="Somebody follows you.")
    follow_request: bool = Field(default=True, description="Somebody asks to follow you.")
    ate_too: bool = Field(default=True, description="Somebody ate your meal too.")


@dataclass
class NotificationSettingsOut:
    """Which types you are told about."""

    like: Annotated[bool, Field(description="Somebody likes your meal or comment.")]
    comment: Annotated[bool, Field(description="Somebody comments on your meal, or answers you.", examples=[True])]
    mention: Annotated[bool, Field(description="Somebody names you.", examples=[True])]
    follow: Annotated[bool, Field(description="Somebody follows you.", examples=[True])]
    follow_request: Annotated[bool, Field(description="Somebody asks to follow you.", examples=[True])]
    ate_too: Annotated[bool, Field(description="Somebody ate your meal too.", examples=[True])]


@dataclass
class MealRef:
    """A meal in a few words."""

    id: Annotated[Id, Field(description="Its id.", examples=["117653444094112991"])]
    url: Annotated[
        Address, Field(description="Its page.", examples=["https://meals.example/@mei_lin/117653444094112991"])
    ]
    food: Annotated[str, Field(description="What was eaten.", examples=["Mapo tofu"])]


@dataclass
class CommentRef:
    """A comment in a few words."""

    id: Annotated[Id, Field(description="Its id.", examples=["117653444226111422"])]
    url: Annotated[
        Address, Field(description="Where it stands.", examples=["https://meals.example/@tom_b/117653444226111422"])
    ]
    note: Annotated[str, Field(description="Its words.", examples=["That looks good!"])]


@dataclass
class NotificationOut:
    """What one or several people did with one thing."""

    id: Annotated[
        Id, Field(description="That of the newest notification in the group.", examples=["117653444226111999"])
    ]
    type: Annotated[NotificationType, Field(description="What they did.", examples=["comment"])]
    created_at: Annotated[Moment, Field(description="When the newest one came.", examples=["2026-11-20T05:02:40Z"])]
    read: Annotated[bool, Field(description="You have marked it as read.")]
    count: Annotated[int, Field(ge=1, description="How many people did it.", examples=[1])]
    users: Annotated[
        list[AuthorOut],
        Field(
            description="The latest of them, at most five.",
            examples=[
                [
                    {
                        "username": "tom_b",
                        "display_name": "Tom",
                        "avatar_url": None,
                        "url": "https://meals.example/@tom_b",
                    }
                ]
            ],
        ),
    ]
    meal: Annotated[MealRef | None, Field(description="The meal that it is about; null where it is about none.")]
    comment: Annotated[CommentRef | None, Field(description="The comment that it is about; null: none.")]
    inspired_by: Annotated[
        MealRef | None,
        Field(
            description="Of an `ate_too`: your own meal; `meal` is the newest that was eaten after it. Else null.",
            examples=[None],
        ),
    ]
