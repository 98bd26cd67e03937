"""Traces for OpenTelemetry: where the time of one request went, through its statements and the jobs that it left.

Off, nothing of it is installed and no library of it is imported.  On, a request is a span, each SQL statement a span
within it, and an attempt at a job a span of the trace of the request that wanted the job: the job's row carries the
``traceparent`` (https://www.w3.org/TR/trace-context/) as it carries the request id.

The spans are ours and not those of OpenTelemetry's packages for Pyramid and SQLAlchemy: these write the whole address of a
request into the span, and an address may hold a secret (the link of a reset mail) or what somebody searched for; and they
patch classes for the whole process.
"""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.core.settings import BootError
from mealshare.core.tracing.settings import TracingSettings, check_settings

__all__ = ["TracingSettings", "includeme"]


def includeme(config: Configurator) -> None:
    """Declare the settings; where it is on, trace requests, statements and jobs.

    Raises SettingsError for an address or a share that is none, BootError without the library.
    """
    settings = config.declare_settings(TracingSettings, prefix="tracing")
    if not settings.enabled:
        return
    check_settings(settings)
    try:
        # Here, because only a site that is traced needs it.
        from mealshare.core.tracing.tracer import Tracing
    except ImportError:
        raise BootError(
            "the setting tracing.enabled is true, but the library is missing: pip install 'mealshare[opentelemetry]'"
        ) from None
    Tracing(settings, config.registry).install(config)
