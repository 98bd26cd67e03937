"""The HTML face of notifications."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.db import Window
from mealshare.core.i18n import _
from mealshare.core.security.permissions import CorePermission
from mealshare.core.security.redirects import safe_next
from mealshare.features.notifications.html import ICONS, LABELS, items
from mealshare.features.notifications.models import NotificationType
from mealshare.features.notifications.queries import CHOICES, MOST_UNREAD, notices, settings_of
from mealshare.features.notifications.rules import NotificationPermission
from mealshare.features.notifications.schemas import NotificationSettingsInput, ReadInput
from mealshare.features.notifications.service import NotificationService
from mealshare.web.forms import Form
from mealshare.web.paging import window_of
from mealshare.web.ui import Ui

PATH = "/notifications"
UNREAD = "unread_notifications"


@view_config(
    route_name="notifications",
    request_method="GET",
    permission=NotificationPermission.READ,
    renderer="templates/notifications.pt",
)
def show(context: Any, request: Request) -> dict[str, Any]:
    """What others did, the newest first; showing it changes nothing."""
    types, window = _types(request), window_of(request)
    found = notices(request.conn, request.identity.account_id, window, types)
    shown, next_id = items(request, found.page.items), found.page.next_max_id
    chosen = [("type", type.value) for type in types]
    return {
        "items": shown,
        "found": found,
        "first": window == Window(),
        "types": [type.value for type in types],
        "older": None if next_id is None else f"{PATH}?{urlencode([*chosen, ('max_id', next_id)])}",
        "new": any(item.new for item in shown),
        "labels": LABELS,
        "unread": request.identity.more.get(UNREAD, 0),
    }


@view_config(route_name="notifications.read", request_method="POST", permission=NotificationPermission.CHANGE)
def mark_read(context: Any, request: Request) -> HTTPSeeOther:
    """Mark what was shown as read, and return to it."""
    form = Form(request, ReadInput)
    given = form.validate(form.read(lists=("type",)))
    if given is not None:
        service = NotificationService(request.work)
        service.mark_read(request.identity.account_id, max_id=given.max_id, min_id=given.min_id, types=given.type)
    return HTTPSeeOther(safe_next(request.POST.get("next"), PATH))


@view_config(
    route_name="settings.notifications",
    request_method="GET",
    permission=CorePermission.BROWSER_SESSION,
    renderer="templates/settings.pt",
)
def settings(context: Any, request: Request) -> dict[str, Any]:
    """What one is told about."""
    wanted = settings_of(request.conn, request.identity.account_id)
    choices = [(choice.value, ICONS[choice], LABELS[choice], wanted[choice.value]) for choice in CHOICES]
    return {"page": "notifications", "choices": choices}


@view_config(route_name="settings.notifications", request_method="POST", permission=CorePermission.BROWSER_SESSION)
def change_settings(context: Any, request: Request) -> HTTPSeeOther:
    """Save the choice: a box that is not ticked does not come at all."""
    wanted = NotificationSettingsInput(**{choice.value: choice.value in request.POST for choice in CHOICES})
    NotificationService(request.work).change_settings(request.identity.account_id, wanted.model_dump())
    request.flash(_("Saved."))
    return HTTPSeeOther("/settings/notifications")


def bell(request: Request) -> dict[str, Any]:
    """The values of the bell in the head of each page; without a statement of its own."""
    identity, ui = Ui.of(request).identity, Ui.of(request)
    unread = 0 if identity is None else identity.more.get(UNREAD, 0)
    return {"unread": unread, "many": unread >= MOST_UNREAD, "current": ui.path.startswith(PATH)}


def settings_link(request: Request) -> dict[str, Any]:
    """The values of the link among the settings."""
    return {"current": Ui.of(request).path == "/settings/notifications"}


def _types(request: Request) -> list[NotificationType]:
    """The types that are asked for; what is no type is overlooked, as in a mistyped address."""
    asked = request.GET.getall("type")
    return [choice for choice in CHOICES if choice.value in asked]
