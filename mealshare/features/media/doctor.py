"""What `mealshare doctor` looks at: pictures without files, files without pictures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pyramid.registry import Registry
from sqlalchemy import func, select

from mealshare.core import clock
from mealshare.core.doctor import Finding, Level
from mealshare.core.storage import Storage
from mealshare.features.accounts.models import Account
from mealshare.features.media.files import avatar_file, original_file, variant_file
from mealshare.features.media.images import VARIANT_EDGES
from mealshare.features.media.models import Media, MediaState
from mealshare.features.media.sweep import BATCH, FILE_AGE, orphan_files, remove_orphans

#: Of what is missing so much is named.
_NAMED = 5


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`.  What is missing only a backup can bring back."""
    missing = list(_missing(registry))
    if missing:
        more = ", ..." if len(missing) > _NAMED else ""
        yield Finding(
            f"{len(missing)} files are missing: {', '.join(missing[:_NAMED])}{more}: restore them from a backup"
        )
    orphans = sum(1 for _ in orphan_files(registry))
    if orphans:
        yield Finding(f"{orphans} files belong to nothing; the site removes them every hour", Level.WARNING)
    before = clock.now() - timedelta(hours=1)
    slow = select(func.count()).where(Media.state == MediaState.PROCESSING, Media.created_at < before)
    with registry["read_engine"].connect() as connection:
        waiting = connection.scalar(slow)
    if waiting:
        yield Finding(f"{waiting} pictures have waited for more than an hour: does a worker run?", Level.WARNING)


def repair(registry: Registry) -> int:
    """Remove the files that belong to nothing."""
    storage: Storage = registry["storage"]
    return remove_orphans(registry) + storage.sweep(FILE_AGE)


def _missing(registry: Registry) -> Iterator[str]:
    """The files that are not there, of pictures and of people."""
    storage: Storage = registry["storage"]
    for files in _wanted(registry):
        for file in files:
            if not storage.exists(file):
                yield file


def _wanted(registry: Registry) -> Iterator[list[str]]:
    """The files of each picture and avatar, read in batches; no connection is held while the storage is asked."""
    last = 0
    pictures = select(Media.id, Media.storage_key, Media.state).where(Media.state != MediaState.FAILED)
    while True:
        with registry["read_engine"].connect() as connection:
            rows = connection.execute(pictures.where(Media.id > last).order_by(Media.id).limit(BATCH)).all()
        for row in rows:
            ready = row.state == MediaState.READY
            yield (
                [variant_file(row.storage_key, edge) for edge in VARIANT_EDGES]
                if ready
                else [original_file(row.storage_key)]
            )
        if len(rows) < BATCH:
            break
        last = rows[-1].id
    last, people = 0, select(Account.id, Account.avatar_key).where(Account.avatar_key.is_not(None))
    while True:
        with registry["read_engine"].connect() as connection:
            rows = connection.execute(people.where(Account.id > last).order_by(Account.id).limit(BATCH)).all()
        for row in rows:
            yield [avatar_file(str(row.avatar_key))]
        if len(rows) < BATCH:
            break
        last = rows[-1].id
