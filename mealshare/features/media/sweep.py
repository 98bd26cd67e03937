"""Sweeping up: pictures that no meal has taken, baskets that nobody came back for, files that belong to nothing.

A file is written before the transaction that needs it commits, and removed after the one that no longer does; a process
that is killed in between leaves a file without a row, never a row without a file.  Such files are told by their age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from pyramid.registry import Registry
from sqlalchemy import Connection, select

from mealshare.core.clock import now
from mealshare.core.settings import settings_of
from mealshare.core.storage import Storage
from mealshare.features.media import queries
from mealshare.features.media.files import AVATARS, ORIGINALS, VARIANTS, files_of, key_of
from mealshare.features.media.models import Media
from mealshare.features.media.settings import MediaSettings

#: Rows that go in one transaction, so that nobody waits long for their turn to write.
BATCH = 200
#: Seconds after which a file without a row is not one whose transaction is still on its way.
FILE_AGE = 3600.0


@dataclass(frozen=True)
class Swept:
    """What was removed: pictures, baskets, files without a picture, unfinished files."""

    pictures: int = 0
    baskets: int = 0
    files: int = 0
    unfinished: int = 0

    def __bool__(self) -> bool:
        return any((self.pictures, self.baskets, self.files, self.unfinished))


def sweep(registry: Registry) -> Swept:
    """Remove what nothing needs any more, and tell how much it was."""
    storage: Storage = registry["storage"]
    life = settings_of(registry, MediaSettings).unattached_life
    pictures = _until_none(lambda: _pictures(registry, now() - life))
    baskets, in_baskets = 0, 0
    for removed, contained in _batches(lambda: _baskets(registry)):
        baskets, in_baskets = baskets + removed, in_baskets + contained
    return Swept(pictures + in_baskets, baskets, remove_orphans(registry), storage.sweep(FILE_AGE))


def _until_none(step: Callable[[], int]) -> int:
    total = 0
    while count := step():
        total += count
    return total


def _batches(step: Callable[[], tuple[int, int]]) -> Iterator[tuple[int, int]]:
    while (counts := step())[0]:
        yield counts


def _pictures(registry: Registry, before: datetime) -> int:
    """One batch of pictures that waited too long."""
    with registry["open_work"]() as work:
        found = work.session.scalars(queries.unattached_before(before, BATCH)).all()
        keys = [media.storage_key for media in found]
        for media in found:
            work.session.delete(media)
    _remove(registry["storage"], keys)
    return len(keys)


def _baskets(registry: Registry) -> tuple[int, int]:
    """One batch of old baskets with what lies in them."""
    with registry["open_work"]() as work:
        session = work.session
        baskets = session.scalars(queries.baskets_before(now() - queries.BASKET_LIFETIME, BATCH)).all()
        ids = [basket.id for basket in baskets]
        contained = session.scalars(select(Media).where(Media.basket_id.in_(ids), Media.post_id.is_(None))).all()
        keys = [media.storage_key for media in contained]
        for media in contained:
            session.delete(media)
        session.flush()
        for basket in baskets:
            session.delete(basket)
    _remove(registry["storage"], keys)
    return len(ids), len(keys)


def _remove(storage: Storage, keys: Iterable[str]) -> None:
    for key in keys:
        for file in files_of(key):
            storage.delete(file)


def remove_orphans(registry: Registry) -> int:
    """Remove the files that belong to nothing; gives how many there were."""
    removed = 0
    for file in orphan_files(registry):
        registry["storage"].delete(file)
        removed += 1
    return removed


def orphan_files(registry: Registry) -> Iterator[str]:
    """Files that belong to nothing, and are old enough for that to be certain."""

    def originals(connection: Connection, keys: list[str]) -> set[str]:
        return queries.known_keys(connection, keys, processing=True)

    yield from _orphans(registry, ORIGINALS, originals)
    yield from _orphans(registry, VARIANTS, queries.known_keys)
    yield from _orphans(registry, AVATARS, queries.known_avatars)


def _orphans(registry: Registry, prefix: str, known: Callable[[Connection, list[str]], set[str]]) -> Iterator[str]:
    storage: Storage = registry["storage"]
    files = storage.keys(prefix, older_than_seconds=FILE_AGE)
    while batch := list(islice(files, BATCH)):
        with registry["read_engine"].connect() as connection:
            needed = known(connection, [key_of(file) for file in batch])
        for file in batch:
            if key_of(file) not in needed:
                yield file
