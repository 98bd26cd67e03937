"""Pages of a list in the HTML face: which one a link asks for, and the address of the next."""

from __future__ import annotations

from urllib.parse import urlencode

from pyramid.request import Request

from mealshare.core.db import MAX_ID, Window
from mealshare.core.ids import parse_id


def window_of(request: Request) -> Window:
    """The page of a list that a link asks for; what is not an id starts at the top, as a mistyped address should."""
    try:
        return Window(max_id=parse_id(request.GET.get("max_id", "")))
    except ValueError:
        return Window(max_id=MAX_ID)


def older_address(request: Request, next_max_id: int | None) -> str | None:
    """The address of the page after this one, filters kept; None where there is none."""
    if next_max_id is None:
        return None
    kept = [(name, value) for name, value in request.GET.items() if name != "max_id"]
    return f"{request.path}?{urlencode([*kept, ('max_id', next_max_id)])}"
