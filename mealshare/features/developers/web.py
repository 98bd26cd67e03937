"""The page for developers."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.idempotency import IdempotencySettings
from mealshare.core.security.jwt_keys import JwtSettings
from mealshare.core.security.permissions import CorePermission
from mealshare.core.settings import settings_of
from mealshare.features.accounts.settings import AuthSettings
from mealshare.features.developers import html
from mealshare.features.developers.settings import DevelopersSettings
from mealshare.features.developers.vocabulary import SCOPES
from mealshare.web.ui import Ui


@view_config(
    route_name="developers", request_method="GET", renderer="templates/developers.pt", permission=CorePermission.PUBLIC
)
def developers(context: Any, request: Request) -> dict[str, Any]:
    """All of it on one page: it is searched with the browser, and read from the top once."""
    registry, ui = request.registry, Ui.of(request)
    return {
        "sample": partial(html.sample_html, base_url=registry["base_url"]),
        "languages": html.LANGUAGES,
        "access_minutes": settings_of(registry, JwtSettings).access_seconds // 60,
        "auth": settings_of(registry, AuthSettings),
        "key_hours": settings_of(registry, IdempotencySettings).keep_hours,
        "scopes": SCOPES,
        "problems": html.problems(ui),
        "limits": html.limits(ui),
        "sizes": html.sizes(registry),
        "cors": html.cors(registry, request.GET.get("origin", "")),
        "releases": html.releases(),
        "source": settings_of(registry, DevelopersSettings).source,
    }
