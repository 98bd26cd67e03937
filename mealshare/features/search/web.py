"""The HTML face of search."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from mealshare.features.accounts.resources import viewer_of
from mealshare.features.meals.form import VOCABULARY
from mealshare.features.meals.html import render_cards
from mealshare.features.meals.places import place_path
from mealshare.features.search.form import FROM_LINKS, SearchForm, read_search
from mealshare.features.search.queries import beside_meals
from mealshare.features.search.resources import found_meals
from mealshare.features.search.rules import SearchPermission

#: How many people, and how many tags and places, stand above the meals.
FEW_PEOPLE, FEW = 4, 6


@view_config(
    route_name="search",
    request_method="GET",
    permission=SearchPermission.SEARCH,
    renderer="templates/search.pt",
    limit="search",
)
def search(context: Any, request: Request) -> dict[str, Any]:
    """The form, and what was found."""
    form = read_search(request)
    values: dict[str, Any] = {
        "form": form, "vocabulary": VOCABULARY, "from_links": FROM_LINKS, "place_path": place_path,
        "first": "max_id" not in form.values, "cards": [], "older": None, "people": [], "tags": [], "places": [],
    }  # fmt: skip
    if form.asks:
        page = found_meals(request, form.query)
        older = None if page.next_max_id is None else form.address(max_id=page.next_max_id)
        values |= {"cards": render_cards(request, page.items), "older": older}
    if form.q and values["first"] and not form.filtered:
        values |= _beside_meals(request, form)
    return values | {"found": any(values[name] for name in ("cards", "people", "tags", "places"))}


def _beside_meals(request: Request, form: SearchForm) -> dict[str, Any]:
    found = beside_meals(request.conn, form.q, FEW, viewer_of(request))
    return {"people": found.people[:FEW_PEOPLE], "tags": found.tags, "places": found.places}
