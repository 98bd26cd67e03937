"""The index of a site that was there before there was one fills itself."""

from __future__ import annotations

from typing import Any

from pyramid.registry import Registry

from mealshare.core.db import MAX_ID
from mealshare.features.search.indexing import KINDS
from mealshare.features.search.service import BATCH

#: Looks whether something is missing, and starts.
FILL = "search.fill"
#: One batch; leaves the next one behind.
FILL_ON = "search.fill_on"


def fill(registry: Registry, payload: dict[str, Any]) -> None:
    """Begin to index each kind of thing of which the oldest is missing."""
    with registry["open_work"]() as work:
        for name, kind in KINDS.items():
            if not kind.is_complete(work.session):
                work.enqueue(FILL_ON, {"kind": name, "before": str(MAX_ID)}, key=f"{FILL_ON}:{name}")


def fill_on(registry: Registry, payload: dict[str, Any]) -> None:
    """Index one batch, and go on with the next in a job of its own."""
    with registry["open_work"]() as work:
        done = KINDS[payload["kind"]].some(work.session, int(payload["before"]), BATCH)
        if done:
            work.enqueue(FILL_ON, payload | {"before": str(done[-1])})
