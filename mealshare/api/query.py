"""Query parameters: each one is declared, an unknown one is an error, and a wrong value is told by its name.

A wrong *query* is 400: the address itself is wrong.  422 is kept for bodies, which are well-formed but not acceptable.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar, cast, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError
from pyramid.request import Request

from mealshare.core.errors import BadRequest, FieldError, InputInvalid
from mealshare.core.validation import field_error

#: More pairs than any of our addresses can mean.
MAX_PAIRS = 100
_MANY = (list, tuple, set, frozenset)


class Query(BaseModel):
    """Base of declared query parameters: text becomes numbers and dates; a list field may be repeated.

    Defaults are constants: what a request without parameters asks for is made once (`parse_query`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


Q = TypeVar("Q", bound=BaseModel)


class BadQuery(InputInvalid):
    """A query parameter has a wrong value (400)."""

    status = 400
    code = "bad_parameter"


class UnknownParameter(BadRequest):
    """There is no such query parameter here (400)."""

    code = "unknown_parameter"

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.errors = tuple(FieldError(name, "unknown") for name in names)


def read_query(request: Request, schema: type[Q]) -> Q:
    """The query string as a ``schema``; raises UnknownParameter, BadQuery or BadRequest ``bad_encoding``."""
    return parse_query(request.environ.get("QUERY_STRING", ""), schema)


def parse_query(text: str, schema: type[Q]) -> Q:
    """The same for a query string."""
    try:
        if not text:
            return cast(Q, _of_nothing(schema))
        return schema.model_validate(collect(_pairs(text), list_fields(schema)))
    except InputInvalid as error:
        raise BadQuery(*error.errors) from None
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    unknown = [str(item["loc"][0]) for item in errors if item["type"] == "extra_forbidden"]
    if unknown:
        raise UnknownParameter(unknown)
    raise BadQuery(*map(field_error, errors))


@lru_cache(maxsize=1024)
def _of_nothing(schema: type[BaseModel]) -> BaseModel:
    """What most requests ask for, made once: it is frozen, and its defaults are constants."""
    return schema.model_validate({})


def refuse_query(text: str) -> None:
    """Raise UnknownParameter when the query string has any parameter."""
    names = list(dict.fromkeys(name for name, _ in _pairs(text)))
    if names:
        raise UnknownParameter(names)


def collect(pairs: Iterable[tuple[str, Any]], lists: frozenset[str]) -> dict[str, Any]:
    """Pairs as a mapping: the fields ``lists`` gather their values; another that comes twice is InputInvalid."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise InputInvalid(FieldError(name, "duplicate"))
        else:
            values[name] = value
    return values


@lru_cache(maxsize=1024)
def list_fields(schema: type[BaseModel]) -> frozenset[str]:
    """The names (or aliases) of the fields that hold several values."""
    return frozenset(
        field.alias or name for name, field in schema.model_fields.items() if _holds_many(field.annotation)
    )


def _holds_many(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return origin in _MANY or any(_holds_many(part) for part in get_args(annotation) if origin not in _MANY)


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PAIRS)
    except UnicodeDecodeError:
        raise BadRequest("bad_encoding") from None
    except ValueError:
        raise BadRequest("bad_request") from None
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise BadQuery(FieldError(name.replace("\0", ""), "control_characters"))
    return pairs
