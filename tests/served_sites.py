"""The site under servers other than `pserve`, and what a person and a program do there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.sites import START_SECONDS, free_port, site_settings, write_ini

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
#: What docs/hosting.md gives for the server of the standard library.
WSGIREF = """
import signal, sys
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import make_server
from mealshare.wsgi import load

served = load()
with make_server("127.0.0.1", int(sys.argv[1]), served.application) as server:
    signal.signal(signal.SIGTERM, lambda *_: Thread(target=server.shutdown).start())
    stop = served.start()
    try:
        server.serve_forever()
    finally:
        stop()
"""
SERVERS = ("waitress", "gunicorn", "uwsgi", "wsgiref")


def command_of(server: str, ini: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """What starts the server, and what must stand in its environment."""
    commands = {
        "waitress": [str(BIN / "pserve"), str(ini)],
        "gunicorn": [str(BIN / "gunicorn"), "--paste", str(ini), "-c", str(DEPLOY / "gunicorn.conf.py")],
        "uwsgi": [str(BIN / "uwsgi"), "--ini", str(DEPLOY / "uwsgi.ini")],
        "wsgiref": [sys.executable, "-W", "ignore", "-c", WSGIREF, str(port)],
    }
    return commands[server], {"MEALSHARE_CONFIG": str(ini), "MEALSHARE_UWSGI_LISTEN": f"127.0.0.1:{port}"}


class Process:
    """A server that runs."""

    def __init__(self, server: str, url: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.server, self.url, self.folder, self.process = server, url, folder, process

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def members(self) -> list[int]:
        """The processes of it that there are, itself included."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def end(self, seconds: float = 40) -> int:
        """Ask it to end; its exit code.  Fails the test if it does not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.server} did not end on SIGTERM:\n{self.log}") from None


@contextmanager
def served_site(server: str, folder: Path, database_url: str, **more: str) -> Iterator[Process]:
    """The site under ``server``, with ``more`` settings (``section__key=value``); in a process group of its own."""
    port = free_port()
    url = f"http://localhost:{port}"
    ini = folder / "site.ini"
    settings = site_settings(folder, database_url, url) | {key.replace("__", "."): value for key, value in more.items()}
    write_ini(ini, settings, port)
    command, environ = command_of(server, ini, port)
    environ |= {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
    # Pyramid imports pkg_resources, which says at each start that it is old.
    environ["PYTHONWARNINGS"] = "ignore"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environ, cwd=folder, start_new_session=True
        )
    site = Process(server, url, folder, process)
    try:
        _wait(site)
        yield site
    finally:
        for pid in site.members():
            os.kill(pid, signal.SIGKILL)
        process.wait()


def _wait(site: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert site.process.poll() is None, f"{site.server} ended:\n{site.log}"
        assert time.monotonic() < deadline, f"{site.server} did not answer in time:\n{site.log}"
        try:
            if httpx.get(f"{site.url}/health/live", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
