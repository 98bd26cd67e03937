"""An empty site becomes what it was when a backup was made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from mealshare.core.backup import media, postgres, sqlite
from mealshare.core.backup.archive import media_of, verify
from mealshare.core.backup.errors import BackupError, room_in
from mealshare.core.backup.manifest import Entry, Manifest
from mealshare.core.backup.media import Tell
from mealshare.core.backup.tables import count_rows, differences, engine_of, occupied
from mealshare.core.backup.workfolder import work_folder
from mealshare.core.db import migrate
from mealshare.core.db.revision import current_revision
from mealshare.core.storage import Storage, StorageError


@dataclass(frozen=True)
class Site:
    """Where a backup is restored to."""

    database_url: str
    #: None: the files stay as they are.
    storage: Storage | None
    #: The folder of pg_restore, if it is not on the PATH.
    programs: Path | None = None


def check_backup(file: Path) -> Manifest:
    """Read all of the backup and compare it with what it says about itself.  Raises BackupError and OSError."""
    manifest = verify(file)
    _check_revision(manifest)
    return manifest


def restore_backup(file: Path, site: Site, tell: Tell) -> Manifest:
    """Make of the empty ``site`` what the backup ``file`` holds, at the newest schema.

    Nothing is touched before all of the file has been read and found whole.  The files come first, the database last and
    in one step: what is interrupted leaves an empty database, and can be done again.  Raises BackupError, StorageError and
    OSError.
    """
    backend = make_url(site.database_url).get_backend_name()
    with work_folder(_room_for(site.database_url, backend)) as folder:
        database = folder / "database"
        tell("reading the backup")
        manifest = verify(file, database)
        _check_revision(manifest)
        if manifest.database != backend:
            raise BackupError(
                f"the backup is of a {manifest.database} database, and this site has a {backend} one: restore it to a"
                f" {manifest.database} database, and carry that over with `mealshare move`"
            )
        put = _prepare_sqlite if backend == "sqlite" else _prepare_postgresql
        finish = put(manifest, database, site)
        if site.storage is None or not manifest.media:
            finish()
            return manifest
        added = _check_media(manifest, site.storage)
        try:
            _restore_media(file, site.storage, added, tell)
            tell("database")
            finish()
        except BaseException:
            with suppress(StorageError):
                for key in added:
                    site.storage.delete(key)
            raise
    return manifest


def _room_for(url: str, backend: str) -> Path:
    """A folder on the disk of the database, so that putting it in place is a rename; any, if it is elsewhere."""
    if backend != "sqlite":
        return Path(tempfile.gettempdir())
    parent = sqlite.file_of(url).absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"cannot make the folder {parent}: {error.strerror}") from error
    return parent


def _check_revision(manifest: Manifest) -> None:
    script = ScriptDirectory.from_config(migrate.alembic_config("sqlite://"))
    try:
        known = script.get_revision(manifest.revision)
    except CommandError:
        known = None
    if known is None:
        raise BackupError(
            f"the backup was made by MealShare {manifest.version} and has schema {manifest.revision}, which this version"
            f" ({migrate.head_revision()}) does not know: install that version, restore, and then change versions"
        )


def _check_empty(url: str) -> str | None:
    """The revision that an empty database is at.  Raises BackupError for one that somebody might miss."""
    with engine_of(url) as engine:
        with engine.connect() as connection:
            taken = occupied(count_rows(connection))
        if taken:
            where = make_url(url).render_as_string(hide_password=True)
            raise BackupError(
                f"the database {where} is not empty (rows: {taken}); nothing was changed. A backup is only restored to an"
                " empty one: move the old one out of the way, or name a new one as db.url"
            )
        return current_revision(engine)


def _compare(manifest: Manifest, url: str) -> None:
    with engine_of(url) as engine, engine.connect() as connection:
        wrong = differences(manifest.tables, count_rows(connection))
    if wrong:
        raise BackupError(f"the database of the backup has other rows than its manifest says ({wrong})")


def _prepare_sqlite(manifest: Manifest, database: Path, site: Site) -> Callable[[], None]:
    """All that can fail, with a copy; what is given back puts that in its place."""
    final = sqlite.file_of(site.database_url).absolute()
    if final.exists():
        _check_empty(site.database_url)
    url = f"sqlite:///{database}"
    with room_in(database.parent):
        _compare(manifest, url)
        migrate.upgrade(url)
    return lambda: sqlite.put_in_place(database, final)


def _prepare_postgresql(manifest: Manifest, database: Path, site: Site) -> Callable[[], None]:
    url = site.database_url
    revision = _check_empty(url)
    postgres.check_unused(url)
    postgres.check_programs(site.programs)

    def finish() -> None:
        if revision is not None:
            # Its tables are empty, and those of the dump may be older.
            migrate.downgrade(url, "base")
        postgres.drop_revision(url)
        try:
            postgres.load(url, database, site.programs)
            _compare(manifest, url)
        except BackupError:
            with suppress(SQLAlchemyError, CommandError):
                _empty_again(url, revision)
            raise
        migrate.upgrade(url)

    return finish


def _empty_again(url: str, revision: str | None) -> None:
    """The database as it was before it was restored to: without tables, or with empty ones."""
    with engine_of(url) as engine:
        if current_revision(engine) is not None:
            migrate.downgrade(url, "base")
    postgres.drop_revision(url)
    if revision is not None:
        migrate.upgrade(url, revision)


def _check_media(manifest: Manifest, storage: Storage) -> dict[str, Entry]:
    """The files that are not there yet, by their keys.  Raises BackupError for files that are not those of the backup."""
    wanted = manifest.media_files
    strange = sorted(set(storage.keys()) - wanted.keys())
    if strange:
        raise BackupError(
            f"the storage is not empty: {len(strange)} files are not in the backup, {strange[0]} among them; nothing was"
            " changed. Name an empty folder as storage.folder, or leave the files alone with --no-media"
        )
    return {key: entry for key, entry in wanted.items() if not media.is_there(storage, key, entry.sha256)}


def _restore_media(file: Path, storage: Storage, missing: Mapping[str, Entry], tell: Tell) -> None:
    for number, (key, data) in enumerate(media_of(file), 1):
        if key in missing:
            if media.digest(data) != missing[key].sha256:
                raise BackupError(f"{file} was changed while it was restored")
            storage.put(key, data, media.content_type_of(key))
            if media.read(storage, key) != data:
                raise BackupError(f"the storage gives {key} back otherwise than it was put there")
        if number % media.STEP == 0:
            tell(f"files: {number}")
