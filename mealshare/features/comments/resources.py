"""What the addresses of comments lead to (traversal): a comment that the viewer may see, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.core.ids import parse_id
from mealshare.features.comments.queries import CommentRow, comment_by_id
from mealshare.features.meals.resources import viewer_of


@dataclass(frozen=True)
class CommentContext:
    """A comment that the viewer may see."""

    comment: CommentRow

    @property
    def id(self) -> int:
        """The comment's id."""
        return self.comment.id

    @property
    def account_id(self) -> int:
        """Who wrote it: what the rules ask."""
        return self.comment.account_id

    @property
    def username(self) -> str:
        """Under whose name it is found."""
        return self.comment.username

    @property
    def meal_account_id(self) -> int:
        """Who ate the meal that it is about: what the rules ask."""
        return self.comment.meal_account_id


class Comments:
    """``/api/comments/{id}``: comments by id."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, key: str) -> CommentContext:
        """The comment, or KeyError (404) when there is none that the viewer may see: the two must not differ."""
        try:
            id = parse_id(key)
        except ValueError:
            raise KeyError(key) from None
        comment = comment_by_id(self.request.conn, id, viewer_of(self.request))
        if comment is None:
            raise KeyError(key)
        return CommentContext(comment)
