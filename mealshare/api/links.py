"""What can be done next: links (OpenAPI 3.1, "Link Object") from an answer to the operations that it leads to.

A link names a route and where in the answer (or in the request) the parts of its address stand, as a runtime
expression::

    links=(Link("api.meal", id="$response.body#/id"), Link("api.user", username="$response.body#/user/username"))

It stands for every documented operation of that route.  `mealshare.api.openapi` refuses one whose route, parameters or
members do not exist, so that a link that is in the document can be followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BODY = re.compile(r"\$(request|response)\.body#(/.*)?")
_OTHER = re.compile(
    r"\$request\.(path|query)\.([A-Za-z0-9_]+)|\$response\.header\.([A-Za-z-]+)|\$(?:url|method|statusCode)"
)


@dataclass(frozen=True, init=False)
class Link:
    """A link to the operations of ``route_name``; only to those of ``methods``, if there are any."""

    route_name: str
    methods: tuple[str, ...]
    parameters: Mapping[str, str]

    def __init__(self, route_name: str, *methods: str, **parameters: str) -> None:
        """``parameters``: those of the address and of the query, each with a runtime expression.

        Raises ValueError for what is none.
        """
        for name, expression in parameters.items():
            if _BODY.fullmatch(expression) is None and _OTHER.fullmatch(expression) is None:
                raise ValueError(f"the link to {route_name}: {name}={expression!r} is no runtime expression")
        object.__setattr__(self, "route_name", route_name)
        object.__setattr__(self, "methods", methods)
        object.__setattr__(self, "parameters", parameters)


def body_pointer(expression: str) -> tuple[str, tuple[str, ...]] | None:
    """``("response", ("user", "username"))`` for an expression that looks into a body; None for another."""
    found = _BODY.fullmatch(expression)
    if found is None:
        return None
    parts = (found[2] or "").split("/")[1:]
    return found[1], tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def leads_somewhere(schema: Any, path: tuple[str, ...], components: Mapping[str, Any]) -> bool:
    """Whether a document of ``schema`` can have something at ``path``; ``components`` are the named schemas."""
    if "$ref" in schema:
        return leads_somewhere(components[schema["$ref"].rpartition("/")[2]], path, components)
    if not path:
        return True
    if any(leads_somewhere(choice, path, components) for key in ("anyOf", "oneOf") for choice in schema.get(key, ())):
        return True
    if path[0].isdigit() and "items" in schema:
        return leads_somewhere(schema["items"], path[1:], components)
    member = schema.get("properties", {}).get(path[0])
    return member is not None and leads_somewhere(member, path[1:], components)
