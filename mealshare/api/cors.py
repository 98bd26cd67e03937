"""CORS: which other sites' scripts may read the API.

The rules are those of the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol).  It is a tween, so that
every answer has the headers: errors, and those that no view made.  A preflight is answered here and never reaches the
application.  One whose origin, method or header is not allowed gets a 204 without any ``Access-Control-*`` header: to
the browser that is a refusal, and it tells a stranger nothing about the list.
``Access-Control-Allow-Private-Network`` is never granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.limit import LIMIT_HEADERS
from mealshare.api.reply import VARY
from mealshare.core.http_server import ANSWER_HOOKS
from mealshare.core.settings import SettingsError, setting, settings_of

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
#: Methods and headers that a browser never asks about (CORS-safelisted).
_SAFE_METHODS = frozenset({"GET", "HEAD", "POST"})
_SAFE_HEADERS = frozenset({"accept", "accept-language", "content-language", "content-type", "range"})
#: What other sites' scripts may have a use for; pictures too, which they show with ``<img crossorigin>``.
_SHARED_FOLDERS = ("/api/", "/media/", "/avatars/")
_SHARED = frozenset({"/api", "/openapi.json", "/.well-known/jwks.json"})
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS = (
    "Authorization", "Content-Type", "Accept", "Accept-Language", "If-Match", "If-None-Match", "Idempotency-Key",
    "X-CSRF-Token", "X-Request-Id",
    # Of a stream that is read with fetch(): EventSource asks nobody, but cannot send a token.
    "Last-Event-ID",
    # What libraries send without being asked, or are told to by habit; nothing here depends on them.
    "Cache-Control", "X-Requested-With",
)  # fmt: skip
_EXPOSED = (
    "Link", "Location", "ETag", "Allow", "Retry-After", *LIMIT_HEADERS,
    "X-Request-Id", "WWW-Authenticate", "Content-Language", "Deprecation", "Sunset",
    "Idempotency-Replayed",
)  # fmt: skip


@dataclass(frozen=True)
class CorsSettings:
    """Which scripts of other sites may use the API."""

    allow_all: bool = setting(False, "Every origin may; not together with credentials.")
    origins: tuple[str, ...] = setting((), "The origins that may, each scheme://host[:port].")
    methods: tuple[str, ...] = setting(_METHODS, "The methods that they may use.")
    headers: tuple[str, ...] = setting(_HEADERS, "The request headers that they may send.")
    max_age: int = setting(
        86400, "Seconds for which a browser may remember the answer to a preflight.", minimum=0, maximum=86400
    )
    expose_headers: tuple[str, ...] = setting(_EXPOSED, "The response headers that they may read.")
    credentials: bool = setting(False, "They may send cookies; only for origins that are one's own.")


class Cors:
    """The checked settings, and the headers that follow from them."""

    def __init__(self, settings: CorsSettings) -> None:
        """Raises SettingsError for settings that a browser would not honour or that would open too much."""
        if settings.allow_all and settings.credentials:
            raise SettingsError("the settings cors.allow_all and cors.credentials cannot both be on: name the origins")
        self.allow_all = settings.allow_all
        self.origins = frozenset(map(_origin, settings.origins))
        self.methods = frozenset(_tokens("methods", settings.methods))
        self.request_headers = frozenset(name.lower() for name in _tokens("headers", settings.headers))
        credentials = [("Access-Control-Allow-Credentials", "true")] if settings.credentials else []
        exposed = ", ".join(_tokens("expose_headers", settings.expose_headers))
        self._actual = [*credentials, *([("Access-Control-Expose-Headers", exposed)] if exposed else [])]
        self._preflight = [
            *credentials,
            ("Access-Control-Allow-Methods", ", ".join(settings.methods)),
            ("Access-Control-Allow-Headers", ", ".join(settings.headers)),
            ("Access-Control-Max-Age", str(settings.max_age)),
        ]

    def actual(self, origin: str) -> list[tuple[str, str]]:
        """The headers for an answer to a script of ``origin``; none for one that may not read it."""
        granted = self._grant(origin)
        return [granted, *self._actual] if granted else []

    def preflight(self, origin: str, method: str, headers: str) -> list[tuple[str, str]]:
        """The headers for the answer to a preflight; none when something of it is not allowed."""
        granted = self._grant(origin)
        asked = {name.strip().lower() for name in headers.split(",")} - {""} - _SAFE_HEADERS
        # A method is compared as it is written (Fetch): `patch` is another method than PATCH.
        if granted is None or method not in self.methods | _SAFE_METHODS or not asked <= self.request_headers:
            return []
        return [granted, *self._preflight]

    def _grant(self, origin: str) -> tuple[str, str] | None:
        if self.allow_all:
            return ("Access-Control-Allow-Origin", "*")
        return ("Access-Control-Allow-Origin", origin) if origin in self.origins else None


def applies_to(path: str) -> bool:
    """True for the addresses that other sites' scripts have a use for."""
    return path.startswith(_SHARED_FOLDERS) or path in _SHARED


