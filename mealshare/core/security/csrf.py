"""CSRF: a token and the browser's own word on where the request comes from.

Every unsafe request is checked before anything else, permission included, unless it *authenticates* by bearer token
(a browser never sends one by itself).  Three things must hold:

- ``Sec-Fetch-Site``, where the browser sends it, is ``same-origin`` or ``none``;
- ``Origin``, where it is sent, is the site's own (a different or ``null`` one is refused);
- the token in the form field ``csrf_token`` or the header ``X-CSRF-Token`` is right.

The token of a signed-in person is derived from the session and sign-out ends it; a visitor's is a random cookie of
their own, set when a page first shows a form (double submit).

An API request that carries neither a session cookie nor a token has nothing that another site could abuse, and
needs no CSRF token: that is how an application of another origin registers and logs in.  The API reads JSON only as
application/json, which a form of another site cannot send, so none can log anybody in.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.interfaces import ICSRFStoragePolicy
from pyramid.request import Request
from pyramid.response import Response
from pyramid.viewderivers import INGRESS
from zope.interface import implementer

from mealshare.core.derivers import View, deriver
from mealshare.core.errors import BadRequest
from mealshare.core.security.cookies import CookieJar
from mealshare.core.security.policy import has_bearer
from mealshare.core.security.tokens import Signer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
COOKIE = "csrf"
FIELD = "csrf_token"
FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
#: Where a request keeps the token that it has just made, which its cookies do not have yet.
_JUST_MADE = "_mealshare_csrf_token"


@implementer(ICSRFStoragePolicy)
class CsrfTokens:
    """Where tokens come from: the session cookie when there is one, a cookie of its own otherwise."""

    def __init__(self, signer: Signer, jar: CookieJar, session_cookie: str) -> None:
        self.signer = signer
        self.jar = jar
        self.session_cookie = session_cookie

    def get_csrf_token(self, request: Request) -> str:
        """The token for the forms of this answer; sets the visitor's cookie if there is none."""
        session = self.jar.get(request, self.session_cookie)
        if session and request.identity is not None:
            return self.signer.sign(session)
        known: str | None = request.__dict__.get(_JUST_MADE) or self.jar.get(request, COOKIE)
        if known and 20 <= len(known) <= 64:
            return known
        return self.new_csrf_token(request)

    def new_csrf_token(self, request: Request) -> str:
        """A fresh token for a visitor, with its cookie."""
        token = secrets.token_urlsafe(24)
        request.__dict__[_JUST_MADE] = token
        request.add_response_callback(lambda _request, response: self.jar.set(response, COOKIE, token, max_age=None))
        return token

    def check_csrf_token(self, request: Request, supplied: str) -> bool:
        """True when ``supplied`` is the token that this request must bring."""
        session = self.jar.get(request, self.session_cookie)
        if session and request.identity is not None:
            expected = self.signer.sign(session)
        else:
            expected = self.jar.get(request, COOKIE) or ""
        return bool(expected) and hmac.compare_digest(expected.encode(), supplied.encode())


def check_csrf(request: Request, origin: str) -> None:
    """Raise BadCSRFOrigin or BadCSRFToken unless the site's own pages could have sent this unsafe request."""
    environ = request.environ
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
        raise BadCSRFOrigin("the request comes from another site")
    if environ.get("HTTP_ORIGIN", origin) not in (origin, request.host_url):
        raise BadCSRFOrigin("the request comes from another site")
    # Read in either case: the view takes for granted that the form can be.
    form = posted_form(request)
    supplied = environ.get("HTTP_X_CSRF_TOKEN") or form.get(FIELD, "")
    if not isinstance(supplied, str) or not request.registry["csrf"].check_csrf_token(request, supplied):
        raise BadCSRFToken("the form's token is missing or out of date")


def posted_form(request: Request) -> Mapping[str, Any]:
    """The posted form, empty if the body is none; raises BadRequest for a form that cannot be taken apart."""
    if request.content_type not in FORM_TYPES:
        return {}
    try:
        form: Mapping[str, Any] = request.POST
    except UnicodeDecodeError:
        raise
    except (ValueError, LookupError, AttributeError, DeprecationWarning):
        # No boundary between the parts, a charset that does not exist, a part in base64 (over which WebOb stumbles), or
        # (which it raises as a warning) another charset than UTF-8.
        raise BadRequest from None
    return form


def is_exempt(request: Request) -> bool:
    """True for what another site gains nothing by: requests with a bearer token, and cookie-less ones to the API."""
    if has_bearer(request):
        return True
    if not _is_api(request):
        return False
    jar: CookieJar = request.registry["cookies"]
    return jar.get(request, request.registry["csrf"].session_cookie) is None


def _is_api(request: Request) -> bool:
    path: str = request.environ.get("PATH_INFO", "")
    return path.startswith("/api/")


@deriver("require_csrf")
def csrf_first(view: View, info: Any) -> View:
    """View deriver: check before the permission is asked, so that a forged request learns nothing."""
    if info.options.get("require_csrf") is False or info.exception_only:
        return view
    origin: str = info.registry["base_url"]

    def wrapped(context: Any, request: Request) -> Response:
        if request.environ["REQUEST_METHOD"] not in SAFE_METHODS:
            if not is_exempt(request):
                check_csrf(request, origin)
            elif not _is_api(request):
                # The views of pages take for granted that the form can be read.
                posted_form(request)
        return view(context, request)

    return wrapped


def includeme(config: Configurator) -> None:
    """Install the tokens and the check."""
    registry = config.registry
    tokens = CsrfTokens(Signer(registry["secret"], "csrf"), registry["cookies"], "session")
    registry["csrf"] = tokens
    config.set_csrf_storage_policy(tokens)
    config.add_view_deriver(csrf_first, name="csrf_first", under=INGRESS, over="secured_view")
