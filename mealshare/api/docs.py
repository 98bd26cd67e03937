"""``/openapi.json``, and ``/docs``: the same as a page to read and to try things on (Swagger UI, served from here)."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.etag import check_not_modified, etag_of_body
from mealshare.api.openapi import document_bytes
from mealshare.api.reply import RawJson, Reply
from mealshare.api.view import api_view
from mealshare.core.i18n import to_bcp47
from mealshare.core.security import SiteSettings
from mealshare.core.security.headers import HTML_CSP
from mealshare.core.security.permissions import CorePermission
from mealshare.core.settings import settings_of

#: As on every page, and the data: pictures that Swagger UI's own style sheet contains (arrows, locks).
DOCS_CSP = HTML_CSP.replace("img-src 'self' blob:", "img-src 'self' blob: data:")


@api_view(route_name="api.openapi", permission=CorePermission.PUBLIC, documented=False)
def openapi_json(context: Any, request: Request) -> Response | Reply:
    """The OpenAPI document."""
    registry = request.registry
    body = document_bytes(registry)
    cache = registry["openapi_cache"]
    etag = cache.get("etag") or cache.setdefault("etag", etag_of_body(body))
    return check_not_modified(request, etag) or Reply(RawJson(body), etag=etag)


def docs(context: Any, request: Request) -> Response:
    """The page."""
    registry = request.registry
    identity = request.identity
    values = {
        "lang": to_bcp47(request.locale_name),
        "site_name": settings_of(registry, SiteSettings).name,
        "document": request.route_path("api.openapi"),
        "username": None if identity is None else identity.username,
        # What somebody tries here with the session of the browser needs it.  A visitor gets no cookie for looking.
        "csrf": None if identity is None else registry["csrf"].get_csrf_token(request),
    }
    response = Response(render("mealshare.api:templates/docs.pt", values, request))
    response.headers["Content-Security-Policy"] = DOCS_CSP
    return response


def includeme(config: Configurator) -> None:
    """The two addresses."""
    config.include("mealshare.api.openapi")
    config.add_api_route("api.openapi", "/openapi.json")
    config.add_route("docs", "/docs")
    config.add_view(docs, route_name="docs", request_method="GET", permission=CorePermission.PUBLIC)