def cors_tween_factory(handler: Callable[[Request], Response], registry: Registry) -> Callable[[Request], Response]:
    """The tween: over the transaction and the exception views, under the request log and the security headers."""
    cors = Cors(settings_of(registry, CorsSettings))

    def tween(request: Request) -> Response:
        environ = request.environ
        if not applies_to(environ.get("PATH_INFO", "")):
            return handler(request)
        origin = environ.get("HTTP_ORIGIN")
        method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if environ["REQUEST_METHOD"] == "OPTIONS" and origin is not None and method is not None:
            return _preflight_answer(
                cors.preflight(origin, method, environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", ""))
            )
        response = handler(request)
        if origin is not None:
            response.headerlist.extend(cors.actual(origin))
        # Nearly all answers of the API say it already, and webob's view of the headers costs more than this.
        if ("Vary", VARY) not in response.headerlist:
            _vary_on_origin(response)
        return response

    return tween


def _preflight_answer(headers: list[tuple[str, str]]) -> Response:
    vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    return Response(
        status="204 No Content", headerlist=[("Vary", vary), ("Cache-Control", "private, no-store"), *headers]
    )


def _vary_on_origin(response: Response) -> None:
    named = [part.strip() for value in response.headers.getall("Vary") for part in value.split(",")]
    if "*" not in named and "origin" not in map(str.lower, named):
        response.headers["Vary"] = ", ".join(["Origin", *named])


def _origin(text: str) -> str:
    """The origin as browsers write it: lower case, without a port that is the scheme's own.  Raises SettingsError."""
    try:
        port = urlsplit(text).port
    except ValueError:
        port = 0
    if _ORIGIN.fullmatch(text) is None or port == 0:
        raise SettingsError(f"the setting cors.origins is wrong: {text!r} is not scheme://host[:port]")
    origin = text.lower()
    return origin.removesuffix(_DEFAULT_PORTS[origin.partition(":")[0]])


def _tokens(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The values: plain words (RFC 9110 section 5.6.2), and not ``*``, which would not cover Authorization."""
    for value in values:
        if value == "*" or _TOKEN.fullmatch(value) is None:
            raise SettingsError(f"the setting cors.{name} is wrong: {value!r} is not the name of one")
    return values


def includeme(config: Configurator) -> None:
    """Register the settings, check them now rather than at the first request, and install the tween."""
    cors = Cors(config.declare_settings(CorsSettings, prefix="cors"))
    config.registry.setdefault(ANSWER_HOOKS, []).append(
        lambda path, origin: [("Vary", "Origin"), *(cors.actual(origin) if origin else [])] if applies_to(path) else []
    )
    config.add_tween(
        "mealshare.api.cors.cors_tween_factory",
        under=(
            "mealshare.core.log.request_log_tween_factory",
            "mealshare.core.security.headers.headers_tween_factory",
            "mealshare.core.timing.timing_tween_factory",
            "mealshare.core.compression.compression_tween_factory",
        ),
        over="pyramid_tm.tm_tween_factory",
    )
