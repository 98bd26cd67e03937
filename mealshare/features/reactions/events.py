"""What happened to posts; published inside the transaction, and only for what was not so before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Liked:
    """``account_id`` likes the post of ``author_id``."""

    post_id: int
    account_id: int
    author_id: int


@dataclass(frozen=True)
class Unliked:
    """``account_id`` does not like the post any more."""

    post_id: int
    account_id: int
