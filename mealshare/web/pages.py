"""Pages that belong to no feature: about, the problem types, robots, the manifest."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from mealshare.core.errors import NotFound
from mealshare.core.i18n import _, to_bcp47
from mealshare.core.security import SiteSettings
from mealshare.core.security.permissions import CorePermission
from mealshare.core.settings import settings_of

PUBLIC = CorePermission.PUBLIC
#: What is personal, a form, or a list without an end (RFC 9309: each is the beginning of a path and query).
NOT_FOR_CRAWLERS = (
    "/settings/", "/login", "/register", "/password/", "/api/", "/home", "/new", "/share", "/random", "/notifications",
    "/want", "/follow-requests", "/report", "/admin/", "/search?", "/*?max_id=",
)  # fmt: skip
#: What the icon on a home screen offers when it is held down.
SHORTCUTS = ((_("New meal"), "/new"), (_("Diary"), "/diary"))
#: How the device hands over what another application shares (W3C, Web Share Target).
SHARE_TARGET = {
    "action": "/share",
    "method": "POST",
    "enctype": "multipart/form-data",
    "params": {"title": "title", "text": "text", "url": "url", "files": [{"name": "photo", "accept": ["image/*"]}]},
}


@view_config(route_name="about", request_method="GET", renderer="templates/about.pt", permission=PUBLIC)
def about(context: Any, request: Request) -> dict[str, Any]:
    """What this site is."""
    return {}


@view_config(route_name="problem", request_method="GET", renderer="templates/problem.pt", permission=PUBLIC)
def problem(context: Any, request: Request) -> dict[str, Any]:
    """What a problem type of the API means; the ``type`` of every problem document leads here."""
    code = request.matchdict["code"]
    title = request.registry["messages"].get(code)
    if title is None:
        raise NotFound
    return {"code": code, "title": title, "params": {"retry_after": "…"}}


@view_config(route_name="robots", request_method="GET", permission=PUBLIC)
def robots(context: Any, request: Request) -> Response:
    """RFC 9309: what crawlers should leave alone."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in NOT_FOR_CRAWLERS)]
    lines += ["", f"Sitemap: {request.registry['base_url']}/sitemap.xml", ""]
    return Response("\n".join(lines), content_type="text/plain", charset="utf-8")


@view_config(route_name="manifest", request_method="GET", renderer="json", permission=PUBLIC)
def manifest(context: Any, request: Request) -> dict[str, Any]:
    """The web application manifest (W3C), so that the site can be put on a home screen."""
    prefix = request.registry["static_prefix"]
    request.response.content_type = "application/manifest+json"
    name = settings_of(request.registry, SiteSettings).name
    return {
        "name": name,
        "short_name": name,
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "id": "/",
        "lang": to_bcp47(request.locale_name),
        "background_color": "#faf5ed",
        "theme_color": "#faf5ed",
        "categories": ["food", "social", "lifestyle"],
        "icons": [
            {"src": f"{prefix}/img/icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": f"{prefix}/img/icon-512.png", "sizes": "512x512", "type": "image/png"},
            {
                "src": f"{prefix}/img/icon-maskable-512.png",
                "sizes": "512x512",
                "type": "image/png",
                "purpose": "maskable",
            },
            {"src": f"{prefix}/img/favicon.svg", "sizes": "any", "type": "image/svg+xml"},
        ],
        "shortcuts": [{"name": request.translate(words), "url": path} for words, path in SHORTCUTS],
        "share_target": SHARE_TARGET,
    }


def includeme(config: Configurator) -> None:
    """Register the pages."""
    config.add_route("about", "/about")
    config.add_route("problem", "/problems/{code}")
    config.add_route("robots", "/robots.txt")
    config.add_route("manifest", "/manifest.webmanifest")
    config.scan(__name__)
