"""The WSGI server: waitress that drains.  What it does to a single request stands in ``core.http_server``.

``pserve`` finds ``serve`` through the entry point ``paste.server_runner``::

    [server:main]
    use = egg:mealshare#server
    listen = 127.0.0.1:6543

Each key may come from the environment as ``MEALSHARE_SERVER__<KEY>``.

SIGTERM and SIGINT stop the listening sockets, let every request finish that has begun or waits, and close the
connections; then the process ends with status 0.  A second signal ends it at once.  Answers without an end
(`mealshare.core.lines`) are not waited for: they end when the draining begins.
"""

from __future__ import annotations

import ctypes
import logging
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, cast

from pyramid.config import Configurator
from pyramid.registry import Registry
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, create_server

from mealshare.core.db import DatabaseSettings
from mealshare.core.doctor import Finding, Level
from mealshare.core.http_server import ANSWER_HOOKS, Channel, Dispatcher
from mealshare.core.lines import LASTING, Lines
from mealshare.core.serving import find_registry, start_all, stop_all
from mealshare.core.settings import SettingsError, overlay_environment, parse_settings, setting, settings_of

LISTENING = "server.listening"
DRAINING = "server.draining"
DRAINED = "server.drained"
CUT = "server.requests_cut"
FEW_DESCRIPTORS = "server.few_file_descriptors"

#: While it drains, a connection may stay idle this long: a request may be on its way on it.
KEEP_ALIVE_GRACE_SECONDS = 1.0
#: How long connections that are under way when it begins to drain may take to arrive: a round trip or two.
LAST_ARRIVALS_SECONDS = 0.3
#: Connections that are taken before those that are there are looked at again.
MOST_ACCEPTED = 64
#: Linux, asm-generic/socket.h; Python has no name for it.
SO_ATTACH_FILTER = 26
#: Descriptors for everything that is not a connection: databases, logs, photos.
SPARE_DESCRIPTORS = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """How the server listens, and how much it takes on."""

    listen: str = setting("127.0.0.1:6543", "Addresses to listen on, separated by spaces: host:port or [IPv6]:port.")
    threads: int = setting(8, "Requests that are served at once.", minimum=1, maximum=512)
    backlog_requests: int = setting(200, "Requests that may wait for a thread; more are answered with 503.", minimum=0)
    drain_seconds: int = setting(30, "Seconds that running requests have to finish after SIGTERM.", minimum=0)
    connection_limit: int = setting(12_000, "Open connections; more wait in the kernel.", minimum=1)
    channel_timeout: int = setting(20, "Seconds after which an idle connection is closed.", minimum=1)
    max_request_header_size: int = setting(16_384, "Bytes of the headers of a request.", minimum=1024)
    max_request_body_size: int = setting(
        52_428_800, "Bytes of the body of a request: four photos of 12 MB and a form.", minimum=1024
    )
    trusted_proxy: str = setting("", "Address of the reverse proxy in front (* for any); empty: there is none.")
    trusted_proxy_count: int = setting(1, "How many proxies stand in a row.", minimum=1)
    trusted_proxy_headers: tuple[str, ...] = setting(
        ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"), "What that proxy, and nobody else, may tell."
    )
    url_scheme: str = setting("http", "Scheme of the site's addresses if no proxy tells it.", choices=("http", "https"))


