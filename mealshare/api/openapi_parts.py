"""The fixed parts of the OpenAPI document: headers, the problem schema, the ways to sign in, the answers for errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pyramid.registry import Registry

from mealshare.api.idempotency import REPLAYED
from mealshare.api.limit import LIMIT_HEADERS
from mealshare.api.problems import PROBLEM_JSON
from mealshare.core.i18n import DEFAULT_LOCALE, translate

#: Headers of every answer.
GENERAL = ("X-Request-Id", *LIMIT_HEADERS)
#: Those that an answer always has where the document names them; the others may be missing.
_CERTAIN = frozenset({"ETag", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id", "Content-Language"})


_ETAG = '"5d41402abc4b2a76b9719d911017c592"'


def _header(name: str, description: str, kind: str, example: object, **more: Any) -> tuple[str, dict[str, Any]]:
    certain = {"required": True} if name in _CERTAIN else {}
    return name, {"description": description, **certain, "schema": {"type": kind, **more}, "example": example}


HEADERS: Mapping[str, Any] = dict([
    _header("Content-Language", "The language of the words (BCP 47).", "string", "en"),
    _header(
        "Deprecation",
        "Since when the operation is advised against (RFC 9745).",
        "string",
        "@1767225600",
        pattern="^@-?[0-9]+$",
    ),
    _header("ETag", "The state of the thing, for `If-None-Match` and `If-Match`.", "string", _ETAG),
    _header(
        REPLAYED,
        "`true` where this is the answer that the same request got before.",
        "string",
        "true",
        const="true",
    ),
    _header(
        "Link",
        "The addresses of the neighbouring pages (RFC 8288), as far as there are any.",
        "string",
        '<https://meals.example/api/meals?max_id=117653444094112991>; rel="next"',
    ),
    _header(
        "Location",
        "Where the new thing is.",
        "string",
        "https://meals.example/api/meals/117653444094112991",
        format="uri",
    ),
    _header(
        "RateLimit",
        "What is left of each limit that the request fell under, and the seconds until one more becomes possible "
        "(draft-ietf-httpapi-ratelimit-headers).",
        "string",
        '"api";r=299;t=300, "write";r=149;t=300',
    ),
    _header(
        "RateLimit-Policy",
        "These limits: how many requests in how many seconds.",
        "string",
        '"api";q=300;w=300, "write";q=150;w=300',
    ),
    _header("Retry-After", "How many seconds to wait before asking again.", "integer", 30, minimum=0),
    _header(
        "Sunset", "When the operation may be gone (RFC 8594), as an HTTP date.", "string", "Fri, 01 Jan 2027 00:00:00 GMT"
    ),
    _header("WWW-Authenticate", "How to sign in (RFC 6750).", "string", 'Bearer realm="MealShare"'),
    _header("X-RateLimit-Limit", "How many requests the limit allows that is used up first.", "integer", 300, minimum=0),
    _header("X-RateLimit-Remaining", "How many of them are left.", "integer", 299, minimum=0),
    _header(
        "X-RateLimit-Reset",
        "When one more becomes possible, in seconds since 1970 (UTC).",
        "integer",
        1767225600,
        minimum=0,
    ),
    _header(
        "X-Request-Id", "The id under which the site's log has this request.", "string", "9f86d081884c7d65"
    ),
])  # fmt: skip


def _parameter(name: str, description: str, example: str, **schema: Any) -> tuple[str, dict[str, Any]]:
    # The example stands in the schema: at the parameter the documentation page would fill it in.
    told = {"type": "string", **schema, "examples": [example]}
    return name, {"name": name, "in": "header", "description": description, "schema": told}


#: Headers that requests of several operations may have.
PARAMETERS: Mapping[str, Any] = dict([
    _parameter("If-Match", "Do it only if this is still the current `ETag`; otherwise the answer is 412.", _ETAG),
    _parameter("If-None-Match", "Answer 304, without a body, if this is still the current `ETag`.", _ETAG),
    _parameter(
        "Idempotency-Key",
        "Which request this is. One that comes again with the same key within 24 hours is not done again, and gets the"
        " answer of the first.",
        "0b9a5bfa-6c1e-4f0e-9f57-8f6f4f6c2d11",
        minLength=1,
        maxLength=255,
        pattern='^[!#-+\\--~]+$',
    ),
])  # fmt: skip

#: Headers that problems of some statuses have beside the usual ones.
_EXTRA: Mapping[int, tuple[str, ...]] = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
#: The same for single problems.
_OF_CODE: Mapping[str, tuple[str, ...]] = {
    "scope_missing": ("WWW-Authenticate",), "idempotency_in_progress": ("Retry-After",), "idempotency_done": ("Location",),
}  # fmt: skip

PROBLEM_SCHEMAS: Mapping[str, Any] = {
    "Problem": {
        "title": "Problem",
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "instance"],
        "additionalProperties": False,
        "properties": {
            "type": {
                "type": "string",
                "format": "uri",
                "description": "The kind of problem: what a program should look at.",
                "examples": ["https://meals.example/problems/not_found"],
            },
            "title": {
                "type": "string",
                "description": "The kind of problem in words, in the reader's language.",
                "examples": ["There is nothing here."],
            },
            "status": {
                "type": "integer",
                "minimum": 400,
                "maximum": 599,
                "description": "The HTTP status.",
                "examples": [404],
            },
            "detail": {
                "type": "string",
                "description": "What went wrong this time, in the reader's language.",
                "examples": ["There is nothing here."],
            },
            "instance": {
                "type": "string",
                "description": "The address that was asked for.",
                "examples": ["/api/meals/1"],
            },
            "errors": {
                "type": "array",
                "minItems": 1,
                "description": "What is wrong with single inputs, where that is the problem.",
                "items": {"$ref": "#/components/schemas/ProblemError"},
            },
            "request_id": {
                "type": "string",
                "description": "The id under which the site's log has the request: quote it to its administrators.",
                "examples": ["9f86d081884c7d65"],
            },
        },
    },
    "ProblemError": {
        "title": "Problem with an input",
        "type": "object",
        "description": "What is wrong with one input: a member of the body (`pointer`) or a query parameter (`parameter`).",
        "required": ["code", "detail"],
        "additionalProperties": False,
        "properties": {
            "pointer": {
                "type": "string",
                "description": "A JSON pointer to the member of the body (RFC 6901, as a URI fragment).",
                "examples": ["#/tags/0"],
            },
            "parameter": {"type": "string", "description": "The query parameter.", "examples": ["limit"]},
            "code": {"type": "string", "description": "What is wrong, for programs.", "examples": ["too_long"]},
            "detail": {
                "type": "string",
                "description": "What is wrong, in the reader's language.",
                "examples": ["This may have at most 50 characters."],
            },
        },
    },
}


def header_references(*names: str) -> dict[str, Any]:
    """The headers ``names`` of an answer, and those that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted({*names, *GENERAL})}


