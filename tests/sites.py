"""A site as an administrator runs it: `pserve` in a process of its own, on a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Seconds until a site must answer; compiling templates on a busy machine takes most of it.
START_SECONDS = 60


@dataclass(frozen=True)
class RunningSite:
    """A site that answers."""

    url: str
    ini: Path
    folder: Path
    database_url: str
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What it has written so far, to both standard streams."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def site_settings(folder: Path, database_url: str, base_url: str) -> dict[str, str]:
    """The settings of a test site whose files lie in ``folder``: no limits of rate, secrets that everybody knows."""
    return {
        "site.base_url": base_url,
        "site.secret": "tests-only-AlsoKnownToEverybody-0123456789-zyxwvutsrq",
        "jwt.secret": "tests-only-KnownToEverybody-0123456789-abcdefghijklmnop",
        "db.url": database_url,
        "storage.folder": str(folder / "media"),
        "mail.folder": str(folder / "mail"),
        "ratelimit.enabled": "false",
    }


def write_ini(file: Path, settings: dict[str, str], port: int) -> None:
    """An ini file with ``settings`` that `pserve` and `mealshare -c` take."""
    lines = ["[app:main]", "use = egg:mealshare", *(f"{name} = {value}" for name, value in settings.items())]
    lines += ["", "[server:main]", "use = egg:mealshare#server", f"listen = 127.0.0.1:{port}", "drain_seconds = 5"]
    file.write_text("\n".join(lines).replace("%", "%%") + "\n", encoding="utf-8")


@contextmanager
def running_site(folder: Path, database_url: str, **more: str) -> Iterator[RunningSite]:
    """A site on the migrated database at ``database_url``, with ``more`` settings (``section__key=value``).

    It is asked to end afterwards, and fails the test if it does not.
    """
    port = free_port()
    url = f"http://localhost:{port}"
    settings = site_settings(folder, database_url, url) | {key.replace("__", "."): value for key, value in more.items()}
    ini = folder / "site.ini"
    write_ini(ini, settings, port)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
    # For parts of the tests' own that `pyramid.includes` names.
    environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    with (folder / "server.log").open("wb") as log:
        command = [sys.executable, "-W", "ignore", "-m", "pyramid.scripts.pserve", str(ini)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environ, cwd=folder)
    site = RunningSite(url, ini, folder, database_url, process)
    try:
        _wait_until_it_answers(site)
        yield site
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the site did not end on SIGTERM:\n{site.log}") from None


def _wait_until_it_answers(site: RunningSite) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if site.process.poll() is not None:
            raise AssertionError(f"the site ended with status {site.process.returncode}:\n{site.log}")
        try:
            with urllib.request.urlopen(f"{site.url}/health/live", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"the site did not answer within {START_SECONDS} seconds:\n{site.log}")
