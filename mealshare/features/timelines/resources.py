"""What the addresses of tags lead to."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.features.meals.queries import TagRow, tag_by_name


@dataclass(frozen=True)
class TagContext:
    """A tag that somebody has used."""

    tag: TagRow


class Tags:
    """``/tags/{tag}``: tags by name, however it is written."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, name: str) -> TagContext:
        """The tag, or KeyError (404) for one that no meal has ever had."""
        tag = tag_by_name(self.request.conn, name)
        if tag is None:
            raise KeyError(name)
        return TagContext(tag)