class Server:
    """The sockets, the threads and the loop between them."""

    def __init__(self, app: Any, settings: ServerSettings, registry: MutableMapping[str, Any] | None = None) -> None:
        """Bind the addresses.  SettingsError for settings that waitress refuses, OSError for an address in use."""
        self._settings = settings
        self._registry = registry
        self._map: dict[int, Any] = {}
        self._dispatcher = Dispatcher(settings.backlog_requests)
        self._lines = Lines(settings.channel_timeout)
        options = _options(settings, (registry or {}).get(LASTING, 0))
        try:
            Adjustments(**options)
        except ValueError as error:
            raise SettingsError(f"a server setting is wrong: {error}") from error
        try:
            create_server(app, map=self._map, _dispatcher=self._dispatcher, **options)
        except BaseException:
            self.close()
            raise
        self._listeners = [item for item in self._map.values() if isinstance(item, BaseWSGIServer)]
        for listener in self._listeners:
            listener.channel_class = Channel
            listener.handle_accept = partial(_accept_some, listener)
            listener.lines = self._lines
            listener.answer_hooks = (registry or {}).get(ANSWER_HOOKS, ())
        self._deadline: float | None = None

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        return [
            f"http://[{server.effective_host}]:{server.effective_port}"
            if ":" in server.effective_host
            else f"http://{server.effective_host}:{server.effective_port}"
            for server in self._listeners
        ]

    def stop(self) -> None:
        """Begin to drain; called again: end now.  Safe in a signal handler and in another thread."""
        self._deadline = time.monotonic() + (self._settings.drain_seconds if self._deadline is None else 0)
        self._listeners[0].pull_trigger()

    def close(self) -> None:
        """End the threads and close every socket."""
        self._dispatcher.shutdown()
        self._lines.close()
        wasyncore.close_all(self._map, ignore_all=True)

    def run(self) -> None:
        """Serve until ``stop``, then drain."""
        self._dispatcher.set_thread_count(self._settings.threads)
        while self._deadline is None:
            self._turn(1.0)
        self._drain()

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _drain(self) -> None:
        began = time.monotonic()
        log.info(
            DRAINING,
            extra={
                "requests": self._dispatcher.busy(),
                "connections": len(self._channels()),
                "lines": len(self._lines),
            },
        )
        if self._registry is not None:
            # /health/ready says no from now on, so that a balancer looks elsewhere.
            self._registry["draining"] = True
        self._dispatcher.draining = True
        self._lines.end_all()
        for listener in self._listeners:
            _refuse_new(listener.socket)
        while time.monotonic() < began + LAST_ARRIVALS_SECONDS:
            self._turn(0.05)
        for listener in self._listeners:
            _stop_listening(listener)
        grace_ends = time.time() + KEEP_ALIVE_GRACE_SECONDS
        while (self._channels() or self._dispatcher.busy()) and time.monotonic() < (self._deadline or 0):
            self._close_idle(grace_ends)
            self._turn(0.05)
        cut = self._dispatcher.busy()
        if cut:
            log.error(CUT, extra={"requests": cut})
        self._dispatcher.shutdown(timeout=0.2 if cut else 5)
        self._lines.close()
        wasyncore.close_all(self._map, ignore_all=True)
        log.info(DRAINED, extra={"seconds": round(time.monotonic() - began, 1)})

    def _channels(self) -> list[Channel]:
        return [channel for listener in self._listeners for channel in list(listener.active_channels.values())]

    def _close_idle(self, grace_ends: float) -> None:
        now = time.time()
        for channel in self._channels():
            quiet = now - channel.last_activity
            idle = channel.is_idle() and now >= grace_ends and quiet >= KEEP_ALIVE_GRACE_SECONDS
            stuck = quiet >= self._settings.channel_timeout and not channel.requests
            if idle or stuck:
                channel.will_close = True


#: Classic BPF over a TCP segment: load the flags (byte 13), keep SYN and ACK, and drop it if that is SYN alone,
#: which begins a connection; pass everything else.  Each step: operation, jump if true, jump if false, operand.
_DROP_NEW = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF))


