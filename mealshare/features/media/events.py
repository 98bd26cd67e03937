"""What happened to pictures; published inside the transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaProcessed:
    """A picture is ready, or has failed; ``post_id`` is None while it is in no post."""

    media_id: int
    post_id: int | None


@dataclass(frozen=True)
class MediaDescribed:
    """The words for a picture of a post were changed by themselves, without editing the post."""

    media_id: int
    post_id: int


@dataclass(frozen=True)
class MediaRemoved:
    """A picture of a post was removed by itself, without editing the post.

    The row has gone already, so a subscriber sees what is left of the post, and may raise Conflict to keep the picture.
    """

    media_id: int
    post_id: int
