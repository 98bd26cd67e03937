"""Logs: one line a request, an id that ties the lines of a request together, as text or as JSON.

A line is an event, which is a constant, and fields, which are data::

    log.info("mail.sent", extra={"message_id": message_id})

Fields hold identifiers and numbers, never objects and never secrets.  Both formatters are named in the ini file
(``class = mealshare.core.log.TextFormatter``), and neither lets a value break a line: a line break that came in with a
request would otherwise let a stranger write log lines of his own.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import orjson
from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import INGRESS
from pyramid_retry import is_error_retryable

from mealshare.core import clock
from mealshare.core.settings import setting, settings_of

REQUEST = "http.request"
REQUEST_FAILED = "http.request_failed"
REQUEST_RETRIED = "http.request_retried"

#: Keys of the WSGI environment: the id of the request, and the id of the account that made it (set by authentication).
REQUEST_ID = "mealshare.request_id"
USER = "mealshare.user"

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
#: What a terminal or a log reader may take for the end of a line, or obey: C0, DEL, C1, line and paragraph separator.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: A path segment this long is a reset link or another token, not a name; the shortest of ours has 43 characters.
_SECRET_SEGMENT = re.compile(r"(?<=/)[A-Za-z0-9_-]{40,}(?=/|$)", re.ASCII)
_PLAIN = re.compile(r"[^\s\"=]+")
_LONGEST_PATH = 500
_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message", "asctime", "taskName", "request_id",
}  # fmt: skip

_current_request: ContextVar[str | None] = ContextVar("mealshare_request_id", default=None)


@dataclass(frozen=True)
class LogSettings:
    """How the log looks; where it goes is the business of the ini file's ``[handlers]``."""

    format: str = setting(
        "text",
        "text keeps the formatters of the ini file (a plain one is made safe); json turns every handler to JSON lines.",
        choices=("text", "json"),
    )
    requests: bool = setting(True, "Write a line for every request; failures are written in any case.")


def request_id() -> str | None:
    """The id of the request (or job) that this thread is serving."""
    return _current_request.get()


@contextmanager
def request_context(id: str) -> Iterator[None]:
    """Give the lines logged inside the block the request id ``id``; a job passes that of the request it serves."""
    token = _current_request.set(id)
    try:
        yield
    finally:
        _current_request.reset(token)


def escape(text: str) -> str:
    r"""``text`` with each control character and line separator written as ``\n``, ``\r``, ``\x1b``, ``\u2028`` ..."""
    if text.isprintable():
        # None of them is.  A line has some twenty texts, and with this it is formatted in 0.6 of the time.
        return text
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _request_id_of(record: logging.LogRecord) -> str | None:
    return getattr(record, "request_id", None) or _current_request.get()


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


class TextFormatter(logging.Formatter):
    """One line for people: the format of the ini file, then ``name=value`` for each field.

    The lines of a traceback begin with ``  | ``, so none can pass for an entry of its own.  Times are UTC.
    """

    default_format = "%(asctime)s %(levelname)-7s %(request_id)s %(name)s %(message)s"
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, style: Any = "%", **more: Any) -> None:
        super().__init__(fmt or self.default_format, datefmt, style if fmt else "%", **more)

    def format(self, record: logging.LogRecord) -> str:
        """The entry: a single line, unless a traceback follows it."""
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        record.request_id = _request_id_of(record) or "-"
        line = escape(self.formatMessage(record))
        for name, value in _fields(record).items():
            line += f" {escape(name)}={_text_value(value)}"
        trace = _trace(self, record)
        if trace:
            line += "".join(f"\n  | {escape(part)}" for part in trace.splitlines())
        return line


def _text_value(value: object) -> str:
    text = escape("-" if value is None else str(value))
    return text if _PLAIN.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, request_id, the fields, and the traceback as one string.

    A field named like one of the fixed members is written as ``field.<name>``.  Times are UTC (RFC 3339).
    """

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, style: Any = "%", **more: Any) -> None:
        # The ini file passes a format to every formatter; JSON has no use for it.
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The entry, a single line whatever it holds."""
        moment = clock.from_milliseconds(int(record.created * 1000))
        entry: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        request = _request_id_of(record)
        if request is not None and request != "-":
            entry["request_id"] = request
        for name, value in _fields(record).items():
            entry[f"field.{name}" if name in entry or name == "traceback" else name] = value
        trace = _trace(self, record)
        if trace:
            entry["traceback"] = trace
        return _dumps(entry)


