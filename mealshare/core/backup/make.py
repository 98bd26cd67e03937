"""A backup of a site that goes on serving."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url

from mealshare.core import clock
from mealshare.core.backup import media, postgres, sqlite
from mealshare.core.backup.archive import Writer, writer
from mealshare.core.backup.errors import BackupError, NothingThere
from mealshare.core.backup.manifest import DATABASES, MEDIA, NAME, Manifest
from mealshare.core.backup.media import Tell
from mealshare.core.backup.tables import count_rows, engine_of
from mealshare.core.backup.workfolder import publish, work_folder
from mealshare.core.dates import rfc3339
from mealshare.core.db.revision import current_revision
from mealshare.core.storage import Storage


@dataclass(frozen=True)
class Wanted:
    """What is to be backed up, and how."""

    database_url: str
    #: None: without the files.
    storage: Storage | None
    #: Of MealShare.
    version: str
    #: The address of the site.
    site: str
    #: What the keys of files begin with that do not live long: a job takes them, and leaves others in their place.
    fleeting: str = ""
    compressed: bool = False
    #: The folder of pg_dump, if it is not on the PATH.
    programs: Path | None = None


def make_backup(wanted: Wanted, final: Path, tell: Tell) -> Manifest:
    """Write the backup ``final``; what stands in it is as of one moment, which lies within this call.

    First the rows, then the files: a file without its row is swept after a restore, a row without its file would be a
    hole.  Those that do not live long are an exception: the rows may wait for one that a job has just taken, so they are
    copied just before and just after the moment of the rows.  Other files that are deleted meanwhile are left out.

    Needs room for the database twice and for the files once.  Raises BackupError and StorageError; then there is no file
    ``final``, nor anything else that was not there before.
    """
    if final.exists():
        raise BackupError(f"{final} is there already; it was not touched")
    with work_folder(final.parent) as folder:
        made_at = clock.now()
        backend = make_url(wanted.database_url).get_backend_name()
        if backend not in DATABASES:
            raise BackupError(f"{backend} is not supported, only sqlite and postgresql are")
        database, archive = folder / DATABASES[backend], folder / "archive"
        with writer(archive, made_at.timestamp(), compressed=wanted.compressed) as target:

            def add_fleeting() -> None:
                if wanted.storage is not None and wanted.fleeting:
                    _add_media(wanted.storage, target, wanted.fleeting)

            add_fleeting()
            revision, tables = _copy_database(wanted, backend, database, add_fleeting, tell)
            target.add_file(database.name, database)
            database.unlink()
            if wanted.storage is not None:
                _add_media(wanted.storage, target, tell=tell)
            manifest = Manifest(
                version=wanted.version,
                revision=revision,
                database=backend,
                made_at=rfc3339(made_at),
                site=wanted.site,
                media=wanted.storage is not None,
                tables=tables,
                files=dict(target.files),
            )
            target.add_bytes(NAME, manifest.to_bytes())
        publish(archive, final)
    return manifest


def _copy_database(
    wanted: Wanted, backend: str, target: Path, begun: Callable[[], None], tell: Tell
) -> tuple[str, dict[str, int]]:
    """The revision and the rows of each table in the copy, which lies at ``target``."""
    if backend == "postgresql":
        return postgres.dump(wanted.database_url, target, wanted.programs, begun, tell)
    sqlite.copy_database(wanted.database_url, target, begun, tell)
    with engine_of(f"sqlite:///{target}") as engine, engine.connect() as connection:
        revision = current_revision(engine)
        if revision is None:
            raise NothingThere
        return revision, count_rows(connection)


def _add_media(storage: Storage, target: Writer, prefix: str = "", tell: Tell | None = None) -> None:
    """Add the files that are not in the backup yet."""
    gone = 0
    for number, key in enumerate(storage.keys(prefix), 1):
        if f"{MEDIA}{key}" in target.files:
            continue
        data = media.read(storage, key)
        if data is None:
            gone += 1
        else:
            target.add_bytes(f"{MEDIA}{key}", data)
        if tell is not None and number % media.STEP == 0:
            tell(f"files: {number}")
    if tell is not None and gone:
        tell(f"files: {gone} were deleted meanwhile")


def file_name(host: str, *, compressed: bool) -> str:
    """The name of a backup made now of the site at ``host``; names sort by time."""
    moment = datetime.fromtimestamp(time.time(), UTC)
    return f"mealshare-{_plain(host)}-{moment:%Y%m%dT%H%M%SZ}.tar{'.gz' if compressed else ''}"


def remove_older(folder: Path, host: str, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` backups of the site at ``host``; gives those that went.

    Only files with names as `file_name` makes them: other sites' backups and other files stay.
    """
    ours = re.compile(rf"mealshare-{re.escape(_plain(host))}-\d{{8}}T\d{{6}}Z\.tar(\.gz)?")
    found = sorted((file for file in folder.iterdir() if ours.fullmatch(file.name) and file.is_file()), reverse=True)
    for file in found[keep:]:
        file.unlink(missing_ok=True)
    return found[keep:]


def _plain(host: str) -> str:
    """A host (and port) as part of the name of a file."""
    return re.sub(r"[^a-z0-9.-]+", "_", host.lower()) or "site"
