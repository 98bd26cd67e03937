"""What happens by itself between people: mutes end."""

from __future__ import annotations

import logging
from typing import Any

from pyramid.registry import Registry

from mealshare.features.social.service import sweep_mutes

SWEPT = "social.mutes_swept"

log = logging.getLogger(__name__)


def sweep(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``social.sweep_mutes``, every hour: delete the mutes that have ended."""
    with registry["open_work"]() as work:
        count = sweep_mutes(work)
    if count:
        log.info(SWEPT, extra={"rows": count})
