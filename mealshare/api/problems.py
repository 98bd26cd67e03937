"""Problems (RFC 9457): what any error means to a client, as data that both faces can use, and as the JSON document.

`problem_of` turns an exception into a `Problem`; it knows no request, so an HTML error page may ask it as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken, URLDecodeError
from pyramid.httpexceptions import HTTPException, HTTPForbidden
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.query import BadQuery, UnknownParameter
from mealshare.api.reply import VARY
from mealshare.core.db.failures import RETRY_AFTER, failure_code
from mealshare.core.errors import DomainError, FieldError, InputInvalid, TooMany
from mealshare.core.i18n import to_bcp47
from mealshare.core.security.permissions import Denial
from mealshare.core.security.policy import AuthenticationFailed

PROBLEM_JSON = "application/problem+json"
_CHALLENGE = 'Bearer realm="MealShare"'

#: The status of every problem that the plumbing knows; a feature adds its own with ``config.add_problems``.
STATUSES: Mapping[str, int] = {
    "bad_request": 400, "bad_json": 400, "bad_encoding": 400, "unknown_parameter": 400, "bad_parameter": 400,
    "login_required": 401,
    "forbidden": 403, "not_yours": 403, "role_too_low": 403, "session_required": 403, "scope_missing": 403,
    "no_personal_token": 403, "no_rule": 403, "csrf": 403,
    "not_found": 404, "method_not_allowed": 405, "not_acceptable": 406, "conflict": 409, "gone": 410,
    "precondition_failed": 412, "too_large": 413, "uri_too_long": 414, "unsupported_media_type": 415, "invalid": 422,
    "rate_limited": 429, "internal": 500, "read_only": 503, "unavailable": 503, "storage_full": 507,
}  # fmt: skip
#: What a status of an ``HTTPException`` is called; of several codes the first is the general one.
_BY_STATUS = {400: "bad_request", 401: "login_required", 403: "forbidden", 422: "invalid"} | {
    status: code for code, status in STATUSES.items() if status not in (400, 401, 403, 422)
}
#: Headers of an ``HTTPException`` that mean something to the client.
_KEPT = frozenset({"allow", "retry-after", "www-authenticate"})


@dataclass(frozen=True)
class Problem:
    """What went wrong: ``code`` names it (`mealshare.core.messages` has the words), ``errors`` tells of each input.

    ``where`` tells whether those are members of the body (``pointer``) or query parameters (``parameter``).
    """

    status: int
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[FieldError] = ()
    headers: Sequence[tuple[str, str]] = ()
    where: str = "pointer"


def problem_of(error: BaseException) -> Problem:
    """What ``error`` means to a client; everything that is not expected is ``internal`` (500) and tells nothing."""
    if isinstance(error, DomainError):
        return _domain_problem(error)
    if isinstance(error, AuthenticationFailed):
        challenge = f'{_CHALLENGE}, error="invalid_token", error_description="{error.code}"'
        return Problem(401, error.code, headers=[("WWW-Authenticate", challenge)])
    if isinstance(error, BadCSRFToken | BadCSRFOrigin):
        return Problem(403, "csrf")
    if isinstance(error, HTTPForbidden):
        return _denial_problem(str(getattr(error.result, "reason", "forbidden")))
    if isinstance(error, URLDecodeError | UnicodeDecodeError):
        return Problem(400, "bad_encoding")
    if isinstance(error, HTTPException):
        return _http_problem(error)
    return _server_problem(error)


def _domain_problem(error: DomainError) -> Problem:
    headers = [*error.headers]
    if isinstance(error, TooMany):
        headers.append(("Retry-After", str(error.retry_after)))
    if error.status == 401:
        headers.append(("WWW-Authenticate", _CHALLENGE))
    errors = tuple(error.errors) if isinstance(error, InputInvalid | UnknownParameter) else ()
    where = "parameter" if isinstance(error, BadQuery | UnknownParameter) else "pointer"
    return Problem(error.status, error.code, error.params, errors, headers, where)


def _denial_problem(reason: str) -> Problem:
    if reason == Denial.LOGIN_REQUIRED:
        return Problem(401, reason, headers=[("WWW-Authenticate", _CHALLENGE)])
    if reason == Denial.SCOPE_MISSING:
        # RFC 6750 section 3.1.
        return Problem(403, reason, headers=[("WWW-Authenticate", f'{_CHALLENGE}, error="insufficient_scope"')])
    return Problem(403, reason)


def _http_problem(error: HTTPException) -> Problem:
    status = error.status_int
    code = _BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
    headers = [(name, value) for name, value in error.headers.items() if name.lower() in _KEPT]
    return Problem(status, code, headers=headers)


def _server_problem(error: BaseException) -> Problem:
    code = failure_code(error)
    headers = [("Retry-After", str(RETRY_AFTER))] if code == "unavailable" else []
    return Problem(STATUSES[code], code, headers=headers)


def problem_document(request: Request, problem: Problem) -> dict[str, Any]:
    """The document, in the reader's language."""
    registry = request.registry
    messages: Mapping[str, str] = registry["messages"]
    title = request.translate(messages.get(problem.code, problem.code), **problem.params)
    errors = [_field(request, messages, error, problem.where) for error in problem.errors]
    environ = request.environ
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1", "replace")
    document: dict[str, Any] = {
        "type": f"{registry['base_url']}/problems/{problem.code}",
        "title": title,
        "status": problem.status,
        "detail": _detail(errors, problem.where) or title,
        "instance": quote(path[:500], safe="/@:~"),
    }
    if errors:
        document["errors"] = errors
    if "mealshare.request_id" in environ:
        document["request_id"] = environ["mealshare.request_id"]
    return document


