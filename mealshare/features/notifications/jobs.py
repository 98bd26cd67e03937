"""What happens regularly: old notifications that were read go."""

from __future__ import annotations

from typing import Any

from pyramid.registry import Registry

from mealshare.core.clock import now
from mealshare.features.notifications.service import sweep


def sweep_old(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``notifications.sweep``, every day: delete what was read and is old, a batch in each transaction."""
    after: int | None = 0
    moment = now()
    while after is not None:
        with registry["open_work"]() as work:
            after = sweep(work, moment, after)
