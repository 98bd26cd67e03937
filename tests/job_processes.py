"""Sites, workers and beats as processes of their own, each with the jobs of `tests.job_site`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent
#: Seconds until a process must have begun, and until what a test waits for must have happened.
START_SECONDS, WAIT_SECONDS = 90, 60
_SCRIPT = "from tests.job_site import included\nwith included():\n    {}\n"
_COMMAND = "from mealshare.cli import main; main()"
_SERVE = "import sys; from pyramid.scripts.pserve import main; sys.exit(main())"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Return when the condition holds; AssertionError with ``what`` if it does not come to it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class JobProcess:
    """A process: ``worker``, ``beat`` or ``serve``; killed at the end of the block if it still runs."""

    def __init__(self, kind: str, folder: Path, ini: Path, begun: str) -> None:
        """Start it and wait until ``begun`` stands in its log."""
        self.log_file = folder / f"{kind}-{time.monotonic_ns()}.log"
        script = _SCRIPT.format(_SERVE if kind == "serve" else _COMMAND)
        arguments = [str(ini)] if kind == "serve" else ["-c", str(ini), kind]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
        environ["PYTHONPATH"] = str(ROOT)
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", script, *arguments],
                stdout=log, stderr=subprocess.STDOUT, env=environ, cwd=folder,
            )  # fmt: skip
        try:
            wait_until(lambda: self._has_begun(begun), f"{kind} did not begin", START_SECONDS)
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{kind} did not begin:\n{self.log}") from None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def _has_begun(self, begun: str) -> bool:
        assert self.process.poll() is None, "it ended"
        return begun in self.log

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.terminate()
        return self.process.wait(WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            sys.stdout.write(self.log)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def get(url: str, seconds: float = 30) -> tuple[int, bytes]:
    """Status and body."""
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return answer.status, answer.read()
