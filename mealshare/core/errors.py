"""What can go wrong with a request, said once for both faces.

Services raise these; the HTML face turns them into a form with messages or an error page, the JSON face into a problem
document.  Each carries a *code*; `mealshare.core.messages` holds the words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with one input: the field's path (``allergens/contains/0``), the code, its numbers."""

    field: str
    code: str
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class DomainError(Exception):
    """Base of what services raise; ``status`` is the HTTP status that fits, ``code`` names the problem."""

    status = 400
    code = "bad_request"
    #: What the answer tells in headers.
    headers: tuple[tuple[str, str], ...] = ()
    #: A status of 500 or more is a failure for the log to tell of; this one is wanted.
    wanted = False

    def __init__(self, code: str | None = None, **params: Any) -> None:
        self.code = code or self.code
        self.params = params
        super().__init__(self.code)


class InputInvalid(DomainError):
    """The request is well-formed but some of its values are not acceptable (422)."""

    status = 422
    code = "invalid"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__()
        self.errors = errors

    @classmethod
    def of(cls, field_name: str, code: str, **params: Any) -> InputInvalid:
        """An error with just one field."""
        return cls(FieldError(field_name, code, params))


class BadRequest(DomainError):
    """The request cannot be understood (400)."""


class NotFound(DomainError):
    """There is no such thing, or not for the one who asks (404)."""

    status = 404
    code = "not_found"


class Forbidden(DomainError):
    """One may know that it exists, but may not do this (403)."""

    status = 403
    code = "forbidden"


class Conflict(DomainError):
    """It clashes with what is there already (409)."""

    status = 409
    code = "conflict"


class PreconditionFailed(DomainError):
    """The thing has changed since the client read it (412, RFC 9110 section 13.1.1)."""

    status = 412
    code = "precondition_failed"


class TooLarge(DomainError):
    """The body is larger than the limit (413)."""

    status = 413
    code = "too_large"


class UnsupportedType(DomainError):
    """The body is of a type that is not read here (415)."""

    status = 415
    code = "unsupported_media_type"


class TooMany(DomainError):
    """A rate limit is used up (429); ``retry_after`` is in seconds."""

    status = 429
    code = "rate_limited"

    def __init__(self, retry_after: int, limit: int | None = None) -> None:
        super().__init__(retry_after=retry_after)
        self.retry_after = retry_after
        self.limit = limit


class StorageAway(DomainError):
    """What is uploaded cannot be stored now, but soon (503)."""

    status = 503
    code = "unavailable"
    headers = (("Retry-After", "5"),)


class StorageExhausted(DomainError):
    """There is no room left to store the upload (507, RFC 4918 section 11.5)."""

    status = 507
    code = "storage_full"
