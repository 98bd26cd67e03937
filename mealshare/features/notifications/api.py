"""The JSON face of notifications."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Reply, api_view, etag_of, page_headers, require_match
from mealshare.features.notifications.present import notification_out
from mealshare.features.notifications.queries import notices, settings_of
from mealshare.features.notifications.rules import NotificationPermission
from mealshare.features.notifications.schemas import (
    NotificationOut,
    NotificationQuery,
    NotificationSettingsInput,
    NotificationSettingsOut,
    ReadInput,
)
from mealshare.features.notifications.service import NotificationService

TAGS = ("notifications",)


@api_view(
    route_name="api.notifications",
    request_method="GET",
    permission=NotificationPermission.READ,
    query=NotificationQuery,
    returns=list[NotificationOut],
    paged=True,
    tags=TAGS,
    summary="List your notifications",
    description="What others did, newest first. What several people did with one thing is one element: `users` are "
    "the latest of them, `count` says how many they are. Reading marks nothing as read. `limit` counts "
    "elements; a page may have fewer although "
    "there are older ones: follow `Link`.",
)
def list_notifications(context: Any, request: Request, query: NotificationQuery) -> Reply:
    """One's own notifications."""
    page = notices(request.conn, request.identity.account_id, query.window(), query.type).page
    base_url = request.registry["base_url"]
    return Reply([notification_out(item, base_url) for item in page.items], headers=page_headers(request, page))


@api_view(
    route_name="api.notifications.read",
    request_method="POST",
    permission=NotificationPermission.CHANGE,
    body=ReadInput,
    status=204,
    tags=TAGS,
    summary="Mark notifications as read",
    description="`{}` marks all; with `max_id` only those up to that one, so that what came in since stays new. "
    "Doing it twice changes nothing.",
)
def mark_read(context: Any, request: Request, body: ReadInput) -> None:
    """Mark as read."""
    service = NotificationService(request.work)
    service.mark_read(request.identity.account_id, max_id=body.max_id, min_id=body.min_id, types=body.type)


@api_view(
    route_name="api.notifications.settings",
    request_method="GET",
    permission=NotificationPermission.READ,
    returns=NotificationSettingsOut,
    tags=TAGS,
    summary="Show what you are told about",
    description="Which types of notifications you get.",
)
def show_settings(context: Any, request: Request) -> Reply:
    """Which types one is told about."""
    return _own_settings(request)


@api_view(
    route_name="api.notifications.settings",
    request_method="PUT",
    permission=NotificationPermission.CHANGE,
    body=NotificationSettingsInput,
    status=204,
    tags=TAGS,
    errors=("precondition_failed",),
    summary="Choose what you are told about",
    description="Replaces the choice, with `If-Match` only if nothing changed since; a type that is not named "
    "is on. What is off is neither kept nor counted.",
)
def change_settings(context: Any, request: Request, body: NotificationSettingsInput) -> None:
    """Choose the types."""
    service = NotificationService(request.work)
    if "HTTP_IF_MATCH" in request.environ:
        service.hold_settings(request.identity.account_id)
        require_match(request, _own_settings(request).etag or "")
    service.change_settings(request.identity.account_id, body.model_dump())


def _own_settings(request: Request) -> Reply:
    choices = settings_of(request.conn, request.identity.account_id)
    return Reply(NotificationSettingsOut(**choices), etag=etag_of(*choices.values()))
