"""The folder in which the processes of one machine count together.

Its files are prometheus_client's: ``counter_<pid>.db``, ``histogram_<pid>.db``, ``gauge_<mode>_<pid>.db``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import mmap_dict

#: In the place of a process id: what processes that are gone have counted.
GONE = "gone"
#: It has no annotations.
_Values: Any = mmap_dict.MmapedDict


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process reads or merges meanwhile; they go on counting."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def bury_the_dead(folder: Path) -> None:
    """Add up what processes that are gone have counted, and forget their gauges; to be called inside `alone`."""
    for file in folder.glob("*.db"):
        kind, _, owner = file.stem.rpartition("_")
        if owner == GONE or _lives(owner):
            continue
        if not kind.startswith("gauge"):
            _add(file, folder / f"{kind}_{GONE}.db")
        file.unlink(missing_ok=True)


def _lives(owner: str) -> bool:
    try:
        os.kill(int(owner), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _add(file: Path, to: Path) -> None:
    values = {key: value for key, value, *_ in _Values.read_all_values_from_file(str(file))}
    total = _Values(str(to))
    try:
        for key, value in values.items():
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
    finally:
        total.close()
