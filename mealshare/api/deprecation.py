"""Operations that will go away: every answer says so, and until when and with what to replace them.

- ``Deprecation: @1798761600`` (RFC 9745): since when it is advised against, a date as structured fields write it.
- ``Sunset: Fri, 01 Jan 2027 00:00:00 GMT`` (RFC 8594): from when on it may answer 404 or 410.
- ``Link``: ``rel="deprecation"`` leads to words about it, ``rel="successor-version"`` (RFC 5829) to what replaces it.

It is a view deriver over the permission, so that a refusal carries the headers as well; an operation that is not
deprecated costs nothing, because its view is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.viewderivers import INGRESS

from mealshare.core.derivers import View, deriver

#: Where the changes of the API are told: what ``rel="deprecation"`` leads to.
CHANGES = "/developers"


@dataclass(frozen=True)
class Deprecation:
    """``since`` it is advised against, from ``sunset`` on it may be gone; both begin at midnight UTC.

    ``replacement`` is the name of the route to use instead, whose address has no other parts than this one's.
    """

    since: date
    sunset: date | None = None
    replacement: str | None = None

    def __post_init__(self) -> None:
        # RFC 9745, 5: what is gone before one is warned of it has helped nobody.
        if self.sunset is not None and self.sunset < self.since:
            raise ValueError("the sunset of an operation is not before its deprecation")

    def headers(self) -> list[tuple[str, str]]:
        """``Deprecation`` and ``Sunset``."""
        headers = [("Deprecation", f"@{int(_midnight(self.since).timestamp())}")]
        if self.sunset is not None:
            headers.append(("Sunset", format_datetime(_midnight(self.sunset), usegmt=True)))
        return headers

    def in_words(self, replacement: str | None) -> str:
        """The sentence for the document; ``replacement`` is an operation, such as ``GET /api/meals``."""
        words = f"**Deprecated** since {self.since.isoformat()}"
        if self.sunset is not None:
            words += f"; may be gone from {self.sunset.isoformat()} on"
        return words + (f". Use `{replacement}` instead." if replacement else ".")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@deriver("deprecation")
def deprecated_view(view: View, info: Any) -> View:
    """View deriver: the headers on every answer of a view with ``deprecation=``, on refusals too."""
    deprecation: Deprecation | None = info.options.get("deprecation")
    if deprecation is None:
        return view

    def wrapped(context: Any, request: Request) -> Response:
        # A callback, because what a refusal is made of does not come by here.
        request.add_response_callback(lambda request, response: _announce(deprecation, request, response))
        return view(context, request)

    return wrapped


def _announce(deprecation: Deprecation, request: Request, response: Response) -> None:
    links = [(CHANGES, "deprecation")]
    if deprecation.replacement is not None:
        links.append((request.route_path(deprecation.replacement, **request.matchdict), "successor-version"))
    base_url = request.registry["base_url"]
    response.headerlist.extend(deprecation.headers())
    response.headerlist.extend(("Link", f'<{base_url}{path}>; rel="{relation}"') for path, relation in links)


def includeme(config: Configurator) -> None:
    """Install the view deriver."""
    config.add_view_deriver(deprecated_view, name="deprecated_view", under=INGRESS, over="csrf_first")
