"""The hub: one thread of a process that learns of new meals and tells everybody who listens.

It runs only while somebody listens.  Once a second, and at once when this process itself has posted, it asks which meals
are new: one statement.  Only if there are some it asks what of them each kind of listener sees: one statement for all
visitors together, one for each person and feed.  It asks at the moment of sending, so nobody is told of what has been
hidden or deleted in the meantime.  At the same pace it asks whether the sessions and tokens of its listeners still count.

No connection to the database and no thread is held for a listener (`mealshare.core.lines` has the connections).
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from mealshare.core import clock
from mealshare.core.errors import TooMany
from mealshare.core.lines import Line
from mealshare.core.security.identity import Identity
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.cards import Card
from mealshare.features.meals.present import MealJson
from mealshare.features.streams.cursor import Cursor, id_before
from mealshare.features.streams.queries import MOST_MISSED, Credential, Missed, ids_above, seen_among, still_good
from mealshare.features.streams.settings import StreamSettings
from mealshare.features.streams.vocabulary import Feed, Reason

#: A meal whose transaction takes longer than this between its id and its commit is not announced.
LATEST_SECONDS = 60
#: A listener whose connection has not been handed over after this long never will be.
ARRIVAL_SECONDS = 30
#: How long the thread waits for the next listener before it ends.
LINGER_SECONDS = 10
#: At most a quarter of the time goes into telling, however many listen and however much is posted.
REST_FACTOR = 3
SHORTEST_REST = 0.02
#: When a client that lost its stream begins the next one; by chance, or all would come at once after a restart.
RETRY_MILLISECONDS = (2000, 5000)
#: Where the server cannot keep a stream open, this is how often a client asks.
POLL_MILLISECONDS = (8000, 12000)

TICK_FAILED = "streams.tick_failed"
ENDED = "streams.ended"

log = logging.getLogger(__name__)


class StreamsFull(TooMany):
    """This process keeps as many streams open as it may (503)."""

    status = 503
    code = "streams_full"


class TooManyStreams(TooMany):
    """This account, or this address, keeps as many streams open as it may (429)."""

    code = "too_many_streams"


@dataclass(frozen=True)
class Who:
    """Who listens, to what, and until when."""

    feed: Feed
    identity: Identity | None
    credential: Credential | None
    #: The key of the client's address (`mealshare.core.ratelimit.address_key`).
    address: str
    #: When the access token expires, in seconds since the epoch.
    expires_at: float | None = None

    @property
    def viewer(self) -> int:
        """The account, 0 for a visitor."""
        return ANONYMOUS if self.identity is None else self.identity.account_id


class Listener:
    """A stream: what it has been sent, and the connection once it is there.

    Three threads come by: the one that answers the request, the one that watches the connections, the hub's.
    """

    def __init__(
        self, who: Who, cursor: Cursor | None, settings: StreamSettings, gone: Callable[[Listener], None]
    ) -> None:
        """``cursor``: where to go on, None to begin now; ``gone`` is called when the stream is over."""
        self.who = who
        self._cursor = cursor or Cursor(id_before(0))
        #: Whoever goes on has all up to there, whatever this process has not heard of yet.
        self._settled = 0 if cursor is None else cursor.floor
        self._gone = gone
        self._settings = settings
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._waiting: list[bytes] = []
        #: Meals that came while it was being found out what was missed; None from then on.
        self._early: list[tuple[int, bytes]] | None = []
        self._missed: frozenset[int] = frozenset()
        self._over = False
        self._reason = "closed"
        self._sent = 0
        self._born = self._last_word = time.monotonic()
        seconds = float(settings.seconds)
        if who.expires_at is not None:
            seconds = min(seconds, who.expires_at - clock.now().timestamp())
        self._ends = self._born + seconds

    # The thread of the request.

    def begin(self, missed: Missed | None, json: MealJson) -> bytes:
        """The beginning of the stream; what the hub has told in the meantime follows it, unless it is in there."""
        with self._lock:
            beginning = preface(self._cursor, RETRY_MILLISECONDS)
            if missed is not None:
                beginning += catch_up(missed, self._cursor, json, self.who.identity)
                self._missed = frozenset(card.id for card in missed.cards)
            early, self._early = self._early or [], None
            for id, data in early:
                self._tell(id, data)
            return beginning

    # The thread of the connections.

    def farewell(self) -> bytes:
        """What is said when the server stops."""
        self._reason = Reason.RESTART
        return ending(Reason.RESTART)

    def opened(self, line: Line) -> None:
        """The connection is there."""
        with self._lock:
            self._line = line
            waiting, self._waiting = self._waiting, []
            if waiting:
                line.send(b"".join(waiting))
            if self._over:
                line.end()

    def closed(self) -> None:
        """The connection is gone."""
        extra = {
            "reason": str(self._reason), "feed": str(self.who.feed), "user": self.who.viewer or None,
            "seconds": round(time.monotonic() - self._born, 1), "sent": self._sent,
        }  # fmt: skip
        log.info(ENDED, extra=extra)
        self._gone(self)

    # The thread of the hub.

    def tell(self, id: int, data: bytes) -> None:
        """A meal, in the JSON of this listener; one that it has been told before is left out."""
        with self._lock:
            if self._early is not None:
                self._early.append((id, data))
            else:
                self._tell(id, data)

    def _tell(self, id: int, data: bytes) -> None:
        if id <= self._settled or id in self._missed or self._cursor.knows(id):
            return
        self._cursor.add(id)
        self._sent += 1
        self._say(event(self._cursor, data))

    def _say(self, words: bytes) -> None:
        self._last_word = time.monotonic()
        if self._line is None:
            self._waiting.append(words)
        else:
            self._line.send(words)

    def look_after(self, now: float) -> bool:
        """Keep it alive or end it, as the time (of the monotonic clock) has come for; False once it can be forgotten."""
        line = self._line
        if line is None:
            return now < self._born + ARRIVAL_SECONDS
        if line.backlog > self._settings.buffer_bytes:
            self._reason = "slow"
            line.cut()
        elif now >= self._ends:
            lapsed = self.who.expires_at is not None and self._ends < self._born + self._settings.seconds
            self.end(Reason.EXPIRED if lapsed else Reason.TIME)
        elif now >= self._last_word + self._settings.heartbeat_seconds:
            with self._lock:
                # With where it stands, or a client that has heard nothing for long would have to ask far back.
                self._cursor.settle(id_before(LATEST_SECONDS))
                self._say(b"id: %b\n:\n\n" % str(self._cursor).encode())
        return True

    def end(self, reason: Reason) -> None:
        """Say why, and end."""
        with self._lock:
            if self._over:
                return
            self._over, self._reason = True, reason
            self._say(ending(reason))
            if self._line is not None:
                self._line.end()


def preface(cursor: Cursor, retry: tuple[int, int]) -> bytes:
    """The first words of a stream: when to come again, and where it begins, so that a client that hears no more can go on."""
    soonest, latest = retry
    pause = soonest + secrets.randbelow(latest - soonest + 1)
    return b"retry: %d\nid: %b\n:\n\n" % (pause, str(cursor).encode())


def event(cursor: Cursor, data: bytes) -> bytes:
    """A meal; JSON has no line breaks, which would end the field."""
    return b"event: meal\nid: %b\ndata: %b\n\n" % (str(cursor).encode(), data)


def ending(reason: Reason) -> bytes:
    """The last words of a stream."""
    return b"event: end\ndata: %b\n\n" % orjson.dumps({"reason": str(reason)})


def catch_up(missed: Missed, cursor: Cursor, json: MealJson, viewer: Identity | None) -> bytes:
    """What was missed, and the word that there is more; moves ``cursor`` on."""
    words = []
    for card in missed.cards:
        cursor.add(card.id)
        words.append(event(cursor, json.one(card, viewer)))
    if missed.more:
        cursor.settle(id_before(0))
        words.append(b"event: reset\nid: %b\ndata: {}\n\n" % str(cursor).encode())
    return b"".join(words)


class Hub:
    """All streams of a process."""

    def __init__(
        self, engine: Engine, json: Callable[[], MealJson], settings: StreamSettings, session_idle: timedelta
    ) -> None:
        """``engine`` reads; ``json`` gives what writes meals."""
        self._engine = engine
        self._json = json
        self._settings = settings
        self._session_idle = session_idle
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._known: set[int] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def wake(self) -> None:
        """Something may have been posted."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread; the connections are the server's to end.  Another one begins if somebody comes after that."""
        with self._lock:
            # Together: said to a thread that has just ended by itself, it would be the next one that ends at once.
            thread = self._thread
            self._stopping = thread is not None
        if thread is not None:
            self._wake.set()
            thread.join(5)

    def admit(self, who: Who, cursor: Cursor | None, connection: Connection) -> Listener:
        """A place among those who listen; what is posted from here on will reach it.

        So may a meal of the last moment of which the hub has not heard yet: to leave that out, one would have to read
        for each newcomer what is there.

        Raises StreamsFull and TooManyStreams.
        """
        listener = Listener(who, cursor, self._settings, self.forget)
        while not self._place(listener, ids_above(connection, id_before(LATEST_SECONDS)) if self.is_idle else None):
            pass
        return listener

    @property
    def is_idle(self) -> bool:
        """Whether there is no thread that knows what is new."""
        return self._thread is None

    def _place(self, listener: Listener, present: set[int] | None) -> bool:
        """Take ``listener`` in; False if there is no thread any more and what is there now has not been read.

        It is read before (what is there is not new) and not here: whoever closes a connection wants the lock as well.
        """
        with self._lock:
            self._refuse_too_many(listener.who)
            if self.is_idle:
                if present is None:
                    return False
                self._known = present
                self._thread = threading.Thread(target=self._run, name="mealshare-streams", daemon=True)
                self._thread.start()
            self._listeners.add(listener)
            return True

    def forget(self, listener: Listener) -> None:
        """It listens no more."""
        with self._lock:
            self._listeners.discard(listener)

    def _refuse_too_many(self, who: Who) -> None:
        if len(self._listeners) >= self._settings.listeners:
            raise StreamsFull(self._settings.heartbeat_seconds * 2)
        if who.identity is not None:
            most = self._settings.per_account
            same = sum(one.who.viewer == who.viewer for one in self._listeners)
        else:
            most = self._settings.per_address
            same = sum(one.who.identity is None and one.who.address == who.address for one in self._listeners)
        if same >= most:
            # A client that was cut off comes back before it is noticed that it has gone; that takes about as long.
            raise TooManyStreams(self._settings.heartbeat_seconds * 2)

    def _run(self) -> None:
        rest_until = idle_since = time.monotonic()
        while True:
            self._wake.wait(self._settings.poll_seconds)
            self._wake.clear()
            while not self._stopping and (rest := rest_until - time.monotonic()) > 0:
                time.sleep(min(rest, 0.5))
            began = time.monotonic()
            try:
                told = self._tick()
            except Exception:
                # The database is away for a moment, or its pool is empty; what was not told stays new.
                log.warning(TICK_FAILED, exc_info=True)
                told = True
            now = time.monotonic()
            rest_until = now + (max(SHORTEST_REST, REST_FACTOR * (now - began)) if told else 0.0)
            if self._listeners:
                idle_since = now
            with self._lock:
                if self._stopping or (not self._listeners and now > idle_since + LINGER_SECONDS):
                    self._thread, self._stopping = None, False
                    return

    def _tick(self) -> bool:
        """One look; True if there was something to tell."""
        with self._engine.connect() as connection:
            present = ids_above(connection, floor := id_before(LATEST_SECONDS))
            fresh = sorted(present - self._known)
            # Only now: whoever came while it was read must hear of it.
            listeners = self._signed_in(connection, self._living())
            for start in range(0, len(fresh) if listeners else 0, MOST_MISSED):
                self._tell(connection, fresh[start : start + MOST_MISSED], listeners)
        self._known = {id for id in self._known | present if id > floor}
        return bool(fresh)

    def _living(self) -> list[Listener]:
        now = time.monotonic()
        with self._lock:
            listeners = list(self._listeners)
        for one in listeners:
            if not one.look_after(now):
                self.forget(one)
        return listeners

    def _signed_in(self, connection: Connection, listeners: list[Listener]) -> list[Listener]:
        """Those whose sessions and tokens still count; the others are ended."""
        credentials = {one.who.credential for one in listeners if one.who.credential is not None}
        if not credentials:
            return listeners
        now = clock.now()
        good = still_good(connection, credentials, now, now - self._session_idle)
        kept = []
        for one in listeners:
            if one.who.credential is None or one.who.credential in good:
                kept.append(one)
            else:
                one.end(Reason.SIGNED_OUT)
        return kept

    def _tell(self, connection: Connection, ids: list[int], listeners: list[Listener]) -> None:
        """Tell everybody what of ``ids`` they see: for each feed and viewer it is asked once."""
        groups: dict[tuple[Feed, int], list[Listener]] = {}
        for one in listeners:
            groups.setdefault((one.who.feed, one.who.viewer), []).append(one)
        json: Any = self._json()
        for (feed, viewer), group in groups.items():
            cards: list[Card] = seen_among(connection, feed, ids, viewer)
            for card in cards:
                data = json.one(card, group[0].who.identity)
                for one in group:
                    one.tell(card.id, data)
