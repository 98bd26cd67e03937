"""The search form: what stands in its address, and what is wanted by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from pyramid.request import Request

from mealshare.core.search import QUERY_LENGTH
from mealshare.features.meals.schemas import MealFilter

LISTS = ("diet", "without")
FILTERS = ("meal_type", *LISTS, "tag", "place", "from", "to", "photo")
#: Shown only where a link brought them.
FROM_LINKS = ("tag", "place")


@dataclass(frozen=True)
class SearchForm:
    """A search as the page shows it: what was typed, and the query that it makes."""

    values: Mapping[str, Any]
    query: MealFilter

    @property
    def q(self) -> str:
        """The words."""
        return self.query.q or ""

    @property
    def filtered(self) -> bool:
        """Whether a filter is set."""
        return any(name in self.values for name in FILTERS)

    @property
    def asks(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.q) or self.filtered

    def has(self, name: str, value: str) -> bool:
        """Whether ``value`` is chosen."""
        chosen = self.values.get(name, "")
        return value in chosen if isinstance(chosen, list) else chosen == value

    def value(self, name: str) -> str:
        """What the field shows."""
        return str(self.values.get(name, ""))

    def address(self, *, without: str = "", **more: Any) -> str:
        """The address of this search, without the field ``without`` and with ``more``."""
        kept = {name: value for name, value in self.values.items() if name not in (without, "max_id")}
        pairs = urlencode({**kept, **more}, doseq=True)
        return f"/search?{pairs}" if pairs else "/search"


def read_search(request: Request) -> SearchForm:
    """The search that the address of the page asks for.

    What cannot be meant (a date that is none, say) is left out, as a mistyped address should not be an error.
    """
    given: dict[str, Any] = {}
    for name in ("q", *FILTERS, "max_id"):
        values = [value for value in request.GET.getall(name) if value.strip() and "\0" not in value]
        if values:
            given[name] = list(dict.fromkeys(values)) if name in LISTS else values[-1]
    if "q" in given:
        given["q"] = given["q"].strip()[:QUERY_LENGTH]
    while True:
        try:
            return SearchForm(given, MealFilter.model_validate(given))
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False):
                given.pop(str(item["loc"][0]), None)
