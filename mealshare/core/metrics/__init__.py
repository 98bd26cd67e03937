"""``/metrics`` for Prometheus: how many requests, how slow, what waits, what fails.

Off, nothing is installed and the library is not even imported; the address is as unknown as any other.  On, every request
costs some microseconds.  Labels are names that the code knows (routes, jobs, limits), never what a client has sent, so
nobody can make the site count without end.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.metrics.settings import MetricsSettings, allowed_networks, is_among
from mealshare.core.settings import BootError

if TYPE_CHECKING:
    from mealshare.core.metrics.meter import Meter

__all__ = ["MetricsSettings", "includeme"]

#: Where prometheus_client looks for the folder, once, when it is imported.
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def _meter(settings: MetricsSettings, registry: Any) -> Meter:
    """Raises BootError for a folder that cannot be written to, and without the library."""
    if settings.folder:
        folder = Path(settings.folder)
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise BootError(f"the setting metrics.folder is wrong: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BootError("the setting metrics.folder is wrong: this user may not write there")
        os.environ[_FOLDER_VARIABLE] = str(folder.resolve())
    try:
        # Here, because only a site that is measured needs it, and it looks at the environment when it is imported.
        from mealshare.core.metrics.meter import Meter
    except ImportError:
        raise BootError(
            "the setting metrics.enabled is true, but the library is missing: pip install 'mealshare[metrics]'"
        ) from None
    return Meter(registry, Path(settings.folder).resolve() if settings.folder else None)


def includeme(config: Configurator) -> None:
    """Declare the settings; where it is on, count, and answer whoever may ask."""
    settings = config.declare_settings(MetricsSettings, prefix="metrics")
    if not settings.enabled:
        return
    networks = allowed_networks(settings)
    registry = config.registry
    meter = registry["meter"] = _meter(settings, registry)
    meter.install(config)
    expected = f"Bearer {settings.token}".encode()

    def answer(request: Request) -> Response | None:
        """The metrics; None for whoever may not read, to whom the address is as unknown as any other."""
        given = request.environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
        may = not settings.token or hmac.compare_digest(given, expected)
        if request.method != "GET" or not (may and is_among(request.remote_addr, networks)):
            return None
        text, kind = meter.render()
        return Response(text, headerlist=[("Content-Type", kind), ("Cache-Control", "no-store")])

    registry["metrics_answer"] = answer
