"""The files of a storage: into a backup, out of it, from one storage to another."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass

from mealshare.core.backup.errors import BackupError
from mealshare.core.storage import NotStored, Storage

_UNKNOWN = "application/octet-stream"
#: After so many files a line says how far it has come.
STEP = 1_000

Tell = Callable[[str], None]


@dataclass
class Copied:
    """What became of the files."""

    copied: int = 0
    #: Were there already, with the same content.
    known: int = 0
    #: Were deleted while the others were copied.
    gone: int = 0


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def content_type_of(key: str) -> str:
    """What a server sends with a file; what has no ending is never sent."""
    if key.endswith(".webp"):
        return "image/webp"
    return mimetypes.guess_type(key)[0] or _UNKNOWN


def read(storage: Storage, key: str) -> bytes | None:
    """The file, or None if it is not there (any more)."""
    try:
        with storage.open(key) as file:
            return file.read()
    except NotStored:
        return None


def copy_media(source: Storage, target: Storage, tell: Tell) -> Copied:
    """Copy every file from ``source`` to ``target``, and look at each copy.

    Files never change under their key, so one that is there with the same content is left alone, and a copy that was
    interrupted goes on where it was.  Raises BackupError for a file that is there with other content, or whose copy is not
    equal to it; StorageError from either side.
    """
    done = Copied()
    for number, key in enumerate(source.keys(), 1):
        data = read(source, key)
        if data is None:
            done.gone += 1
            continue
        if is_there(target, key, digest(data)):
            done.known += 1
        else:
            target.put(key, data, content_type_of(key))
            if read(target, key) != data:
                raise BackupError(f"the copy of {key} is not equal to the file")
            done.copied += 1
        if number % STEP == 0:
            tell(f"files: {number}")
    return done


def is_there(target: Storage, key: str, sha256: str) -> bool:
    """Whether the file is there.  Raises BackupError when another one has its key."""
    if not target.exists(key):
        return False
    there = read(target, key)
    if there is not None and digest(there) != sha256:
        raise BackupError(f"another file is in the storage as {key}; it was not touched")
    return there is not None
