"""Pages on which people settle who follows them, and whom they have blocked or muted."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.errors import NotFound
from mealshare.core.i18n import _
from mealshare.core.security.permissions import CorePermission
from mealshare.features.accounts.factory import account_service
from mealshare.features.accounts.queries import profile
from mealshare.features.social.html import listed_people
from mealshare.features.social.queries import BLOCKS, MUTES
from mealshare.features.social.resources import viewer_of
from mealshare.web.paging import window_of

BROWSER = CorePermission.BROWSER_SESSION
LOCKED = _("Your account is locked. Your meals of the past are as they were: below you can change who may see them.")
UNLOCKED = _("Your account is open. Requests that wait do so until you answer them.")


@view_config(route_name="settings.privacy", request_method="GET", renderer="templates/privacy.pt", permission=BROWSER)
def privacy(context: Any, request: Request) -> dict[str, Any]:
    """Whether the account is locked; features add theirs."""
    own = profile(request.conn, request.identity.account_id)
    if own is None:
        raise NotFound
    return {"page": "privacy", "locked": own.person.locked}


@view_config(route_name="settings.privacy", request_method="POST", permission=BROWSER)
def change_privacy(context: Any, request: Request) -> HTTPSeeOther:
    """Lock the account, or unlock it."""
    locked = "locked" in request.POST
    account_service(request).change_profile(request.identity.account_id, {"locked": locked})
    request.flash(LOCKED if locked else UNLOCKED)
    return HTTPSeeOther("/settings/privacy")


@view_config(route_name="settings.blocks", request_method="GET", renderer="templates/blocks.pt", permission=BROWSER)
def blocks(context: Any, request: Request) -> dict[str, Any]:
    """Whom one has blocked."""
    return listed_people(request, BLOCKS.page(request.conn, window_of(request), viewer_of(request))) | {
        "page": "blocks"
    }


@view_config(route_name="settings.mutes", request_method="GET", renderer="templates/mutes.pt", permission=BROWSER)
def mutes(context: Any, request: Request) -> dict[str, Any]:
    """Whom one has muted."""
    return listed_people(request, MUTES.page(request.conn, window_of(request), viewer_of(request))) | {"page": "mutes"}
