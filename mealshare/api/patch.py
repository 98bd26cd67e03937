"""JSON merge patches (RFC 7396) in the OpenAPI document: any member of the whole thing may come, and null is one's default.

A patch is applied to what is there, and then the whole is validated; so a patch itself has no schema that checks.  This
is the one that the document shows.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, GetJsonSchemaHandler, RootModel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_NULL = {"type": "null"}


class MergePatch(RootModel[dict[str, Any]]):
    """Base of patches: ``class MealPatch(MergePatch, whole=MealInput)``; with ``example``, what one looks like."""

    whole: ClassVar[type[BaseModel]]
    example: ClassVar[dict[str, Any] | None] = None

    def __init_subclass__(
        cls, whole: type[BaseModel] | None = None, example: dict[str, Any] | None = None, **more: Any
    ) -> None:
        super().__init_subclass__(**more)
        if whole is not None:
            cls.whole = whole
        cls.example = example

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = _patch(handler(cls.whole.__pydantic_core_schema__), handler)
        examples = {} if cls.example is None else {"examples": [cls.example]}
        return {**schema, "title": cls.__name__, "description": (cls.__doc__ or "").strip(), **examples}


def _patch(schema: JsonSchemaValue, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """A patch of what ``schema`` describes: an object's members one by one, anything else as a whole."""
    whole = handler.resolve_ref_schema(schema)
    if "properties" not in whole:
        return schema
    # Null takes a member away, which what is required does not survive.
    required = whole.get("required", ())
    members = {name: _member(part, handler) for name, part in whole["properties"].items()}
    properties = {name: part if name in required else _or_null(part) for name, part in members.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _member(schema: JsonSchemaValue, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """A member in a patch: what is absent stays, so it has no default."""
    schema = {key: value for key, value in schema.items() if key != "default"}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != _NULL]
    if len(choices) == 1:
        schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **choices[0]}
    if "$ref" not in schema:
        return schema
    patch = _patch({"$ref": schema["$ref"]}, handler)
    return {**{key: value for key, value in schema.items() if key != "$ref"}, **patch}


def _or_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    kind = schema.get("type")
    if isinstance(kind, list):
        return schema if "null" in kind else {**schema, "type": [*kind, "null"]}
    if isinstance(kind, str) and not {"enum", "const"} & schema.keys():
        return {**schema, "type": [kind, "null"]}
    told = {key: value for key, value in schema.items() if key in ("description", "examples")}
    return {"anyOf": [{key: value for key, value in schema.items() if key not in told}, _NULL], **told}
