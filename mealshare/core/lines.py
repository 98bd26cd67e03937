"""Answers without an end: connections that go on after the thread which began the answer has gone back to its pool.

A thread for each listener would be a handful of listeners, so one thread of the process watches all of them.  It wakes
when a peer goes away or can take more; what there is to say is written by whoever says it.

A WSGI server that can do this puts a function under `HAND_OVER` into the environment.  An application calls it with a
`Listener` while the server iterates over the answer::

    def answer(self):
        yield b"the beginning"
        environ[HAND_OVER](listener)

The server then ends the request without ending the answer, and gives the listener its `Line`.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

#: Key of the WSGI environment.
HAND_OVER = "mealshare.hand_over"
#: In the registry: how many lines there may be at once, which need as many file descriptors.
LASTING = "server_lasting_connections"
LINE_FAILED = "lines.failed"

#: What the kernel keeps of unsent data for one connection; without a bound it would keep megabytes for a slow peer.
KERNEL_BYTES = 65_536
#: How long what is left to send may take when a line ends.
ENDING_SECONDS = 5.0
#: A client that keeps talking on a connection on which it has nothing to say.
MOST_UNHEARD_BYTES = 4096

log = logging.getLogger(__name__)


class Listener(Protocol):
    """What the application has at its end of a line.  Neither method may wait for anything."""

    def farewell(self) -> bytes:
        """What is sent last, asked when the server stops."""

    def opened(self, line: Line) -> None:
        """From now on `line` can be written to."""

    def closed(self) -> None:
        """The connection has gone, or never came to be; called once."""


class Line:
    """A connection on which only the server still speaks.  Its methods may be called by any thread and never wait."""

    def __init__(self, lines: Lines, sock: socket.socket, listener: Listener, *, unsent: bytes, chunked: bool) -> None:
        self.socket = sock
        self.listener = listener
        self._lines = lines
        self._chunked = chunked
        self._unsent = bytearray(unsent)
        self._lock = threading.Lock()
        self._unheard = 0
        self._watched_for_room = False
        self._ended = False
        self._broken = False

    @property
    def backlog(self) -> int:
        """Bytes that the peer has not yet made room for."""
        return len(self._unsent)

    def send(self, data: bytes) -> None:
        """Send ``data`` (not empty), now or as soon as there is room; nothing happens on a line that has ended."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, data: bytes = b"") -> None:
        """Send ``data`` and end the answer, then the connection."""
        if data:
            self.send(data)
        self._write(b"0\r\n\r\n" if self._chunked else b"", last=True)

    def cut(self) -> None:
        """End the connection, whatever is left to send."""
        with self._lock:
            self._ended = self._broken = True
            self._unsent.clear()
        self._lines.look_after(self)

    def _write(self, data: bytes, *, last: bool = False) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = last
            waits_already = bool(self._unsent)
            self._unsent += data
            if not waits_already:
                self._flush()
            look = self._broken or last or bool(self._unsent) != self._watched_for_room
        if look:
            self._lines.look_after(self)

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._broken = self._ended = True
            self._unsent.clear()

    # What follows is called by the thread of `Lines` alone.

    def happened(self, events: int) -> None:
        """The peer said something, went away, or has room again."""
        if events & selectors.EVENT_READ:
            self._hear()
        if events & selectors.EVENT_WRITE:
            with self._lock:
                self._flush()

    def _hear(self) -> None:
        try:
            heard = len(self.socket.recv(MOST_UNHEARD_BYTES))
        except BlockingIOError:
            return
        except OSError:
            heard = 0
        self._unheard += heard
        if not heard or self._unheard > MOST_UNHEARD_BYTES:
            with self._lock:
                self._broken = self._ended = True
                self._unsent.clear()

    def close(self) -> None:
        """Close the socket.

        Under the lock: between the look at a descriptor and the write to it, another connection could get its number.
        """
        with self._lock:
            if not self._broken:
                # Otherwise what the peer has said, and nobody has read, would make the kernel take back the last words.
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
            self._broken = self._ended = True
            self._unsent.clear()
            self.socket.close()

    def state(self) -> tuple[bool, bool]:
        """Whether it is over, and whether to wait for room."""
        with self._lock:
            self._watched_for_room = bool(self._unsent)
            return self._broken or (self._ended and not self._unsent), self._watched_for_room

    @property
    def is_ending(self) -> bool:
        """Whether it ends as soon as the rest has been sent."""
        return self._ended


