"""Examples of whole bodies, composed from the examples of their fields, so that no body has to be written down twice.

A field says what it looks like with ``Field(examples=[...])``; where a schema as a whole has an example of its own, that
one counts.  What is wanted of a body that comes in is what a person would send: required members and those that have an
example.  What goes out is shown with every member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mealshare.api.openapi_schemas import SCHEMA_PREFIX

#: What a value of a format looks like where its field says nothing better.
_BY_FORMAT = {
    "date-time": "2026-11-20T12:30:00Z",
    "date": "2026-11-20",
    "uri": "https://meals.example/",
    "email": "mei@example.org",
    "password": "sesame noodles at midnight",
}
_NOTHING = object()


class Examples:
    """Makes examples; ``definitions`` are the named schemas."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def of_output(self, schema: Mapping[str, Any]) -> Any:
        """What goes out as ``schema``, whole."""
        return self._value(schema, whole=True)

    def of_input(self, schema: Mapping[str, Any]) -> Any:
        """What somebody would send as ``schema``."""
        return self._value(schema, whole=False)

    def _value(self, schema: Mapping[str, Any], *, whole: bool) -> Any:
        given = self._given(schema)
        if given is not _NOTHING:
            return given
        if "$ref" in schema:
            return self._value(self._definitions[schema["$ref"].removeprefix(SCHEMA_PREFIX)], whole=whole)
        choices = [choice for key in ("anyOf", "oneOf", "allOf") for choice in schema.get(key, ())]
        if choices:
            return self._value(choices[0], whole=whole)
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, whole=whole)
        if kind == "array":
            return [self._value(schema["items"], whole=whole)] if whole and "items" in schema else []
        return _plain(kind, schema)

    def _given(self, schema: Mapping[str, Any]) -> Any:
        """What the schema itself says: an example, the one value that it can have, the first of several."""
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        return schema["enum"][0] if "enum" in schema else _NOTHING

    def _object(self, schema: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
        required = schema.get("required", ())
        return {
            name: self._value(member, whole=whole)
            for name, member in schema.get("properties", {}).items()
            if whole or name in required or self._is_shown(member)
        }

    def _is_shown(self, member: Mapping[str, Any]) -> bool:
        """Whether an example of what comes in has the member although it may be left out."""
        return bool(member.get("examples"))


def overlaid(example: Any, over: Any) -> Any:
    """``example`` with what ``over`` says otherwise, member by member; None says nothing (inside, it is null)."""
    if over is None:
        return example
    if not isinstance(over, dict) or not isinstance(example, dict):
        return over
    changed = {name: overlaid(example.get(name), value) if value is not None else None for name, value in over.items()}
    return {**example, **changed}


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    return str(kind[0] if isinstance(kind, list) else kind)


def _plain(kind: str, schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    if kind == "string":
        return _BY_FORMAT.get(schema.get("format", ""), "string")
    return {"integer": schema.get("minimum", 0), "number": 0.0, "boolean": False}.get(kind)
