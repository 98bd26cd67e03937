"""The embedded storage: a folder on this machine."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mealshare.core.storage.interface import NotStored, StorageError, StorageFull, check_key, check_prefix

#: No space, over quota, over the largest file that a process may write.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: Marks the fan-out folders.  It cannot stand in a key, so the file ``a`` and the file ``a/b`` never want one name.
_FAN = "="
#: Marks unfinished files.  No part of a key begins with a dot.
_UNFINISHED = ".unfinished-"
_ATTEMPTS = 5


class LocalStorage:
    """A Storage in ``folder``, which is made if it is not there.

    The file ``media/x.webp`` lies in ``media/=c1/x.webp``: 256 folders, chosen by a hash, keep each one small.  Local
    files have no content type; whoever sends one knows it from the record that names the key.
    """

    shared = False

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder {self.folder}: {error.strerror}") from error

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """See Storage.  The bytes go to a new file beside the target, to the disk, and then over the target."""
        target = self._place(check_key(key))
        for attempt in range(_ATTEMPTS):
            try:
                _make_folders(target.parent)
                _write(target, data)
            except FileNotFoundError as error:
                # A delete() took the folder away, empty, between the two steps.
                if attempt == _ATTEMPTS - 1:
                    raise StorageError(f"cannot store {key}: {error.strerror}") from error
            except OSError as error:
                self._remove_empty(target.parent)
                kind = StorageFull if error.errno in _FULL else StorageError
                raise kind(f"cannot store {key}: {error.strerror}") from error
            else:
                return

    def open(self, key: str) -> BinaryIO:
        """See Storage."""
        try:
            return self._place(check_key(key)).open("rb")
        except FileNotFoundError:
            raise NotStored(key) from None
        except OSError as error:
            raise StorageError(f"cannot open {key}: {error.strerror}") from error

    def path(self, key: str) -> Path | None:
        """See Storage."""
        place = self._place(check_key(key))
        return place if place.is_file() else None

    def url(self, key: str, seconds: int, content_type: str, filename: str, *, head: bool = False) -> None:
        """See Storage: there is none."""
        check_key(key)

    def origin(self) -> None:
        """See Storage: there is none."""

    def exists(self, key: str) -> bool:
        """See Storage."""
        return self.path(key) is not None

    def delete(self, key: str) -> None:
        """See Storage.  Folders that are empty afterwards go too."""
        place = self._place(check_key(key))
        try:
            place.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {key}: {error.strerror}") from error
        self._remove_empty(place.parent)

    def keys(self, prefix: str = "", *, older_than_seconds: float | None = None) -> Iterator[str]:
        """See Storage."""
        check_prefix(prefix)
        newest = None if older_than_seconds is None else time.time() - older_than_seconds
        # Only the part before the last slash is a folder; the rest is the beginning of a name.
        for folder, _, names in os.walk(self.folder / prefix.rpartition("/")[0]):
            place = Path(folder)
            if not place.name.startswith(_FAN):
                continue
            parts = place.parent.relative_to(self.folder).parts
            for name in names:
                key = "/".join((*parts, name))
                if name.startswith(".") or not key.startswith(prefix):
                    continue
                if newest is None or _written_before(place / name, newest):
                    yield key

    def sweep(self, older_than_seconds: float = 3600) -> int:
        """See Storage."""
        oldest, removed = time.time() - older_than_seconds, 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if not name.startswith(_UNFINISHED):
                    continue
                file = Path(folder, name)
                # The writer may finish or fail at this very moment, and its file be gone.
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime <= oldest:
                        file.unlink()
                        removed += 1
            self._remove_empty(Path(folder))
        return removed

    def healthy(self) -> bool:
        """See Storage."""
        probe = self.folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        try:
            probe.write_bytes(b"well")
        except OSError:
            return False
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        return True

    def _place(self, key: str) -> Path:
        folder, _, name = key.rpartition("/")
        fan = hashlib.blake2b(key.encode("ascii"), digest_size=1).hexdigest()
        return self.folder / folder / f"{_FAN}{fan}" / name

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self.folder:
                folder.rmdir()
                folder = folder.parent


def _written_before(file: Path, moment: float) -> bool:
    # It may go at this very moment.
    with suppress(FileNotFoundError):
        return file.stat().st_mtime <= moment
    return False


def _make_folders(folder: Path) -> None:
    """``folder`` and what is missing above it, each known to the disk: a file is as durable as the way to it."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        _sync_folder(folder.parent)


def _write(target: Path, data: bytes) -> None:
    unfinished = target.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
