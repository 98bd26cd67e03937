"""Words and addresses of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pyramid.i18n import TranslationString
from pyramid.request import Request

from mealshare.core.i18n import _
from mealshare.features.discover.schemas import DrawQuery
from mealshare.features.discover.vocabulary import DrawSource
from mealshare.features.meals.habits import habits_of

_WHY: Mapping[DrawSource, TranslationString] = {
    DrawSource.WANT: _("From your want list"),
    DrawSource.FAVOURITE: _("You like it, and have not had it lately"),
    DrawSource.FOLLOWED: _("From people you follow"),
    DrawSource.PUBLIC: _("From everybody"),
}


def words_for(source: DrawSource) -> TranslationString:
    """Why a meal was drawn."""
    return _WHY[source]


def draw_address(query: DrawQuery, *, but: int = 0, **changed: Any) -> str:
    """The address of a draw like ``query`` with some values ``changed`` (None: without it)."""
    values = {"meal_type": query.meal_type, "place": query.place, "source": query.source, **changed}
    if but:
        values["but"] = but
    return _address("/random", values)


def explore_address(meal_type: Any, photo: Any) -> str:
    """The address of the explore page with these filters."""
    return _address("/explore", {"meal_type": meal_type, "photo": "true" if photo else None})


def _address(path: str, values: Mapping[str, Any]) -> str:
    given = {name: str(value) for name, value in values.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def own_places(request: Request) -> dict[str, Any] | None:
    """For the compose page: a list of the places where its reader eats, which the browser offers by itself."""
    if request.identity is None:
        return None
    return {"places": habits_of(request.conn, request.identity.account_id).places}
