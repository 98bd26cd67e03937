"""The browsable API: a browser that opens an address of the API sees a page instead of JSON.

The page is made of the very answer that a program gets, after all checks: the same status, the same headers, the same
JSON, so it can show nothing that the JSON does not.  Whoever does not ask for HTML by name never notices: one search in
the Accept header is all that it costs.

- **Who gets a page:** GET and HEAD below ``/api`` whose Accept names ``text/html`` and does not prefer JSON.  That is what
  browsers send for what stands in their address bar.  ``*/*`` (curl, axios, fetch), ``application/json`` and
  ``text/event-stream`` go on to get JSON.  Scripts of other origins (``Origin``) always get JSON, because the page of
  somebody who is signed in carries their form token; so does htmx (``HX-Request``), which has no use for a whole page.
- **Caches:** every answer of the API says ``Vary: Accept``.  The page is ``no-store`` and has no ETag, and ``If-None-Match``
  is not looked at for it: a browser that has stored the JSON of the same address sends the tag of that, and a 304 would
  make it show the JSON.
- **Forms:** a form of plain HTML sends what was left empty too, which would be 400.  So a page whose address has empty
  parameters redirects to the one without.  ``?format=json`` leads from the page to the JSON; it is looked at only where a
  page would have been the answer, so for programs it stays an unknown parameter.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl, quote

import orjson
from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.body import JSON
from mealshare.api.browse_forms import Described, curl, describe, fitted, line, pretty, prose
from mealshare.api.browse_json import Link, json_page
from mealshare.api.openapi import document_bytes, split_pattern
from mealshare.api.problems import PROBLEM_JSON
from mealshare.api.reply import VARY
from mealshare.api.routes import ApiRoute, allowed_methods
from mealshare.core.i18n import to_bcp47
from mealshare.core.security import SiteSettings
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.policy import identity_if_known
from mealshare.core.settings import setting, settings_of

TEMPLATE = "mealshare.api:templates/browse.pt"
#: The parameter that leads from the page to the JSON.
FORMAT = "format=json"
#: In the environ, because a request that is tried again after a conflict no longer has the parameter.
_RAW = "mealshare.api.raw"
#: A longer Accept header is cut here: no browser sends one, and what is remembered by it must stay small.
_ACCEPT_LIMIT = 500
_QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", re.ASCII)
_HTML = frozenset({"text/html", "application/xhtml+xml"})
#: Headers that belong to the JSON and not to the page.
_NOT_KEPT = frozenset({"content-type", "content-length", "content-encoding", "cache-control", "etag", "last-modified"})
_LINK = re.compile(r'<([^>]*)>;\s*rel="(\w+)"')


@dataclass(frozen=True)
class BrowseSettings:
    """The API as a browser sees it."""

    browsable: bool = setting(True, "A browser that opens an address of the API sees a page to read and try it.")


@dataclass(frozen=True)
class Twin:
    """Pages that have the same thing in the API: their addresses, and that of the API."""

    page: re.Pattern[str]
    api: str
    when: Callable[[Mapping[str, Any], str], bool] | None


def wants_page(environ: Mapping[str, Any]) -> bool:
    """Whether the request comes from somebody who reads; see above."""
    path: str = environ.get("PATH_INFO", "")
    return (
        (path.startswith("/api/") or path == "/api")
        and environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and "HTTP_ORIGIN" not in environ
        and "HTTP_HX_REQUEST" not in environ
        and prefers_html(environ.get("HTTP_ACCEPT", "")[:_ACCEPT_LIMIT])
    )


@lru_cache(maxsize=256)
def prefers_html(accept: str) -> bool:
    """Whether the Accept header asks for HTML rather than JSON (RFC 9110 section 12.5.1).

    HTML must be named; JSON that is named too wins when both are wanted as much, and JSON that is only part of a range
    (``*/*``) loses then.  An element that cannot be read counts as absent.
    """
    html, named, ranged = 0.0, 0.0, 0.0
    for element in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in element.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
        if kind in _HTML:
            html = max(html, quality)
        elif kind in (JSON, PROBLEM_JSON):
            named = max(named, quality)
        elif kind in ("application/*", "*/*"):
            ranged = max(ranged, quality)
    return html > named and html >= ranged


def browse_tween_factory(handler: Callable[[Request], Response], registry: Registry) -> Callable[[Request], Response]:
    """The tween: over all that answers with JSON, under CORS, which adds its headers to the page as well."""

    def tween(request: Request) -> Response:
        environ = request.environ
        if "html" not in environ.get("HTTP_ACCEPT", "") or not wants_page(environ) or _RAW in environ:
            return handler(request)
        pairs = environ.get("QUERY_STRING", "").split("&") if environ.get("QUERY_STRING") else []
        if FORMAT in pairs:
            environ[_RAW] = True
            environ["QUERY_STRING"] = "&".join(pair for pair in pairs if pair != FORMAT)
            return handler(request)
        filled = [pair for pair in pairs if pair.partition("=")[2]]
        if filled != pairs:
            return _without_empty(environ, filled)
        environ.pop("HTTP_IF_NONE_MATCH", None)
        response = handler(request)
        return page_of(request, response) if response.content_type in (JSON, PROBLEM_JSON) else response

    return tween


def _without_empty(environ: Mapping[str, Any], filled: list[str]) -> Response:
    """To the same address without the parameters that have no value."""
    location = _path(environ) + ("?" + "&".join(filled) if filled else "")
    headers = [("Location", location), ("Cache-Control", "private, no-store"), ("Vary", VARY)]
    return Response(status="303 See Other", headerlist=headers)


def _path(environ: Mapping[str, Any]) -> str:
    path: bytes = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    return quote(path, safe="/@:~")


def page_of(request: Request, response: Response) -> Response:
    """The page for ``response``, a finished answer in JSON; it keeps the headers that are not about its body."""
    page = Response(render(TEMPLATE, _values(request, response), request), content_type="text/html", charset="utf-8")
    page.status = response.status
    kept = [(name, value) for name, value in response.headerlist if name.lower() not in _NOT_KEPT]
    page.headerlist = [*page.headerlist, *kept, ("Cache-Control", "private, no-store")]
    return page


def _values(request: Request, response: Response) -> dict[str, Any]:
    """What the template shows."""
    registry = request.registry
    environ = request.environ
    path, base_url = _path(environ), cast(str, registry["base_url"])
    query_string = environ.get("QUERY_STRING", "")
    address = path + (f"?{query_string}" if query_string else "")
    operations = _operations(request)
    asked = operations.get("GET")
    identity = identity_if_known(request)
    session = identity is not None and identity.method is AuthMethod.SESSION
    answer = orjson.loads(response.body) if response.body else None
    title = asked.summary if asked is not None else path
    return {
        "lang": to_bcp47(request.locale_name),
        "line": line,
        "site_name": settings_of(registry, SiteSettings).name,
        "static": registry.get("static_prefix", "/static"),
        "title": title,
        "description": prose(asked.description) if asked is not None else "",
        "docs": asked.docs if asked is not None else "/docs",
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "address": address,
        "raw": path + "?" + "&".join(filter(None, [query_string, FORMAT])),
        "curl": f"curl {shlex.quote(base_url + address)}",
        "crumbs": _crumbs(registry, path),
        "allowed": _allowed(request),
        "status": response.status,
        "good": response.status_int < 400,
        "headers": _shown_headers(environ, response),
        "json": json_page(response.body, _linker(registry)) if response.body else "",
        "pages": _pages(response.headers.get("Link", ""), base_url),
        "fields": _filled(asked, query_string) if asked is not None else [],
        "forms": _forms(operations, answer if response.status_int == 200 else None, path, response, base_url),
        "identity": identity,
        "session": session,
        # Only the page of a session has something that a form token protects.
        "csrf_token": registry["csrf"].get_csrf_token(request) if session else "",
        "login": f"/login?next={quote(address, safe='')}",
    }


def _operations(request: Request) -> Mapping[str, Described]:
    """The operations at the address of the request, by method; none where there is nothing."""
    registry = request.registry
    known = registry["openapi_cache"].get("described")
    if known is None:
        known = registry["openapi_cache"]["described"] = describe(orjson.loads(document_bytes(registry)))
    route: ApiRoute | None = _route(request)
    return cast(Mapping[str, Described], known.get(split_pattern(route.pattern)[0], {})) if route is not None else {}


def _route(request: Request) -> ApiRoute | None:
    matched = request.matched_route
    return None if matched is None else request.registry["api_routes"].get(matched.name)


def _allowed(request: Request) -> tuple[str, ...]:
    route = _route(request)
    return () if route is None else allowed_methods(request.registry, route.name)


def _shown_headers(environ: Mapping[str, Any], response: Response) -> list[tuple[str, str]]:
    """The headers as a program gets them, without those that every answer of the site has."""
    shown = list(response.headerlist)
    if "mealshare.request_id" in environ:
        shown.append(("X-Request-Id", environ["mealshare.request_id"]))
    return sorted(shown)


def _crumbs(registry: Registry, path: str) -> list[tuple[str, str]]:
    """The part of the address that each segment adds, with the address that it leads to; empty where nothing can be read."""
    readable: list[re.Pattern[str]] | None = registry.get("api_readable")
    if readable is None:
        readable = registry["api_readable"] = [
            address_pattern(route.pattern)
            for name, route in registry["api_routes"].items()
            if "GET" in allowed_methods(registry, name)
        ]
    crumbs, so_far = [], ""
    for segment in path.strip("/").split("/"):
        so_far += f"/{segment}"
        crumbs.append((f"/{segment}", so_far if any(one.fullmatch(so_far) for one in readable) else ""))
    return crumbs


def _pages(header: str, base_url: str) -> dict[str, str]:
    """The neighbouring pages of a list, by relation, as addresses of this site."""
    return {relation: address.removeprefix(base_url) for address, relation in _LINK.findall(header)}


def _filled(described: Described, query_string: str) -> list[dict[str, Any]]:
    """The fields of the form for the parameters, with the values that the address has."""
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        given.setdefault(name, []).append(value)
    return [{"field": field, "values": given.get(field.name, [])} for field in described.query]


def _forms(
    operations: Mapping[str, Described], answer: Any, path: str, response: Response, base_url: str
) -> list[dict[str, Any]]:
    """A form for each method that changes something, filled with what there is or with the document's example."""
    etag = response.headers.get("ETag", "")
    forms = []
    for method, described in operations.items():
        if method == "GET":
            continue
        body, text = described.body, ""
        if body is not None and not body.parts:
            current = fitted(body.shape, answer) if method in ("PUT", "PATCH") and isinstance(answer, dict) else None
            text = pretty(current or body.example or {})
        forms.append({
            "described": described,
            "description": prose(described.description),
            "text": text,
            "etag": etag if not etag.startswith("W/") else "",
            "path": path,
            "curl": curl(described, base_url + path, text, etag),
        })  # fmt: skip
    return forms


def _linker(registry: Registry) -> Callable[[str, Mapping[str, Any], str], Link | None]:
    """Where the addresses within an answer lead: to the same thing in the API, else to the page, else out of the site."""
    base_url: str = registry["base_url"]
    twins: list[Twin] = registry["api_twins"]

    def link(address: str, owner: Mapping[str, Any], name: str) -> Link | None:
        # A template (RFC 6570), as the index has them, leads to the page that asks for its parameters, if there is one.
        address = address.partition("{?")[0]
        if "{" in address:
            return None
        if not address.startswith(base_url + "/"):
            return Link(address, outside=True)
        path = address.removeprefix(base_url)
        for twin in twins:
            found = twin.page.fullmatch(path)
            if found is not None and (twin.when is None or twin.when(owner, name)):
                return Link(twin.api.format(**found.groupdict()), outside=False)
        return Link(path, outside=False)

    return link


def address_pattern(pattern: str) -> re.Pattern[str]:
    """What addresses of the route's pattern look like on the wire; its parts are groups."""
    path, parts = split_pattern(pattern)
    expression = re.escape(path)
    for name, regex in parts:
        # A place may have slashes in its name; everything else stays between two of them.
        expression = expression.replace(rf"\{{{name}\}}", f"(?P<{name}>{'.+' if regex == '.+' else '[^/?#]+'})")
    return re.compile(expression)


def add_api_twin(
    config: Configurator, page: str, api: str, when: Callable[[Mapping[str, Any], str], bool] | None = None
) -> None:
    """Directive ``config.add_api_twin("/@{username}", "/api/users/{username}")``: the page has the same in the API.

    The links of a page of the API then stay within it.  ``when(owner, name)`` may look at the object in which the
    address stands, and at the name under which that object does; of several that fit, the one added last counts.
    """
    config.registry["api_twins"].insert(0, Twin(address_pattern(page), api, when))


def includeme(config: Configurator) -> None:
    """Register the setting and the directive, and install the tween unless the host wants none."""
    settings = config.declare_settings(BrowseSettings, prefix="api")
    config.registry["api_twins"] = []
    config.add_directive("add_api_twin", add_api_twin, action_wrap=False)
    if settings.browsable:
        config.add_tween(
            "mealshare.api.browse.browse_tween_factory",
            under="mealshare.api.cors.cors_tween_factory",
            over="mealshare.api.problem_views.outer_errors_tween_factory",
        )
