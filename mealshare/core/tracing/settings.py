"""The settings of the traces."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from mealshare.core.settings import Secret, SettingsError, setting


@dataclass(frozen=True)
class TracingSettings:
    """Whether requests are traced, how many of them, and where the traces go."""

    enabled: bool = setting(False, "Send traces to an OpenTelemetry collector; needs the extra opentelemetry.")
    endpoint: str = setting(
        "http://127.0.0.1:4318/v1/traces", "Where the collector takes traces: OTLP over HTTP, with protobuf."
    )
    headers: Secret = setting(
        Secret(""), "What the collector wants to be sent besides, such as an API key: name=value, several with commas."
    )
    service: str = setting("mealshare", "The name of this site among the services that the collector knows.")
    share: float = setting(0.1, "The share of requests that are traced, from 0 to 1.")
    trust: bool = setting(
        False,
        "Continue traces that came with the request (traceparent); only behind a gateway that sets the header itself.",
    )


def check_settings(settings: TracingSettings) -> None:
    """Raises SettingsError for what cannot be meant."""
    parts = urlsplit(settings.endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("the setting tracing.endpoint is wrong: it takes an http:// or https:// address")
    if not 0 <= settings.share <= 1:
        raise SettingsError("the setting tracing.share is wrong: it takes a number from 0 to 1")
    if not settings.service:
        raise SettingsError("the setting tracing.service is wrong: it is empty")
    parse_headers(settings)


def parse_headers(settings: TracingSettings) -> dict[str, str]:
    """``tracing.headers`` by name.  Raises SettingsError, without a value: they are secrets."""
    headers: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in settings.headers.split(","))):
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not (item.isascii() and item.isprintable()):
            raise SettingsError("the setting tracing.headers is wrong: it takes name=value, several with commas")
        headers[name.strip()] = value.strip()
    return headers
