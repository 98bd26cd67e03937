"""`mealshare backup` and `mealshare restore`: a whole site in one file, and back."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.backup.make import Wanted, file_name, make_backup, remove_older
from mealshare.core.backup.manifest import Manifest
from mealshare.core.backup.media import Tell
from mealshare.core.backup.restore import Site as Place
from mealshare.core.backup.restore import check_backup, restore_backup
from mealshare.core.security import SiteSettings
from mealshare.core.storage import make_storage
from mealshare.core.storage.settings import StorageSettings
from mealshare.core.version import __version__
from mealshare.features.media.files import ORIGINALS

_MEGABYTE = 1_000_000
programs = click.option(
    "--pg-bin",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of pg_dump and pg_restore, if they are not on the PATH; at least the server's version.",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")


@click.command()
@click.argument("target", metavar="[FILE|FOLDER]", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--keep", type=click.IntRange(1), help="Afterwards remove all but the newest KEEP of this site in the folder."
)
@click.option("--no-media", is_flag=True, help="Leave out the pictures, where something else looks after them.")
@click.option("--gzip", "compressed", is_flag=True, help="Compress it; pictures stay as large as they are.")
@programs
@quiet
@pass_site
def backup(
    site: Site, target: Path, keep: int | None, no_media: bool, compressed: bool, pg_bin: Path | None, quiet: bool
) -> None:
    """Write the database and the pictures to one file, while the site serves.

    In a FOLDER (without one: this folder) the file is called after the site and the time.  It is there whole or not at
    all; only its owner may read it.  The secrets of the ini file are not in it: keep those elsewhere.
    """
    settings = site.part(SiteSettings, "site")
    host = urlsplit(settings.base_url).netloc
    folder = target if target.is_dir() else None
    if folder is None and (keep is not None or not target.parent.is_dir()):
        missing = target if keep is not None else target.parent
        raise CommandFailed(f"there is no folder {missing}" + (", and --keep needs one" if keep is not None else ""))
    final = target if folder is None else folder / file_name(host, compressed=compressed)
    wanted = Wanted(
        database_url=site.database_url,
        storage=None if no_media else make_storage(site.part(StorageSettings, "storage")),
        version=__version__,
        site=settings.base_url,
        fleeting=ORIGINALS,
        compressed=compressed or final.suffix == ".gz",
        programs=pg_bin,
    )
    made = make_backup(wanted, final.absolute(), teller(quiet))
    if made.media and made.tables.get("media") and not made.media_files:
        click.echo(
            "Warning: the database knows pictures, but the storage has no files: is storage.folder right?", err=True
        )
    gone = remove_older(folder, host, keep) if folder is not None and keep is not None else []
    if not quiet:
        click.echo(f"Wrote {final}: {_contents(made)}, {final.stat().st_size / _MEGABYTE:.1f} MB.")
        for file in gone:
            click.echo(f"Removed {file}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Only read the backup, and tell whether it is whole.")
@click.option("--no-media", is_flag=True, help="Leave the pictures as they are.")
@programs
@quiet
@pass_site
def restore(site: Site, file: Path, check: bool, no_media: bool, pg_bin: Path | None, quiet: bool) -> None:
    """Make an empty site what it was when the backup FILE was made.  Stop the site first.

    Nothing is touched before all of FILE has been read and found whole.  A site with rows or other pictures is refused.
    The backup of an older version is brought up to date.
    """
    if check:
        manifest = check_backup(file)
        verb = "The backup is whole"
    else:
        storage = None if no_media else make_storage(site.part(StorageSettings, "storage"))
        manifest = restore_backup(file, Place(site.database_url, storage, pg_bin), teller(quiet))
        verb = "Restored"
    if not quiet:
        click.echo(f"{verb}: {_contents(manifest)}, of {manifest.made_at}, made by MealShare {manifest.version}.")


def teller(quiet: bool) -> Tell:
    """What tells on standard error how far it has come."""

    def tell(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    return tell


def _contents(manifest: Manifest) -> str:
    rows = f"{sum(manifest.tables.values())} rows"
    return f"{rows} and {len(manifest.media_files)} files" if manifest.media else f"{rows}, no pictures"
