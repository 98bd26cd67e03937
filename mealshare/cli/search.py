"""`mealshare search`: the index of words."""

from __future__ import annotations

import click

from mealshare.cli.site import Site, pass_site
from mealshare.features.search.service import rebuild as rebuild_index


@click.group()
def search() -> None:
    """Look after what is searched in."""


@search.command()
@pass_site
def rebuild(site: Site) -> None:
    """Index all people and meals anew, in small steps; the site may go on serving meanwhile.

    After an upgrade from a version without search the site does so by itself, within hours; this does it now.
    """
    open_work = site.registry["open_work"]
    people, meals = (sum(rebuild_index(open_work, kind)) for kind in ("people", "meals"))
    click.echo(f"Indexed {people} people and {meals} meals.")
