"""What a page of the API offers to fill in, read from the OpenAPI document: what is documented is what can be tried."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from markupsafe import Markup, escape

from mealshare.api.body import JSON, MERGE_PATCH, MULTIPART

_METHODS = ("get", "post", "put", "patch", "delete")
#: Schemas may refer to themselves; no body of ours is nested deeper than this.
_DEEPEST = 6
_LEFT_OUT = object()
_INPUTS = {"integer": "number", "number": "number", "boolean": "boolean"}


@dataclass(frozen=True)
class Field:
    """Something to fill in: a parameter of the address, a header, or a part of a multipart form.

    ``kind`` is text, number, date, boolean, choice (one of ``choices``), choices (any of them) or file.
    """

    name: str
    description: str = ""
    kind: str = "text"
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    default: str = ""


#: What a schema says about the form of a value: members, the items of a list, or None for everything else.
Shape = Mapping[str, Any] | list[Any] | None


@dataclass(frozen=True)
class Body:
    """What a request brings: its media type, and an example of it, or the ``parts`` of a form."""

    media_type: str
    example: Any = None
    shape: Shape = None
    parts: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Described:
    """An operation as the document has it; ``anonymous`` is true where it works without signing in."""

    method: str
    summary: str
    description: str
    docs: str
    anonymous: bool
    query: tuple[Field, ...]
    headers: tuple[Field, ...]
    body: Body | None


def describe(document: Mapping[str, Any]) -> dict[str, dict[str, Described]]:
    """The operations of the document by path (as it stands there) and method (in capitals)."""
    return {
        path: {
            method.upper(): _described(document, item, method, item[method]) for method in _METHODS if method in item
        }
        for path, item in document["paths"].items()
    }


def _described(
    document: Mapping[str, Any], item: Mapping[str, Any], method: str, operation: Mapping[str, Any]
) -> Described:
    parameters = [_resolved(document, one) for one in (*item.get("parameters", ()), *operation.get("parameters", ()))]
    tag = (operation.get("tags") or ["default"])[0]
    security = operation.get("security", document.get("security", ()))
    return Described(
        method=method.upper(),
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        docs=f"/docs#/{tag}/{operation.get('operationId', '')}",
        anonymous=not security or {} in security,
        query=tuple(_fields(document, parameters, "query")),
        # What a browser sends by itself, or what makes no sense on a page, is not asked for.
        headers=tuple(field for field in _fields(document, parameters, "header") if field.name != "If-None-Match"),
        body=_body(document, operation.get("requestBody")),
    )


def _fields(document: Mapping[str, Any], parameters: Iterable[Mapping[str, Any]], where: str) -> Iterable[Field]:
    for one in parameters:
        if one["in"] == where:
            yield _field(
                document, one["name"], one.get("schema", {}), one.get("description", ""), one.get("required", False),
                one.get("explode", True),
            )  # fmt: skip


def _field(
    document: Mapping[str, Any], name: str, schema: Mapping[str, Any], description: str, required: bool,
    explode: bool = True,
) -> Field:  # fmt: skip
    """One field; a list that is written with commas (not ``explode``) is typed as it stands in the address."""
    schema = _resolved(document, schema)
    default = schema.get("default")
    if not explode:
        return Field(name, description, required=required)
    many = _type(schema) == "array"
    plain = _resolved(document, schema.get("items", {})) if many else schema
    choices = tuple(str(choice) for choice in plain.get("enum", ()) if choice is not None)
    if choices:
        kind = "choices" if many else "choice"
    elif plain.get("format") == "binary" or "contentMediaType" in plain:
        kind = "file"
    elif plain.get("format") == "date":
        kind = "date"
    else:
        kind = _INPUTS.get(_type(plain), "text")
    return Field(
        name=name,
        description=description or str(schema.get("description", "")),
        kind=kind,
        required=required,
        choices=choices,
        minimum=plain.get("minimum"),
        maximum=plain.get("maximum"),
        max_length=plain.get("maxLength"),
        default=""
        if default is None or isinstance(default, list | dict)
        else orjson.dumps(default).decode().strip('"'),
    )


def _body(document: Mapping[str, Any], request_body: Mapping[str, Any] | None) -> Body | None:
    if not request_body:
        return None
    content = _resolved(document, request_body)["content"]
    media_type = next((known for known in (MULTIPART, MERGE_PATCH, JSON) if known in content), None)
    if media_type is None:
        return None
    media = content[media_type]
    schema = _resolved(document, media.get("schema", {}))
    if media_type == MULTIPART:
        required = schema.get("required", ())
        parts = tuple(
            _field(document, name, part, "", name in required) for name, part in schema.get("properties", {}).items()
        )
        return Body(media_type, parts=parts)
    return Body(media_type, _example(document, media, schema), _shape(document, schema))


def _example(document: Mapping[str, Any], media: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """An example of the body: the first that the document gives, else one made of the members that are required."""
    if "example" in media:
        return media["example"]
    for example in media.get("examples", {}).values():
        return _resolved(document, example).get("value")
    for example in schema.get("examples", ()):
        return example
    properties, required = schema.get("properties", {}), schema.get("required", ())
    wanted = [name for name in properties if name in required] or list(properties)[:1]
    return {name: _value(_resolved(document, properties[name])) for name in wanted}


def _value(schema: Mapping[str, Any]) -> Any:
    for value in (*schema.get("examples", ()), *schema.get("enum", ())):
        return value
    if schema.get("default") is not None:
        return schema["default"]
    return {"array": [], "object": {}, "integer": 1, "number": 1, "boolean": True}.get(_type(schema), "")


def _shape(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Shape:
    schema = _resolved(document, schema)
    if depth < _DEEPEST and schema.get("properties"):
        return {name: _shape(document, part, depth + 1) for name, part in schema["properties"].items()}
    if depth < _DEEPEST and _type(schema) == "array":
        return [_shape(document, schema.get("items", {}), depth + 1)]
    return None


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a value that is not null; empty where the schema names none."""
    types = schema.get("type", ())
    return types if isinstance(types, str) else next((kind for kind in types if kind != "null"), "")


