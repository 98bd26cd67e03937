"""The page on which people change who may see their meals of the past."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.dates import parse_local
from mealshare.core.i18n import n_
from mealshare.core.security.permissions import CorePermission
from mealshare.features.meals.html import VISIBILITY_ICONS
from mealshare.features.meals.schemas import VisibilityInput
from mealshare.features.meals.service_visibility import VisibilityService, count_meals
from mealshare.features.meals.vocabulary import Visibility
from mealshare.web.forms import Form

BROWSER = CorePermission.BROWSER_SESSION
PAGE = "templates/visibility.pt"
#: What locking one's account suggests.
SUGGESTED = {"from": [Visibility.PUBLIC, Visibility.UNLISTED], "to": Visibility.FOLLOWERS}


@view_config(route_name="settings.privacy.meals", request_method="GET", renderer=PAGE, permission=BROWSER)
def choose(context: Any, request: Request) -> dict[str, Any]:
    """Which meals, and who shall see them."""
    return _page(request, Form(request, VisibilityInput, SUGGESTED))


@view_config(route_name="settings.privacy.meals", request_method="POST", renderer=PAGE, permission=BROWSER)
def change(context: Any, request: Request) -> Any:
    """Say how many meals it would be, and change them when that was seen."""
    form = Form(request, VisibilityInput)
    given = form.validate(_data(form))
    if given is None:
        return _page(request, form)
    if "confirmed" not in request.POST:
        return _page(request, form, given)
    service = VisibilityService(request.work)
    number = service.change(request.identity.account_id, given.visibilities, given.to, given.before)
    request.flash(n_("${n} meal is changed.", "${n} meals are changed.", number))
    return HTTPSeeOther("/settings/privacy")


def past_meals(request: Request) -> dict[str, Any]:
    """What the privacy page says of one's meals."""
    return _page(request, Form(request, VisibilityInput, SUGGESTED))


def _data(form: Form[VisibilityInput]) -> dict[str, Any]:
    """What was posted; a day begins at midnight where its author lives."""
    form.read(lists=("from",))
    data = {name: form.values[name] for name in ("from", "to", "before") if form.values.get(name)}
    try:
        start = parse_local(f"{data['before']}T00:00", form.request.identity.time_zone)
        return data | {"before": start.isoformat()}
    except (KeyError, ValueError):
        # No day at all, or none of the calendar: the schema says so.
        return data


def _page(request: Request, form: Form[VisibilityInput], given: VisibilityInput | None = None) -> dict[str, Any]:
    me = request.identity.account_id
    counts = count_meals(request.conn, me, given.before if given else None)
    chosen = set(given.visibilities) - {given.to} if given else set()
    return {
        "form": form,
        "page": "privacy",
        "counts": [(item, VISIBILITY_ICONS[item], counts.get(item, 0)) for item in Visibility],
        "total": sum(counts.values()),
        "given": given,
        "number": sum(counts.get(item, 0) for item in chosen),
    }
