"""The HTML face of preferences."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.i18n import _
from mealshare.core.security.permissions import CorePermission
from mealshare.features.meals.vocabulary import Allergen, AvoidMode, Diet
from mealshare.features.preferences.queries import preferences_of
from mealshare.features.preferences.schemas import PreferencesInput
from mealshare.features.preferences.service import PreferenceService
from mealshare.web.forms import Form

BROWSER = CorePermission.BROWSER_SESSION
LISTS = ("avoid", "diets")


@view_config(route_name="settings.food", request_method="GET", renderer="templates/food.pt", permission=BROWSER)
def food_form(context: Any, request: Request) -> dict[str, Any]:
    """What one avoids and keeps to."""
    said = preferences_of(request.conn, request.identity.account_id)
    return _page(Form(request, PreferencesInput, {"mode": said.mode, "avoid": said.avoid, "diets": said.diets}))


@view_config(route_name="settings.food", request_method="POST", renderer="templates/food.pt", permission=BROWSER)
def change_food(context: Any, request: Request) -> Any:
    """Save it."""
    form = Form(request, PreferencesInput)
    given = form.validate(form.read(lists=LISTS))
    if given is None:
        return _page(form)
    PreferenceService(request.work).save(request.identity.account_id, given)
    request.flash(_("Saved. It counts in every list from now on."))
    return HTTPSeeOther("/settings/food")


def _page(form: Form[PreferencesInput]) -> dict[str, Any]:
    return {"form": form, "page": "food", "modes": AvoidMode, "allergens": Allergen, "diets": Diet}
