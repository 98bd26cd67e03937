"""The JSON face of preferences."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Reply, api_view, etag_of, require_match
from mealshare.features.accounts.queries import hold_account
from mealshare.features.preferences.queries import Preferences, preferences_of
from mealshare.features.preferences.rules import PreferencePermission
from mealshare.features.preferences.schemas import PreferencesInput
from mealshare.features.preferences.service import PreferenceService


@api_view(
    route_name="api.preferences",
    request_method="GET",
    permission=PreferencePermission.READ,
    returns=Preferences,
    tags=("preferences",),
    summary="Show what you avoid",
    description="The allergens that you avoid, the diets that you keep to, and what becomes of meals with the former.",
)
def read_preferences(context: Any, request: Request) -> Reply:
    """One's own preferences."""
    return _own(request)


@api_view(
    route_name="api.preferences",
    request_method="PUT",
    permission=PreferencePermission.WRITE,
    body=PreferencesInput,
    returns=Preferences,
    errors=("precondition_failed",),
    etag=True,
    tags=("preferences",),
    summary="Say what you avoid",
    description=(
        "Replaces all of it; with `If-Match` only if nothing changed since. It counts at once, in every list. "
        "Declarations are made by the eaters: a meal that declares nothing is shown, and `viewer.not_declared` says so."
    ),
)
def replace_preferences(context: Any, request: Request, body: PreferencesInput) -> Reply:
    """Replace one's own preferences."""
    service = PreferenceService(request.work)
    if "HTTP_IF_MATCH" in request.environ:
        # Read while nobody else may write, so that nothing comes in between.
        hold_account(request.db.connection(), request.identity.account_id)
        require_match(request, _own(request).etag or "")
    service.save(request.identity.account_id, body)
    return _own(request)


def _own(request: Request) -> Reply:
    value = preferences_of(request.conn, request.identity.account_id)
    return Reply(value, etag=etag_of(value.mode, *value.avoid, "", *value.diets))
