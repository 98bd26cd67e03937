"""Ids: 64-bit snowflakes, made in the application, ordered by time.

::

    63            16 15       10 9         0
    | milliseconds  |  worker   | counter  |

The upper 47 bits are milliseconds since the Unix epoch, so ``ORDER BY id`` is ``ORDER BY`` creation time and keyset
paging needs one column.  The lower 16 bits make the id unique within a millisecond:

* **worker** (6 bits) is held by one process at a time.  A process takes a free number by binding a socket in Linux's
  abstract namespace: the kernel lets one process have a name, across users and private temporary folders, and frees
  it the moment the process ends, however it ends.  A process id would not do (64 numbers, millions of pids), nor would
  a file on a disk that a service may not share.  Where there are no abstract sockets, a locked file serves.
* **counter** (10 bits) starts at a random point below 256 in every millisecond and counts up.

Processes on one host therefore never make the same id.  Abstract names belong to a network namespace, so containers
and hosts that share a database should be given disjoint ranges (``ids.first_worker``, ``ids.last_worker``).  Where
nobody did that, the random worker and the random start leave one chance in 16,384 per pair of ids of one millisecond,
and the primary key then refuses the second row: nothing is ever overwritten.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pyramid.config import Configurator

from mealshare.core import clock
from mealshare.core.settings import SettingsError, setting

MAX_ID = 2**63 - 1
SEQUENCE_BITS = 16
COUNTER_BITS = 10
WORKERS = 1 << (SEQUENCE_BITS - COUNTER_BITS)
_COUNTERS = 1 << COUNTER_BITS
_START_BITS = 8
#: How an id is written; of those of nineteen digits some are above `MAX_ID`.
ID_PATTERN = "^[1-9][0-9]{0,18}$"
_ID = re.compile(ID_PATTERN[1:-1], re.ASCII)


@dataclass(frozen=True)
class IdSettings:
    """Which worker numbers the processes of this host may take."""

    first_worker: int = setting(
        0, "Lowest worker number of this host; hosts that share a database need disjoint ranges.", minimum=0, maximum=63
    )
    last_worker: int = setting(
        63, "Highest worker number of this host; each running process takes one.", minimum=0, maximum=63
    )


class Held(Protocol):
    """What keeps a worker number taken until it is closed."""

    def close(self) -> None:
        """Give the number back."""


class WorkerNumber:
    """A worker number that no other running process of this host holds."""

    def __init__(self, first: int = 0, last: int = WORKERS - 1) -> None:
        """Take a free number from ``first`` to ``last``; RuntimeError when other processes hold them all."""
        numbers = list(range(first, last + 1))
        # A random order keeps apart, most of the time, hosts whose ranges nobody configured.
        random.shuffle(numbers)
        for number in numbers:
            held = _take(number)
            if held is not None:
                self.number = number
                self._held = held
                return
        raise RuntimeError(
            f"all worker numbers from {first} to {last} are held by running processes: "
            "stop some, or widen ids.first_worker and ids.last_worker"
        )

    def close(self) -> None:
        """Give the number back (in a forked child: drop the copy; the parent keeps its number)."""
        self._held.close()


def _take(number: int) -> Held | None:
    return _take_name(number) if sys.platform == "linux" else _take_file(number)


def _take_name(number: int) -> Held | None:
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0mealshare.ids.{number}")
    except OSError:
        held.close()
        return None
    return held


def _take_file(number: int) -> Held | None:
    path = os.path.join(tempfile.gettempdir(), f"mealshare-ids-{os.getuid()}-{number}.lock")
    held = open(path, "ab", opener=_open_private)  # noqa: SIM115 - the lock lives as long as the file is open.
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        return None
    return held


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


class IdMaker:
    """Makes ids: unique, and each greater than the one before it, whatever the clock does.

    ``worker`` gives this process's worker number and is called once, at the first id; ``milliseconds`` is the clock.
    """

    def __init__(self, worker: Callable[[], int], milliseconds: Callable[[], int] = clock.milliseconds) -> None:
        self._worker = worker
        self._milliseconds = milliseconds
        self._lock = threading.Lock()
        self._worker_bits: int | None = None
        self._last = 0
        self._counter = 0
        self._counter_at = random.getrandbits(COUNTER_BITS)

    def __call__(self) -> int:
        """A new id, greater than every earlier one of this process."""
        with self._lock:
            worker = self._bits()
            now = self._milliseconds()
            if now > self._last:
                self._last = now
                self._counter = random.getrandbits(_START_BITS)
            else:
                # The same millisecond, or a clock that stepped back: stay at the last one and count on.
                self._counter += 1
                if self._counter == _COUNTERS:
                    # The counter is used up: borrow the next millisecond; the clock catches up.
                    self._last += 1
                    self._counter = 0
            return self._last << SEQUENCE_BITS | worker | self._counter

    def at(self, moment: datetime) -> int:
        """An id that sorts where ``moment`` (aware) lies, for things that were made earlier and elsewhere.

        Two calls give the same id only if 1,024 others came between them.  Ids that some process made live in that very
        millisecond cannot be known: the primary key refuses the one in a thousand that meets one, and the caller
        asks again.  Raises ValueError for a naive moment and for one before 1970 or beyond the 64 bits.
        """
        value = clock.to_milliseconds(moment)
        if not 0 < value <= MAX_ID >> SEQUENCE_BITS:
            raise ValueError(f"no id can stand for {moment.isoformat()}")
        with self._lock:
            self._counter_at = (self._counter_at + 1) % _COUNTERS
            return value << SEQUENCE_BITS | self._bits() | self._counter_at

    def forget_worker(self) -> None:
        """Ask for a worker number again at the next id; the order of the ids is kept."""
        with self._lock:
            self._worker_bits = None

    def _bits(self) -> int:
        if self._worker_bits is None:
            self._worker_bits = self._worker() << COUNTER_BITS
        return self._worker_bits


class _Process:
    """The worker number and the id maker of this process; a forked child starts with fresh ones."""

    def __init__(self) -> None:
        self.first, self.last = 0, WORKERS - 1
        self.held: WorkerNumber | None = None
        self.maker = IdMaker(self.worker)

    def worker(self) -> int:
        if self.held is None:
            self.held = WorkerNumber(self.first, self.last)
        return self.held.number

    def use_range(self, first: int, last: int) -> None:
        """Take numbers from ``first`` to ``last`` only; give back one that lies outside."""
        self.first, self.last = first, last
        if self.held is not None and not first <= self.held.number <= last:
            self._release()
            self.maker.forget_worker()

    def restart(self) -> None:
        """Begin anew in a forked child: another number, and a lock that no thread of the parent holds."""
        self._release()
        self.maker = IdMaker(self.worker)

    def _release(self) -> None:
        if self.held is not None:
            self.held.close()
            self.held = None


_process = _Process()
os.register_at_fork(after_in_child=_process.restart)


def new_id() -> int:
    """A new id: unique, and greater than every earlier one of this process.  Safe in threads and after a fork.

    Raises RuntimeError when other processes of this host hold every worker number.
    """
    return _process.maker()


def new_id_at(moment: datetime) -> int:
    """A new id that sorts where ``moment`` lies (imports, demo data); see ``IdMaker.at``."""
    return _process.maker.at(moment)


def parse_id(text: str) -> int:
    """The id that ``text`` spells: ASCII digits, no sign, no leading zero, 1 to 2^63-1.

    Raises ValueError for anything else, so that an address has one spelling and no number reaches a database that
    cannot hold it.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text) or (value := int(text)) > MAX_ID:
        raise ValueError("not an id")
    return value


def includeme(config: Configurator) -> None:
    """Register the settings, and hold this process to its range of worker numbers."""
    settings = config.declare_settings(IdSettings, prefix="ids")
    if settings.first_worker > settings.last_worker:
        raise SettingsError("the setting ids.first_worker is wrong: it is more than ids.last_worker")
    _process.use_range(settings.first_worker, settings.last_worker)
