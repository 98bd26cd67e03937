"""Answers without an end, as a client sees them: a server whose application hands its connections over."""

from __future__ import annotations

import ctypes
import http.client
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mealshare.core.lines import HAND_OVER, Line
from mealshare.server import SO_ATTACH_FILTER, Server, ServerSettings


class Listening:
    """The application's end of a line."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.closings = 0

    def farewell(self) -> bytes:
        return b"farewell"

    def opened(self, line: Line) -> None:
        self.line = line
        line.send(b"hello")

    def closed(self) -> None:
        self.closings += 1

    def say(self, words: bytes) -> None:
        wait_until(lambda: self.line is not None)
        assert self.line is not None
        self.line.send(words)


class Application:
    """``/listen`` begins an answer without an end, everything else is answered with ``done``."""

    def __init__(self) -> None:
        self.listeners: list[Listening] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self.listen(environ) if environ["PATH_INFO"] == "/listen" else [b"done"]

    def listen(self, environ: dict[str, Any]) -> Iterator[bytes]:
        yield b"begins;"
        self.listeners.append(Listening())
        environ[HAND_OVER](self.listeners[-1])


class Running:
    """A server with one thread in a thread of this process."""

    def __init__(self) -> None:
        self.application = Application()
        settings = ServerSettings(listen="127.0.0.1:0", threads=1, channel_timeout=1, drain_seconds=120)
        self.server = Server(self.application, settings)
        self.port = int(self.server.addresses[0].rpartition(":")[2])
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def socket(self, data: bytes = b"GET /listen HTTP/1.1\r\nHost: a\r\n\r\n") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(data)
        return connection

    def listen(self) -> tuple[http.client.HTTPResponse, Listening]:
        known = len(self.application.listeners)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/listen")
        answer = connection.getresponse()
        wait_until(lambda: len(self.application.listeners) > known)
        return answer, self.application.listeners[-1]

    def ask(self) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.stop()
            self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        chunk = connection.recv(65536)
        assert chunk, f"the connection ended after {received!r}"
        received += chunk
    return received


def test_many_listen_while_the_only_thread_serves_others(running: Running) -> None:
    open_ones = [running.listen() for _ in range(50)]
    assert running.ask() == b"done"
    for number, (_, listener) in enumerate(open_ones):
        listener.say(b" %d" % number)
    assert running.ask() == b"done"
    for number, (answer, listener) in enumerate(open_ones):
        assert answer.headers["Transfer-Encoding"] == "chunked"
        expected = b"begins;hello %d" % number
        assert answer.read(len(expected)) == expected
        assert listener.line is not None
        listener.line.end(b"!")
        # It ends as HTTP says it must, so a client can tell it from one that was cut.
        assert answer.read() == b"!"
    wait_until(lambda: all(listener.closings == 1 for _, listener in open_ones))
    open_ones[0][1].say(b"nobody hears it, and nothing fails")
    assert len(running.server._lines) == 0


def test_an_old_client_and_one_that_asks_for_more(running: Running) -> None:
    with running.socket(b"GET /listen HTTP/1.0\r\n\r\n") as old:
        assert b"chunked" not in read_until(old, b"begins;hello")
    with running.socket(b"GET /listen HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") as eager:
        assert read_until(eager, b"hello\r\n").count(b"HTTP/1.1 200") == 1
        running.application.listeners[-1].say(b"word")
        assert read_until(eager, b"word\r\n") == b"4\r\nword\r\n"
        # Whoever goes on talking has not understood.
        eager.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        wait_until(lambda: running.application.listeners[-1].closings == 1)
    wait_until(lambda: len(running.server._lines) == 0)


def test_silence_does_not_end_it_but_the_client_does(running: Running) -> None:
    answer, listener = running.listen()
    # Longer than an idle connection may stay otherwise.
    time.sleep(2.5)
    assert listener.closings == 0
    listener.say(b" still here")
    assert answer.read(23) == b"begins;hello still here"
    answer.close()
    wait_until(lambda: listener.closings == 1)


def test_who_does_not_read_holds_up_nobody_and_is_told_of(running: Running) -> None:
    with running.socket():
        wait_until(lambda: bool(running.application.listeners))
        sleeper = running.application.listeners[-1]
        answer, other = running.listen()
        for _ in range(100):
            sleeper.say(b"x" * 100_000)
        other.say(b" quick")
        assert answer.read(18) == b"begins;hello quick"
        assert sleeper.line is not None
        # Nearly all of it is here and not in the kernel, whose memory nobody counts.
        assert sleeper.line.backlog > 9_500_000
        sleeper.line.cut()
        wait_until(lambda: sleeper.closings == 1)
        assert sleeper.line.backlog == 0
    answer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="packet filters on sockets are Linux's")
def test_a_peer_that_is_gone_without_a_word_is_noticed(running: Running) -> None:
    with running.socket() as dead:
        read_until(dead, b"hello\r\n")
        # Every packet that comes for it is dropped, as if the cable had been pulled.
        program = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0), 8)
        dead.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
        listener = running.application.listeners[-1]
        listener.say(b"are you there?")
        wait_until(lambda: listener.closings == 1, 20)


def test_the_server_stops_at_once_and_says_farewell(running: Running) -> None:
    answers = [running.listen()[0] for _ in range(20)]
    stuck = running.socket()
    wait_until(lambda: len(running.application.listeners) == 21)
    running.application.listeners[-1].say(b"x" * 3_000_000)
    began = time.monotonic()
    running.stop()
    # It would wait for two minutes for requests that run.
    assert time.monotonic() - began < 60
    assert [answer.read() for answer in answers] == [b"begins;hellofarewell"] * 20
    assert [listener.closings for listener in running.application.listeners] == [1] * 21
    stuck.close()


def test_the_next_connection_is_not_taken_for_the_one_that_has_just_gone(running: Running) -> None:
    """Its descriptor gets the number of the one before, about which the same turn of the main loop may still have news."""
    for _ in range(300):
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        connection.request("GET", "/listen")
        assert connection.getresponse().status == 200
        connection.close()
    # The only thread is done with all of them when it answers this.
    assert running.ask() == b"done"
    listeners = running.application.listeners
    wait_until(lambda: all(listener.closings for listener in listeners))
    assert {listener.closings for listener in listeners} == {1}
