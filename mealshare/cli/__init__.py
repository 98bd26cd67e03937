"""The `mealshare` command: makes a configuration, migrates the database, and does what an administrator needs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import click

from mealshare.cli.backup import backup, restore
from mealshare.cli.db import db
from mealshare.cli.doctor import doctor
from mealshare.cli.documents import openapi, settings
from mealshare.cli.errors import one_line
from mealshare.cli.init import init
from mealshare.cli.jobs import jobs
from mealshare.cli.media import media
from mealshare.cli.move import move
from mealshare.cli.readonly import readonly
from mealshare.cli.search import search
from mealshare.cli.seed import seed
from mealshare.cli.site import Site
from mealshare.cli.static import static
from mealshare.cli.users import user
from mealshare.cli.worker import beat, worker
from mealshare.core.version import __version__

CONFIG_VARIABLE = "MEALSHARE_CONFIG"
#: Looked for in the current folder when nobody says which file it is.
DEFAULT_FILES = ("development.ini", "mealshare.ini")


class _Commands(click.Group):
    """A group whose expected failures are one line on standard error and exit code 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = one_line(error)
            if message is None:
                raise
            raise click.ClickException(message) from error


def _default_file() -> Path:
    return next((Path(name) for name in DEFAULT_FILES if Path(name).is_file()), Path(DEFAULT_FILES[-1]))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help=f"The ini file; without it {CONFIG_VARIABLE}, else {' or '.join(DEFAULT_FILES)} in this folder.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show what the application logs.")
@click.version_option(__version__, prog_name="mealshare")
@click.pass_context
def main(context: click.Context, config: Path | None, verbose: bool) -> None:
    """MealShare: a social network that tells the whole internet what you ate."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(name)s %(message)s", force=True
    )
    # Not click's envvar: an empty variable means that there is none.
    named = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    context.obj = Site(named or _default_file())


for command in (
    init,
    db,
    user,
    seed,
    jobs,
    media,
    search,
    openapi,
    settings,
    backup,
    restore,
    move,
    worker,
    beat,
    static,
    readonly,
    doctor,
):
    main.add_command(command)
