"""``GET /api``: where everything is, for a person who begins to look around and for a program that knows one address."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request

from mealshare.api.openapi import declared_operations, split_pattern
from mealshare.api.view import Operation, api_view
from mealshare.core.security.permissions import CorePermission

_CACHE = "api_index"


@api_view(
    route_name="api.index",
    permission=CorePermission.PUBLIC,
    returns=dict[str, str],
    summary="The index",
    description="The addresses of the API by name; those with braces are URI templates (RFC 6570), and name only those"
    " parameters that are required. The document under `openapi` tells of all of them.",
    tags=("instance",),
)
def index(context: Any, request: Request) -> dict[str, str]:
    """The addresses of the API."""
    registry = request.registry
    cache: dict[str, str] = registry[_CACHE]
    if not cache:
        cache.update(addresses(registry))
    return cache


def addresses(registry: Registry) -> dict[str, str]:
    """The absolute address of each documented resource by its route's name, as a URI template; the documents last."""
    base_url: str = registry["base_url"]
    found: dict[str, str] = {}
    for operation, route in declared_operations(registry):
        path, _ = split_pattern(route.pattern)
        name = route.name.removeprefix("api.").replace(".", "_")
        found.setdefault(name, base_url + path + _required(operation))
    return found | {"openapi": f"{base_url}/openapi.json", "docs": f"{base_url}/docs"}


def _required(operation: Operation) -> str:
    """The query parameters without which a GET is refused, as the end of a URI template."""
    if operation.query is None or operation.request_method != "GET":
        return ""
    fields = operation.query.model_fields.items()
    names = [field.alias or name for name, field in fields if field.is_required()]
    return "{?" + ",".join(names) + "}" if names else ""


def includeme(config: Configurator) -> None:
    """Add the route."""
    config.registry[_CACHE] = {}
    config.add_api_route("api.index", "/api")
