"""`mealshare move`: a site goes to another database, or its pictures to another storage."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from mealshare.cli.backup import quiet, teller
from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.backup.media import Tell, copy_media
from mealshare.core.backup.move import Moved, move_database
from mealshare.core.db import MAX_ID
from mealshare.core.storage import LocalStorage, Storage, make_storage
from mealshare.core.storage.settings import StorageSettings
from mealshare.features.search.indexing import KINDS
from mealshare.features.search.service import BATCH

#: What the command ends with when somebody wrote to the source meanwhile: all went well, but for the last time it will not do.
CHANGED = 3


@click.command()
@click.option("--from", "source", metavar="URL", help="The database to read; without it that of the configuration.")
@click.option("--to", "target", metavar="URL", help="The database to fill, an empty one.")
@click.option(
    "--to-config",
    type=click.Path(path_type=Path),
    help="The ini file of the new site: its database, its pictures. What it says wins over the environment here.",
)
@click.option(
    "--from-media", type=click.Path(path_type=Path, file_okay=False), help="The folder to take pictures from."
)
@click.option(
    "--to-media", type=click.Path(path_type=Path, file_okay=False), help="The folder to copy the pictures to."
)
@click.option("--no-media", is_flag=True, help="Leave the pictures where they are.")
@click.option("--media-only", is_flag=True, help="Copy the pictures, and nothing else.")
@quiet
@pass_site
@click.pass_context
def move(
    context: click.Context, site: Site, source: str | None, target: str | None, to_config: Path | None,
    from_media: Path | None, to_media: Path | None, no_media: bool, media_only: bool, quiet: bool,
) -> None:  # fmt: skip
    """Carry a site from one database to another: from SQLite to PostgreSQL, or back, or to another server.

    Every row is read back and compared before the target keeps any; what fails leaves it empty.  The source is only read,
    and may go on serving.  If somebody writes to it meanwhile, the command says so and ends with status 3: the target is
    as the source was at the beginning.  For the final move, let nobody write.
    """
    if to_config is not None and target is not None:
        raise CommandFailed("give --to or --to-config, not both")
    new = None if to_config is None else Site(to_config, file_first=True)
    storages = None if no_media else _storages(site, new, from_media, to_media)
    tell, moved = teller(quiet), None
    if not media_only:
        to_url = target if new is None else new.database_url
        if to_url is None:
            raise CommandFailed("where to? Give --to URL or --to-config FILE")
        moved = _move_rows(source or site.database_url, to_url, tell)
    if storages is None and media_only:
        raise CommandFailed(
            "where are the pictures to go? Give --to-media FOLDER, or --to-config FILE with another storage"
        )
    if storages is not None:
        _move_media(*storages, tell, quiet)
    if moved is not None:
        _report(context, moved, quiet)


def _move_rows(source: str, target: str, tell: Tell) -> Moved:
    try:
        make_url(source), make_url(target)
    except ArgumentError:
        # Not what was given, for it may hold a password.
        raise CommandFailed("one of the addresses is not an SQLAlchemy database URL") from None
    tables = frozenset(kind.index.name for kind in KINDS.values())
    return move_database(source, target, tables, lambda connection: _index(connection, tell), tell)


def _index(connection: Connection, tell: Tell) -> None:
    """Fill the index of words, within the transaction of ``connection``."""
    with Session(connection, join_transaction_mode="rollback_only") as session:
        for name, kind in KINDS.items():
            before, count = MAX_ID, 0
            while done := kind.some(session, before, BATCH):
                before, count = done[-1], count + len(done)
            tell(f"search: {count} {name}")


def _storages(
    site: Site, new: Site | None, from_media: Path | None, to_media: Path | None
) -> tuple[Storage, Storage] | None:
    """Where the pictures are and where they go; None if they stay."""
    if to_media is None and new is None:
        if from_media is not None:
            raise CommandFailed("--from-media needs --to-media")
        return None
    of_target = None if new is None else new.part(StorageSettings, "storage")
    if from_media is None:
        of_source = site.part(StorageSettings, "storage")
        if to_media is None and of_source == of_target:
            return None
        source = make_storage(of_source)
    else:
        source = _folder(from_media)
    if to_media is None and of_target is not None:
        return source, make_storage(of_target)
    return source, LocalStorage(Path(to_media or ""))


def _folder(path: Path) -> Storage:
    if not path.is_dir():
        raise CommandFailed(f"there is no folder {path}")
    return LocalStorage(path)


def _move_media(source: Storage, target: Storage, tell: Tell, quiet: bool) -> None:
    done = copy_media(source, target, tell)
    if not quiet:
        gone = f", {done.gone} were deleted meanwhile" if done.gone else ""
        click.echo(f"Copied {done.copied} files; {done.known} were there already{gone}.")


def _report(context: click.Context, moved: Moved, quiet: bool) -> None:
    if not quiet:
        click.echo(f"Moved {moved.rows} rows of {len(moved.tables)} tables; all are the same in both databases.")
    if moved.changed:
        click.echo(
            f"Somebody wrote to the source meanwhile ({', '.join(moved.changed)}), and that is not in the target."
            " For the final move, let nobody write: stop the site or set it to read-only, empty the target, move again.",
            err=True,
        )
        context.exit(CHANGED)
