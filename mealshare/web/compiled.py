"""Compiled templates that outlive the process.

To compile a template takes 40 to 250 milliseconds, the front page with all its parts more than a second; to read what
an earlier process compiled takes a sixth of that.  Chameleon itself knows such a folder only as an environment variable
that has to be there before it is imported.  The name of each file holds a hash of the template and of the versions of
the libraries, so nothing ever has to be removed after an update.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from chameleon.loader import ModuleLoader
from chameleon.template import BaseTemplate
from pyramid.config import Configurator

from mealshare.core.settings import SettingsError, setting


@dataclass(frozen=True)
class TemplateSettings:
    """How pages are made of templates."""

    compiled: str = setting(
        "", "The folder in which compiled templates are kept for the next start; empty: each process compiles its own."
    )


def keep_compiled(folder: Path) -> None:
    """From now on read and keep compiled templates in ``folder``, which is made if it is not there.

    Holds for all applications of the process.  What lies in the folder is run as code, so SettingsError where somebody
    else could write into it, and where this process cannot.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise SettingsError(f"the setting templates.compiled is wrong: {folder}: {error.strerror}") from error
    if status.st_uid != os.getuid() or status.st_mode & 0o022 or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(
            f"the setting templates.compiled is wrong: {folder} must belong to the user that runs the site, and nobody "
            "else may write into it"
        )
    BaseTemplate.loader = ModuleLoader(str(folder.resolve()))


_compiling = threading.RLock()
_cook = BaseTemplate.cook


def _cook_alone(template: BaseTemplate, body: str) -> None:
    with _compiling:
        _cook(template, body)


def compile_one_at_a_time() -> None:
    """From now on no two threads of the process compile templates at once.

    CPython 3.11 counts how deep it is in a syntax tree for all threads together, and may answer the first requests of a
    new process with ``SystemError: AST constructor recursion depth mismatch``.
    """
    # Chameleon offers no other place.
    BaseTemplate.cook = _cook_alone  # type: ignore[assignment, method-assign]


def includeme(config: Configurator) -> None:
    """Register the setting and obey it, before the first template is read."""
    settings = config.declare_settings(TemplateSettings, prefix="templates")
    compile_one_at_a_time()
    if settings.compiled:
        keep_compiled(Path(settings.compiled))
