"""`mealshare db`: the database's schema."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import Engine, create_engine, make_url, pool
from sqlalchemy.exc import ArgumentError

from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.db import migrate
from mealshare.core.db.revision import HEAD, check_revision, current_revision

#: How often a migration that must not wait is tried.
ATTEMPTS = 5


@click.group()
def db() -> None:
    """Create the database, bring it up to date, or take it back."""


@db.command()
@click.argument("revision", default="head")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0.001),
    metavar="SECONDS",
    help="On PostgreSQL, wait no longer than this for a table that is in use; then roll back and try again, five times "
    "in all.  For a site that goes on serving meanwhile.",
)
@pass_site
def upgrade(site: Site, revision: str, lock_timeout: float | None) -> None:
    """Bring the database up to REVISION (the newest one); makes it if it is not there."""
    _make_folder(site.database_url)
    attempts = 1 if lock_timeout is None else ATTEMPTS
    try:
        migrate.upgrade(site.database_url, revision, lock_timeout=lock_timeout, attempts=attempts)
    except migrate.LockedError as error:
        raise CommandFailed(str(error)) from error
    _tell(site)


@db.command()
@click.argument("revision")
@pass_site
def downgrade(site: Site, revision: str) -> None:
    """Take the database back to REVISION; "base" removes every table and all that is in them."""
    migrate.downgrade(site.database_url, revision)
    _tell(site)


@db.command()
@pass_site
def current(site: Site) -> None:
    """Tell which revision the database is at."""
    _tell(site)


@db.command()
@pass_site
def check(site: Site) -> None:
    """Fail unless the database is at the newest revision."""
    # The engine has no pool, so there is nothing to close afterwards.
    check_revision(_engine(site))
    _tell(site)


def _engine(site: Site) -> Engine:
    try:
        return create_engine(site.database_url, poolclass=pool.NullPool)
    except (ArgumentError, ImportError) as error:
        raise CommandFailed(f"the setting db.url is wrong: {error}") from error


def _tell(site: Site) -> None:
    engine = _engine(site)
    revision, head = current_revision(engine), HEAD
    state = "the newest" if revision == head else f"the newest is {head}: run `mealshare db upgrade`"
    click.echo(f"The database is at revision {revision or 'none'} ({state}).")


def _make_folder(url: str) -> None:
    """SQLite makes its file, but not the folder that the file lies in."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise CommandFailed(f"the setting db.url is wrong: {error}") from error
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
