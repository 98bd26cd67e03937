"""`mealshare readonly`: let people read, and nobody change anything, without a restart."""

from __future__ import annotations

from pathlib import Path

import click

from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.readonly import LOOK_SECONDS, ReadOnlySettings


@click.group()
def readonly() -> None:
    """Switch read-only mode on and off, for all processes that see the file of the setting site.read_only_file."""


@readonly.command()
@pass_site
def on(site: Site) -> None:
    """From now on the site can only be read."""
    file = _file(site)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    click.echo(f"The site can only be read, {LOOK_SECONDS:g} second from now. Jobs that run will end; no other begins.")


@readonly.command()
@pass_site
def off(site: Site) -> None:
    """From now on the site can be written again."""
    _file(site).unlink(missing_ok=True)
    if site.part(ReadOnlySettings, "site").read_only:
        raise CommandFailed("the setting site.read_only still says that the site can only be read")
    click.echo("The site can be written again.")


@readonly.command()
@pass_site
def status(site: Site) -> None:
    """Tell which it is."""
    settings = site.part(ReadOnlySettings, "site")
    there = bool(settings.read_only_file) and Path(settings.read_only_file).exists()
    click.echo("The site can only be read." if settings.read_only or there else "The site can be read and written.")


def _file(site: Site) -> Path:
    name = site.part(ReadOnlySettings, "site").read_only_file
    if not name:
        raise CommandFailed("the setting site.read_only_file is missing: it says which file switches the mode on")
    return Path(name)
