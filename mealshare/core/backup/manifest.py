"""What a backup says about itself: the last file in it, so a backup that was cut off has none."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from mealshare.core.backup.errors import BackupError

NAME = "manifest.json"
FORMAT = "mealshare-backup"
#: Raised by one when a reader of the version before could not understand a backup any more.
FORMAT_VERSION = 1
#: The database in the backup, by its kind: a whole SQLite file, or what pg_dump writes.
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
#: Before the key of each file of the storage.
MEDIA = "files/"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A file in the backup."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is in a backup."""

    #: Of MealShare, and of its schema.
    version: str
    revision: str
    #: ``sqlite`` or ``postgresql``.
    database: str
    #: RFC 3339, UTC: the moment that the rows are of.
    made_at: str
    site: str
    #: Whether the files of the storage are in it.
    media: bool
    #: Rows of each table.
    tables: dict[str, int] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)

    @property
    def database_file(self) -> str:
        """The name of the database in the backup."""
        return DATABASES[self.database]

    @property
    def media_files(self) -> dict[str, Entry]:
        """The files of the storage, by their keys."""
        return {name.removeprefix(MEDIA): entry for name, entry in self.files.items() if name.startswith(MEDIA)}

    def to_bytes(self) -> bytes:
        """As it stands in the backup."""
        return orjson.dumps(
            {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}, option=orjson.OPT_INDENT_2
        )


def read_manifest(data: bytes) -> Manifest:
    """The manifest that ``data`` holds.  Raises BackupError for one that this version cannot understand."""
    try:
        return _parse(orjson.loads(data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupError(f"its {NAME} is damaged") from error


def _parse(known: dict[str, Any]) -> Manifest:
    if known["format"] != FORMAT:
        raise ValueError(known["format"])
    if known["format_version"] != FORMAT_VERSION:
        raise BackupError(f"it has format {known['format_version']}, and this version reads format {FORMAT_VERSION}")
    files = {str(name): Entry(int(entry["size"]), str(entry["sha256"])) for name, entry in known["files"].items()}
    if not all(_DIGEST.fullmatch(entry.sha256) for entry in files.values()):
        raise ValueError("sha256")
    made = Manifest(
        version=str(known["version"]),
        revision=str(known["revision"]),
        database=str(known["database"]),
        made_at=str(known["made_at"]),
        site=str(known["site"]),
        media=bool(known["media"]),
        tables={str(name): int(count) for name, count in known["tables"].items()},
        files=files,
    )
    if made.database not in DATABASES:
        raise BackupError(f"it holds a database of the kind {made.database}, which this version does not know")
    if made.database_file not in files:
        raise ValueError(made.database_file)
    return made
