"""Find every model of the package, so that the metadata is whole (migrations, command line, tests)."""

from __future__ import annotations

import importlib
import pkgutil


def _fail(name: str) -> None:
    raise ImportError(f"{name} cannot be imported")


def import_models() -> None:
    """Import each module of the package that is called ``models``, wherever it stands."""
    package = importlib.import_module(__name__.partition(".")[0])
    # Without an error handler a package that cannot be imported is passed over, and its tables with it.
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=_fail):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
