"""Forms: read what was posted, validate it with the schema that the API uses, show it again with its errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pyramid.request import Request

from mealshare.core.errors import FieldError, InputInvalid
from mealshare.core.validation import field_error
from mealshare.web.ui import error_text

M = TypeVar("M", bound=BaseModel)
#: Errors that belong to no single field stand under this name.
WHOLE = ""


class Form(Generic[M]):
    """What one form holds: the values as they were typed, and the errors, by field.

    ``values`` are strings (or lists of strings for fields that repeat), so that nothing that was typed is lost.
    """

    def __init__(self, request: Request, schema: type[M], initial: Mapping[str, Any] | None = None) -> None:
        self.request = request
        self.schema = schema
        self.values: dict[str, Any] = dict(initial or {})
        self.errors: dict[str, list[str]] = {}

    def read(self, lists: Iterable[str] = ()) -> dict[str, Any]:
        """Take over the posted text fields (those in ``lists`` may repeat) and return those that are not empty."""
        posted = self.request.POST
        repeated = set(lists)
        for name in repeated:
            self.values[name] = [value for value in posted.getall(name) if isinstance(value, str) and value.strip()]
        for name in posted:
            value = posted.get(name)
            # A part of a form may come without a name.
            if isinstance(name, str) and name not in repeated and isinstance(value, str):
                self.values[name] = value
        return {
            name: value
            for name, value in self.values.items()
            if name in self.schema.model_fields and value not in ("", [])
        }

    def validate(self, data: Mapping[str, Any] | None = None) -> M | None:
        """The validated input, or None with `errors` filled; ``data`` defaults to what `read` returns."""
        try:
            # Not strict: a form has only strings.
            return self.schema.model_validate(self.read() if data is None else data, strict=False)
        except ValidationError as error:
            self.fail(*map(field_error, error.errors(include_url=False, include_input=False)))
            return None

    def fail(self, *errors: FieldError) -> None:
        """Add errors, with their words."""
        for error in errors:
            name = error.field.partition("/")[0]
            self.errors.setdefault(name, []).append(error_text(self.request, error.code, error.params))
        self.request.response.status_int = 422

    def fail_with(self, invalid: InputInvalid) -> None:
        """Add what a service found wrong."""
        self.fail(*invalid.errors)

    def value(self, name: str, default: Any = "") -> Any:
        """What the field shows."""
        return self.values.get(name, default)

    def has(self, name: str, value: str) -> bool:
        """True when ``value`` is the chosen one (or among the chosen ones) of the field."""
        chosen = self.values.get(name)
        return value in chosen if isinstance(chosen, list | tuple) else chosen == value

    def error(self, name: str) -> str | None:
        """The first error of the field."""
        return self.errors.get(name, [None])[0]

    def describe(self, name: str, hint: bool = False) -> str | None:
        """The value of aria-describedby: the ids of the error and the hint, where they are shown."""
        ids = [f"{name}-error"] if name in self.errors else []
        return " ".join([*ids, *([f"{name}-hint"] if hint else [])]) or None

    def invalid(self, name: str) -> str | None:
        """The value of aria-invalid."""
        return "true" if name in self.errors else None
