"""The OpenAPI 3.1 document, made from what the views declare: no operation is described in a second place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.api.openapi_info import external_docs, info, tags
from mealshare.api.openapi_operations import OperationWriter, is_anonymous, problem_codes, split_pattern
from mealshare.api.openapi_parts import HEADERS, PARAMETERS, PROBLEM_SCHEMAS, security_schemes
from mealshare.api.routes import ApiRoute
from mealshare.api.view import OPERATIONS, Operation

__all__ = [
    "build_document", "declared_operations", "document_bytes", "is_anonymous", "operation_ids", "problem_codes",
    "split_pattern",
]  # fmt: skip

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_COMPONENT = re.compile(r'"#/components/(headers|parameters|schemas)/([^"]+)"')


def build_document(registry: Registry) -> dict[str, Any]:
    """The document of all operations of the application; the same application always gives the same document.

    Raises ValueError when an operation names a problem that nobody registered or links to what there is not, and when
    two share an operationId.
    """
    operations = declared_operations(registry)
    names = operation_ids([operation for operation, _ in operations])
    writer = OperationWriter(registry, dict(zip(names, operations, strict=True)))
    paths: dict[str, Any] = {}
    for (operation, route), name in zip(operations, names, strict=True):
        path, _ = split_pattern(route.pattern)
        paths.setdefault(path, {})[operation.request_method.lower()] = writer.write(name)
    schemas = {**writer.schemas.components(), **writer.extra_schemas, **PROBLEM_SCHEMAS}
    used = {tag for operation, _ in operations for tag in operation.tags}
    document = {
        "openapi": "3.1.0",
        "info": info(registry),
        "externalDocs": external_docs(registry),
        "servers": [{"url": registry["base_url"], "description": "This site"}],
        "tags": tags(registry, used),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": dict(sorted(writer.responses.items())),
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "securitySchemes": security_schemes(registry["cookies"].name("session")),
        },
    }
    return _without_unused(document)


def document_bytes(registry: Registry) -> bytes:
    """The document as JSON, made at the first request for it."""
    cache = registry["openapi_cache"]
    if "bytes" not in cache:
        cache["bytes"] = orjson.dumps(build_document(registry))
    body: bytes = cache["bytes"]
    return body


def declared_operations(registry: Registry) -> list[tuple[Operation, ApiRoute]]:
    """The documented operations with their routes, by address and method; of views for several contexts, the first."""
    routes: dict[str, ApiRoute] = registry["api_routes"]
    found: dict[tuple[str, int], tuple[Operation, ApiRoute]] = {}
    for entry in registry.introspector.get_category(OPERATIONS, default=(), sort_key=lambda item: item.discriminator):
        operation: Operation = entry["introspectable"]["operation"]
        if not operation.documented:
            continue
        route = routes[operation.route_name]
        found.setdefault((route.pattern, _METHODS.index(operation.request_method)), (operation, route))
    return [found[key] for key in sorted(found)]


def operation_ids(operations: Sequence[Operation]) -> list[str]:
    """An id for each: the function's name in camel case, with the route's where several functions share it."""
    plain = [_camel(operation.function.__name__) for operation in operations]
    shared = {name for name, count in Counter(plain).items() if count > 1}
    names = [
        _camel(f"{name}_{operation.route_name.removeprefix('api.')}") if name in shared else name
        for name, operation in zip(plain, operations, strict=True)
    ]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ValueError(
            f"several operations would be called {', '.join(sorted(doubled))}: name the functions differently"
        )
    return names


def _without_unused(document: dict[str, Any]) -> dict[str, Any]:
    """The document without headers and parameters that nothing refers to."""
    used = set(_COMPONENT.findall(orjson.dumps(document).decode()))
    components = document["components"]
    for kind in ("headers", "parameters"):
        components[kind] = {name: part for name, part in components[kind].items() if (kind, name) in used}
    return document


def _camel(name: str) -> str:
    first, *rest = re.split(r"[^A-Za-z0-9]+", name.strip("_"))
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def includeme(config: Configurator) -> None:
    """A place for the finished document, and the directive for what it says of groups of operations."""
    config.registry["openapi_cache"] = {}
    config.include("mealshare.api.openapi_info")
