"""What waitress lacks: a queue with an end, answers that say the connection closes, and a stricter reading of requests.

waitress queues without limit, so at three times the load that it can carry everybody waits ten seconds.  Here a request
that would be one more than the backlog waiting for a thread is answered with 503 at once, by a thread that is kept for
that, without running the application.  The same threads run ``/health/live``, so that it never waits.

And an answer may go on without its thread: see `mealshare.core.lines`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, Task, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import Error

from mealshare.core.lines import HAND_OVER, Lines, Listener

OVERLOADED = "server.overloaded"

#: Answered at once whatever waits, so that a busy server is not taken for a dead one and killed.
EXPRESS_PATHS = frozenset({"/health/live"})
EXPRESS_THREADS = 2
RETRY_AFTER_SECONDS = 5
_SECONDS_BETWEEN_WARNINGS = 10.0

#: Answers that the server makes itself never pass the application's header tween.
ANSWER_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "geolocation=(), camera=(), microphone=(), browsing-topics=()"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)

#: Further headers for an answer that the server makes itself, by the request's path and its Origin.  What stands in the
#: registry under ANSWER_HOOKS is asked: the application knows about HTTPS and about CORS.
AnswerHook = Callable[[str, str | None], list[tuple[str, str]]]
ANSWER_HOOKS = "server_answer_hooks"

log = logging.getLogger(__name__)


class _Unavailable(Error):
    """RFC 9110, 15.6.4: too many requests wait; made by the server, so that the application is spared."""

    code = 503
    reason = "Service Unavailable"

    def __init__(self) -> None:
        super().__init__("Too many requests are waiting. Please try again in a few seconds.")


class _Parser(HTTPRequestParser):
    """Refuses what two servers in a row may understand differently, which is how requests are smuggled."""

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress, and then RFC 9112, 3.2 (exactly one Host) and 6.1 (one way to tell the length)."""
        super().parse_header(header_plus)
        host: str | None = self.headers.get("HOST")
        # waitress joins repeated headers with a comma, which no host name holds.
        if (host is None and self.version == "1.1") or (host is not None and ("," in host or not host)):
            raise ParsingError("A request names one host")
        if (self.chunked and "CONTENT_LENGTH" in self.headers) or "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("A request tells its length in one way")
        if not self.chunked and self.content_length == 0:
            # Nothing will come that could be waited for: waitress would wait for ever.
            self.expect_continue = False


class _ClosingTask(Task):
    """Tells the client whether the connection ends with this answer."""

    close_on_finish: bool

    def build_response_header(self) -> bytes:
        """The header.

        While the server drains it says that the connection closes; with more requests waiting, only the last answer does.
        204 and 304 end with their header (RFC 9112, 6.3), so the connection goes on: waitress would close it for want of
        a length, and each preflight would cost the browser a connection.
        """
        if self.channel.server.task_dispatcher.draining and len(self.channel.requests) <= 1:
            self.set_close_on_finish()
        asked = self.request.headers.get("CONNECTION", "").lower()
        stays = not self.has_body and not self.close_on_finish and self.version == "1.1" and asked != "close"
        # waitress says nothing of closing where that is settled already.
        self.close_on_finish = self.close_on_finish or stays
        header: bytes = super().build_response_header()
        if stays:
            self.close_on_finish = False
        return header

    def set_close_on_finish(self) -> None:
        """Close the connection after this answer."""
        super().set_close_on_finish()


class _Task(_ClosingTask, WSGITask):
    _listener: Listener | None = None

    def get_environment(self) -> dict[str, Any]:
        """The environment, with the way to go on without this thread."""
        environ: dict[str, Any] = super().get_environment()
        if self.request.body_rcv is None:
            # There is none.  WebOb would find that out for each attempt by reading.
            environ.setdefault("CONTENT_LENGTH", "0")
        if getattr(self.channel.server, "lines", None) is not None:
            environ[HAND_OVER] = self._hand_over
        return environ

    def _hand_over(self, listener: Listener) -> None:
        self._listener = listener

    def finish(self) -> None:
        """End the answer, unless it goes on; then the channel gives its connection away as soon as it is done."""
        if self._listener is None:
            super().finish()
            return
        self.close_on_finish = False
        self.channel.go_on(self._listener, chunked=self.chunked_response)


