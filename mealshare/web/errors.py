"""Error pages: every failure of an HTML address, from one place, in the reader's language."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken, PredicateMismatch
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.interfaces import IExceptionResponse
from pyramid.renderers import render_to_response
from pyramid.request import Request

from mealshare.core.db.failures import RETRY_AFTER, failure_code
from mealshare.core.errors import DomainError, TooMany
from mealshare.core.security.permissions import Denial
from mealshare.core.security.policy import AuthenticationFailed

TEMPLATE = "mealshare:web/templates/error.pt"
#: The problem code for a status that carries no code of its own.
CODES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    410: "gone",
    412: "precondition_failed",
    413: "too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
    507: "storage_full",
}


def error_page(request: Request, status: int, code: str, **params: Any) -> Any:
    """The page for ``status``; ``code`` chooses the words."""
    values = {"status": status, "title": request.registry["messages"][code], "params": params}
    response = render_to_response(TEMPLATE, values, request=request)
    response.status_int = status
    response.headers["Cache-Control"] = "no-store"
    return response


def domain_error(error: DomainError, request: Request) -> Any:
    """What a service refused."""
    response = error_page(request, error.status, error.code, **error.params)
    response.headers.update(error.headers)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def forbidden(error: HTTPForbidden, request: Request) -> Any:
    """Send a visitor to the login page, tell everybody else why not."""
    reason = getattr(error.result, "reason", Denial.NO_RULE)
    if reason is Denial.LOGIN_REQUIRED:
        target = request.path_qs if request.method in ("GET", "HEAD") else "/"
        return HTTPSeeOther(f"/login?next={quote(target, safe='')}")
    return error_page(request, 403, str(reason))


def csrf_failed(error: Exception, request: Request) -> Any:
    """The form was forged, or too old."""
    return error_page(request, 403, "csrf")


def not_found(error: HTTPNotFound, request: Request) -> Any:
    """There is no such page; or there is, but not for this method (405 with Allow, RFC 9110 section 15.5.6).

    Only a page whose context was found says the latter: for what one may not see every method is a 404.
    """
    allowed = methods_of(request) if isinstance(error, PredicateMismatch) else frozenset()
    if not allowed or request.method in allowed:
        return error_page(request, 404, "not_found")
    response = error_page(request, 405, "method_not_allowed")
    response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def methods_of(request: Request) -> frozenset[str]:
    """The methods that the matched route of this request has views for."""
    if request.matched_route is None:
        return frozenset()
    by_route: dict[str, set[str]] | None = request.registry.get("html_methods")
    if by_route is None:
        by_route = {}
        for item in request.registry.introspector.get_category("views") or ():
            view = item["introspectable"]
            given = view["request_methods"]
            methods: set[str] = {given} if isinstance(given, str) else set(given or ())
            by_route.setdefault(view["route_name"] or "", set()).update(methods)
        # Only when it is whole: another thread may ask at this moment.
        request.registry["html_methods"] = by_route
    found = by_route.get(request.matched_route.name, set())
    return frozenset(found | {"HEAD"} if "GET" in found else found)


def http_error(error: HTTPException, request: Request) -> Any:
    """Any other HTTP error that a view raised; a raised redirect goes its way."""
    if error.status_int < 400:
        return error
    response = error_page(request, error.status_int, CODES.get(error.status_int, "bad_request"))
    for name in ("Allow", "Retry-After"):
        if name in error.headers:
            response.headers[name] = error.headers[name]
    return response


def bad_encoding(error: UnicodeDecodeError, request: Request) -> Any:
    """Bytes that are not UTF-8, in the address or in a form."""
    return error_page(request, 400, "bad_encoding")


def token_failed(error: AuthenticationFailed, request: Request) -> Any:
    """A bad bearer token on an HTML address."""
    response = error_page(request, 401, error.code)
    response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return response


def unexpected(error: Exception, request: Request) -> Any:
    """Nobody expected this: say sorry, or ask for patience.  The request log writes the traceback."""
    code = failure_code(error)
    response = error_page(request, {"unavailable": 503, "storage_full": 507}.get(code, 500), code)
    if code == "unavailable":
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def includeme(config: Configurator) -> None:
    """Register the pages."""
    views: list[tuple[Any, Any]] = [
        (domain_error, DomainError),
        (http_error, IExceptionResponse),
        (csrf_failed, BadCSRFToken),
        (csrf_failed, BadCSRFOrigin),
        (bad_encoding, UnicodeDecodeError),
        (token_failed, AuthenticationFailed),
        (unexpected, Exception),
    ]
    for view, context in views:
        config.add_exception_view(view, context=context)
    config.add_forbidden_view(forbidden)
    config.add_notfound_view(not_found)
