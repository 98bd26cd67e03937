"""Cookies: one place for their names and attributes.

On HTTPS each is named ``__Host-NAME`` and Secure: no other host and no plain-text page can set or read it
(RFC 6265bis).  On http, as in development, browsers would refuse the prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyramid.request import Request


@dataclass(frozen=True)
class CookieJar:
    """Reads and writes the site's cookies."""

    secure: bool

    def name(self, name: str) -> str:
        """The cookie's name on the wire."""
        return f"__Host-{name}" if self.secure else name

    def get(self, request: Request, name: str) -> str | None:
        """The cookie's value in the request, or None; cookies that are not UTF-8 are none of ours."""
        if "HTTP_COOKIE" not in request.environ:
            return None
        try:
            value: str | None = request.cookies.get(self.name(name))
        except UnicodeDecodeError:
            return None
        return value

    def set(self, response: Any, name: str, value: str, *, max_age: int | None) -> None:
        """Set the cookie: for the whole site, unreadable for scripts, not sent along from other sites' forms."""
        response.set_cookie(
            self.name(name), value, max_age=max_age, path="/", secure=self.secure, httponly=True, samesite="Lax"
        )

    def delete(self, response: Any, name: str) -> None:
        """Make the browser forget the cookie."""
        self.set(response, name, "", max_age=0)
