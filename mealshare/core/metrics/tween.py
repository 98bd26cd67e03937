"""The tween that measures requests, and how their SQL statements are counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import is_error_retryable
from sqlalchemy import Engine, event

#: The route of what no route matches.
NOWHERE = "none"
PATH = "/metrics"


class Spent:
    """What one request has spent on SQL so far; ``sql`` and ``began`` are seconds."""

    __slots__ = ("began", "sql", "statements")

    def __init__(self) -> None:
        self.statements = 0
        self.sql = self.began = 0.0


_spent: ContextVar[Spent | None] = ContextVar("mealshare_metrics", default=None)


def metrics_tween_factory(handler: Callable[[Request], Response], registry: Registry) -> Callable[[Request], Response]:
    """The tween; over compression and CORS, under the log.

    An attempt that is tried again does not count, nor does who reads the metrics, whom it answers itself.
    """
    note = registry["meter"].request
    answer = registry["metrics_answer"]
    clock = time.perf_counter

    def tween(request: Request) -> Response:
        # Not a view: the token is none of an account, and would be refused as one.
        if request.environ["PATH_INFO"] == PATH and (told := answer(request)) is not None:
            return told
        spent = Spent()
        token = _spent.set(spent)
        began = clock()
        status = 500
        try:
            response = handler(request)
            status = response.status_int
            error = getattr(request, "exception", None)
            if error is not None and is_error_retryable(request, error):
                status = 0
        except Exception as error:
            if isinstance(error, Response):
                status = error.status_int
            elif is_error_retryable(request, error):
                status = 0
            raise
        else:
            return response
        finally:
            _spent.reset(token)
            if status:
                route = getattr(request, "matched_route", None)
                name = NOWHERE if route is None else route.name
                note(name, request.method, status, clock() - began, spent.statements, spent.sql)

    return tween


def _statement_begins(*_about: Any) -> None:
    spent = _spent.get()
    if spent is not None:
        spent.began = time.perf_counter()


def _statement_ends(_connection: Any, _cursor: Any, statement: str, *_about: Any) -> None:
    spent = _spent.get()
    if spent is not None:
        # As in core.timing: on SQLite a transaction begins by a statement.
        spent.statements += not statement.startswith("BEGIN")
        spent.sql += time.perf_counter() - spent.began


def count_statements(engine: Engine) -> None:
    """Count the statements of the engine, and of what is derived from it, for the request that runs them."""
    event.listen(engine, "before_cursor_execute", _statement_begins)
    event.listen(engine, "after_cursor_execute", _statement_ends)
