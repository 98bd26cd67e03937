"""The developer portal: what somebody who writes a program against the API reads first."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.core.settings import SettingsError
from mealshare.features.developers.settings import DevelopersSettings


def includeme(config: Configurator) -> None:
    """Switch the feature on."""
    settings = config.declare_settings(DevelopersSettings, prefix="developers")
    if settings.source and not settings.source.startswith(("https://", "http://")):
        raise SettingsError(f"the setting developers.source is wrong: {settings.source!r} is no http or https address")
    config.add_route("developers", "/developers")
    config.scan(".web")
