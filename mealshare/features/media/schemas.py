"""What comes in about pictures, and what goes out as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mealshare.api import Form, Upload
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
    """Changes of a picture (RFC 7396)."""

    description: Description | None = Field(default=None, description="What it shows, in words; null takes them away.")


@dataclass
class MediaOut:
    """A picture.  The addresses are null until it is ready."""

    id: Annotated[str, Field(examples=["123456789012345678"])]
    type: Literal["image"]
    url: Annotated[str | None, Field(description="The variant of at most 1600 pixels.")]
    preview_url: Annotated[str | None, Field(description="The variant of at most 400 pixels.")]
    description: Annotated[str, Field(description="What it shows, in words.")]
    blurhash: Annotated[str | None, Field(description="A blurred preview in a few characters (https://blurha.sh).")]
    width: Annotated[int | None, Field(description="Width of the whole picture, upright, in pixels.")]
    height: Annotated[int | None, Field(description="Its height.")]
    state: Literal["processing", "ready", "failed"]
    error: Annotated[str | None, Field(description="Why it failed, for programs.", examples=["picture_broken"])] = None


@dataclass
class AvatarOut:
    """One's picture."""

    avatar_url: str | None
