"""Sparse fields: ``?fields=id,food,user.username`` leaves everything else out of what a GET answers.

A name is a member of the answer (of each element, where that is a list), or a path of up to three names with dots
between them.  Names are checked against the type that the operation declares, never against the data: whether a member
is there must not depend on what happens to be in the database.  An entity tag needs no care: it belongs to the whole
address, query included (RFC 9110 section 8.8.3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints
from urllib.parse import unquote_plus

import orjson

from mealshare.api.query import BadQuery
from mealshare.core.errors import BadRequest, FieldError

FIELDS = "fields"
#: Names in a path, and paths in a request.
MAX_DEPTH, MAX_PATHS = 3, 50
#: The members of what goes out, each with its own members; None: it has none that could be asked for.
Shape: TypeAlias = "dict[str, Shape | None]"
#: The members that are wanted; None: all of it.
Selection: TypeAlias = "dict[str, Selection | None]"


def shape_of(kind: Any, depth: int = MAX_DEPTH) -> Shape | None:
    """The members of the type ``kind`` (of its elements, for a list), as orjson writes them."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return shape_of(arguments[0], depth)
    if origin in (list, tuple, Union, UnionType):
        members: Shape = {}
        for argument in arguments:
            members |= shape_of(argument, depth) or {}
        return members or None
    if depth == 0 or not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        return None
    hints = get_type_hints(kind, include_extras=True)
    names = [member.name for member in dataclasses.fields(kind) if not member.name.startswith("_")]
    return {name: shape_of(hints[name], depth - 1) for name in names}


def paths_of(shape: Shape, before: str = "") -> Iterator[str]:
    """All that ``fields`` may name, in the order of the members."""
    for name, members in shape.items():
        yield before + name
        if members is not None:
            yield from paths_of(members, f"{before}{name}.")


def fields_parameter(shape: Shape) -> dict[str, Any]:
    """``fields`` as the OpenAPI document tells of it: a list with commas, of the names that there are."""
    items = {"type": "string", "enum": list(paths_of(shape))}
    return {
        "name": FIELDS,
        "in": "query",
        "description": "Only these members of the answer; the others are left out, whatever its schema requires.",
        "schema": {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_PATHS},
        "style": "form",
        "explode": False,
    }


def take_fields(text: str, shape: Shape) -> tuple[Selection | None, str]:
    """What the query string ``text`` selects of ``shape`` (None: it does not say), and the rest of it.

    Raises BadQuery for a path that ``shape`` has not, for too many, and for none at all.
    """
    parts = [part.partition("=") for part in text.split("&")]
    given = [value for name, _, value in parts if name == FIELDS]
    if not given:
        return None, text
    if len(given) > 1:
        raise BadQuery(FieldError(FIELDS, "duplicate"))
    rest = "&".join("".join(part) for part in parts if part[0] != FIELDS)
    try:
        return _parse(unquote_plus(given[0], errors="strict"), shape), rest
    except UnicodeDecodeError:
        raise BadRequest("bad_encoding") from None


def _parse(value: str, shape: Shape) -> Selection:
    if not value:
        raise BadQuery(FieldError(FIELDS, "missing"))
    paths = value.split(",", MAX_PATHS)
    if len(paths) > MAX_PATHS:
        raise BadQuery(FieldError(FIELDS, "too_many", {"max": MAX_PATHS}))
    selection: Selection = {}
    for path in paths:
        _add(selection, path, shape)
    return selection


def _add(selection: Selection, path: str, shape: Shape) -> None:
    """Select the path too; all of a thing includes each part of it."""
    inside: Selection | None = selection
    known: Shape | None = shape
    *way, last = path.split(".")
    for name in way:
        if known is None or name not in known:
            break
        known = known[name]
        if inside is not None:
            inside = inside.setdefault(name, {})
    else:
        if known is not None and last in known:
            if inside is not None:
                inside[last] = None
            return
    raise BadQuery(FieldError(FIELDS, "no_such_member", {"name": path[:100]}))


def pick(body: bytes, selection: Selection) -> bytes:
    """The JSON document with nothing but what is selected, in its own order."""
    return orjson.dumps(_pick(orjson.loads(body), selection))


def _pick(value: Any, selection: Selection) -> Any:
    if isinstance(value, list):
        return [_pick(item, selection) for item in value]
    if not isinstance(value, dict):
        return value
    wanted = [(name, member, selection[name]) for name, member in value.items() if name in selection]
    return {name: member if inside is None else _pick(member, inside) for name, member, inside in wanted}
