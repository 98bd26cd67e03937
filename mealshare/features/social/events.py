"""What happened between people; published inside the transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FollowRequested:
    """``account_id`` asks to follow the locked account ``target_id``."""

    account_id: int
    target_id: int


@dataclass(frozen=True)
class Followed:
    """``account_id`` follows ``target_id`` from now on: at once, or because the request was accepted."""

    account_id: int
    target_id: int
    #: True when it had been asked for before.
    requested: bool = False


@dataclass(frozen=True)
class Unfollowed:
    """``account_id`` does not follow ``target_id`` any more, or does not ask to: whoever of the two ended it."""

    account_id: int
    target_id: int
    #: True when it had only been asked for.
    requested: bool = False


@dataclass(frozen=True)
class Blocked:
    """``account_id`` has blocked ``target_id``; the follows between the two have ended (with events of their own)."""

    account_id: int
    target_id: int


@dataclass(frozen=True)
class Unblocked:
    """``account_id`` has taken the block of ``target_id`` back; follows do not return by themselves."""

    account_id: int
    target_id: int


@dataclass(frozen=True)
class Muted:
    """``account_id`` has muted ``target_id``."""

    account_id: int
    target_id: int


@dataclass(frozen=True)
class Unmuted:
    """``account_id`` has taken the mute of ``target_id`` back."""

    account_id: int
    target_id: int
