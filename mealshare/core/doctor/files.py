"""Files and folders: the site can write where it must, and nobody else can read what is secret."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pyramid.registry import Registry

from mealshare.core.doctor import Finding, Level
from mealshare.core.doctor.places import database_file, folders, secret_files

#: What everybody on this machine may do.
_OTHERS_READ, _OTHERS_WRITE, _OTHERS = stat.S_IROTH, stat.S_IWOTH, stat.S_IRWXO


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`."""
    for what, folder in folders(registry):
        if folder.is_dir() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield Finding(f"this user cannot write to {folder} ({what})")
    for what, path, level in _open(registry):
        yield Finding(f"everybody on this machine can reach {path} ({what}): chmod o-rwx", level)


def repair(registry: Registry) -> int:
    """Take from others what they may do with these files."""
    count = 0
    for _what, path, _level in _open(registry):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
        count += 1
    return count


def _open(registry: Registry) -> Iterator[tuple[str, Path, Level]]:
    """What stands open: secrets and the database to readers, folders to writers."""
    for what, path in secret_files(registry):
        if _allows(path, _OTHERS_READ | _OTHERS_WRITE):
            yield what, path, Level.ERROR
    for what, folder in folders(registry):
        # Anybody may write into /tmp, but not touch what others have there (the sticky bit).
        if _allows(folder, _OTHERS_WRITE) and not folder.stat().st_mode & stat.S_ISVTX:
            yield what, folder, Level.ERROR
    database = database_file(registry)
    if database is not None and _allows(database, _OTHERS_READ | _OTHERS_WRITE) and not _is_closed(database.parent):
        writable = _allows(database, _OTHERS_WRITE)
        yield "the database", database, Level.ERROR if writable else Level.WARNING


def _is_closed(folder: Path) -> bool:
    """Whether others cannot get into the folder or into one above it."""
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in (folder, *folder.parents))


def _allows(path: Path, what: int) -> bool:
    try:
        return bool(path.stat().st_mode & what)
    except OSError:
        return False
