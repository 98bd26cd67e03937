"""A server of a test's own, in a process of its own, which may be killed, frozen and started again."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class OwnServer:
    """What `OwnRedis` and `OwnS3` have in common; its log is the file ``log``."""

    #: Seconds until it must answer.
    start_seconds = 60

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def answers(self) -> bool:
        """Whether it can be used; overridden."""
        raise NotImplementedError

    def launch(self, command: list[str], **options: Any) -> None:
        """Start the process, with ``options`` for Popen, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self._log.parent, **options
            )
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"{command[0]} did not answer in time"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash does; what was in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing, as a machine does that is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)
