"""Where unfinished files lie: in a hidden folder beside the finished one, so that finishing it is a rename.

A process that is killed leaves its folder behind.  It had locked a file in it, and the kernel has taken that lock away, so
the next one knows whose folder nobody works in any more, and removes it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mealshare.core.backup.errors import BackupError, room_in

_NAME = ".mealshare-unfinished-"
_LOCK = "lock"
#: Seconds that a folder may be without its lock, between the two steps of making it.
_GRACE = 60.0


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent`` that only its owner may read; gone, with all that is in it, at the end of the block.

    Raises BackupError when there is no room, and for a ``parent`` that is not there or not to be written to.
    """
    folder = parent / f"{_NAME}{secrets.token_hex(8)}"
    try:
        _remove_abandoned(parent)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(f"cannot write to {parent}: {error.strerror}") from error
    lock = -1
    try:
        with room_in(parent):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            # A network file system without locks: then nothing is ever taken for abandoned there.
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    finally:
        if lock >= 0:
            os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def publish(unfinished: Path, final: Path, *, over: bool = False) -> None:
    """Bring the file to the disk, and only then under its name.

    Raises BackupError if a file of this name is there, unless ``over`` says that it may go.
    """
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    if final.exists() and not over:
        raise BackupError(f"{final} is there already; it was not touched")
    unfinished.rename(final)
    descriptor = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_NAME}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _GRACE and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
