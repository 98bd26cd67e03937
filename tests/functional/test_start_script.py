"""`deploy/start.sh` as an administrator uses it, directly and with supervisor.

What installs takes minutes and the network; so the virtual environment is that of the tests, and said to be installed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.served_sites import BIN, ROOT
from tests.sites import free_port

SCRIPT = ROOT / "deploy" / "start.sh"


class Home:
    """A folder with a site in it."""

    def __init__(self, folder: Path, *, supervised: bool) -> None:
        self.folder = folder
        self.port = two_free_ports()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
        self.environ = environ | {
            "MEALSHARE_HOME": str(folder), "MEALSHARE_PORT": str(self.port), "MEALSHARE_PROCESSES": "2",
            "MEALSHARE_SUPERVISOR": str(int(supervised)), "PATH": f"{BIN}:{environ['PATH']}",
        }  # fmt: skip

    def install(self) -> None:
        """Say that all is installed."""
        (self.folder / "venv" / "bin").mkdir(parents=True)
        for program in ("python", "pserve", "mealshare"):
            (self.folder / "venv" / "bin" / program).symlink_to(BIN / program)
        git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        found = subprocess.run(git, capture_output=True, text=True, check=False)
        revision = found.stdout.strip() if found.returncode == 0 else "unknown"
        (self.folder / "venv" / "installed").write_text(f"{ROOT}[] {revision}\n")

    def say(self, word: str) -> tuple[int, str]:
        """Exit code, and all that was written."""
        done = subprocess.run(
            ["bash", str(SCRIPT), word], env=self.environ, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=300,
        )  # fmt: skip
        return done.returncode, done.stdout

    def pid(self, name: str) -> int:
        if self.environ["MEALSHARE_SUPERVISOR"] == "1":
            conf = str(self.folder / "var" / "run" / "supervisord.conf")
            command = [str(BIN / "supervisorctl"), "-c", conf, "pid", name]
            return int(subprocess.run(command, capture_output=True, text=True, check=True, env=self.environ).stdout)
        return int((self.folder / "var" / "run" / f"{name}.pid").read_text())

    def answers(self, number: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port + number}/health/ready", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False


def two_free_ports() -> int:
    """A port that is free, and so is the next."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture(params=[False, True], ids=["directly", "supervisor"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    # A socket has a short name, and the folders of tests have long ones.
    folder = Path("/tmp") / f"ms-{os.getpid()}-{free_port()}"
    folder.mkdir()
    home = Home(folder, supervised=request.param)
    home.install()
    try:
        yield home
    finally:
        home.say("stop")
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_a_site_is_started_looked_at_restarted_and_stopped(home: Home) -> None:
    assert home.say("status")[0] == 3
    code, said = home.say("start")
    assert code == 0, said
    assert home.answers(0)
    assert home.answers(1)
    code, said = home.say("status")
    assert (code, said.count("web-"), said.count("worker")) == (0, 2, 1), said
    assert (home.folder / "mealshare.ini").stat().st_mode & 0o077 == 0
    names = [f"web-{home.port}", f"web-{home.port + 1}", "worker"]
    before = {name: home.pid(name) for name in names}
    assert home.say("start")[0] == 0, "what runs is left alone"
    assert {name: home.pid(name) for name in names} == before
    code, said = home.say("restart")
    assert code == 0, said
    assert not set(before.values()) & {home.pid(name) for name in names}
    assert home.answers(0)
    assert home.answers(1)
    code, said = home.say("stop")
    assert code == 0, said
    assert home.say("status")[0] == 3
    assert not home.answers(0)


def test_one_that_died_is_told_and_started_again(tmp_path: Path) -> None:
    home = Home(tmp_path, supervised=False)
    home.install()
    try:
        assert home.say("start")[0] == 0
        dead = f"web-{home.port + 1}"
        os.kill(home.pid(dead), 9)
        deadline = time.monotonic() + 20
        while home.say("status")[0] != 1:
            assert time.monotonic() < deadline
        first = home.pid(f"web-{home.port}")
        assert home.say("start")[0] == 0
        assert home.answers(1)
        assert home.pid(f"web-{home.port}") == first
        assert home.say("status")[0] == 0
    finally:
        home.say("stop")


def test_a_number_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path, supervised=False)
    home.install()
    run = tmp_path / "var" / "run"
    run.mkdir(parents=True)
    other = subprocess.Popen(["sleep", "60"])
    try:
        (run / f"web-{home.port}.pid").write_text(f"{other.pid}\n")
        code, said = home.say("status")
        assert (code, "does not run" in said) == (3, True)
        assert home.say("stop")[0] == 0
        assert other.poll() is None, "it ended a process that is not its own"
    finally:
        other.kill()
        other.wait()


def test_what_it_does_not_know(tmp_path: Path) -> None:
    home = Home(tmp_path, supervised=False)
    code, said = home.say("frobnicate")
    assert (code, said) == (2, "usage: start.sh {start|stop|restart|status}\n")
