"""The fixed parts of the OpenAPI document: headers, the problem schema, the ways to sign in, the answers for errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pyramid.registry import Registry

from mealshare.api.problems import PROBLEM_JSON
from mealshare.core.i18n import DEFAULT_LOCALE, translate


def _header(description: str, kind: str, example: object) -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}, "example": example}


HEADERS: Mapping[str, Any] = {
    "ETag": _header("The state of the thing, for `If-None-Match` and `If-Match`.", "string", '"5d41402abc4b2a76"'),
    "Link": _header(
        "The neighbouring pages (RFC 8288).", "string", '<https://meals.example/api/meals?max_id=1>; rel="next"'
    ),
    "Location": _header("Where the new thing is.", "string", "https://meals.example/api/meals/1"),
    "Retry-After": _header("Seconds to wait before asking again.", "integer", 30),
    "WWW-Authenticate": _header("How to sign in (RFC 6750).", "string", 'Bearer realm="MealShare"'),
    "X-RateLimit-Limit": _header("How many requests are allowed in the window.", "integer", 300),
    "X-RateLimit-Remaining": _header("How many are left.", "integer", 299),
    "X-RateLimit-Reset": _header("When one more becomes possible, in seconds since 1970 (UTC).", "integer", 1767225600),
    "X-Request-Id": _header("The id under which the site's log has this request.", "string", "9f86d081884c7d65"),
}

#: Headers that answers of some statuses have beside the usual ones.
_EXTRA = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

PROBLEM_SCHEMAS: Mapping[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {
                "type": "string",
                "format": "uri",
                "description": "The kind of problem; a page explains it.",
            },
            "title": {"type": "string", "description": "The kind of problem, in the reader's language."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "This problem, in the reader's language."},
            "instance": {"type": "string", "description": "The address that was asked for."},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemError"}},
            "request_id": {"type": "string", "description": "To be told to the site's administrator."},
        },
    },
    "ProblemError": {
        "type": "object",
        "description": "What is wrong with one input: a member of the body or a query parameter.",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {
                "type": "string",
                "description": "The member of the body (RFC 6901).",
                "examples": ["#/tags/0"],
            },
            "parameter": {"type": "string", "description": "The query parameter.", "examples": ["limit"]},
            "code": {"type": "string", "description": "What is wrong, for programs.", "examples": ["too_long"]},
            "detail": {"type": "string", "description": "What is wrong, in the reader's language."},
        },
    },
}


def security_schemes(cookie: str) -> dict[str, Any]:
    """The two ways to sign in; ``cookie`` is the session cookie's name."""
    return {
        "bearerAuth": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token that a login gives.",
        },
        "sessionCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The session of the browser; what changes something also needs the header `X-CSRF-Token`.",
        },
    }


def problem_responses(registry: Registry, codes: Iterable[str], responses: dict[str, Any]) -> dict[str, Any]:
    """References to the answers for ``codes``, one for each status; the answers themselves go to ``responses``."""
    statuses: Mapping[str, int] = registry["problems"]
    grouped: dict[int, list[str]] = defaultdict(list)
    for code in sorted(codes):
        grouped[statuses[code]].append(code)
    references: dict[str, Any] = {}
    for status, members in sorted(grouped.items()):
        name = f"{status}_{'_'.join(members)}"
        if name not in responses:
            responses[name] = _response(registry, status, members)
        references[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return references


def _response(registry: Registry, status: int, codes: list[str]) -> dict[str, Any]:
    headers = (*_EXTRA.get(status, ()), "X-Request-Id")
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"value": _example(registry, status, code)} for code in codes},
            }
        },
    }


def _example(registry: Registry, status: int, code: str) -> dict[str, Any]:
    messages: Mapping[str, str] = registry["messages"]
    title = translate(messages[code], DEFAULT_LOCALE, {"retry_after": 30})
    example = {"type": f"{registry['base_url']}/problems/{code}", "title": title, "status": status, "detail": title}
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
