"""``config.add_api_route``: a route that answers a wrong method with 405 and ``Allow`` instead of Pyramid's 404."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPMethodNotAllowed, HTTPNotFound
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.body import JSON, accepted_types
from mealshare.api.limit import limit_headers, spend
from mealshare.api.reply import adopt
from mealshare.core.ids import ID_PATTERN
from mealshare.core.security.permissions import CorePermission


@dataclass(frozen=True)
class PathParam:
    """What a part of an address is, for the OpenAPI document; without a ``pattern`` that of the route, if it has one."""

    description: str
    example: str | None = None
    pattern: str | None = None


def id_param(description: str, example: str = "117653444094112991") -> PathParam:
    """The part of an address that is an id (`mealshare.core.ids`)."""
    return PathParam(description, example, ID_PATTERN)


@dataclass(frozen=True)
class ApiRoute:
    """A route as the OpenAPI document needs it: the pattern, and what the parts in braces mean."""

    name: str
    pattern: str
    params: Mapping[str, PathParam] = field(default_factory=dict)


class TriedFirst:
    """View predicate that always holds, and by being one more makes the router try the view before its siblings.

    The views of an address are tried in turn; each wrong one costs an exception (10 microseconds).  Reads have it.
    """

    def __init__(self, value: bool, info: Any) -> None:
        self.value = value

    def text(self) -> str:
        """How introspection shows it."""
        return "tried_first"

    phash = text

    def __call__(self, context: Any, request: Request) -> bool:
        return True


def allowed_methods(registry: Registry, route_name: str) -> tuple[str, ...]:
    """The methods that the address of the route knows (all routes of its pattern together), sorted."""
    routes: Mapping[str, ApiRoute] = registry["api_routes"]
    pattern = routes[route_name].pattern
    methods: set[str] = {"OPTIONS"}
    for name, route in routes.items():
        if route.pattern == pattern:
            methods |= registry["api_methods"].get(name, set())
    if "GET" in methods:
        methods.add("HEAD")
    return tuple(sorted(methods))


def _any_method(context: Any, request: Request) -> Response:
    """What no view of the route wanted: OPTIONS is answered, another method is told which ones there are."""
    allowed = allowed_methods(request.registry, request.matched_route.name)
    if request.method == "OPTIONS":
        headers = [("Allow", ", ".join(allowed))]
        if "PATCH" in allowed:
            # RFC 5789 section 3.1.
            headers.append(("Accept-Patch", ", ".join(accepted_types("PATCH", JSON))))
        answer = Response(status="204 No Content", headerlist=headers)
        return adopt(answer, limit_headers(spend(request)))
    if request.method in allowed:
        # The method is known, so another predicate of the view did not hold: there is no such thing here.
        raise HTTPNotFound
    raise HTTPMethodNotAllowed(headers=[("Allow", ", ".join(allowed))])


def _add_api_route(
    config: Configurator,
    name: str,
    pattern: str,
    *,
    params: Mapping[str, str | PathParam] | None = None,
    **options: Any,
) -> None:
    """Directive ``config.add_api_route(name, pattern, **options)``; ``options`` are those of ``add_route``.

    ``params`` describes the parts of the pattern for the OpenAPI document: in words, or as `PathParam`.
    """
    told = {part: PathParam(told) if isinstance(told, str) else told for part, told in (params or {}).items()}
    config.registry["api_routes"][name] = ApiRoute(name, pattern, told)
    config.add_route(name, pattern, **options)
    config.add_view(_any_method, route_name=name, permission=CorePermission.PUBLIC, require_csrf=False)


def includeme(config: Configurator) -> None:
    """Add the directive."""
    config.registry["api_routes"] = {}
    config.registry["api_methods"] = {}
    config.add_view_predicate("tried_first", TriedFirst)
    config.add_directive("add_api_route", _add_api_route)
