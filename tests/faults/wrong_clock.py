"""A part of the site whose clock goes back an hour as soon as there is a file ``step`` in the site's folder."""

from __future__ import annotations

import time
from pathlib import Path

from pyramid.config import Configurator

from mealshare.core import clock, ids

HOUR = 3_600_000


def includeme(config: Configurator) -> None:
    """Set the clock of the process, and that of its ids."""
    step = Path(config.registry.settings["storage.folder"]).parent / "step"

    def milliseconds() -> int:
        return time.time_ns() // 1_000_000 - (HOUR if step.exists() else 0)

    clock.milliseconds = milliseconds
    ids._process.maker._milliseconds = milliseconds
