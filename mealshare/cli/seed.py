"""`mealshare seed`: a site that looks lived in."""

from __future__ import annotations

import click

from mealshare.cli.demo_site import fill, is_empty, read_demo
from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.security.tokens import new_token

_PASSWORD_BYTES = 16


@click.command()
@click.option("--people", type=click.IntRange(1), default=40, show_default=True, help="How many people.")
@click.option(
    "--meals", type=click.IntRange(0), default=500, show_default=True, help="How many meals, the newest ones."
)
@click.option("--if-empty", is_flag=True, help="Do nothing, without an error, where somebody is already.")
@pass_site
def seed(site: Site, people: int, meals: int, if_empty: bool) -> None:
    """Fill an empty site with people, meals, pictures and likes, for a look around.

    All of it or none of it is written.  Each picture is processed once, and the password is hashed once for all: it is
    made up, and printed at the end.
    """
    registry = site.registry
    if not is_empty(registry):
        if if_empty:
            click.echo("There are people here already: no demo data.")
            return
        raise CommandFailed("there are people here already: demo data is for an empty site")
    demo = read_demo(people, meals)
    password = new_token(_PASSWORD_BYTES)
    steps = len(demo.files) + len(demo.people) + len(demo.meals)
    with click.progressbar(length=steps, label="Demo data") as bar:
        fill(registry, demo, password, lambda: bar.update(1))
    click.echo(f"{len(demo.people)} people posted {len(demo.meals)} meals.")
    click.echo(f"Demo people: log in as {demo.people[0].username} / {password}")
