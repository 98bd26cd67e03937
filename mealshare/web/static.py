"""Static files: one version for all of them, in their address."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.request import Request
from pyramid.static import static_view

METHODS = ("GET", "HEAD")
FOLDER = Path(__file__).parent / "static"


def static_version() -> str:
    """A short hash over names and contents of all static files: new content, new addresses."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(FOLDER)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def reads_only(view: Any, info: Any) -> Any:
    """View deriver: Pyramid would serve a file to any method; all but reading is 405 (RFC 9110 section 15.5.6)."""
    if not isinstance(info.original_view, static_view):
        return view

    def wrapped(context: Any, request: Request) -> Any:
        if request.method not in METHODS:
            raise HTTPMethodNotAllowed(headers=[("Allow", ", ".join(METHODS))])
        return view(context, request)

    return wrapped
