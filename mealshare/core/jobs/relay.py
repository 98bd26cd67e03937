"""The relay: tells the broker of the jobs that are due, after their commit and never in a request.

It runs as a thread of every serving process (woken by the commit), in every Celery worker and in ``mealshare beat``, as
many as there are: each takes what no other has taken.  While the broker is away the rows simply stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from pyramid.registry import Registry

from mealshare.core.jobs.outbox import BATCH, Notice, Outbox
from mealshare.core.jobs.queue import JobQueue
from mealshare.core.readonly import LOOK_SECONDS, is_read_only

#: Seconds until the broker is asked again after it failed; the last one repeats.
PAUSES = (1.0, 2.0, 4.0, 8.0)
#: Seconds that the end of the process waits for the message that is being sent.
STOP_SECONDS = 5.0

BROKER_AWAY = "jobs.broker_away"
BROKER_BACK = "jobs.broker_back"
RELAY_FAILED = "jobs.relay_failed"

log = logging.getLogger(__name__)


class Publisher(Protocol):
    """A connection to a broker, made when it is first needed."""

    def connect(self) -> None:
        """Connect, unless that has been done; raises what the network raises, after a bounded time."""

    def publish(self, notice: Notice) -> None:
        """Send one message and return when the broker has it; raises, after a bounded time, if it has not."""

    def close(self) -> None:
        """Forget the connection; `connect` makes a new one."""


class Relay:
    """Tells what is to be told, in steps; `start` makes a thread of it."""

    def __init__(self, registry: Registry, publisher: Publisher, poll_seconds: float) -> None:
        self.registry = registry
        self.publisher = publisher
        self.poll_seconds = poll_seconds
        self._queue: JobQueue = registry["jobs"]
        self._outbox: Outbox = registry["outbox"]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="mealshare-relay", daemon=True)
        self._ensured = False
        self._failures = 0
        self._away_since = 0.0

    def start(self) -> Callable[[], None]:
        """Start the thread; return the function that stops it."""
        self._thread.start()
        return self.stop

    def stop(self) -> None:
        """Let the thread end; what it has not told, another relay tells."""
        self._stopping.set()
        self._queue.wake.set()
        self._thread.join(STOP_SECONDS)

    def step(self) -> float:
        """Tell the broker of the next batch; gives the seconds until the next step, 0 if there may be more.

        Nothing while the site can only be read: to note that a message was sent is to write.
        """
        if is_read_only(self.registry):
            return max(self.poll_seconds, LOOK_SECONDS)
        try:
            if not self._ensured:
                with self.registry["open_work"]() as work:
                    work.queue.ensure_periodic(work.session)
                self._ensured = True
            with self.registry["read_engine"].connect() as connection:
                anything = self._outbox.anything(connection)
            return self._tell() if anything else self.poll_seconds
        except Exception:
            # The database is away for a moment; whoever steps must outlive that.
            log.exception(RELAY_FAILED)
            return max(self.poll_seconds, 1.0)

    def _tell(self) -> float:
        try:
            self.publisher.connect()
        except Exception as error:
            # Each broker has errors of its own, and a wrong password is one of them: none may end the relay.
            return self._away(error)
        with self.registry["open_work"]() as work:
            notices, mark = self._outbox.take(work.session)
        for number, notice in enumerate(notices):
            try:
                self.publisher.publish(notice)
            except Exception as error:
                # As above.
                with self.registry["open_work"]() as work:
                    self._outbox.give_back(work.session, notices[number:], mark)
                return self._away(error)
        if self._failures:
            log.warning(BROKER_BACK, extra={"seconds": round(time.monotonic() - self._away_since, 1)})
            self._failures = 0
        return 0 if len(notices) >= BATCH else self.poll_seconds

    def _away(self, error: Exception) -> float:
        """Remember, tell the log once, and give the seconds to wait."""
        self.publisher.close()
        if not self._failures:
            self._away_since = time.monotonic()
            log.warning(BROKER_AWAY, exc_info=error)
        self._failures += 1
        return PAUSES[min(self._failures, len(PAUSES)) - 1]

    def _loop(self) -> None:
        wake = self._queue.wake
        while not self._stopping.is_set():
            wake.clear()
            seconds = self.step()
            if self._failures:
                # Not woken by requests: a broker that is away is not there sooner for them.
                self._stopping.wait(seconds)
            elif seconds and not self._stopping.is_set():
                wake.wait(seconds)
        self.publisher.close()
