"""Answers: what a view returns becomes a response, built directly, without a renderer in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.body import JSON
from mealshare.api.etag import etag_of_body, if_none_match, require_match
from mealshare.api.fields import Selection, pick

#: Personal by default: the answer depends on who asks (and CORS on where from), so no shared cache may keep it.
CACHE_CONTROL = "private, no-cache"
VARY = "Accept, Origin, Cookie, Authorization, Accept-Language"
NO_ETAG = ""
_BODILESS = frozenset({204, 304})
_REASONS = {200: "200 OK", 201: "201 Created", 202: "202 Accepted", 204: "204 No Content", 304: "304 Not Modified"}


@dataclass(frozen=True)
class RawJson:
    """JSON that is written already, such as a list joined from cached fragments; goes out as it is."""

    body: bytes


@dataclass(frozen=True)
class Reply:
    """A value together with what the answer needs beside it.

    ``status`` overrides that of the view (without a value 200 becomes 204).  A ``Location`` among the ``headers`` may
    be a path of this site.  ``etag`` (quoted: ``"..."`` or ``W/"..."``) replaces the one computed from the body;
    `NO_ETAG` gives none.
    """

    value: Any = None
    status: int | None = None
    headers: Iterable[tuple[str, str]] = field(default=())
    etag: str | None = None


def dump(value: Any) -> bytes:
    """``value`` (dataclasses, dicts, lists, dates, enumerations ...) as JSON; `RawJson` as it stands."""
    return value.body if type(value) is RawJson else orjson.dumps(value)


def require_current(request: Request, value: Any) -> None:
    """Raise PreconditionFailed unless ``If-Match`` is absent or names the state ``value``, as a GET answers it.

    For what has no version of its own: the tag is that of the bytes, without ``fields``.
    """
    if "HTTP_IF_MATCH" in request.environ:
        require_match(request, etag_of_body(dump(value)))


def respond(
    request: Request, result: Any, status: int, extra: list[tuple[str, str]], selection: Selection | None = None
) -> Response:
    """The response for what a view returned; ``extra`` are headers that every answer of this request carries.

    ``selection``: only these members of it.
    """
    headers = [("Vary", VARY), *extra]
    given: list[tuple[str, str]] = []
    etag: str | None = None
    if type(result) is Reply:
        given = [_absolute(request, header) for header in result.headers]
        status = result.status or (204 if result.value is None and status == 200 else status)
        etag = result.etag
        result = result.value
    elif result is None and status == 200:
        status = 204
    headers += given
    if not given or not any(name == "Cache-Control" for name, _ in given):
        headers.append(("Cache-Control", CACHE_CONTROL))
    body = b"" if result is None else dump(result)
    if selection is not None and result is not None:
        body = pick(body, selection)
    read = status == 200 and request.environ["REQUEST_METHOD"] in ("GET", "HEAD")
    if etag is None and read:
        etag = etag_of_body(body)
    if etag:
        headers.append(("ETag", etag))
        if read and if_none_match(request, etag):
            status = 304
    if status in _BODILESS:
        return Response(status=_REASONS[status], headerlist=headers)
    if result is not None:
        headers.append(("Content-Type", JSON))
    headers.append(("Content-Length", str(len(body))))
    # Given like this, WebOb looks for no number in the status and no length among the headers: 0.3 of the time.
    return Response(None, None if status == 200 else _REASONS.get(status, status), headers, [body])


def _absolute(request: Request, header: tuple[str, str]) -> tuple[str, str]:
    """A ``Location`` on this site in full: WebOb would complete it from the Host header, which a stranger writes."""
    name, value = header
    return (name, request.registry["base_url"] + value) if name == "Location" and value.startswith("/") else header


def adopt(response: Response, extra: list[tuple[str, str]]) -> Response:
    """A response that the view built itself, with the headers that it lacks."""
    headers = response.headers
    headers.setdefault("Cache-Control", CACHE_CONTROL)
    headers.setdefault("Vary", VARY)
    headers.update(extra)
    return response
