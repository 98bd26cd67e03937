"""The file that a backup is: a tar with the database, the files of the storage, and the manifest as its end."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from mealshare.core.backup.errors import BackupError
from mealshare.core.backup.manifest import DATABASES, MEDIA, NAME, Entry, Manifest, read_manifest
from mealshare.core.storage.interface import check_key

_CHUNK = 1 << 20
#: Quick, and all that can be won: pictures are compressed already, and rows compress well at any level.
_GZIP_LEVEL = 3
_MODE = 0o600


class Writer:
    """Files go in one after the other; each is remembered with its checksum for the manifest."""

    def __init__(self, archive: tarfile.TarFile, moment: float) -> None:
        self.files: dict[str, Entry] = {}
        self._archive = archive
        self._moment = moment

    def add_file(self, name: str, file: Path) -> None:
        """The file at ``file``, which nobody changes meanwhile."""
        with file.open("rb") as source:
            self._add(name, file.stat().st_size, source)

    def add_bytes(self, name: str, data: bytes) -> None:
        """``data`` as a file."""
        self._add(name, len(data), BytesIO(data))

    def _add(self, name: str, size: int, source: IO[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, _MODE, int(self._moment)
        hashing = _Hashing(source)
        self._archive.addfile(member, hashing)
        self.files[name] = Entry(size, hashing.hash.hexdigest())


@contextmanager
def writer(file: Path, moment: float, *, compressed: bool) -> Iterator[Writer]:
    """Write the tar ``file``; ``moment`` (seconds since 1970) is the time that stands at each file in it."""
    with file.open("xb") as raw:
        file.chmod(_MODE)
        if compressed:
            with (
                gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, moment) as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
            ):
                yield Writer(archive, moment)
        else:
            with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
                yield Writer(archive, moment)


class _Hashing:
    """Reads through to a file, and hashes what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self.hash = hashlib.sha256()
        self._source = source

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.hash.update(data)
        return data


def verify(file: Path, database_to: Path | None = None) -> Manifest:
    """Read all of the backup, compare it with its manifest, and give that.

    The database is written to ``database_to`` on the way.  Raises BackupError, whose message says what is wrong with the
    file, and OSError for a file that cannot be read.
    """
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    with _explained(file):
        for name, source in _members(file):
            if name == NAME:
                manifest = read_manifest(source.read())
            elif name in DATABASES.values() and database_to is not None:
                with database_to.open("wb") as target:
                    found[name] = _read(source, target.write)
            else:
                found[name] = _read(source, len)
        if manifest is None:
            raise BackupError("it has no end: it was cut off, or its writing was interrupted")
        _compare(manifest.files, found)
    return manifest


def media_of(file: Path) -> Iterator[tuple[str, bytes]]:
    """Key and content of each file of the storage in the backup.  Raises as `verify` does."""
    with _explained(file):
        for name, source in _members(file):
            if name.startswith(MEDIA):
                yield name.removeprefix(MEDIA), source.read()


def _members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    seen: set[str] = set()
    with tarfile.open(file, "r:*") as archive:
        for member in archive:
            source = archive.extractfile(member) if member.isreg() else None
            # Nothing is ever written under a name from the file; still, it says what kind of file this is.
            if source is None or member.name in seen or not _is_ours(member.name):
                raise BackupError(f"there is something in it that no backup holds: {member.name!r:.100}")
            seen.add(member.name)
            yield member.name, source
        # A compressed one has another checksum behind its end.
        while archive.fileobj is not None and archive.fileobj.read(_CHUNK):
            pass


def _is_ours(name: str) -> bool:
    if not name.startswith(MEDIA):
        return name == NAME or name in DATABASES.values()
    try:
        check_key(name.removeprefix(MEDIA))
    except ValueError:
        return False
    return True


def _read(source: IO[bytes], write: Callable[[bytes], object]) -> Entry:
    hash, size = hashlib.sha256(), 0
    while data := source.read(_CHUNK):
        hash.update(data)
        write(data)
        size += len(data)
    return Entry(size, hash.hexdigest())


def _compare(said: dict[str, Entry], found: dict[str, Entry]) -> None:
    for name in sorted(said.keys() | found.keys()):
        if name not in found:
            raise BackupError(f"{name} is missing in it")
        if name not in said:
            raise BackupError(f"{name} is in it, but not in its {NAME}")
        if said[name] != found[name]:
            raise BackupError(f"{name} in it is not what was backed up: its checksum differs")


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except BackupError as error:
        raise BackupError(f"{file} cannot be restored: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"{file} is damaged, cut off, or no backup at all ({str(error).splitlines()[0]})") from error
