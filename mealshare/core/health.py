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
    """Each thing that the site needs, told apart; 503 when one is missing, and while the server drains."""
    registry = request.registry
    checks = {name: _healthy(name, check) for name, check in registry["health_checks"].items()}
    status = "ok" if all(checks.values()) else "failing"
    if registry.get("draining"):
        status = "draining"
    if status != "ok":
        request.response.status_int = 503
    return {"status": status, "checks": {name: "ok" if ok else "failing" for name, ok in checks.items()}}


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
    registry["health_checks"] = {
        "database": lambda: _database(registry),
        "cache": registry["cache"].healthy,
        "storage": registry["storage"].healthy,
    }
    config.add_route("health.live", "/health/live")
    config.add_route("health.ready", "/health/ready")
    config.scan(__name__)
