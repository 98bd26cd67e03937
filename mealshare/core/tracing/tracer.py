"""What is traced, and how it is sent.  The only module that knows OpenTelemetry.

Names and attributes are those of its semantic conventions for HTTP servers, databases and messaging
(https://opentelemetry.io/docs/specs/semconv/).  A span holds what a log line holds: the path without its secrets, never
the query, no address of a visitor, no value of a statement.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import Engine, event

from mealshare.core.jobs.models import Claimed
from mealshare.core.log import REQUEST_ID, shown_path
from mealshare.core.serving import Stop
from mealshare.core.tracing.parent import as_parent
from mealshare.core.tracing.settings import TracingSettings, parse_headers
from mealshare.core.version import __version__

#: Characters of a statement that a span holds.
LONGEST_STATEMENT = 2_000
#: Seconds that an export may take, and that the end of a process waits for what has not been sent.
EXPORT_SECONDS = 5

_W3C = TraceContextTextMapPropagator()
_NOTHING = Context()
#: The open span of the statement that runs.
_statement: ContextVar[Span | None] = ContextVar("mealshare_statement_span", default=None)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Tracing:
    """The traces of one application in one process."""

    def __init__(self, settings: TracingSettings, registry: Any) -> None:
        self._settings, self._registry = settings, registry
        version = {"service.name": settings.service, "service.version": __version__}
        ratio = TraceIdRatioBased(settings.share)
        # Of traces that came with a request, which is only where they are trusted, the sender has decided.  Statements
        # follow their request, and a job the request that wanted it.
        self.provider = TracerProvider(sampler=ParentBased(ratio), resource=Resource.create(version))
        self._tracer = self.provider.get_tracer("mealshare", __version__)

    def install(self, config: Configurator) -> None:
        """Trace what this application does; exporting begins with serving, after any fork."""
        registry = self._registry
        self._trace_statements(registry["engine"])
        if registry.get("replica") is not None:
            self._trace_statements(registry["replica"].engine)
        registry["tracing"] = self
        registry["job_span"] = self.job
        for occasion in ("on_serve", "on_work"):
            # First, because what begins first ends last: what the others do at the end is traced too.
            registry.setdefault(occasion, []).insert(0, self.start)
        config.add_tween(
            "mealshare.core.tracing.tracer.tracing_tween_factory",
            under=(
                "mealshare.core.log.request_log_tween_factory",
                "mealshare.core.security.headers.headers_tween_factory",
            ),
            over=(
                "mealshare.core.metrics.tween.metrics_tween_factory",
                "mealshare.core.timing.timing_tween_factory",
                "pyramid_tm.tm_tween_factory",
            ),
        )

    def start(self) -> Stop:
        """Begin to send; gives what sends the rest and ends.  A collector that is away costs its spans, nothing else."""
        # The exporter warns of every attempt, with a traceback at last; one line for each batch is enough.
        logging.getLogger("opentelemetry.exporter.otlp.proto.http").setLevel(logging.ERROR)
        exporter = OTLPSpanExporter(
            endpoint=self._settings.endpoint, headers=parse_headers(self._settings), timeout=EXPORT_SECONDS
        )
        self.provider.add_span_processor(BatchSpanProcessor(exporter))

        def stop() -> None:
            self.provider.force_flush(EXPORT_SECONDS * 1000)
            self.provider.shutdown()

        return stop

    @contextmanager
    def request(self, request: Request) -> Iterator[Span]:
        """A span for ``request``, which is the current one inside the block."""
        environ = request.environ
        given = {"traceparent": environ.get("HTTP_TRACEPARENT", "")} if self._settings.trust else {}
        parent = _W3C.extract(given, _NOTHING)
        attributes = {
            "http.request.method": _method(request),
            "url.scheme": request.scheme,
            "url.path": shown_path(environ),
            "mealshare.request_id": environ.get(REQUEST_ID, ""),
        }
        with (
            self._tracer.start_as_current_span(
                _method(request), parent, SpanKind.SERVER, attributes, record_exception=False,
                set_status_on_exception=False,
            ) as span,
            as_parent(_written(span)),
        ):  # fmt: skip
            yield span

    @contextmanager
    def job(self, job: Claimed) -> Iterator[None]:
        """A span for an attempt at ``job``, in the trace of the request that wanted it; an error that leaves it is told."""
        parent = _W3C.extract({"traceparent": job.traceparent} if job.traceparent else {}, _NOTHING)
        attributes: dict[str, str | int] = {
            "messaging.system": "mealshare",
            "messaging.operation.type": "process",
            "messaging.destination.name": job.name,
            "messaging.message.id": str(job.id),
            "mealshare.attempt": job.attempts,
            "mealshare.request_id": job.request_id or "",
        }
        with (
            self._tracer.start_as_current_span(
                f"process {job.name}", parent, SpanKind.CONSUMER, attributes, record_exception=False,
                set_status_on_exception=False,
            ) as span,
            as_parent(_written(span)),
        ):  # fmt: skip
            try:
                yield
            except Exception as error:
                _tell(span, error)
                raise

    def _trace_statements(self, engine: Engine) -> None:
        """Trace the statements of the engine, and of what is derived from it, within the span that runs them."""
        system = engine.dialect.name

        def begins(_connection: Any, _cursor: Any, statement: str, *_about: Any) -> None:
            if not trace.get_current_span().is_recording():
                return
            what = statement.lstrip("( ").partition(" ")[0][:20].upper()
            attributes = {"db.system.name": system, "db.operation.name": what}
            attributes["db.query.text"] = statement[:LONGEST_STATEMENT]
            _statement.set(self._tracer.start_span(what, kind=SpanKind.CLIENT, attributes=attributes))

        def ends(*_about: Any) -> None:
            span = _statement.get()
            if span is not None:
                span.end()
                _statement.set(None)

        def fails(about: Any) -> None:
            span = _statement.get()
            if span is not None:
                _tell(span, about.original_exception)
                span.end()
                _statement.set(None)

        event.listen(engine, "before_cursor_execute", begins)
        event.listen(engine, "after_cursor_execute", ends)
        event.listen(engine, "handle_error", fails)


def _method(request: Request) -> str:
    """What a client has made up is no name that one would look for."""
    return request.method if request.method in _METHODS else "_OTHER"


def _written(span: Span) -> str | None:
    """The ``traceparent`` of a span; also of one that is not sampled, so that its jobs are not either."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span, _NOTHING))
    return carrier.get("traceparent")


def _tell(span: Span, error: BaseException) -> None:
    """The kind of error; its message may hold what nobody but the log may know."""
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def tracing_tween_factory(handler: Callable[[Request], Response], registry: Registry) -> Callable[[Request], Response]:
    """The tween; under the log, which gives the request its id, and over all that takes time.

    Each attempt at a request has a span of its own.
    """
    tracing: Tracing = registry["tracing"]

    def tween(request: Request) -> Response:
        with tracing.request(request) as span:
            if not span.is_recording():
                return handler(request)
            try:
                response = handler(request)
            except Exception as error:
                if isinstance(error, Response):
                    _answered(span, request, error)
                else:
                    _tell(span, error)
                raise
            _answered(span, request, response)
            return response

    return tween


def _answered(span: Span, request: Request, response: Response) -> None:
    route = getattr(request, "matched_route", None)
    if route is not None:
        span.update_name(f"{_method(request)} {route.pattern}")
        span.set_attribute("http.route", route.pattern)
    span.set_attribute("http.response.status_code", response.status_int)
    if response.status_int >= 500:
        error = getattr(request, "exception", None)
        span.set_attribute("error.type", type(error).__qualname__ if error is not None else str(response.status_int))
        span.set_status(Status(StatusCode.ERROR))
