"""The ``traceparent`` of what this thread is doing, for whoever hands work on; it knows nothing of OpenTelemetry.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("mealshare_traceparent", default=None)


def traceparent() -> str | None:
    """The one of the request or job that this thread is serving (55 characters); None where nothing is traced."""
    return _current.get()


@contextmanager
def as_parent(value: str | None) -> Iterator[None]:
    """What is handed on inside the block belongs to the trace ``value``."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)
