"""A breaker: while a server is away, one request in a while asks for it, and the others do not wait."""

from __future__ import annotations

import logging
import threading
import time

#: Seconds for which nobody asks a server that has just failed.
PAUSE = 2.0
#: Seconds between two lines of the log about the same trouble.
QUIET = 30.0

log = logging.getLogger(__name__)


class Breaker:
    """Knows whether it is worth asking.  Safe in threads.

    ``failed`` and ``back`` are the events that it writes into the log, with how many did without the server (``missed``)
    and for how many ``seconds`` it has been away.  ``pause`` and ``quiet``: seconds between two attempts, and two lines.
    """

    def __init__(self, failed: str, back: str, pause: float = PAUSE, quiet: float = QUIET) -> None:
        self._pause, self._quiet = pause, quiet
        self._failed_event, self._back_event = failed, back
        self._lock = threading.Lock()
        #: When it may be asked again; None while it works.
        self._again: float | None = None
        #: When it failed first, when that was last told, and how many asked meanwhile.
        self._since = 0.0
        self._told: float | None = None
        self._missed = 0

    def ready(self) -> bool:
        """Whether the caller may ask.  While the server is away that is one caller in each pause."""
        if self._again is None:
            return True
        now = time.monotonic()
        with self._lock:
            if self._again is None:
                return True
            if now < self._again:
                self._missed += 1
                return False
            self._again = now + self._pause
            return True

    def failed(self, error: BaseException) -> None:
        """The caller asked and it failed; told in the log, at most once in a while."""
        now = time.monotonic()
        with self._lock:
            if self._again is None:
                self._since = now
            self._again = now + self._pause
            self._missed += 1
            if self._told is not None and now - self._told < self._quiet:
                return
            self._told, missed, self._missed = now, self._missed, 0
        log.warning(
            self._failed_event, exc_info=error, extra={"missed": missed, "seconds": round(now - self._since, 1)}
        )

    def worked(self) -> None:
        """The caller asked and was answered."""
        if self._again is None:
            return
        now = time.monotonic()
        with self._lock:
            if self._again is None:
                return
            self._again, missed, self._missed = None, self._missed, 0
        log.warning(self._back_event, extra={"missed": missed, "seconds": round(now - self._since, 1)})
