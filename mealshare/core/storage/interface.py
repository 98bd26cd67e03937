"""What a file storage must do, and the errors it may raise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

LONGEST_KEY = 200
_KEY = re.compile(r"[a-z0-9_-][a-z0-9_.-]*(/[a-z0-9_-][a-z0-9_.-]*)*", re.ASCII)


class StorageError(Exception):
    """The storage could not do what was asked; trying again later may help."""


class StorageFull(StorageError):
    """There is no room for the file; nothing of it was kept."""


class NotStored(KeyError):
    """No file has this key."""


class Storage(Protocol):
    """Files under keys such as ``media/7f3a/large.webp``.

    A key is 1 to 200 of ``a-z 0-9 _ . - /``: relative, no part of it empty or beginning with a dot.  Any other is a
    ValueError in every method.  Every method may raise StorageError.
    """

    @property
    def shared(self) -> bool:
        """Whether all machines of a site have the same one, over the network.

        Then it may be slow, so no connection to the database is held meanwhile; and when it is away no other machine is
        better off, so nobody is sent elsewhere for it.
        """

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store ``data`` under ``key``, over what was there.

        When this returns the file is durable; when it raises (StorageFull, StorageError) the old file, or none, is
        there: never half of the new one.
        """

    def open(self, key: str) -> BinaryIO:
        """The file, open for reading at its start; the caller closes it.  Raises NotStored."""

    def path(self, key: str) -> Path | None:
        """Where the file lies on this machine's disk, for a server that sends it; None if it does not lie there."""

    def url(self, key: str, seconds: int, content_type: str, filename: str, *, head: bool = False) -> str | None:
        """An address at which anybody gets the file for ``seconds``, as ``content_type`` and under the name ``filename``.

        None if there are no such addresses.  It is made without asking whether the file is there, is good for GET (with
        ``head``: for HEAD instead) and for parts of the file, and caches are told to forget what it gave when it ends.
        """

    def origin(self) -> str | None:
        """Scheme, host and port that all addresses of `url` have; None if there are no such addresses."""

    def exists(self, key: str) -> bool:
        """Whether a file has this key."""

    def delete(self, key: str) -> None:
        """Remove the file; it need not be there."""

    def keys(self, prefix: str = "", *, older_than_seconds: float | None = None) -> Iterator[str]:
        """The keys that begin with ``prefix``, in no order; files that come or go meanwhile may or may not be named.

        With ``older_than_seconds`` only those of files that were written at least so long ago.
        """

    def sweep(self, older_than_seconds: float = 3600) -> int:
        """Remove what a crash left of unfinished writes older than this; gives the number of files removed."""

    def healthy(self) -> bool:
        """Whether a file can be written now, as far as can be told in a second or two."""


def check_key(key: str) -> str:
    """``key``, if it is one; else ValueError."""
    if not isinstance(key, str) or len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r:.100}")
    return key


def check_prefix(prefix: str) -> str:
    """``prefix``, if a key can begin with it; else ValueError."""
    if prefix:
        check_key(prefix + "x" if prefix.endswith("/") else prefix)
    return prefix
