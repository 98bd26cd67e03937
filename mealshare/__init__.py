"""MealShare: a social network that tells the whole internet what you ate."""

from __future__ import annotations

import warnings
from typing import Any

# Pyramid imports pkg_resources, which announces at each start that it will go; setup.py keeps a version that has it.
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationExecutionError
from pyramid.router import Router

from mealshare.core.registry import SiteRegistry
from mealshare.core.settings import BootError
from mealshare.core.version import __version__

__all__ = ["__version__", "configure", "main"]

#: Plumbing, in the order in which each may rely on the ones before it.
CORE = (
    "mealshare.core.settings",
    "mealshare.core.registry",
    "mealshare.core.request",
    "mealshare.core.routing",
    "mealshare.core.ids",
    "mealshare.core.log",
    "mealshare.core.db",
    "mealshare.core.timing",
    "mealshare.core.transactions",
    "mealshare.core.security",
    "mealshare.core.readonly",
    "mealshare.core.compression",
    "mealshare.core.i18n",
    "mealshare.core.messages",
    "mealshare.core.cache",
    "mealshare.core.storage",
    "mealshare.core.mail",
    "mealshare.core.ratelimit",
    "mealshare.core.jobs",
    "mealshare.core.metrics",
    "mealshare.core.tracing",
    "mealshare.core.doctor",
    "mealshare.core.work",
    "mealshare.core.idempotency",
    "mealshare.core.health",
    "mealshare.web",
    "mealshare.api",
    "mealshare.server",
)
#: Capabilities; one word here switches one on, and a lower one never knows a higher one.
FEATURES = (
    "accounts", "social", "media", "meals", "preferences", "reactions", "comments", "timelines", "search", "diary",
    "discover", "feeds", "streams", "notifications", "developers",
)  # fmt: skip


def configure(settings: dict[str, Any]) -> Configurator:
    """The configured, not yet committed application."""
    config = Configurator(registry=SiteRegistry(__name__))
    config.setup_registry(settings=settings)
    for name in CORE:
        config.include(name)
    for name in FEATURES:
        config.include(f"mealshare.features.{name}")
    return config


def main(global_config: dict[str, str], **settings: Any) -> Router:
    """The WSGI application, as ``use = egg:mealshare`` in an ini file asks for it."""
    config = configure({key: value for key, value in global_config.items() if key in ("here", "__file__")} | settings)
    try:
        return config.make_wsgi_app()
    except ConfigurationExecutionError as error:
        # What is wrong with a setting or with the database is for the host to read, without Pyramid's wrapping.
        if isinstance(error.evalue, BootError):
            raise error.evalue from None
        raise
