"""``POST /api/batch``: several requests in one, for telephones on slow links.

Each of them goes through the whole application as if it had come by itself: its own authentication, limits, CSRF check,
validation, transaction and attempts, its own ``ETag`` and ``Idempotency-Key``.  So a batch can do nothing that its requests
could not, and is not a transaction: what was done before a failure stays done.

**What comes along.**  The headers in `INHERITED` are those of the batch: who asks, from where, in which language.  A
request may add those in `SETTABLE` and no others; it cannot come from somebody else.  The addresses are paths below
``/api/``, taken literally: they have no dots to climb with, and nothing that one server reads as a path and another as
a host.

**What stays out.**  Uploads, streams, whatever hands out tokens or asks for a password, and batches
(`Operation.in_batch`); those answer ``not_in_batch``.

**Bounds.**  20 requests; the body is JSON and as large as any (1 MB).  After `MOST_SECONDS`, or when the answer has
`MOST_BYTES`, what is left is not run and says so.  No connection to the database is held by the batch itself.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import AfterValidator, Field, StringConstraints, field_validator
from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid.request import Request
from webob.request import BaseRequest

from mealshare.api.body import JSON, MERGE_PATCH
from mealshare.api.problems import Problem, problem_document
from mealshare.api.reply import RawJson, Reply
from mealshare.api.view import IN_BATCH, api_view
from mealshare.core.db.session import release_reader
from mealshare.core.i18n import _
from mealshare.core.security.permissions import CorePermission
from mealshare.core.validation import Input, coded

MOST_REQUESTS = 20
#: Begun requests are finished, so a batch may take as much longer as its slowest request.
MOST_SECONDS = 10.0
MOST_BYTES = 4_000_000
#: Of the batch, in the environ; the form token is there for requests that come with a session cookie.
INHERITED = (
    "HTTP_HOST", "HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_X_CSRF_TOKEN",
    "HTTP_ACCEPT_LANGUAGE", "HTTP_USER_AGENT", "REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT", "SCRIPT_NAME",
    "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "wsgi.version", "wsgi.url_scheme",
    "wsgi.errors", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once",
)  # fmt: skip
#: What a request in a batch may say by itself.
SETTABLE = frozenset({"accept-language", "content-type", "idempotency-key", "if-match", "if-none-match"})
#: What of its answer is passed on; cookies and what concerns the connection are not.
TOLD = frozenset({
    "content-language", "content-type", "deprecation", "etag", "idempotency-replayed", "last-modified", "link",
    "location", "ratelimit", "ratelimit-policy", "retry-after", "sunset", "www-authenticate", "x-ratelimit-limit",
    "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id",
})  # fmt: skip
#: Unreserved characters and what a path and a query may hold beside (RFC 3986), nothing that is not ASCII.
_PATH = re.compile(r"/api/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?", re.ASCII)
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
#: What a schema can say of the headers; the case of their names does not matter, and it knows two of the ways to write it.
_HEADERS_SCHEMA: dict[str, Any] = {
    "propertyNames": {"enum": sorted({written for name in SETTABLE for written in (name, name.title())})},
    "properties": {written: {"enum": [JSON, MERGE_PATCH]} for written in ("Content-Type", "content-type")},
    "additionalProperties": {"type": "string", "maxLength": 1000, "pattern": f"^{_HEADER_VALUE.pattern}$"},
}
_ROUTER = "batch_router"

MESSAGES = {
    "batch_path": _("This must be an address of the API: a path that begins with /api/."),
    "batch_header": _("A request in a batch cannot have this header, or not with this value."),
}
PROBLEMS = {
    "not_in_batch": (400, _("This cannot be done in a batch. Please send it by itself.")),
    "batch_stopped": (424, _("Not done, because a request before it in the batch failed.")),
    "batch_cut": (
        503, _("Not done, because the batch took too long or its answer became too large. Please send it again."),
    ),
}  # fmt: skip


def _literal_path(value: str) -> str:
    path = value.partition("?")[0]
    decoded = unquote_to_bytes(path)
    if (
        _PATH.fullmatch(value) is None
        or _ESCAPES.search(value)
        or b"//" in decoded
        or b"\\" in decoded
        or any(part in (b".", b"..") for part in decoded.split(b"/"))
        or any(byte < 0x20 or byte == 0x7F for byte in decoded)
    ):
        raise coded("batch_path")
    return value


class BatchRequest(Input):
    """One request of a batch."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Your name for it, which its answer has as well; each is used once.", examples=["feed"]
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(description="What to do.", examples=["GET"])
    path: Annotated[str, StringConstraints(max_length=4000), AfterValidator(_literal_path)] = Field(
        description="An address below `/api/` with its query, percent-encoded.",
        json_schema_extra={"pattern": f"^{_PATH.pattern}$"},
        examples=["/api/feed/public?limit=5"],
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        json_schema_extra=_HEADERS_SCHEMA,
        max_length=len(SETTABLE),
        description="`Accept-Language`, `Content-Type` (that of a merge patch), `Idempotency-Key`, `If-Match`, "
        "`If-None-Match`. Who asks is said once, by the headers of the batch.",
        examples=[{"Accept-Language": "en"}],
    )
    body: Any = Field(None, description="The JSON to send; left out or null: none.", examples=[None])

    @field_validator("headers")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, text in value.items():
            key = name.lower()
            if key not in SETTABLE or len(text) > 1000 or _HEADER_VALUE.fullmatch(text) is None:
                raise coded("batch_header")
            if key == "content-type" and text.lower() not in (JSON, MERGE_PATCH):
                raise coded("batch_header")
            if key in headers:
                raise coded("duplicate")
            headers[key] = text
        return headers


