"""What comes in about pictures, and what goes out as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mealshare.api import Form, Upload
from mealshare.api.values import Address, Id
from mealshare.core.validation import Input, Lines
from mealshare.features.media.settings import MAX_DESCRIPTION

Description = Annotated[Lines, Field(max_length=MAX_DESCRIPTION, examples=["A bowl of noodles with two soft eggs."])]


class MediaUpload(Form):
    """A picture to upload."""

    file: Annotated[Upload, Field(description="The picture: JPEG, PNG, WebP, GIF (its first frame), AVIF or HEIC.")]
    description: Annotated[Description, Field(description="What it shows, in words.")] = ""


class AvatarUpload(Form):
    """A picture of oneself to upload."""

    file: Annotated[Upload, Field(description="The picture; the square in its middle is kept.")]


class MediaPatch(Input):
    """A JSON merge patch of a picture (RFC 7396)."""

    description: Description | None = Field(
        default=None,
        description="What it shows, in words; null takes them away.",
        examples=["A bowl of mapo tofu."],
    )


@dataclass
class MediaOut:
    """A picture. The addresses are null until it is ready."""

    id: Annotated[Id, Field(description="Its id: what a meal names it by.", examples=["117653443951375596"])]
    type: Annotated[Literal["image"], Field(description="What it is.")]
    url: Annotated[
        Address | None,
        Field(
            description="The variant of at most 1600 pixels (WebP).",
            examples=["https://meals.example/media/d0ce686400685a2a37922669983070e2/1600.webp"],
        ),
    ]
    preview_url: Annotated[
        Address | None,
        Field(
            description="The variant of at most 400 pixels (WebP).",
            examples=["https://meals.example/media/d0ce686400685a2a37922669983070e2/400.webp"],
        ),
    ]
    description: Annotated[
        str, Field(description="What it shows, in words; empty: not said.", examples=["A bowl of mapo tofu."])
    ]
    blurhash: Annotated[
        str | None,
        Field(
            description="A blurred preview in a few characters (https://blurha.sh).",
            examples=["L#HeqM2sw*X9l}WDjue=gPfkfRfk"],
        ),
    ]
    width: Annotated[int | None, Field(description="Width of the whole picture, upright, in pixels.", examples=[800])]
    height: Annotated[int | None, Field(description="Its height.", examples=[600])]
    state: Annotated[
        Literal["processing", "ready", "failed"],
        Field(description="Whether its variants are made yet.", examples=["ready"]),
    ]
    error: Annotated[
        str | None, Field(description="Why it failed, for programs (`picture_broken`); else null.", examples=[None])
    ] = None


@dataclass
class AvatarOut:
    """The picture of yourself."""

    avatar_url: Annotated[
        Address | None,
        Field(
            description="Where it is.",
            examples=["https://meals.example/avatars/d0ce686400685a2a37922669983070e2.webp"],
        ),
    ]
