"""What was answered to requests that may come twice: the `Idempotency-Key` of the JSON face.

A request under a key begins its write transaction with `Key.claim` and ends it with `Key.keep`; how, says `store`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.core.clock import now
from mealshare.core.idempotency.store import WAIT_SECONDS, Kept, Key, StillRunning, sweep
from mealshare.core.jobs import Priority
from mealshare.core.settings import setting, settings_of

__all__ = ["WAIT_SECONDS", "IdempotencySettings", "Kept", "Key", "StillRunning", "sweep"]

SWEEP = "idempotency.sweep"
SWEPT = "idempotency.swept"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IdempotencySettings:
    """How long a request that comes twice is known again."""

    keep_hours: int = setting(
        24, "Hours for which the answer to a request with an Idempotency-Key is kept.", minimum=1, maximum=720
    )


def sweep_kept(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``idempotency.sweep``, every hour: forget the answers that are older than the setting says."""
    hours = settings_of(registry, IdempotencySettings).keep_hours
    count = sweep(registry["open_work"], now() - timedelta(hours=hours))
    if count:
        log.info(SWEPT, extra={"rows": count})


def includeme(config: Configurator) -> None:
    """Register the settings and the job."""
    config.declare_settings(IdempotencySettings, prefix="idempotency")
    config.add_job(SWEEP, sweep_kept, every=timedelta(hours=1), priority=Priority.LOW)
