"""Reading a request's body: the type, the size, the JSON, the schema; each failure is its own problem."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pyramid.request import Request

from mealshare.api.query import collect, list_fields
from mealshare.core.errors import BadRequest, InputInvalid, TooLarge, UnsupportedType
from mealshare.core.security.csrf import posted_form
from mealshare.core.validation import coded, field_error, validate

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
MULTIPART = "multipart/form-data"
#: A JSON document larger than this is refused.
MAX_JSON_BYTES = 1024 * 1024
#: An escaped NUL that is not itself behind an escaped backslash; PostgreSQL cannot store it in any text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

M = TypeVar("M", bound=BaseModel)


class Form(BaseModel):
    """Base of what comes in as multipart/form-data: everything arrives as text, so text becomes numbers and dates."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_file(value: Any) -> Any:
    if not hasattr(value, "file") or not hasattr(value, "filename"):
        raise coded("wrong_type")
    return value


#: A field of a `Form` that takes a file; inside it is a ``cgi.FieldStorage`` with ``.file`` and ``.filename``.
Upload = Annotated[Any, BeforeValidator(_is_file), WithJsonSchema({"type": "string", "format": "binary"})]


def read_json(request: Request, schema: type[M], types: tuple[str, ...]) -> M:
    """The body as a ``schema``; ``types`` are the media types that are taken.

    Raises UnsupportedType (415), TooLarge (413), BadRequest ``bad_json`` (400) or InputInvalid (422).
    """
    if _media_type(request.environ.get("CONTENT_TYPE", "")) not in types:
        raise _not_read(types, "Accept-Patch" if request.method == "PATCH" else "Accept")
    body = _read(request)
    if b"\\u0000" in body and _NUL.search(body):
        raise BadRequest("bad_json")
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        raise BadRequest("bad_json")
    raise InputInvalid(*map(field_error, errors))


def read_form(request: Request, schema: type[M]) -> M:
    """A multipart body as a ``schema``; raises UnsupportedType (415), BadRequest (400) or InputInvalid (422)."""
    if _media_type(request.environ.get("CONTENT_TYPE", "")) != MULTIPART:
        raise _not_read((MULTIPART,), "Accept")
    return validate(schema, collect(posted_form(request).items(), list_fields(schema)))


def _not_read(types: tuple[str, ...], header: str) -> UnsupportedType:
    """The error for a body of another type; ``header`` tells which are taken (RFC 9110 section 15.5.16, RFC 5789)."""
    error = UnsupportedType(expected=" or ".join(types))
    error.headers = ((header, ", ".join(types)),)
    return error


def is_bodiless(request: Request) -> bool:
    """True when the request brings no body at all; one of unknown length has at least a type."""
    length: int | None = request.content_length
    return length == 0 or (length is None and not request.environ.get("CONTENT_TYPE"))


def _read(request: Request) -> bytes:
    length: int | None = request.content_length
    if length is not None and length > MAX_JSON_BYTES:
        raise TooLarge(limit=MAX_JSON_BYTES)
    body: bytes
    if length is None and request.is_body_readable:
        body = request.body_file_raw.read(MAX_JSON_BYTES + 1)
    else:
        body = request.body
    if len(body) > MAX_JSON_BYTES:
        raise TooLarge(limit=MAX_JSON_BYTES)
    return body


@lru_cache(maxsize=256)
def _media_type(header: str) -> str:
    """The media type without its parameters; empty when the charset is another than UTF-8 (RFC 8259 section 8.1)."""
    name, *parameters = (part.strip() for part in header[:300].split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            return ""
    return name.lower()


def accepted_types(method: str, body_type: str) -> tuple[str, ...]:
    """The media types that a view takes: PATCH also takes a merge patch by its own name (RFC 7396)."""
    return (body_type, MERGE_PATCH) if method == "PATCH" and body_type == JSON else (body_type,)