class _Filter(ctypes.Structure):
    """``struct sock_fprog`` of Linux: how many instructions, and where."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _refuse_new(listening: socket.socket) -> None:
    """Let the kernel ignore further attempts to connect, while those that are under way still succeed.

    To close a listening socket resets what stands in its queue, and the queue of a busy server is never empty.  So a
    packet filter (socket(7), SO_ATTACH_FILTER) drops every packet that begins a connection; the client's kernel repeats
    it after a second, finds the socket closed and says "refused", which is no request cut in half.  Where there is no
    such filter, a queue of length zero leaves a window of microseconds.
    """
    program = b"".join(struct.pack("=HBBI", *step) for step in _DROP_NEW)
    code = ctypes.create_string_buffer(program, len(program))
    attach = _Filter(len(program) // 8, ctypes.addressof(code))
    try:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(attach))
    except OSError:
        listening.listen(0)


def _accept_some(listener: Any) -> None:
    """Take what stands in the queue of the listening socket, up to a number.

    waitress takes one at each turn of its loop, and a turn is long while all threads are busy: then people would wait
    for seconds in the kernel, where nobody can tell them to come again.
    """
    accept = type(listener).handle_accept
    for _ in range(MOST_ACCEPTED):
        before = len(listener.active_channels)
        accept(listener)
        if len(listener.active_channels) == before:
            return


def _stop_listening(listener: Any) -> None:
    """Take what still stands in the queue, then close the socket; the object stays in the map for its trigger."""
    before = -1
    while len(listener.active_channels) != before:
        before = len(listener.active_channels)
        listener.handle_accept()
    listener.del_channel()
    listener.accepting = False
    listener.socket.close()


def _options(settings: ServerSettings, lasting: int) -> dict[str, Any]:
    """The settings as waitress takes them, with room for ``lasting`` connections beside those that it counts."""
    options: dict[str, Any] = {
        "listen": settings.listen,
        "threads": settings.threads,
        "connection_limit": _with_descriptors(settings.connection_limit, SPARE_DESCRIPTORS + lasting),
        "channel_timeout": settings.channel_timeout,
        "cleanup_interval": max(1, settings.channel_timeout // 4),
        "max_request_header_size": settings.max_request_header_size,
        "max_request_body_size": settings.max_request_body_size,
        "url_scheme": settings.url_scheme,
        "asyncore_use_poll": True,
        "clear_untrusted_proxy_headers": True,
        # No Server header: a version helps only those who look for holes.
        "ident": None,
    }
    if settings.trusted_proxy:
        options |= {
            "trusted_proxy": settings.trusted_proxy,
            "trusted_proxy_count": settings.trusted_proxy_count,
            "trusted_proxy_headers": " ".join(settings.trusted_proxy_headers),
        }
    return options


def _with_descriptors(connections: int, spare: int) -> int:
    """Raise the process's limit of file descriptors for ``connections``; gives how many of them it then allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + spare
    if hard != resource.RLIM_INFINITY and wanted > hard:
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY or soft >= connections + spare:
        return connections
    allowed = max(soft - spare, soft // 2)
    log.warning(FEW_DESCRIPTORS, extra={"connection_limit": allowed, "wanted": connections})
    return allowed


def read_settings(given: Mapping[str, Any], app_settings: Mapping[str, Any] | None = None) -> ServerSettings:
    """The settings: default < ``server.*`` of the application < ``given`` (the ini section) < environment.

    SettingsError for one that nobody declared or that does not parse.
    """
    raw: dict[str, Any] = {name: value for name, value in (app_settings or {}).items() if name.startswith("server.")}
    raw |= {f"server.{name}": value for name, value in given.items()}
    environment: dict[str, Any] = {}
    overlay_environment(environment)
    raw |= {name: value for name, value in environment.items() if name.startswith("server.")}
    unknown = sorted(name for name in raw if name.removeprefix("server.") not in ServerSettings.__dataclass_fields__)
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(unknown)}")
    return parse_settings(ServerSettings, "server", raw)


def serve(app: Any, global_conf: Mapping[str, Any] | None = None, **given: Any) -> None:
    """Serve ``app`` until SIGTERM or SIGINT; the ``paste.server_runner`` entry point.

    Before the first request, each callable in ``app.registry["on_serve"]`` is called; what it gives back, if anything,
    is called after the last one, in reverse order.
    """
    registry = find_registry(app)
    server = Server(app, read_settings(given, getattr(registry, "settings", None)), registry)
    try:
        stops = start_all(registry)
    except BaseException:
        server.close()
        raise
    previous = _on_signals(server)
    try:
        for address in server.addresses:
            log.info(LISTENING, extra={"address": address})
            sys.stdout.write(f"Listening on {address}\n")
        sys.stdout.flush()
        server.run()
    finally:
        stop_all(stops)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _on_signals(server: Server) -> dict[signal.Signals, Any]:
    """Let SIGTERM and SIGINT stop ``server``, if this is the main thread; gives the handlers that were there."""
    if threading.current_thread() is not threading.main_thread():
        return {}

    def stop(number: int, frame: FrameType | None) -> None:
        server.stop()

    return {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}


def includeme(config: Configurator) -> None:
    """Declare the settings, so that the application knows them and the documentation lists them."""
    config.declare_settings(ServerSettings, prefix="server")
    config.include("mealshare.core.doctor")
    config.add_check("server", _check, alone=True)


def _check(registry: MutableMapping[str, Any]) -> Iterator[Finding]:
    """For `mealshare doctor`: settings that contradict those of the site.

    ``registry["server_given"]`` is the section of the ini file; without one the site is served by something else.
    """
    given = registry.get("server_given")
    if not given:
        return
    settings = read_settings(given, getattr(registry, "settings", None))
    https = str(registry["base_url"]).startswith("https:")
    if https and not settings.trusted_proxy and settings.url_scheme != "https":
        yield Finding(
            "site.base_url is https, but the server believes no proxy (trusted_proxy): all clients seem to be one"
        )
    pool_size = settings_of(cast(Registry, registry), DatabaseSettings).pool_size
    if registry["engine"].dialect.name == "postgresql" and pool_size < settings.threads:
        yield Finding(
            f"db.pool_size ({pool_size}) is less than the server's threads ({settings.threads}): some wait for others",
            Level.WARNING,
        )
