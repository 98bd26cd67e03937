"""What the addresses of tags lead to."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.features.meals.queries import TagRow, tag_by_name
from mealshare.features.meals.resources import viewer_of


@dataclass(frozen=True)
class TagContext:
    """A tag of meals that the viewer may see."""

    tag: TagRow


class Tags:
    """``/tags/{tag}``: tags by name, however it is written."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, name: str) -> TagContext:
        """The tag, or KeyError (404) where no meal that the viewer may see has it."""
        tag = tag_by_name(self.request.conn, name, viewer_of(self.request))
        if tag is None:
            raise KeyError(name)
        return TagContext(tag)
