"""Health addresses: is the process alive, and can it do its work?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.view import view_config
from sqlalchemy import text

from mealshare.core.security.permissions import CorePermission

log = logging.getLogger(__name__)


@view_config(route_name="health.live", request_method="GET", renderer="json", permission=CorePermission.PUBLIC)
def live(context: Any, request: Request) -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@view_config(route_name="health.ready", request_method="GET", renderer="json", permission=CorePermission.PUBLIC)
def ready(context: Any, request: Request) -> dict[str, Any]:
    """Each thing that the site uses, told apart; 503 when one that it needs is missing, and while the server drains.

    Without the others it serves everybody, if less well: ``degraded`` is for whoever watches, and 200, because a
    balancer that took the site away for it would turn half a failure into a whole one.
    """
    registry = request.registry
    needed = {name: _healthy(name, check) for name, check in registry["health_checks"].items()}
    helpful = {name: _healthy(name, check) for name, check in registry["health_helpers"].items()}
    status = "failing" if not all(needed.values()) else "ok" if all(helpful.values()) else "degraded"
    if registry.get("draining"):
        status = "draining"
    if status not in ("ok", "degraded"):
        request.response.status_int = 503
    words = {name: "ok" if ok else "failing" for name, ok in needed.items()}
    return {"status": status, "checks": words | {name: "ok" if ok else "degraded" for name, ok in helpful.items()}}


def _healthy(name: str, check: Callable[[], bool]) -> bool:
    try:
        return bool(check())
    except Exception:
        log.warning("health_check_failed", extra={"check": name}, exc_info=True)
        return False


def _database(registry: Any) -> bool:
    with registry["read_engine"].connect() as connection:
        return bool(connection.execute(text("SELECT 1")).scalar() == 1)


def includeme(config: Configurator) -> None:
    """Register the two addresses and the checks of the plumbing."""
    registry = config.registry
    registry["health_checks"] = {"database": lambda: _database(registry)}
    registry.setdefault("health_helpers", {})["ratelimit"] = registry["ratelimit"].healthy
    # A Redis that is away makes the site slower; memory that cannot be read back is a broken process.
    cache = registry["cache"]
    registry["health_helpers" if cache.shared else "health_checks"]["cache"] = cache.healthy
    # The disk of one machine may fail it alone.  What all of them share takes none of them out: without it there are no
    # pictures, and everything else.
    storage = registry["storage"]
    registry["health_helpers" if storage.shared else "health_checks"]["storage"] = storage.healthy
    config.add_route("health.live", "/health/live")
    config.add_route("health.ready", "/health/ready")
    config.scan(__name__)
