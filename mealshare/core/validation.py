"""Validation: pydantic models in, our own error codes out, so that every message exists in every language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from mealshare.core.errors import FieldError, InputInvalid
from mealshare.core.ids import ID_PATTERN, parse_id
from mealshare.core.text import clean_text

M = TypeVar("M", bound=BaseModel)


class Input(BaseModel):
    """Base of everything that comes in: what is not declared is an error, and nothing is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def coded(code: str, **params: Any) -> PydanticCustomError:
    """What a validator raises: an error with one of our own codes."""
    return PydanticCustomError("coded", "{code}", {"code": code, "params": params})


def _line(value: str) -> str:
    return _clean(value, multiline=False)


def _lines(value: str) -> str:
    return _clean(value, multiline=True)


def _clean(value: str, *, multiline: bool) -> str:
    try:
        return clean_text(value, multiline=multiline)
    except ValueError:
        raise coded("control_characters") from None


def _snowflake(value: Any) -> int:
    if not isinstance(value, str):
        raise coded("bad_id")
    try:
        return parse_id(value)
    except ValueError:
        raise coded("bad_id") from None


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: RFC 3339, 5.6; as forms of browsers write it, the seconds may be left out.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})",
    re.IGNORECASE,
)


def _written_day(value: Any) -> Any:
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise coded("bad_date")
    return value


def _written_moment(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if _MOMENT.fullmatch(value) is None:
        raise coded("bad_datetime")
    try:
        # What a validator has looked at is no JSON any more to pydantic, and a strict schema reads no text as a moment.
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise coded("bad_datetime") from None


#: A date as RFC 3339 writes it.  Pydantic alone takes "86400" too, as seconds since 1970, and a date with a time.
AS_WRITTEN = BeforeValidator(_written_day)
IsoDate = Annotated[date, AS_WRITTEN]
#: A moment as RFC 3339 writes it, with its offset; no seconds since 1970.
IsoMoment = Annotated[AwareDatetime, BeforeValidator(_written_moment)]
#: Text of one line, cleaned: normalised, trimmed, without control characters.
Line = Annotated[str, AfterValidator(_line)]
#: Text of several lines, cleaned.
Lines = Annotated[str, AfterValidator(_lines)]
#: An id: a string in JSON, an integer inside.
SnowflakeId = Annotated[
    int,
    BeforeValidator(
        _snowflake,
        json_schema_input_type=Annotated[str, Field(pattern=ID_PATTERN, examples=["117653444094112991"])],
    ),
]

_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "string_type": "not_text",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "string_pattern_mismatch": "bad_format",
    "int_type": "not_integer",
    "int_parsing": "not_integer",
    "int_from_float": "not_integer",
    "int_parsing_size": "too_big",
    "float_type": "not_number",
    "float_parsing": "not_number",
    "finite_number": "not_number",
    "bool_type": "not_boolean",
    "bool_parsing": "not_boolean",
    "list_type": "not_list",
    "tuple_type": "not_list",
    "dict_type": "not_object",
    "model_type": "not_object",
    "model_attributes_type": "not_object",
    "dataclass_type": "not_object",
    "too_short": "too_few",
    "too_long": "too_many",
    "greater_than_equal": "too_small",
    "greater_than": "too_small",
    "less_than_equal": "too_big",
    "less_than": "too_big",
    "enum": "not_a_choice",
    "literal_error": "not_a_choice",
    "date_type": "bad_date",
    "date_parsing": "bad_date",
    "date_from_datetime_parsing": "bad_date",
    "date_from_datetime_inexact": "bad_date",
    "datetime_type": "bad_datetime",
    "datetime_parsing": "bad_datetime",
    "datetime_from_date_parsing": "bad_datetime",
    "datetime_object_invalid": "bad_datetime",
    "timezone_aware": "bad_datetime",
}
_LIMITS = (
    ("min", ("min_length", "ge", "gt")),
    ("max", ("max_length", "le", "lt")),
    ("choices", ("expected",)),
)


def field_error(error: Mapping[str, Any]) -> FieldError:
    """One pydantic error as ours."""
    path = "/".join(str(part) for part in error["loc"])
    context = error.get("ctx") or {}
    if error["type"] == "coded":
        return FieldError(path, context["code"], context["params"])
    params = {name: context[key] for name, keys in _LIMITS for key in keys if key in context}
    if "choices" in params:
        # Pydantic gives a phrase in English: "'a', 'b' or 'c'".
        params["choices"] = ", ".join(re.findall("'([^']*)'", str(params["choices"])))
    kind = error["type"]
    if kind in ("too_short", "too_long") and context.get("field_type") == "Value":
        # What pydantic calls the length of text that a validator of ours has cleaned before.
        return FieldError(path, kind, params)
    return FieldError(path, _CODES.get(kind, "wrong_type"), params)


def validate(schema: type[M], data: Any) -> M:
    """``data`` (a mapping, usually) as a ``schema``; raises InputInvalid with all errors at once."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise InputInvalid(*map(field_error, error.errors(include_url=False, include_input=False))) from None


def validate_json(schema: type[M], body: bytes) -> M:
    """The same for a JSON body, in pydantic's JSON mode (dates and enumerations from strings)."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        raise InputInvalid(*map(field_error, errors)) from None
