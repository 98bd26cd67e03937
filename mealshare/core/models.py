"""Find every model of the package, so that the metadata is whole (migrations, command line, tests)."""

from __future__ import annotations

import importlib
import pkgutil


def import_models() -> None:
    """Import each module of the package that is called ``models``, wherever it stands."""
    package = importlib.import_module(__name__.partition(".")[0])
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