def _field(request: Request, messages: Mapping[str, str], error: FieldError, where: str) -> dict[str, str]:
    place = error.field.partition("/")[0] if where == "parameter" else pointer(error.field)
    detail = request.translate(messages.get(error.code, error.code), **error.params)
    # Half of a surrogate pair can be neither stored nor sent as UTF-8.
    return {where: place.encode("utf-8", "replace").decode(), "code": error.code, "detail": detail}


def _detail(errors: Sequence[Mapping[str, str]], where: str) -> str:
    return " ".join(f"{error[where].removeprefix('#/')}: {error['detail']}" for error in errors[:3])


def pointer(path: str) -> str:
    """A field's path as a JSON pointer in its URI fragment form (RFC 6901 section 6): ``a/0`` gives ``#/a/0``.

    The path's parts are names of our schemas or keys that a stranger sent; ``~`` and what no fragment holds is escaped.
    """
    return "#/" + quote(path.replace("~", "~0"), safe="/~") if path else "#"


def problem_response(request: Request, problem: Problem, extra: Sequence[tuple[str, str]] = ()) -> Response:
    """The problem as the answer to ``request``; ``extra`` are further headers."""
    headers = [
        ("Content-Type", PROBLEM_JSON),
        ("Cache-Control", "private, no-store"),
        ("Vary", VARY),
        ("Content-Language", to_bcp47(request.locale_name)),
        *problem.headers,
        *extra,
    ]
    return Response(orjson.dumps(problem_document(request, problem)), problem.status, headers)


def problem_types(registry: Registry) -> dict[str, tuple[int, str]]:
    """Every problem type: its code, status and title (a msgid)."""
    messages: Mapping[str, str] = registry["messages"]
    return {code: (status, messages[code]) for code, status in sorted(registry["problems"].items())}


def _add_problems(config: Configurator, problems: Mapping[str, tuple[int, str]]) -> None:
    """Directive ``config.add_problems({code: (status, msgid)})``: a feature's own problem types and their words."""
    for code, (status, message) in problems.items():
        known = config.registry["problems"].setdefault(code, status)
        if known != status:
            raise ValueError(f"the problem {code} has the status {known} already")
        config.registry["messages"][code] = message


def includeme(config: Configurator) -> None:
    """Collect the problem types and add ``config.add_problems``."""
    messages = config.registry["messages"]
    tokens = {code: 401 for code in messages if code.startswith("token_")}
    config.registry["problems"] = {**STATUSES, **tokens}
    config.add_directive("add_problems", _add_problems, action_wrap=False)
