"""What happened to comments; published inside the transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Commented:
    """There is a new comment."""

    comment_id: int
    meal_id: int
    account_id: int
    meal_author_id: int
    #: Whose comment it answers, if it answers one.
    replied_to: int | None = None
    #: The accounts that its note names.
    mentioned: tuple[int, ...] = ()


@dataclass(frozen=True)
class CommentEdited:
    """A comment says something else."""

    comment_id: int
    meal_id: int
    account_id: int
    #: The accounts that its note names and did not name before.
    mentioned: tuple[int, ...] = ()


@dataclass(frozen=True)
class CommentDeleted:
    """A comment was deleted; only its tombstone is left."""

    comment_id: int
    meal_id: int
    account_id: int
