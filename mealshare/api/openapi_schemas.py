"""The schemas of the OpenAPI document: pydantic makes them all in one go, so that equal names never clash.

A class of what goes out is called ``MealOut``, so that nobody takes it for the model; to the reader of the document it
is a ``Meal``.  Its docstring is its description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from mealshare.api.view import Operation

Mode = Literal["validation", "serialization"]
#: Where named schemas stand in the document.
SCHEMA_PREFIX = "#/components/schemas/"
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


class ContractSchema(GenerateJsonSchema):
    """What goes out always has every field, those with a default too, and no other: orjson leaves none away."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """See `GenerateJsonSchema`."""
        return True if self.mode == "serialization" else super().field_is_required(field, total)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title that only says the name again is noise."""
        return False

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        """See `GenerateJsonSchema`."""
        made = super().dataclass_schema(schema)
        if self.mode == "serialization":
            made.setdefault("additionalProperties", False)
        return made

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        """``type: [string, "null"]`` instead of a choice of two schemas, where that says the same."""
        inner = self.generate_inner(schema["schema"])
        kind = inner.get("type")
        if isinstance(kind, str) and not {"enum", "const"} & inner.keys():
            return {**inner, "type": [kind, "null"]}
        return super().nullable_schema(schema)


class Schemas:
    """The schemas of all bodies, queries and answers of ``operations``, with references into ``components/schemas``.

    Raises ValueError when two classes would have one name there.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: dict[tuple[str, Mode], tuple[Any, Mode]] = {}
        for operation in operations:
            for schema in (operation.body, operation.multipart, operation.query):
                if schema is not None:
                    wanted[_key(schema), "validation"] = (schema, "validation")
            if operation.returns is not None:
                wanted[_key(operation.returns), "serialization"] = (operation.returns, "serialization")
        inputs = [
            (key, mode, TypeAdapter(kind))
            for (key, _), (kind, mode) in sorted(wanted.items(), key=lambda item: item[0])
        ]
        found, rest = TypeAdapter.json_schemas(
            inputs, schema_generator=ContractSchema, ref_template=SCHEMA_PREFIX + "{model}"
        )
        definitions: dict[str, Any] = rest.get("$defs", {})
        names = _public_names(definitions)
        self._found = {key: _renamed(schema, names) for key, schema in found.items()}
        self._definitions = {
            names[name]: _named(names[name], _renamed(definitions[name], names)) for name in definitions
        }
        self._used: set[str] = set()

    @property
    def definitions(self) -> Mapping[str, Any]:
        """All named schemas, those that the document does not refer to as well."""
        return self._definitions

    def of_input(self, schema: Any) -> dict[str, Any]:
        """The schema of what comes in."""
        return self._use(self._found[_key(schema), "validation"])

    def of_output(self, schema: Any) -> dict[str, Any]:
        """The schema of what goes out."""
        return self._use(self._found[_key(schema), "serialization"])

    def parameters(self, operation: Operation) -> list[dict[str, Any]]:
        """The query parameters of the operation."""
        if operation.query is None:
            return []
        schema = self._found[_key(operation.query), "validation"]
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix(SCHEMA_PREFIX)]
        required = schema.get("required", ())
        return [
            _parameter(name, part, name in required) for name, part in self._use(schema).get("properties", {}).items()
        ]

    def components(self) -> dict[str, Any]:
        """The named schemas that the document refers to, by name; to be asked for last."""
        return {name: self._definitions[name] for name in sorted(self._used)}

    def _use(self, schema: dict[str, Any]) -> dict[str, Any]:
        """``schema``, with all that it refers to noted as used."""
        waiting = [schema]
        while waiting:
            for name in _references(waiting.pop()):
                if name not in self._used:
                    self._used.add(name)
                    waiting.append(self._definitions[name])
        return schema


def title_of(name: str) -> str:
    """``NotificationSettings`` in words: "Notification settings"."""
    first, *rest = _WORD.findall(name) or [name]
    return " ".join([first, *(word if word.isupper() and len(word) > 1 else word.lower() for word in rest)])


def _public_names(definitions: Iterable[str]) -> dict[str, str]:
    names = {name: name.removesuffix("Out") for name in definitions}
    for name, public in names.items():
        sharing = sorted(other for other, its in names.items() if its == public)
        if len(sharing) > 1 or "__" in name:
            raise ValueError(
                f"several schemas would be called {public}: {', '.join(sharing)}; name the classes differently"
            )
    return names


def _named(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"title": title_of(name), **{key: value for key, value in schema.items() if key != "title"}}


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """``node`` with references to the public names."""
    if isinstance(node, dict):
        return {
            key: SCHEMA_PREFIX + names[value.removeprefix(SCHEMA_PREFIX)]
            if key == "$ref" and isinstance(value, str)
            else _renamed(value, names)
            for key, value in node.items()
        }
    return [_renamed(value, names) for value in node] if isinstance(node, list) else node


def _parameter(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    """One query parameter: None means "not given" there, so null is no value of it."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **choices[0]}
    if isinstance(schema.get("type"), list):
        (schema["type"],) = (kind for kind in schema["type"] if kind != "null")
    if schema.get("default", ...) is None:
        del schema["default"]
    parameter: dict[str, Any] = {"name": name, "in": "query"}
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    if required:
        parameter["required"] = True
    return {**parameter, "schema": schema}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(SCHEMA_PREFIX)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _key(schema: Any) -> str:
    """A stable name for a type: the same in every process, so that the document is too."""
    if isinstance(schema, type) and not hasattr(schema, "__args__"):
        return f"{schema.__module__}.{schema.__qualname__}"
    arguments = [_key(part) for part in getattr(schema, "__args__", ())]
    return f"{getattr(schema, '__origin__', schema)!s}{json.dumps(arguments)}"
