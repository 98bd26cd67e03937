"""The words of streams."""

from __future__ import annotations

from enum import StrEnum


class Feed(StrEnum):
    """What can be listened to."""

    PUBLIC = "public"
    HOME = "home"


class Reason(StrEnum):
    """Why a stream ends, as it says itself; its client may begin a new one in each case."""

    #: It has lasted as long as one may.
    TIME = "time"
    EXPIRED = "token_expired"
    #: The session or the token behind it counts no more.
    SIGNED_OUT = "signed_out"
    RESTART = "restart"
