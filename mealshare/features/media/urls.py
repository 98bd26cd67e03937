"""The addresses of pictures, and the shape in which both faces show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mealshare.features.accounts.present import avatar_url
from mealshare.features.media.checks import PREFIX
from mealshare.features.media.images import VARIANT_EDGES
from mealshare.features.media.models import MediaState
from mealshare.features.media.schemas import MediaOut

__all__ = ["avatar_url", "media_out", "media_url"]

PREVIEW, FULL = VARIANT_EDGES


def media_url(base_url: str, key: str, edge: int) -> str:
    """The address of a variant."""
    return f"{base_url}/media/{key}/{edge}.webp"


def srcset(photo: MediaOut) -> str | None:
    """Both variants of a picture with the widths that they really have, for ``<img srcset>``; None when it has none.

    A variant's *longer* edge has the given length, so that of a portrait is much narrower than its name says.
    """
    if photo.url is None or photo.preview_url is None or not photo.width or not photo.height:
        return None
    longest = max(photo.width, photo.height)
    small, large = (max(1, round(photo.width * min(edge, longest) / longest)) for edge in VARIANT_EDGES)
    return f"{photo.preview_url} {small}w, {photo.url} {large}w" if small < large else None


def media_out(item: Mapping[str, Any], base_url: str) -> MediaOut:
    """A row of media as it goes out; with ``base_url`` "" the addresses are paths."""
    ready = item["state"] == MediaState.READY
    key, error = item["storage_key"], item.get("error")
    return MediaOut(
        id=str(item["id"]),
        type="image",
        url=media_url(base_url, key, FULL) if ready else None,
        preview_url=media_url(base_url, key, PREVIEW) if ready else None,
        description=item["description"],
        blurhash=item["blurhash"],
        width=item["width"],
        height=item["height"],
        state=item["state"],
        error=None if error is None else PREFIX + error,
    )
