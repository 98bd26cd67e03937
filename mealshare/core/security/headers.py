"""Headers that every answer carries, errors and answers made outside of Pyramid included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.tweens import INGRESS

from mealshare.core.answers import header_values
from mealshare.core.http_server import ANSWER_HOOKS

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=(), browsing-topics=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
HTML_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
DATA_CSP = "default-src 'none'; frame-ancestors 'none'"
HSTS = "max-age=31536000; includeSubDomains"
#: Where else pictures on our pages come from, in the registry: origins such as ``https://s3.example.org``.
IMAGE_ORIGINS = "image_origins"


def html_policy(image_origins: Sequence[str] = ()) -> str:
    """The policy for pages whose pictures also come from ``image_origins``."""
    return HTML_CSP.replace("img-src 'self' blob:", " ".join(("img-src 'self' blob:", *image_origins)))


class Wanted:
    """What the headers of every answer of a site are, for each kind of content; made once."""

    def __init__(self, *, https: bool, html_csp: str = HTML_CSP) -> None:
        common = COMMON | ({"Strict-Transport-Security": HSTS} if https else {})
        self._plain = _by_lower_name(common)
        self._data = _by_lower_name(common | {"Content-Security-Policy": DATA_CSP})
        self._page = _by_lower_name(
            common | {"Content-Security-Policy": html_csp, "Cross-Origin-Opener-Policy": "same-origin"}
        )

    def add_to(self, response: Any, given: Mapping[str, str]) -> None:
        """Add what is missing of ``given``, the response's headers; a view that set one of these itself keeps its own."""
        if response.status[:3] == "304":
            # It updates the headers that the browser has stored with the page (RFC 9111 section 4.3.4), so it must not
            # bring the policy of another type of content; the stored one goes on to hold.
            wanted = self._plain
        elif given.get("content-type", "").partition(";")[0] == "text/html":
            wanted = self._page
        else:
            wanted = self._data
        response.headerlist.extend([header for name, header in wanted if name not in given])
        if "cache-control" not in given:
            # What nobody thought about is taken to be personal.
            headers = response.headers
            headers["Cache-Control"] = "private, no-store" if response.status_int >= 400 else "private, no-cache"
            headers["Vary"] = ", ".join(filter(None, [headers.get("Vary"), "Cookie, Authorization, Accept-Language"]))


def _by_lower_name(headers: Mapping[str, str]) -> list[tuple[str, tuple[str, str]]]:
    return [(name.lower(), (name, value)) for name, value in headers.items()]


def _names(header: str, hosts: frozenset[str | None]) -> bool:
    """Whether a Host header is one of ``hosts`` and a port, and nothing besides (``localhost:80@evil.example``)."""
    host, _, port = header.rpartition(":")
    return host in hosts and port.isascii() and port.isdigit() and len(port) <= 5


def headers_tween_factory(handler: Callable[[Request], Any], registry: Any) -> Callable[[Request], Any]:
    """The outermost tween."""
    base_url: str = registry["base_url"]
    wanted = Wanted(https=base_url.startswith("https:"), html_csp=html_policy(registry.get(IMAGE_ORIGINS, ())))
    own = frozenset({urlsplit(base_url).hostname, "localhost", "127.0.0.1", "[::1]"})

    def tween(request: Request) -> Any:
        response = handler(request)
        given = header_values(response.headerlist)
        location = given.get("location", "")
        if location.startswith("/") and not _names(request.environ.get("HTTP_HOST", ""), own):
            # WebOb would complete the path with the Host header, which anybody can write.
            response.headers["Location"] = base_url + location
        wanted.add_to(response, given)
        return response

    return tween


def includeme(config: Configurator) -> None:
    """Install the tween, and what of it also holds for answers that the server makes itself."""
    https = config.registry["base_url"].startswith("https:")
    hsts = [("Strict-Transport-Security", HSTS)] if https else []
    config.registry.setdefault(ANSWER_HOOKS, []).append(lambda *_request: hsts)
    config.add_tween("mealshare.core.security.headers.headers_tween_factory", under=INGRESS)
