"""Where problems are answered: exception views for the JSON face, and a tween for what happens outside of them.

The exception views hold for the API's addresses only; pages have their own, which these fall through to.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken, PredicateMismatch, URLDecodeError
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPNotFound
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import is_error_retryable
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mealshare.api.idempotency import repeat_of_removal
from mealshare.api.limit import limit_headers, spend
from mealshare.api.problems import Problem, problem_of, problem_response
from mealshare.core import errors
from mealshare.core.security.policy import AuthenticationFailed

ANSWER_FAILED = "problem.answer_failed"

log = logging.getLogger(__name__)

#: Each by its own name, so that a view that another face has for one of them is never the more specific one here.
CONTEXTS: tuple[type[BaseException], ...] = (
    Exception, HTTPException, HTTPNotFound, HTTPForbidden, PredicateMismatch, BadCSRFToken, BadCSRFOrigin,
    UnicodeDecodeError, URLDecodeError, AuthenticationFailed, OperationalError, PoolTimeout,
    errors.DomainError, errors.InputInvalid, errors.BadRequest, errors.NotFound, errors.Forbidden, errors.Conflict,
    errors.PreconditionFailed, errors.TooLarge, errors.UnsupportedType, errors.TooMany, errors.StorageAway,
    errors.StorageExhausted,
)  # fmt: skip


def is_api(environ: dict[str, Any]) -> bool:
    """True for the addresses of the JSON face.  Reads the environ: ``request.path_info`` raises on bad bytes."""
    path: str = environ.get("PATH_INFO", "")
    return path.startswith("/api/") or path in ("/api", "/openapi.json", "/.well-known/jwks.json")


class ApiPath:
    """View predicate ``api_path=True``: the request is for the JSON face."""

    def __init__(self, value: bool, info: Any) -> None:
        self.value = value

    def text(self) -> str:
        """How introspection shows it."""
        return f"api_path = {self.value}"

    phash = text

    def __call__(self, context: Any, request: Request) -> bool:
        return is_api(request.environ) is self.value


def answer_error(error: BaseException, request: Request) -> Response:
    """The problem document for ``error``; a client that has used up its limit hears only that.

    A redirect is no error and goes out as it is.  Unexpected errors are logged by the request log, once.
    """
    if isinstance(error, HTTPException) and error.status_int < 400:
        return error
    problem = problem_of(error)
    decision = spend(request)
    if decision is not None and not decision.allowed and problem.code != "rate_limited":
        problem = problem_of(errors.TooMany(decision.retry_after, decision.limit))
    headers = limit_headers(decision)
    if problem.code == "not_found" and (again := repeat_of_removal(request, headers)) is not None:
        return again
    if isinstance(error, errors.TooMany) and error.limit is not None and (decision is None or decision.allowed):
        headers = [*_own_limit(error), *(header for header in headers if header[0].startswith("RateLimit"))]
    return problem_response(request, problem, headers)


def _own_limit(error: errors.TooMany) -> list[tuple[str, str]]:
    """The headers of the limit that was hit instead of those of the general one."""
    reset = math.ceil(time.time()) + error.retry_after
    return [
        ("X-RateLimit-Limit", str(error.limit)),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", str(reset)),
    ]


def outer_errors_tween_factory(
    handler: Callable[[Request], Response], registry: Registry
) -> Callable[[Request], Response]:
    """Answers what goes wrong where no exception view can see it: in an exception view itself, or in another tween."""

    def tween(request: Request) -> Response:
        try:
            return handler(request)
        except Exception as error:
            if not is_api(request.environ) or is_error_retryable(request, error):
                raise
            # What Pyramid itself sets when an exception view answers; the request log finds the error there.
            request.exception = error
            request.exc_info = sys.exc_info()
            try:
                return answer_error(error, request)
            except Exception:
                # The request log tells of the first error only.
                log.exception(ANSWER_FAILED)
                return problem_response(request, Problem(500, "internal"))

    return tween


def includeme(config: Configurator) -> None:
    """Register the predicate, the views and the tween."""
    config.add_view_predicate("api_path", ApiPath)
    for context in CONTEXTS:
        config.add_exception_view(answer_error, context=context, api_path=True)
    config.add_tween(
        "mealshare.api.problem_views.outer_errors_tween_factory",
        under="mealshare.api.cors.cors_tween_factory",
        over="pyramid_tm.tm_tween_factory",
    )