def _once_each(value: list[BatchRequest]) -> list[BatchRequest]:
    if len({one.id for one in value}) < len(value):
        raise coded("duplicate")
    return value


class BatchInput(Input):
    """Several requests."""

    requests: Annotated[
        list[BatchRequest], Field(min_length=1, max_length=MOST_REQUESTS), AfterValidator(_once_each)
    ] = Field(description=f"What to do, in this order; at most {MOST_REQUESTS}.")
    stop_on_error: bool = Field(
        False, description="Do no more once a request has failed (a status of 400 and above).", examples=[False]
    )


@dataclass
class BatchAnswer:
    """The answer to one request of a batch."""

    id: Annotated[str, Field(description="The name that the request had.", examples=["feed"])]
    status: Annotated[int, Field(description="Its status.", examples=[200])]
    headers: Annotated[
        dict[str, str],
        Field(
            description="Its headers that mean something to a program.", examples=[{"Content-Type": "application/json"}]
        ),
    ]
    body: Annotated[
        Any, Field(description="The JSON of its body, a problem included; null: it has none.", examples=[[]])
    ] = None


@dataclass
class BatchOut:
    """The answers to a batch."""

    responses: Annotated[list[BatchAnswer], Field(description="One for each request, in their order.")] = field(
        default_factory=list
    )


@api_view(
    route_name="api.batch",
    request_method="POST",
    permission=CorePermission.PUBLIC,
    body=BatchInput,
    returns=BatchOut,
    takes_key=False,
    limit="batch",
    tags=("batch",),
    summary="Send several requests at once",
    description="Runs up to 20 requests one after another and answers when all are done. Each is judged by itself: it has "
    "its own limits, its own validation and its own transaction, so what was done before a failure stays done. Who asks is "
    "said once, by the headers of the batch. A batch that breaks a rule itself (422) does nothing. Uploads, streams, "
    "whatever hands out tokens, and batches are answered `not_in_batch`; what comes after a failure with `stop_on_error` "
    "`batch_stopped`, and what comes too late `batch_cut`.",
    body_example={
        "requests": [
            {"id": "feed", "method": "GET", "path": "/api/feed/public?limit=5"},
            {"id": "news", "method": "GET", "path": "/api/notifications", "headers": {"If-None-Match": '"5d41402a"'}},
            {
                "id": "post", "method": "POST", "path": "/api/meals", "headers": {"Idempotency-Key": "b3a1c9"},
                "body": {"food": "Mapo tofu"},
            },
        ]
    },
    example={
        "responses": [
            {"id": "feed", "status": 200, "headers": {"Content-Type": "application/json"}, "body": []},
            {"id": "news", "status": 304, "headers": {"ETag": '"5d41402a"'}, "body": None},
            {"id": "post", "status": 201, "headers": {"Location": "https://meals.example/api/meals/1"}, "body": {"id": "1"}},
        ]
    },
)  # fmt: skip
def batch(context: Any, request: Request, body: BatchInput) -> Reply:
    """Run several requests."""
    # Each of them takes a connection of its own, and one that is held while another is waited for may be the last.
    release_reader(request)
    answers = b",".join(_run(request, body))
    return Reply(RawJson(b'{"responses":[%b]}' % answers), headers=[("Cache-Control", "private, no-store")])