def _resolved(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """``node`` with its reference followed, and with the one choice that is not null where there is no other."""
    for _ in range(_DEEPEST):
        reference = node.get("$ref")
        parts = [
            part for part in node.get("anyOf", node.get("oneOf", node.get("allOf", ()))) if part != {"type": "null"}
        ]
        if reference is not None:
            target: Any = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
        elif len(parts) == 1:
            target = parts[0]
        else:
            break
        node = {
            **target,
            **{key: value for key, value in node.items() if key not in ("$ref", "anyOf", "oneOf", "allOf")},
        }
    return node


def fitted(shape: Shape, value: Any) -> Any:
    """As much of ``value``, which was read, as may be written back: what the answer has beside it is left out.

    A thing that is read as an object and written as a word is written by its ``name``, as tags are.
    """
    found = _fit(shape, value)
    return None if found is _LEFT_OUT else found


def _fit(shape: Shape, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return _LEFT_OUT
        members = {name: _fit(part, value[name]) for name, part in shape.items() if name in value}
        return {name: member for name, member in members.items() if member is not _LEFT_OUT}
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _LEFT_OUT
        return [item for item in (_fit(shape[0], item) for item in value) if item is not _LEFT_OUT]
    if isinstance(value, dict):
        return value.get("name", _LEFT_OUT)
    return value


def pretty(value: Any) -> str:
    """``value`` as JSON for an editor."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def curl(described: Described, address: str, text: str, etag: str) -> str:
    """The command that does the same in a shell; ``$ACCESS`` is the reader's access token."""
    parts = [f"curl -X {described.method} {shlex.quote(address)}"]
    if not described.anonymous:
        parts.append('-H "Authorization: Bearer $ACCESS"')
    if etag and any(field.name == "If-Match" for field in described.headers):
        parts.append(f"-H {shlex.quote(f'If-Match: {etag}')}")
    body = described.body
    if body is not None and body.parts:
        parts += [
            f"-F {shlex.quote(part.name + ('=@photo.jpg' if part.kind == 'file' else '=' + part.default))}"
            for part in body.parts
            if part.kind == "file" or part.required
        ]
    elif body is not None:
        parts += [f"-H {shlex.quote(f'Content-Type: {body.media_type}')}", f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(parts)


def prose(text: str) -> Markup:
    """A description of the document as HTML: paragraphs, lists of one level, and what stands between backquotes as code."""
    blocks = []
    for paragraph in text.strip().split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines()]
        if all(line.startswith(("- ", "* ")) for line in lines) and lines:
            items = Markup().join(Markup("<li>{}</li>").format(_with_code(line[2:])) for line in lines)
            blocks.append(Markup("<ul>{}</ul>").format(items))
        elif any(lines):
            blocks.append(Markup("<p>{}</p>").format(_with_code(" ".join(lines))))
    return Markup().join(blocks)


def line(text: str) -> Markup:
    """A description of one sentence or two, without paragraphs."""
    return _with_code(" ".join(text.split()))


def _with_code(text: str) -> Markup:
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup().join(code.format(part) if number % 2 else part for number, part in enumerate(parts))
