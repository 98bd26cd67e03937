"""The site that a command works on: its ini file, its settings, and the application behind them."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import click
from pyramid.paster import get_appsettings
from pyramid.registry import Registry

from mealshare import configure
from mealshare.cli.errors import CommandFailed
from mealshare.core.db import DatabaseSettings
from mealshare.core.db.hurry import unhurried
from mealshare.core.settings import overlay_environment, parse_settings

T = TypeVar("T")


@dataclass
class Site:
    """What stands in ``file``, read when a command first asks for it."""

    file: Path
    #: For a second site of one command: what its file says wins over the environment, which is that of the first one.
    file_first: bool = False

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of the ini file.  Raises CommandFailed when there is no such file or it cannot be read."""
        if not self.file.is_file():
            raise CommandFailed(f"there is no {self.file}: run `mealshare init`, or name a configuration with -c FILE")
        try:
            return dict(get_appsettings(str(self.file.resolve()), "main"))
        except (LookupError, ValueError, configparser.Error) as error:
            raise CommandFailed(f"{self.file} cannot be read: {str(error).splitlines()[0]}") from error

    def part(self, cls: type[T], prefix: str) -> T:
        """The settings of one concern, without the application; the environment wins over the file, as everywhere."""
        raw = overlay_environment(dict(self.settings))
        return parse_settings(cls, prefix, {**raw, **self.settings} if self.file_first else raw)

    @cached_property
    def database_url(self) -> str:
        """Where the database is."""
        return self.part(DatabaseSettings, "db").url

    @cached_property
    def registry(self) -> Registry:
        """The registry of the whole application.  Nothing is served and no worker runs.

        Raises SettingsError, and SchemaError for a database that is not at the newest migration.
        """
        return self._application({})

    @cached_property
    def registry_without_database(self) -> Registry:
        """The same for commands that ask the database nothing; it need not even be there."""
        return self._application({"db.check_revision": "false"})

    def _application(self, more: dict[str, str]) -> Registry:
        config = configure(self.settings | more)
        registry: Registry = config.registry
        # Nobody waits at the other end of a request.
        click.get_current_context().with_resource(unhurried())
        # First: the check of the revision opens a connection, and may then refuse.
        click.get_current_context().call_on_close(registry["engine"].dispose)
        config.commit()
        return registry


pass_site = click.make_pass_decorator(Site)