def _dumps(entry: dict[str, Any]) -> str:
    try:
        text = orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # A number above 64 bits, or half of a surrogate pair: an entry must never be lost over a value.
        safe = {ascii(name)[1:-1]: value if isinstance(value, float) else ascii(value) for name, value in entry.items()}
        text = orjson.dumps(safe).decode()
    # JSON allows these inside a string as they are, but some readers end a line at them.
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def request_log_tween_factory(
    handler: Callable[[Request], Response], registry: Registry
) -> Callable[[Request], Response]:
    """The outermost tween: gives the request an id, and writes the one line about it.

    The id is the ``X-Request-Id`` of the request if that is a plain word, else a new one; it stands in
    ``request.environ["mealshare.request_id"]``, in every log line of the request and in the answer's ``X-Request-Id``.
    An attempt that will be tried again is no request of its own: only the last one is written.

    An exception that nobody turned into an answer ends here, with a bare 500, so that it is logged once and tells the
    client nothing.  An unexpected exception that an exception view did answer is logged here too, so views need not.
    """
    write = settings_of(registry, LogSettings).requests

    def tween(request: Request) -> Response:
        environ = request.environ
        name = environ.get(REQUEST_ID)
        if name is None:
            # On a second attempt the environment still holds the id of the first.
            name = environ[REQUEST_ID] = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        token = _current_request.set(name)
        started = time.perf_counter()
        try:
            response, error = _respond(handler, request)
            # Nobody else sets it.
            response.headerlist.append(("X-Request-Id", name))
            if error is not None and is_error_retryable(request, error):
                log.debug(REQUEST_RETRIED, extra={"error": type(error).__name__})
            elif error is not None and response.status_int >= 500 and not _is_wanted(error):
                log.error(REQUEST_FAILED, exc_info=error, extra=_about(environ, response, started))
            elif write or response.status[0] == "5":
                level = logging.DEBUG if environ.get("PATH_INFO", "").startswith("/health/") else logging.INFO
                if log.isEnabledFor(level):
                    log.log(level, REQUEST, extra=_about(environ, response, started))
            return response
        finally:
            _current_request.reset(token)

    return tween


def _respond(handler: Callable[[Request], Response], request: Request) -> tuple[Response, BaseException | None]:
    try:
        response = handler(request)
    except Exception as error:
        if is_error_retryable(request, error):
            log.debug(REQUEST_RETRIED, extra={"error": type(error).__name__})
            raise
        if isinstance(error, Response):
            return error, error
        return _bare_error(), error
    return response, getattr(request, "exception", None)


def _is_wanted(error: BaseException) -> bool:
    """Whether an answer of 500 or more was meant: made as one, or an error that says so of itself."""
    return isinstance(error, Response) or bool(getattr(error, "wanted", False))


def _bare_error() -> Response:
    """The last resort; the headers say by themselves what the header tween would have said."""
    return Response(
        "Internal Server Error\n",
        status=500,
        content_type="text/plain",
        charset="utf-8",
        headerlist=[
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ],
    )


def _request_id(given: str | None) -> str:
    return given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _about(environ: dict[str, Any], response: Response, started: float) -> dict[str, Any]:
    return {
        "method": environ.get("REQUEST_METHOD", "")[:20],
        "path": shown_path(environ),
        "status": response.status_int,
        "ms": round((time.perf_counter() - started) * 1000, 1),
        "remote": environ.get("REMOTE_ADDR"),
        "user": environ.get(USER),
        "bytes": response.content_length,
    }


def shown_path(environ: dict[str, Any]) -> str:
    """The path as the log shows it: readable, without the query (tokens, search words) and without secrets."""
    raw: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = raw.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    return _SECRET_SEGMENT.sub("***", path)[:_LONGEST_PATH]


def _apply_format(format: str) -> None:
    """Give every handler that the ini file set up a formatter that keeps an entry together."""
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in [logging.root, *loggers]:
        for handler in logger.handlers:
            old = handler.formatter
            if format == "json":
                handler.setFormatter(JsonFormatter())
            elif old is None:
                handler.setFormatter(TextFormatter())
            elif type(old) is logging.Formatter:
                handler.setFormatter(TextFormatter(old._fmt, old.datefmt))


def includeme(config: Configurator) -> None:
    """Register the settings, see to the formatters, and put the tween outermost."""
    settings = config.declare_settings(LogSettings, prefix="log")
    _apply_format(settings.format)
    config.add_tween("mealshare.core.log.request_log_tween_factory", under=INGRESS)
