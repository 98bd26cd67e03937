"""What the addresses of tags and places lead to."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.features.meals.queries import TagRow, tag_by_name
from mealshare.features.meals.resources import viewer_of
from mealshare.features.timelines.queries import PlaceRow, place_by_name


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


@dataclass(frozen=True)
class PlaceContext:
    """A place of meals that the viewer may see."""

    place: PlaceRow


class Places:
    """``/places/{name}``: places by name, however it is written."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, key: str) -> PlaceContext:
        """The place in the address, or KeyError (404) where no meal that the viewer may see was eaten there."""
        name = self.request.matchdict["name"]
        place = None if "\0" in name else place_by_name(self.request.conn, name, viewer_of(self.request))
        if place is None:
            raise KeyError(name)
        return PlaceContext(place)
