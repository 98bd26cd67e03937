"""The addresses of pictures, and the shape in which both faces show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mealshare.features.media.checks import PREFIX
from mealshare.features.media.images import VARIANT_EDGES
from mealshare.features.media.models import MediaState
from mealshare.features.media.schemas import MediaOut

PREVIEW, FULL = VARIANT_EDGES


def media_url(base_url: str, key: str, edge: int) -> str:
    """The address of a variant."""
    return f"{base_url}/media/{key}/{edge}.webp"


def avatar_url(base_url: str, key: str | None) -> str | None:
    """The address of an avatar of 320 pixels, or None for somebody who has none."""
    return None if key is None else f"{base_url}/avatars/{key}.webp"


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
