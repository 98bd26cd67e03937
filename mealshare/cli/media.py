"""`mealshare media`: the pictures."""

from __future__ import annotations

from dataclasses import asdict

import click

from mealshare.cli.site import Site, pass_site
from mealshare.features.media.sweep import sweep as sweep_now


@click.group()
def media() -> None:
    """Look after the pictures."""


@media.command()
@pass_site
def sweep(site: Site) -> None:
    """Remove uploads that no meal has taken, and files that belong to nothing; the site does so every hour."""
    swept = asdict(sweep_now(site.registry))
    click.echo("Removed " + ", ".join(f"{count} {name}" for name, count in swept.items()) + ".")
