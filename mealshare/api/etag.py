"""Conditional requests (RFC 9110 section 13): a client that has the thing already is told so in a few bytes.

An entity tag is passed around as it stands on the wire, quotes included: ``"abc"`` (strong) or ``W/"abc"`` (weak).
"""

from __future__ import annotations

import hashlib
import re

from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.errors import PreconditionFailed

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
#: The whole header: a list of tags, empty elements allowed (RFC 9110 section 5.6.1).
_LIST = re.compile(r'[ \t,]*(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t,]*|$))+')


def etag_of_body(body: bytes) -> str:
    """A strong tag: equal tags mean equal bytes.

    Processors of today have instructions for SHA-256: with them it takes 0.55 of the time of BLAKE2b.
    """
    return f'"{hashlib.sha256(body, usedforsecurity=False).hexdigest()[:32]}"'


def etag_of(*parts: object) -> str:
    """A strong tag from what identifies a state of the thing, such as its id and its version."""
    return etag_of_body("\0".join(map(str, parts)).encode())


def if_none_match(request: Request, etag: str) -> bool:
    """True when ``If-None-Match`` says that the client has this state (weak comparison, RFC 9110 section 8.8.3.2)."""
    header: str | None = request.environ.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return False
    return _names(header, etag.removeprefix("W/"), weak=True)


def check_not_modified(request: Request, etag: str) -> Response | None:
    """A 304 to return at once when the client has the state ``etag`` already, else None.  For GET and HEAD.

    To be called before anything expensive is done; the view gives the same ``etag`` with its `Reply`.
    """
    if request.method not in ("GET", "HEAD") or not if_none_match(request, etag):
        return None
    return Response(status="304 Not Modified", headerlist=[("ETag", etag)])


def require_match(request: Request, etag: str) -> None:
    """Raise PreconditionFailed unless ``If-Match`` is absent or names the current state (strong comparison)."""
    header: str | None = request.environ.get("HTTP_IF_MATCH")
    if header is None:
        return
    if etag.startswith("W/") and header.strip() != "*":
        raise PreconditionFailed
    if not _names(header, etag, weak=False):
        raise PreconditionFailed


def _names(header: str, opaque: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    if _LIST.fullmatch(header) is None:
        # What is malformed names nothing: If-None-Match is then ignored, and If-Match refuses, which loses no data.
        return False
    return any(tag == opaque and (weak or not prefix) for prefix, tag in _TAG.findall(header))