class _ErrorTask(_ClosingTask, ErrorTask):
    def execute(self) -> None:
        """The answer, with the headers that every answer has; to clients of the API as a problem (RFC 9457)."""
        request, error = self.request, self.request.error
        # A request that was refused early may not have got as far as having either.
        path, origin = getattr(request, "path", ""), getattr(request, "headers", {}).get("ORIGIN")
        if path.startswith("/api/"):
            kind = "application/problem+json"
            body = orjson.dumps(
                {"type": "about:blank", "title": error.reason, "status": error.code, "detail": error.body}
            )
        else:
            kind, body = "text/plain; charset=utf-8", f"{error.reason}\n\n{error.body}\n".encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [*ANSWER_HEADERS, ("Content-Type", kind)]
        if error.code == 503:
            self.response_headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        for hook in getattr(self.channel.server, "answer_hooks", ()):
            self.response_headers.extend(hook(path, origin))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):
    parser_class = _Parser
    task_class = _Task
    error_task_class = _ErrorTask
    will_close: bool = False
    _listener: Listener | None = None
    _chunked = False
    _given_away = False

    def is_idle(self) -> bool:
        """Whether nothing has begun on this connection: no request read, running or waiting, no answer unsent."""
        partly = self.request is not None and (self.request.headers_finished or self.request.header_plus)
        return not (self.requests or partly or self.total_outbufs_len)

    def go_on(self, listener: Listener, *, chunked: bool) -> None:
        """The answer to the request that runs is not over; the connection goes to ``listener`` with its next word."""
        with self.requests_lock:
            # The answers to requests that were sent along would have to wait for the end of this one.
            for request in self.requests[1:]:
                request.close()
            del self.requests[1:]
            self.request = None
            self._listener, self._chunked = listener, chunked

    def received(self, data: bytes) -> bool:
        """Read requests, until the connection is another's."""
        return self._listener is None and bool(super().received(data))

    def service(self) -> None:
        """Answer a request; where the answer goes on, the main loop gives the connection away: nobody else may."""
        super().service()
        if self._listener is not None:
            self.server.trigger.pull_trigger(self._give_away)

    def handle_write(self) -> None:
        """Send what there is to send; of a connection that is another's, only forget this end, in a turn of its own."""
        if self._given_away:
            self.handle_close()
        else:
            super().handle_write()

    def _give_away(self) -> None:
        """Leave the main loop, which must not look at hundreds of connections at each turn, and take nothing along."""
        listener = self._listener
        if listener is None:
            return
        if not self.connected or self.will_close:
            listener.closed()
            return
        self.will_close = True
        try:
            # A descriptor of its own: whoever has it may close it at once, and the next connection would get the number of
            # this one, and with it what the present turn of the main loop has still to say about the old one.
            connection = self.socket.dup()
        except OSError:
            listener.closed()
            return
        unsent = b"".join(part.get() for part in self.outbufs)
        self._given_away = True
        lines: Lines = self.server.lines
        lines.add(connection, listener, unsent=unsent, chunked=self._chunked)


class Dispatcher(ThreadedTaskDispatcher):
    """waitress's threads behind a queue with an end, and a few threads for what must not wait."""

    draining = False

    def __init__(self, backlog: int) -> None:
        super().__init__()
        self._backlog = backlog
        self._express: deque[Channel] = deque()
        self._express_cv = threading.Condition(self.lock)
        self._express_busy = 0
        self._express_ends = False
        self._shed = 0
        self._warned = -_SECONDS_BETWEEN_WARNINGS
        for number in range(EXPRESS_THREADS):
            threading.Thread(target=self._serve_express, name=f"express-{number}", daemon=True).start()

    def add_task(self, channel: Channel) -> None:
        """Queue the next request of ``channel``; called with the channel's lock held, so it may not answer itself."""
        request = channel.requests[0]
        with self.lock:
            express = request.error is not None or request.path in EXPRESS_PATHS
            if not express and len(self.queue) - self._idle() >= self._backlog:
                request.error = _Unavailable()
                self._shed += 1
                express = True
            if express:
                self._express.append(channel)
                self._express_cv.notify()
            else:
                self.queue.append(channel)
                self.queue_cv.notify()
        self._warn()

    def busy(self) -> int:
        """Requests that run or wait."""
        with self.lock:
            busy: int = len(self.queue) + self.active_count + len(self._express) + self._express_busy
            return busy

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads, waiting up to ``timeout`` seconds for those that run."""
        with self.lock:
            self._express_ends = True
            self._express_cv.notify_all()
        return bool(super().shutdown(cancel_pending, timeout))

    def _idle(self) -> int:
        idle: int = len(self.threads) - self.stop_count - self.active_count
        return idle

    def _serve_express(self) -> None:
        while True:
            with self.lock:
                while not self._express:
                    if self._express_ends:
                        return
                    self._express_cv.wait()
                channel = self._express.popleft()
                self._express_busy += 1
            try:
                channel.service()
            except Exception:
                self.logger.exception("Exception when servicing %r", channel)
            finally:
                with self.lock:
                    self._express_busy -= 1

    def _warn(self) -> None:
        """One line for many refusals: under overload, a line for each would be load too."""
        now = time.monotonic()
        with self.lock:
            if not self._shed or now - self._warned < _SECONDS_BETWEEN_WARNINGS:
                return
            shed, self._shed, self._warned = self._shed, 0, now
        log.warning(OVERLOADED, extra={"refused": shed, "waiting": self._backlog})