class Lines:
    """All lines of a server, and the thread that watches them; it begins with the first one."""

    def __init__(self, silent_seconds: int) -> None:
        """A peer that has not confirmed what was sent to it for ``silent_seconds`` is gone, whatever TCP hopes for."""
        self._silent_seconds = silent_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._orders: deque[Callable[[], object]] = deque()
        self._lines: set[Line] = set()
        self._ending: dict[Line, float] = {}
        self._stopping = False
        self._closing = False

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, sock: socket.socket, listener: Listener, *, unsent: bytes, chunked: bool) -> None:
        """Take over a connected socket.  ``unsent`` is what was to be sent before, as it goes over the wire."""
        line = Line(self, sock, listener, unsent=unsent, chunked=chunked)
        _prepare(sock, self._silent_seconds)
        with self._lock:
            closing = self._closing
            if not closing:
                self._start()
        if closing:
            sock.close()
            listener.closed()
            return
        self._order(partial(self._begin, line))

    def end_all(self) -> None:
        """Say farewell on every line, on those that are still to come as well, and end it."""
        self._stopping = True
        self._order(self._say_farewell)

    def close(self) -> None:
        """Cut what is left and end the thread."""
        with self._lock:
            self._closing = True
            thread = self._thread
        if thread is not None:
            self._order(lambda: None)
            thread.join(ENDING_SECONDS)

    def look_after(self, line: Line) -> None:
        """Something changed that the watching thread must know: there is a rest to send, or the line is over."""
        self._order(partial(self._settle, line))

    def _start(self) -> None:
        if self._thread is None:
            self._alarm, self._bell = socket.socketpair()
            for end in (self._alarm, self._bell):
                end.setblocking(False)
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._alarm, selectors.EVENT_READ, None)
            self._thread = threading.Thread(target=self._run, name="mealshare-lines", daemon=True)
            self._thread.start()

    def _order(self, order: Callable[[], object]) -> None:
        """Let the watching thread do something; whoever is that thread itself has it done after the present turn."""
        self._orders.append(order)
        if self._thread is None or threading.current_thread() is self._thread:
            return
        # Full: it will wake anyway.  Closed: it has gone.
        with contextlib.suppress(OSError):
            self._bell.send(b"x")

    def _run(self) -> None:
        while not self._closing:
            for key, events in self._selector.select(0.5 if self._ending else None):
                self._guarded(partial(self._happened, key.data, events))
            while self._orders:
                self._guarded(self._orders.popleft())
            now = time.monotonic()
            for line in [line for line, deadline in self._ending.items() if deadline < now]:
                self._remove(line)
        for line in list(self._lines):
            self._remove(line)
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    def _say_farewell(self) -> None:
        for line in list(self._lines):
            line.end(line.listener.farewell())

    def _happened(self, line: Line | None, events: int) -> None:
        if line is None:
            self._alarm.recv(4096)
        else:
            line.happened(events)
            self._settle(line)

    def _begin(self, line: Line) -> None:
        self._lines.add(line)
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        line.listener.opened(line)
        if self._stopping:
            line.end(line.listener.farewell())
        self._settle(line)

    def _settle(self, line: Line) -> None:
        if line not in self._lines:
            return
        over, waits = line.state()
        if over:
            self._remove(line)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
        if self._selector.get_key(line.socket).events != events:
            self._selector.modify(line.socket, events, line)
        if line.is_ending:
            self._ending.setdefault(line, time.monotonic() + ENDING_SECONDS)

    def _remove(self, line: Line) -> None:
        self._lines.discard(line)
        self._ending.pop(line, None)
        self._selector.unregister(line.socket)
        line.close()
        self._guarded(line.listener.closed)

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:
            # One listener's fault must not be the end of all.
            log.exception(LINE_FAILED)


def _prepare(sock: socket.socket, silent_seconds: int) -> None:
    """Bound what the kernel keeps, and let it notice a peer that is gone without having said so."""
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    if sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        # RFC 5482; of a peer whose window stays closed the same is true.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silent_seconds * 1000)