def _run(request: Request, body: BatchInput) -> Iterator[bytes]:
    deadline, written, failed = time.monotonic() + MOST_SECONDS, 0, False
    for number, one in enumerate(body.requests, 1):
        if failed and body.stop_on_error:
            answer = _not_done(request, one, "batch_stopped")
        elif time.monotonic() > deadline or written > MOST_BYTES:
            answer = _not_done(request, one, "batch_cut")
        else:
            status, answer = _answer(request, one, number)
            failed = failed or status >= 400
        written += len(answer)
        yield answer


def _answer(request: Request, one: BatchRequest, number: int) -> tuple[int, bytes]:
    """The status of a request, and its part of the answer."""
    status, headers, parts = BaseRequest(_environ(request, one, number)).call_application(request.registry[_ROUTER])
    try:
        content = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    told = _told(headers)
    kind = told.get("Content-Type", "").partition(";")[0]
    if content and kind != JSON and not kind.endswith("+json"):
        content = orjson.dumps(content.decode("utf-8", "replace"))
    code = int(status[:3])
    return code, _part(one, code, told, content)


def _told(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers that are passed on; one that comes several times (``Link``) is a list with commas (RFC 9110, 5.3)."""
    told: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in TOLD:
            told[name] = f"{told[name]}, {value}" if name in told else value
    return told


def _not_done(request: Request, one: BatchRequest, code: str) -> bytes:
    problem = problem_document(request, Problem(PROBLEMS[code][0], code))
    return _part(one, problem["status"], {"Content-Type": "application/problem+json"}, orjson.dumps(problem))


def _part(one: BatchRequest, status: int, headers: Mapping[str, str], content: bytes) -> bytes:
    """An answer as it goes out; ``content`` is JSON already, and is not read and written again."""
    head = orjson.dumps({"id": one.id, "status": status, "headers": headers})
    return b'%b,"body":%b}' % (head[:-1], content or b"null")


def _environ(request: Request, one: BatchRequest, number: int) -> dict[str, Any]:
    """The environment of a request in the batch: nothing is in it that is not put here."""
    outer = request.environ
    environ = {name: outer[name] for name in INHERITED if name in outer}
    path, _question, query = one.path.partition("?")
    # WSGI has bytes as latin-1 text (PEP 3333).
    path_info = unquote_to_bytes(path).decode("latin-1")
    content = b"" if one.body is None else json.dumps(one.body).encode()
    environ |= {
        "REQUEST_METHOD": one.method,
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
        "HTTP_ACCEPT": JSON,
        # Plain text, but with knowledge of the others: an ETag of a compressed answer then still counts.
        "HTTP_ACCEPT_ENCODING": "identity, br;q=0.001, gzip;q=0.001",
        "HTTP_X_REQUEST_ID": f"{outer.get('mealshare.request_id', 'batch')[:60]}.{number}",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
        IN_BATCH: True,
    }
    if one.body is not None:
        environ["CONTENT_TYPE"] = JSON
    for name, value in one.headers.items():
        key = "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
        environ[key] = value
    return environ


def _remember_router(event: ApplicationCreated) -> None:
    event.app.registry[_ROUTER] = event.app


def includeme(config: Configurator) -> None:
    """Add the route."""
    config.add_messages(MESSAGES)
    config.add_problems(PROBLEMS)
    config.add_subscriber(_remember_router, ApplicationCreated)
    config.add_api_tags({"batch": "Several requests in one, for slow connections."})
    config.add_api_route("api.batch", "/api/batch")
    config.add_instance_info("batch_requests", MOST_REQUESTS)
