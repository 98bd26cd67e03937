"""A log file that several processes write and rotate together, by size and by time.

::

    [handler_file]
    class = mealshare.core.log_file.SharedFileHandler
    args = (r"%(here)s/var/log/mealshare.log", 10_000_000, 14)

Before each entry a process looks whether the file is still the one that it has open: another process, or logrotate, may
have moved it; then it opens the new one.  So logrotate needs neither ``copytruncate``, which loses what is written
meanwhile, nor a signal.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from pathlib import Path

#: A day, which begins at midnight UTC, as the times in the log.
DAY = 86_400


class SharedFileHandler(WatchedFileHandler):
    """A file that begins anew when it would grow beyond ``max_bytes``, and with the first entry of each ``seconds``.

    ``keep`` old ones are kept, ``<file>.1`` the youngest.  Zero for ``max_bytes`` or ``seconds``: not for that reason; with
    both, who rotates is somebody else.  The folder is made; only the owner and the group can read the file.
    """

    def __init__(self, file: str, max_bytes: int = 10_000_000, keep: int = 9, seconds: int = DAY) -> None:
        self._path = Path(file).resolve()
        self._max_bytes, self._keep, self._seconds = max_bytes, keep, seconds
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o640)
        super().__init__(str(self._path), encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Write the entry, to a new file if it is time for one."""
        try:
            size = len(self.format(record).encode("utf-8", "replace")) + 1 if self._max_bytes else 0
            if self._is_due(size):
                with self._alone():
                    # Another process may have done it in the meantime.
                    if self._is_due(size):
                        self._rotate()
        except Exception:
            # As every handler does: the entry is written to the old file, and logging tells of its own failure.
            self.handleError(record)
        super().emit(record)

    def _is_due(self, more: int) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        if not now.st_size:
            return False
        if self._max_bytes and now.st_size + more > self._max_bytes:
            return True
        return bool(self._seconds) and int(now.st_mtime) // self._seconds < int(time.time()) // self._seconds

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self._old(number)
            if older.exists():
                older.replace(self._old(number + 1))
        if self._keep:
            self._path.replace(self._old(1))
        else:
            self._path.unlink()
        self._path.touch(mode=0o640)

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