def parameter_reference(name: str) -> dict[str, Any]:
    """One of `PARAMETERS`."""
    return {"$ref": f"#/components/parameters/{name}"}


def security_schemes(cookie: str) -> dict[str, Any]:
    """The ways to sign in; ``cookie`` is the session cookie's name."""
    return {
        "bearerAuth": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of `POST /api/login` or `POST /api/token/refresh`, or a personal access"
            " token. It is good for the operations whose scope it has.",
        },
        "sessionCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The session of somebody who signed in with the browser, which sends it by itself: nothing"
            " needs to be entered for it.",
        },
        "csrfToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "What a request with the session cookie needs to change something: the `csrf_token` of the"
            " site's forms. The documentation page on the site itself sends it by itself.",
        },
    }


def problem_responses(
    registry: Registry, codes: Iterable[str], responses: dict[str, Any], *, deprecated: bool = False
) -> dict[str, Any]:
    """References to the answers for ``codes``, one for each status; the answers themselves go to ``responses``.

    Those of a ``deprecated`` operation carry its headers.
    """
    statuses: Mapping[str, int] = registry["problems"]
    grouped: dict[int, list[str]] = defaultdict(list)
    for code in sorted(codes):
        grouped[statuses[code]].append(code)
    references: dict[str, Any] = {}
    for status, members in sorted(grouped.items()):
        name = f"{status}_{'_'.join(_shortened(members))}" + ("_deprecated" if deprecated else "")
        if name not in responses:
            responses[name] = _response(registry, status, members, deprecated=deprecated)
        references[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return references


def _shortened(codes: list[str]) -> list[str]:
    """The codes, those of tokens as one: there are many, and an operation has all of them or none."""
    return list(dict.fromkeys("token" if code.startswith("token_") else code for code in codes))


def _response(registry: Registry, status: int, codes: list[str], *, deprecated: bool) -> dict[str, Any]:
    lines = [f"- `{code}`: {_title(registry, code)}" for code in codes]
    certain = _EXTRA.get(status, ())
    going = ("Deprecation", "Sunset", "Link") if deprecated else ()
    headers = header_references(*certain, *going, "Content-Language")
    for name in {name for code in codes for name in _OF_CODE.get(code, ())} - set(certain):
        # Only one of several problems has it.
        headers[name] = {**HEADERS[name], "required": False}
    return {
        "description": f"{HTTPStatus(status).phrase}.\n\n" + "\n".join(lines),
        "headers": dict(sorted(headers.items())),
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"summary": _title(registry, code), "value": _example(registry, status, code)}
                             for code in _shown(codes)},
            }
        },
    }  # fmt: skip


def _shown(codes: list[str]) -> list[str]:
    """The codes with an example: of what may be wrong with a token, the one that every client meets."""
    return [code for code in codes if not code.startswith("token_") or code == "token_expired"]


#: What stands in the messages of problems.
_PARAMS = {"retry_after": 30, "limit": 1048576, "expected": "application/json", "max": 500, "name": "soup"}


def _title(registry: Registry, code: str) -> str:
    return translate(registry["messages"][code], DEFAULT_LOCALE, _PARAMS)


def _example(registry: Registry, status: int, code: str) -> dict[str, Any]:
    messages: Mapping[str, str] = registry["messages"]
    title = _title(registry, code)
    example = {
        "type": f"{registry['base_url']}/problems/{code}",
        "title": title,
        "status": status,
        "detail": title,
        "instance": "/api/meals",
        "request_id": "9f86d081884c7d65",
    }
    wrong = {"invalid": ("pointer", "#/tags/0", "not_text"), "bad_parameter": ("parameter", "limit", "not_integer"),
             "unknown_parameter": ("parameter", "colour", "unknown")}.get(code)  # fmt: skip
    if wrong is None:
        return example
    where, place, problem = wrong
    detail = translate(messages[problem], DEFAULT_LOCALE)
    return {
        **example,
        "detail": f"{place.removeprefix('#/')}: {detail}",
        "errors": [{where: place, "code": problem, "detail": detail}],
    }
