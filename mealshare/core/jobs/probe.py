"""Whether the broker answers, for ``/health/ready``."""

from __future__ import annotations

import logging
import threading
import time

from mealshare.core.jobs.settings import JobSettings

#: Seconds that a request for the health of the site waits for the broker.
WAIT = 1.0
#: Seconds for which an answer is good: whoever asks all the time shall not connect all the time.
GOOD_FOR = 2.0

log = logging.getLogger(__name__)


class Probe:
    """Asks the broker in a thread, one at a time, so that nobody waits longer than `WAIT`, whatever the network does."""

    def __init__(self, settings: JobSettings, wait: float = WAIT) -> None:
        self._settings = settings
        self._wait = wait
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None
        self._answer = False
        self._asked_at = float("-inf")

    def healthy(self) -> bool:
        """Whether the broker has answered just now, or does within `WAIT` seconds."""
        with self._lock:
            if time.monotonic() - self._asked_at < GOOD_FOR:
                return self._answer
            if self._running is None:
                self._running = threading.Thread(target=self._ask, name="mealshare-probe", daemon=True)
                self._running.start()
            running = self._running
        running.join(self._wait)
        with self._lock:
            return self._answer and not running.is_alive()

    def _ask(self) -> None:
        from mealshare.core.jobs.broker import BrokerPublisher

        answer = False
        try:
            publisher = BrokerPublisher(self._settings, timeout=self._wait)
            try:
                publisher.connect()
                answer = True
            finally:
                publisher.close()
        except Exception as error:
            # Whatever it raises (each broker has errors of its own) is the answer.
            log.debug("jobs.probe_failed", exc_info=error)
        with self._lock:
            self._answer, self._asked_at, self._running = answer, time.monotonic(), None
