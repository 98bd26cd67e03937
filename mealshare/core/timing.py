"""``Server-Timing`` (https://www.w3.org/TR/server-timing/): where the time of a request went, for the browser's tools.

``total`` is all between the first tween of ours and the answer, ``sql`` the statements (how many stands in ``desc``),
``view`` from the moment when the context was found until there was a response or an error: permission, validation, the
view, its template.  Milliseconds.  It is off by default: times tell strangers what exists and what is kept (security.md: an
account told by time).  Off, nothing of it is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ContextFound
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.tweens import EXCVIEW, MAIN
from sqlalchemy import Engine, event

from mealshare.core.settings import setting

_NAME = "Server-Timing"
_EXPOSED = "Access-Control-Expose-Headers"


@dataclass(frozen=True)
class TimingSettings:
    """Whether answers tell where their time went."""

    enabled: bool = setting(False, "Send Server-Timing with every answer; for development only.")


@dataclass
class Times:
    """What one request has spent so far; moments and durations in seconds."""

    began: float
    statements: int = 0
    sql: float = 0.0
    statement_began: float = 0.0
    view_began: float | None = None
    view: float | None = None

    def header(self, now: float) -> str:
        """The value of the header."""
        parts = [f"total;dur={(now - self.began) * 1000:.2f}"]
        parts.append(f'sql;desc="{self.statements}";dur={self.sql * 1000:.2f}')
        if self.view is not None:
            parts.append(f"view;dur={self.view * 1000:.2f}")
        return ", ".join(parts)


_times: ContextVar[Times | None] = ContextVar("mealshare_times", default=None)


def timing_tween_factory(handler: Callable[[Request], Any], registry: Registry) -> Callable[[Request], Any]:
    """The tween; over compression and CORS, so that both are part of the total."""

    def tween(request: Request) -> Any:
        times = Times(time.perf_counter())
        token = _times.set(times)
        try:
            response = handler(request)
        finally:
            _times.reset(token)
        headers = response.headers
        headers[_NAME] = times.header(time.perf_counter())
        origin = headers.get("Access-Control-Allow-Origin")
        if origin is not None:
            # Two doors: fetch() asks the one, the performance timeline the other.
            headers["Timing-Allow-Origin"] = origin
            headers[_EXPOSED] = ", ".join(filter(None, [headers.get(_EXPOSED), _NAME]))
        return response

    return tween


def _view_begins(found: ContextFound) -> None:
    times = _times.get()
    if times is not None:
        times.view_began = time.perf_counter()


def view_tween_factory(handler: Callable[[Request], Any], registry: Registry) -> Callable[[Request], Any]:
    """The innermost tween: when it gets something back, be it an error, the view is done."""

    def tween(request: Request) -> Any:
        try:
            return handler(request)
        finally:
            times = _times.get()
            if times is not None and times.view_began is not None:
                times.view = time.perf_counter() - times.view_began

    return tween


def _statement_begins(*_about: Any) -> None:
    times = _times.get()
    if times is not None:
        times.statement_began = time.perf_counter()


def _statement_ends(_connection: Any, _cursor: Any, statement: str, *_about: Any) -> None:
    times = _times.get()
    if times is not None:
        # SQLite's transactions begin by a statement, which is no more one of the request's than its end is.
        times.statements += not statement.startswith("BEGIN")
        times.sql += time.perf_counter() - times.statement_began


def count_time(engine: Engine) -> None:
    """Count the statements of the engine, and of what is derived from it, for the request that runs them."""
    event.listen(engine, "before_cursor_execute", _statement_begins)
    event.listen(engine, "after_cursor_execute", _statement_ends)


def includeme(config: Configurator) -> None:
    """Declare the setting; where it is on, install the tween and listen to the database."""
    if not config.declare_settings(TimingSettings, prefix="timing").enabled:
        return
    count_time(config.registry["engine"])
    if config.registry.get("replica") is not None:
        count_time(config.registry["replica"].engine)
    config.add_subscriber(_view_begins, ContextFound)
    config.add_tween("mealshare.core.timing.view_tween_factory", under=EXCVIEW, over=MAIN)
    config.add_tween(
        "mealshare.core.timing.timing_tween_factory",
        under=(
            "mealshare.core.log.request_log_tween_factory",
            "mealshare.core.security.headers.headers_tween_factory",
        ),
        over="pyramid_tm.tm_tween_factory",
    )
