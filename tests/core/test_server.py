"""The server as a real process: what a client and an operator see of it.

Run as a program, this file is the application under test: it serves itself with the settings in its arguments.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.core.http_server import ANSWER_HOOKS
from mealshare.core.settings import SettingsError
from mealshare.server import MOST_ACCEPTED, Server, ServerSettings, _refuse_new, find_registry, read_settings, serve

ROOT = Path(__file__).parents[2]


# The application under test.


class Application:
    """``/slow/<seconds>`` takes its time; ``/env/<name>`` shows the WSGI environment; ``/204`` and ``/304`` say no more."""

    def __init__(self) -> None:
        self.registry = Registry("tests")
        self.registry[ANSWER_HOOKS] = [lambda path, origin: [("X-Asked", f"{path} {origin}")]]
        self.registry["on_serve"] = [lambda: self.start("one"), lambda: self.start("two"), lambda: None]

    def start(self, name: str) -> Callable[[], object]:
        sys.stdout.write(f"start {name}\n")
        return lambda: sys.stdout.write(f"stop {name} {'draining' if self.registry.get('draining') else ''}\n")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/slow/"):
            time.sleep(float(path.removeprefix("/slow/")))
        body = str(environ.get(path.removeprefix("/env/"), "-")).encode() if path.startswith("/env/") else b"done"
        if path == "/body":
            body = str(len(environ["wsgi.input"].read())).encode()
        if path in ("/204", "/304"):
            start_response(f"{path[1:]} -", [])
            return []
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]


class Middleware:
    def __init__(self, inner: object) -> None:
        self.wrapped_thing = inner

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self.wrapped_thing(environ, start_response)


# The tests.


class Running:
    """A server process of its own."""

    def __init__(self, *settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.core.test_server", "listen=127.0.0.1:0", *settings],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("Listening on http://"):
                self.port = int(line.rsplit(":", 1)[1])
                return
        raise AssertionError(f"the server did not start: {self.process.stderr and self.process.stderr.read()}")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        return answer

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        out, self.errors = self.process.communicate(timeout=40)
        self.lines += out.split("\n")
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(*settings: str) -> Running:
        running.append(Running(*settings))
        return running[-1]

    yield begin
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return True
    return False


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        chunk = connection.recv(65536)
        assert chunk, f"the connection ended after {received!r}"
        received += chunk
    return received


class Asking(threading.Thread):
    """A request in a thread of its own."""

    def __init__(self, server: Running, path: str) -> None:
        super().__init__()
        self.server, self.path = server, path
        self.answer: http.client.HTTPResponse | None = None
        self.error: Exception | None = None
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        try:
            self.answer = self.server.get(self.path)
        except Exception as error:
            self.error = error
        self.seconds = time.monotonic() - began

    def status(self) -> int:
        self.join(30)
        assert self.error is None
        assert self.answer is not None
        return self.answer.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_and_waiting_requests_finish(start: Callable[..., Running], number: int) -> None:
    server = start("threads=1")
    # One runs; two wait for the only thread.
    asking = [Asking(server, "/slow/0.7") for _ in range(3)]
    time.sleep(0.4)
    server.process.send_signal(number)
    wait_until(lambda: refuses(server.port))
    assert all(thread.is_alive() for thread in asking[1:])
    assert [thread.status() for thread in asking] == [200, 200, 200]
    assert [thread.answer.headers["Connection"] for thread in asking if thread.answer] == ["close"] * 3
    assert server.wait() == 0


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_leaves_the_connection_open(start: Callable[..., Running], status: int) -> None:
    server = start()
    connection = server.connect()
    for path, expected in ((f"/{status}", status), (f"/{status}", status), ("/", 200)):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"], answer.headers["Transfer-Encoding"]) == (
            expected,
            None,
            None,
        )
        answer.read()
        opened = connection.sock
        assert opened is not None, "the connection was closed"
    connection.request("GET", f"/{status}", headers={"Connection": "close"})
    assert connection.getresponse().headers["Connection"] == "close"
    one = f"GET /{status} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    assert server.raw(one * 3).count(b"HTTP/1.1 ") == 3
    assert b"Connection: close" in server.raw(one.replace(b"1.1", b"1.0"))


def test_an_idle_connection_does_not_hold_up_the_end_but_a_late_request_on_it_is_answered(
    start: Callable[..., Running],
) -> None:
    server = start()
    idle, late = server.connect(), server.connect()
    for connection in (idle, late):
        connection.request("GET", "/x")
        first = connection.getresponse()
        assert first.read() == b"done"
        assert first.headers["Connection"] is None
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: refuses(server.port))
    late.request("GET", "/x")
    answer = late.getresponse()
    assert (answer.read(), answer.headers["Connection"]) == (b"done", "close")
    assert server.wait() == 0
    assert time.monotonic() - began < 6
    idle.close()
    late.close()


def test_a_request_whose_body_is_still_coming_is_finished(start: Callable[..., Running]) -> None:
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        connection.sendall(b"def")
        read_until(connection, b"\r\n\r\n6")
    assert server.wait() == 0


def test_what_outlasts_the_deadline_is_cut_and_told(start: Callable[..., Running]) -> None:
    server = start("drain_seconds=1")
    asking = Asking(server, "/slow/8")
    time.sleep(0.4)
    began = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - began < 5
    asking.join(10)
    assert asking.answer is None
    assert "server.requests_cut" in server.errors


def test_a_second_signal_ends_it_at_once(start: Callable[..., Running]) -> None:
    server = start()
    asking = Asking(server, "/slow/8")
    time.sleep(0.4)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 5
    asking.join(10)


@pytest.mark.stress
def test_no_request_is_cut_when_it_ends_under_load(start: Callable[..., Running]) -> None:
    for _ in range(3):
        server = start("threads=4")
        cut: list[str] = []
        served: list[int] = []
        ends = threading.Event()

        def work(
            server: Running = server, cut: list[str] = cut, served: list[int] = served, ends: threading.Event = ends
        ) -> None:
            while not ends.is_set():
                connection = server.connect()
                try:
                    connection.connect()
                except ConnectionError:
                    return
                try:
                    for _ in range(5):
                        connection.request("GET", "/slow/0.005")
                        answer = connection.getresponse()
                        answer.read()
                        served.append(answer.status)
                        if answer.headers["Connection"] == "close":
                            break
                except (OSError, http.client.HTTPException) as error:
                    cut.append(repr(error))
                finally:
                    connection.close()

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert server.end() == 0
        ends.set()
        for thread in threads:
            thread.join()
        assert cut == []
        assert len(served) > 50
        assert set(served) == {200}


@pytest.mark.skipif(sys.platform != "linux", reason="packet filters on sockets are Linux's")
def test_a_socket_that_refuses_new_connections_keeps_those_it_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address, timeout=5) as waiting:
            _refuse_new(listening)
            accepted, _ = listening.accept()
            # The queue is empty now, so only the filter stands in the way.
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            with accepted:
                waiting.sendall(b"question")
                assert accepted.recv(100) == b"question"
                accepted.sendall(b"answer")
                assert waiting.recv(100) == b"answer"


def test_too_many_waiting_requests_are_refused_at_once_and_health_is_not(start: Callable[..., Running]) -> None:
    server = start("threads=1", "backlog_requests=2")
    running = [Asking(server, "/slow/2")]
    time.sleep(0.3)
    running += [Asking(server, "/slow/0") for _ in range(2)]
    time.sleep(0.3)
    refused = [Asking(server, path) for path in ("/", "/api/meals", "/health/livex")]
    health = Asking(server, "/health/live")
    assert [thread.status() for thread in refused] == [503] * 3
    assert health.status() == 200
    assert max(thread.seconds for thread in (*refused, health)) < 1
    for thread, kind in zip(refused, ("text/plain", "application/problem+json", "text/plain"), strict=True):
        assert thread.answer is not None
        assert int(thread.answer.headers["Retry-After"]) > 0
        assert thread.answer.headers.get_content_type() == kind
        assert thread.answer.headers["X-Content-Type-Options"] == "nosniff"
    assert [thread.status() for thread in running] == [200] * 3
    assert server.get("/").status == 200
    assert server.end() == 0
    assert server.errors.count("server.overloaded") == 1


def test_the_application_adds_to_what_the_server_answers_itself(start: Callable[..., Running]) -> None:
    server = start("max_request_body_size=2000")
    refused = server.raw(b"POST /api/meals HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nContent-Length: 5000\r\n\r\n")
    head, _, body = refused.partition(b"\r\n\r\n")
    assert b"\r\nX-Asked: /api/meals http://b\r\n" in head
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    problem = json.loads(body)
    assert (problem["status"], problem["title"]) == (413, "Request Entity Too Large")
    # One that was refused before it had a path is answered all the same.
    assert b"X-Asked:  None" in server.raw(b"nonsense\r\n\r\n")


def test_no_answer_names_the_server_and_its_own_have_the_headers(start: Callable[..., Running]) -> None:
    server = start("max_request_body_size=2000", "max_request_header_size=2000")
    assert "Server" not in server.get("/").headers
    errors = {
        b"400": b"nonsense\r\n\r\n",
        b"413": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
        b"431": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000 + b"\r\n\r\n",
        b"501": b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    }
    for status, request in errors.items():
        answer = server.raw(request)
        assert answer.startswith((b"HTTP/1.0 " + status, b"HTTP/1.1 " + status)), answer
        assert b"\r\nServer:" not in answer
        assert b"waitress" not in answer
        for header in (b"X-Content-Type-Options: nosniff", b"Content-Security-Policy: default-src 'none'"):
            assert header in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost:",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4",
    ],
)
def test_a_request_that_two_servers_could_read_differently_is_refused(
    start: Callable[..., Running], head: bytes
) -> None:
    answer = start().raw(head + b"\r\n\r\n0\r\n\r\n")
    assert answer.split(b"\r\n")[0].endswith(b"400 Bad Request")
    assert answer.count(b"HTTP/1.") == 1


def test_expecting_to_continue_with_no_body_does_not_hang(start: Callable[..., Running]) -> None:
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        assert b"200 OK" in read_until(connection, b"done")
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        read_until(connection, b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"abc")
        read_until(connection, b"\r\n\r\n3")


def test_pipelined_requests_are_all_answered_in_order(start: Callable[..., Running]) -> None:
    server = start("threads=2")
    one = b"GET /env/REQUEST_METHOD HTTP/1.1\r\nHost: a\r\n\r\n"
    health = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = server.raw(one + health + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b"200 OK") == 3
    bodies = [part.split(b"HTTP/1.1")[0] for part in answer.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"GET", b"done", b"GET"]


def test_only_the_trusted_proxy_may_tell_who_the_client_is(start: Callable[..., Running]) -> None:
    told = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "meals.example"}

    def seen(server: Running, name: str) -> str:
        return str(server.get(f"/env/{name}", **told).text)

    names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_FOR")
    stranger = start()
    assert [seen(stranger, name) for name in names] == ["127.0.0.1", "http", f"127.0.0.1:{stranger.port}", "-"]
    trusted = start("trusted_proxy=127.0.0.1")
    assert [seen(trusted, name) for name in names[:3]] == ["203.0.113.7", "https", "meals.example"]
    elsewhere = start("trusted_proxy=192.0.2.1")
    assert [seen(elsewhere, name) for name in names[:2]] == ["127.0.0.1", "http"]


def test_what_runs_beside_is_started_before_and_stopped_after(start: Callable[..., Running]) -> None:
    server = start()
    assert server.lines[:2] == ["start one", "start two"]
    assert server.end() == 0
    assert [line for line in server.lines if line.startswith("stop")] == ["stop two draining", "stop one draining"]


def test_an_address_in_use_is_an_error_and_nothing_is_started(start: Callable[..., Running]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "tests.core.test_server", f"listen=127.0.0.1:{taken.getsockname()[1]}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
    assert "start" not in done.stdout


def test_two_thousand_idle_connections_stop_nobody(start: Callable[..., Running]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip("this machine allows fewer than 5,000 open files")
    server = start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = []
    try:
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(2000)]
        assert server.get("/").status == 200
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.end() == 0


def test_one_turn_of_the_loop_takes_all_who_stand_in_the_queue() -> None:
    """While the threads are busy a turn is long, and whoever stands in the queue hears nothing, not even a refusal."""
    server = Server(Application(), ServerSettings(listen="127.0.0.1:0"))
    try:
        port = int(server.addresses[0].rpartition(":")[2])
        with ExitStack() as stack:
            for _ in range(MOST_ACCEPTED + 6):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            server._turn(1.0)
            assert len(server._channels()) == MOST_ACCEPTED
            server._turn(1.0)
            assert len(server._channels()) == MOST_ACCEPTED + 6
    finally:
        server.close()


def test_an_idle_connection_is_closed_in_time(start: Callable[..., Running]) -> None:
    server = start("channel_timeout=1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET / HT")
        began = time.monotonic()
        assert connection.recv(10) == b""
        assert 0.5 < time.monotonic() - began < 5


# Settings.


def test_settings_come_from_default_application_section_and_environment_in_this_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEALSHARE_SERVER__THREADS", "3")
    monkeypatch.setenv("MEALSHARE_DB__URL", "sqlite://")
    settings = read_settings(
        {"threads": "5", "drain_seconds": "7"}, {"server.drain_seconds": "9", "server.backlog_requests": "1", "x.y": 1}
    )
    assert settings == ServerSettings(threads=3, drain_seconds=7, backlog_requests=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"thread": "5"}, r"unknown setting: server\.thread"),
        ({"threads": "0"}, r"server\.threads is wrong"),
        ({"listen": "nowhere.invalid:99999999"}, "a server setting is wrong"),
        ({"trusted_proxy": "*", "trusted_proxy_headers": "x-nonsense"}, "x-nonsense"),
    ],
)
def test_a_wrong_setting_is_told_by_name(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        serve(Application(), {}, **given)


def test_the_application_knows_the_settings() -> None:
    config = Configurator(settings={"server.threads": "4"})
    config.include("mealshare.core.settings")
    config.include("mealshare.server")
    config.commit()
    assert {declared.name for declared in config.registry["settings_declared"]} >= {"server.listen", "server.threads"}


def test_the_registry_is_found_through_middleware() -> None:
    inner = Application()
    assert find_registry(Middleware(Middleware(inner))) is inner.registry
    assert find_registry(lambda environ, start_response: []) is None


def test_what_was_started_is_stopped_when_a_later_start_fails(capsys: pytest.CaptureFixture[str]) -> None:
    inner = Application()

    def fail() -> None:
        raise LookupError("no database")

    inner.registry["on_serve"][1] = fail
    with pytest.raises(LookupError, match="no database"):
        serve(inner, {}, listen="127.0.0.1:0")
    assert capsys.readouterr().out.split("\n")[:2] == ["start one", "stop one "]


if __name__ == "__main__":
    os.environ.pop("MEALSHARE_SERVER__LISTEN", None)
    serve(Middleware(Application()), {}, **dict(argument.split("=", 1) for argument in sys.argv[1:]))
