"""What a search leads to, the same in both faces."""

from __future__ import annotations

from pyramid.request import Request

from mealshare.core.db import Page
from mealshare.features.meals.api import filtered_page
from mealshare.features.meals.cards import Card
from mealshare.features.meals.queries import PUBLIC
from mealshare.features.meals.schemas import MealFilter
from mealshare.features.search.queries import FOUND, question


def found_meals(request: Request, query: MealFilter) -> Page[Card]:
    """The page of meals with the words of ``query`` that the viewer may find; none where there is no word in it.

    Without ``q`` it is the public meals that pass the filters.
    """
    if query.q is None:
        return filtered_page(request, PUBLIC, query)
    words = question(request.conn, query.q)
    if words is None:
        return Page()
    # The words are in the list itself: as a filter they would be asked twice.
    rest = query.model_copy(update={"q": None})
    return filtered_page(request, FOUND[request.conn.dialect.name], rest, words=words)
