"""The OpenAPI 3.1 document, made from what the views declare: no operation is described in a second place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare import __version__
from mealshare.api.body import MULTIPART, accepted_types
from mealshare.api.openapi_parts import HEADERS, PROBLEM_SCHEMAS, problem_responses, security_schemes
from mealshare.api.openapi_schemas import Schemas
from mealshare.api.reply import JSON
from mealshare.api.routes import ApiRoute
from mealshare.api.view import OPERATIONS, Operation
from mealshare.core.security import SiteSettings
from mealshare.core.security.permissions import CorePermission, public
from mealshare.core.settings import settings_of

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PART = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}|\*(\w+)$")
_LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id")
#: Problems that any operation may answer.
_ALWAYS = frozenset(
    {"unknown_parameter", "bad_encoding", "token_expired", "forbidden", "rate_limited", "internal", "unavailable"}
)
_DESCRIPTION = (
    "Everything that the pages of this site do can be done here too. Ids are strings. Errors are problem documents "
    "(RFC 9457). Lists are paged with `max_id` and `min_id`; the neighbouring pages stand in the `Link` header "
    "(RFC 8288). A body that breaks a rule is 422, a wrong query parameter is 400."
)


def build_document(registry: Registry) -> dict[str, Any]:
    """The document of all operations of the application; the same application always gives the same document.

    Raises ValueError when an operation names a problem that nobody registered, or when two share an operationId.
    """
    operations = declared_operations(registry)
    schemas = Schemas([operation for operation, _ in operations])
    names = operation_ids([operation for operation, _ in operations])
    responses: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for (operation, route), name in zip(operations, names, strict=True):
        path, _ = split_pattern(route.pattern)
        item = _operation(registry, operation, route, schemas, responses)
        paths.setdefault(path, {})[operation.request_method.lower()] = {"operationId": name, **item}
    site = settings_of(registry, SiteSettings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{site.name} API",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": registry["base_url"]}],
        "tags": [{"name": tag} for tag in sorted({tag for operation, _ in operations for tag in operation.tags})],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components(), **PROBLEM_SCHEMAS},
            "responses": dict(sorted(responses.items())),
            "headers": HEADERS,
            "securitySchemes": security_schemes(registry["cookies"].name("session")),
        },
    }


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


def split_pattern(pattern: str) -> tuple[str, list[tuple[str, str | None]]]:
    """A route's pattern as an OpenAPI path, and its parameters with their regular expressions (None: any)."""
    parts = [(match[1] or match[3], match[2]) for match in _PART.finditer(pattern)]
    path = _PART.sub(lambda match: "{" + (match[1] or match[3]) + "}", pattern)
    return path if path.startswith("/") else f"/{path}", parts


def is_anonymous(registry: Registry, operation: Operation) -> bool:
    """Whether the operation works without signing in."""
    if operation.anonymous is not None:
        return operation.anonymous
    return registry["rules"].rules.get(str(operation.permission)) is public


def _operation(
    registry: Registry, operation: Operation, route: ApiRoute, schemas: Schemas, responses: dict[str, Any]
) -> dict[str, Any]:
    """One operation object; the answers for its problems go to ``responses``."""
    item: dict[str, Any] = {"summary": operation.summary or operation.function.__name__.replace("_", " ").capitalize()}
    description = operation.description or (operation.function.__doc__ or "").strip().split("\n\n")[0]
    if description:
        item["description"] = " ".join(description.split())
    if operation.tags:
        item["tags"] = list(operation.tags)
    parameters = [_path_parameter(name, regex, route) for name, regex in split_pattern(route.pattern)[1]]
    parameters += schemas.parameters(operation)
    if operation.request_method in ("PUT", "PATCH", "DELETE"):
        parameters.append(_header("If-Match", "Do it only if this is still the current `ETag`; else 412."))
    if operation.request_method == "GET" and operation.returns is not None:
        parameters.append(_header("If-None-Match", "Answer 304 if this is still the current `ETag`."))
    if parameters:
        item["parameters"] = parameters
    body = _request_body(operation, schemas)
    if body:
        item["requestBody"] = body
    item["responses"] = {
        **_success(operation, schemas),
        **problem_responses(registry, problem_codes(registry, operation), responses),
    }
    item["security"] = _security(registry, operation)
    return item


def problem_codes(registry: Registry, operation: Operation) -> list[str]:
    """The problems that the operation may answer: its own, and those that go without saying.

    Raises ValueError for one that nobody registered.
    """
    codes = {*_ALWAYS, *operation.errors}
    if operation.query is not None:
        codes.add("bad_parameter")
    if operation.body is not None:
        codes |= {"bad_json", "too_large", "unsupported_media_type", "invalid"}
    if operation.multipart is not None:
        codes |= {"bad_request", "too_large", "unsupported_media_type", "invalid"}
    if operation.request_method != "GET":
        codes.add("csrf")
    if not is_anonymous(registry, operation):
        codes.add("login_required")
    if _PART.search(registry["api_routes"][operation.route_name].pattern):
        codes.add("not_found")
    if operation.request_method in ("PUT", "PATCH", "DELETE"):
        codes.add("precondition_failed")
    unknown = codes - set(registry["problems"])
    if unknown:
        raise ValueError(
            f"{operation.function.__qualname__} names problems that nobody registered with config.add_problems: "
            + ", ".join(sorted(unknown))
        )
    return sorted(codes)


def _path_parameter(name: str, regex: str | None, route: ApiRoute) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if regex:
        schema["pattern"] = f"^(?:{regex})$"
    description = route.params.get(name, f"The {name.replace('_', ' ')} in the address.")
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _request_body(operation: Operation, schemas: Schemas) -> dict[str, Any] | None:
    if operation.multipart is not None:
        return {"required": True, "content": {MULTIPART: {"schema": schemas.of_input(operation.multipart)}}}
    if operation.body is None:
        return None
    types = accepted_types(operation.request_method, operation.body_type)
    content = {"schema": schemas.of_input(operation.body)}
    return {"required": True, "content": dict.fromkeys(types, content)}


def _success(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    """The answer when all goes well, and the 304 of a GET."""
    empty = operation.returns is None
    status = 204 if empty and operation.status == 200 else operation.status
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
    if status == 201:
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    reads = operation.request_method == "GET" and not empty
    if reads:
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    if operation.paged:
        headers["Link"] = {"$ref": "#/components/headers/Link"}
    answer: dict[str, Any] = {
        "description": {201: "Created", 202: "Accepted", 204: "Done"}.get(status, "OK"),
        "headers": headers,
    }
    if not empty:
        answer["content"] = {JSON: {"schema": schemas.of_output(operation.returns)}}
    answers = {str(status): answer}
    if reads:
        answers["304"] = {"description": "Not changed since `If-None-Match`"}
    return answers


def _security(registry: Registry, operation: Operation) -> list[dict[str, list[str]]]:
    if operation.permission == CorePermission.BROWSER_SESSION:
        return [{"sessionCookie": []}]
    ways: list[dict[str, list[str]]] = [{"bearerAuth": []}, {"sessionCookie": []}]
    return [{}, *ways] if is_anonymous(registry, operation) else ways


def _camel(name: str) -> str:
    first, *rest = re.split(r"[^A-Za-z0-9]+", name.strip("_"))
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def includeme(config: Configurator) -> None:
    """A place for the finished document."""
    config.registry["openapi_cache"] = {}
