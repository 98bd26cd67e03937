"""Where a suggestion comes from."""

from __future__ import annotations

from enum import StrEnum


class DrawSource(StrEnum):
    """Where a suggestion comes from."""

    WANT = "want"
    FAVOURITE = "favourite"
    FOLLOWED = "followed"
    #: Everybody's public meals: for visitors, and where the others have nothing.
    PUBLIC = "public"
