"""What serving an application means besides answering: starting and stopping what runs beside the requests.

Whatever server there is: ours (`mealshare.server`) and, by way of `mealshare.wsgi`, all others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any

STOP_FAILED = "server.stop_failed"

log = logging.getLogger(__name__)

Stop = Callable[[], object]


def find_registry(app: Any) -> MutableMapping[str, Any] | None:
    """The registry of the Pyramid application inside ``app``, whatever WSGI middleware is wrapped around it."""
    seen: set[int] = set()
    waiting = [app]
    while waiting and len(seen) < 100:
        item = waiting.pop(0)
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        registry = getattr(item, "registry", None)
        if isinstance(registry, MutableMapping):
            return registry
        # Middleware keeps what it wraps in an attribute, of any name.
        waiting.extend(value for value in getattr(item, "__dict__", {}).values() if callable(value))
    return None


def start_all(registry: MutableMapping[str, Any] | None, occasion: str = "on_serve") -> list[Stop]:
    """Call each callable in ``registry[occasion]``; gives what they gave back to be called at the end.

    ``on_serve`` is for a process that serves, ``on_work`` for one that runs jobs.

    Starts threads, so it must run in the process that serves, after any fork.
    """
    stops: list[Stop] = []
    try:
        for start in (registry or {}).get(occasion) or ():
            stop = start()
            if stop is not None:
                stops.append(stop)
    except BaseException:
        stop_all(stops)
        raise
    return stops


def stop_all(stops: list[Stop]) -> None:
    """Call them in reverse order; one that fails is logged and keeps the others from nothing."""
    for stop in reversed(stops):
        try:
            stop()
        except Exception:
            log.exception(STOP_FAILED)
