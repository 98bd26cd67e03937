"""The read replica: a PostgreSQL that follows the primary, which visitors and most readers are answered from.

A thread of each process looks once a second how far behind it is, as long as anybody asks.  It compares positions in the
write-ahead log: where the primary was at which moment, and which of these the replica has passed.  So no clocks are
compared, a replica that has lost its primary without knowing is found out, and one whose primary is idle is not late.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections import deque
from typing import Any

from pyramid_retry import mark_error_retryable
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError

from mealshare.core.breaker import Breaker
from mealshare.core.db.engine import read_engine

FAILED = "db.replica_failed"
BACK = "db.replica_back"
LATE = "db.replica_late"
CAUGHT_UP = "db.replica_caught_up"

#: Seconds between two looks, and after which a look that has not ended counts as failed: who waits then is cut off.
EVERY, PATIENCE = 1.0, 2.5
#: A replica that was fit at a look is used until the next has failed: so much later than the lag it then had, at most.
MARGIN = EVERY + PATIENCE
#: Seconds without anybody who asks, after which the thread ends; the next one who asks starts another.
IDLE = 60.0
_WRITTEN = text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
#: NULL where it is no replica (any more): it may have gone its own way.
_REPLAYED = text("SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END")

log = logging.getLogger(__name__)


class ReplicaLost(Exception):
    """The server behind ``db.replica_url`` is no replica."""


class Replica:
    """The replica behind ``engine``, and whether it is fit to be read from.  Safe in threads; a process may fork.

    It is used while it is at most ``max_lag`` seconds behind ``primary`` as of the last look.
    """

    def __init__(self, engine: Engine, primary: Engine, max_lag: float) -> None:
        self.engine, self.max_lag = read_engine(engine), max_lag
        self._primary = read_engine(primary)
        self._breaker = Breaker(FAILED, BACK, pause=EVERY)
        #: (moment by the monotonic clock, position of the primary), the oldest first; the oldest ones fall out.
        self._written: deque[tuple[float, int]] = deque(maxlen=600)
        self._lag: float | None = None
        self._late = False
        #: When it was last looked at, and when anybody last asked.
        self._looked = self._asked = float("-inf")
        self._watched_by = 0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: The driver's connections, those in the pool too: one hangs already where the pool asks whether it lives.
        self._open: set[Any] = set()
        event.listen(engine, "handle_error", self._note_error)
        event.listen(engine, "connect", lambda connection, _record: self._open.add(connection))
        event.listen(engine, "close", lambda connection, _record: self._open.discard(connection))

    def usable(self) -> bool:
        """Whether a request may read from it now; costs no statement."""
        now = self._asked = time.monotonic()
        if self._watched_by != os.getpid():
            self._watch()
        if now - self._looked > MARGIN:
            return False
        lag = self._lag
        return lag is not None and lag <= self.max_lag

    def connect(self) -> Connection | None:
        """A connection in read mode, or None if there is none to be had; the log says so."""
        try:
            return self.engine.connect()
        except SQLAlchemyError as error:
            self.failed(error)
            return None

    def failed(self, error: BaseException) -> None:
        """Somebody asked it and it did not answer: nobody else does until the next look."""
        self._lag = None
        self._breaker.failed(error)

    def healthy(self) -> bool:
        """Whether it is used.  Who asks for the first time waits for the first look."""
        deadline = time.monotonic() + EVERY
        while not self.usable() and self._looked == float("-inf") and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.usable()

    def close(self) -> None:
        """End the thread and close the connections; for whoever makes more than one site in a process."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.engine.dispose()

    def look(self) -> None:
        """Ask both servers once, and draw the conclusion."""
        # Whoever waits for a server that takes questions and answers none is let go, and asks the primary.
        timer = threading.Timer(PATIENCE, self._cut)
        timer.daemon = True
        timer.start()
        try:
            began = time.monotonic()
            with contextlib.suppress(SQLAlchemyError), self._primary.connect() as connection:
                # Without the primary nothing new is written either: what is known of it remains true.
                self._written.append((began, int(connection.execute(_WRITTEN).scalar_one())))
            with self.engine.connect() as connection:
                replayed = self._replayed(connection)
        except (SQLAlchemyError, ReplicaLost) as error:
            self.failed(error)
        else:
            self._breaker.worked()
            self._conclude(replayed)
        finally:
            timer.cancel()
            self._looked = time.monotonic()

    def _replayed(self, connection: Connection) -> int:
        """How far the replica is, which gets a moment to reach where the primary just was.  Raises ReplicaLost."""
        for pause in (0.0, 0.02, 0.05, 0.1):
            time.sleep(pause)
            found = connection.execute(_REPLAYED).scalar_one()
            if found is None:
                raise ReplicaLost("the server behind the setting db.replica_url is no replica")
            if not self._written or int(found) >= self._written[-1][1]:
                break
        return int(found)

    def _conclude(self, replayed: int) -> None:
        if not self._written:
            # The primary has never been seen: nobody knows what is missing here.
            self._lag = None
            return
        now, lag = time.monotonic(), 0.0
        if self._written[-1][1] > replayed:
            passed = (now - moment for moment, position in reversed(self._written) if position <= replayed)
            lag = next(passed, float("inf"))
        if (lag > self.max_lag) != self._late:
            self._late = not self._late
            log.warning(LATE if self._late else CAUGHT_UP, extra={"lag": round(min(lag, 1e9), 1)})
        self._lag = lag

    def _watch(self) -> None:
        with self._lock:
            if self._watched_by == os.getpid():
                return
            self._watched_by = os.getpid()
            self._thread = threading.Thread(target=self._loop, name="mealshare-replica", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while not self._stopping.is_set() and time.monotonic() - self._asked < IDLE:
            self.look()
            self._stopping.wait(EVERY)
        self._watched_by = 0

    def _note_error(self, context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.is_disconnect and error is not None:
            self.failed(error)
            # Only reads come here, and the next attempt is the primary's.
            mark_error_retryable(error)

    def _cut(self) -> None:
        self._lag = None
        for connection in list(self._open):
            # The socket itself, from outside: the connection's own thread sits waiting in it.
            with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin:
                twin.shutdown(socket.SHUT_RDWR)
