"""Where the site keeps things on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pyramid.registry import Registry

from mealshare.core.mail import MailSettings
from mealshare.core.settings import ENVIRONMENT_PREFIX, settings_of
from mealshare.core.storage import StorageSettings

#: Where the command line puts the path of the ini file.
CONFIG_FILE = "config_file"


def folders(registry: Registry) -> Iterator[tuple[str, Path]]:
    """What is kept in which folder, whether it is there or not."""
    storage = settings_of(registry, StorageSettings)
    if storage.backend == "local":
        yield "storage.folder", Path(storage.folder)
    mail = settings_of(registry, MailSettings)
    if not mail.host:
        yield "mail.folder", Path(mail.folder)
    database = database_file(registry)
    if database is not None:
        yield "the database", database.parent


def database_file(registry: Registry) -> Path | None:
    """The file of a SQLite database."""
    url = registry["engine"].url
    return Path(url.database).resolve() if url.get_backend_name() == "sqlite" and url.database else None


def secret_files(registry: Registry) -> Iterator[tuple[str, Path]]:
    """The files in which secrets stand, by what names them: those of the environment, keys, the ini file itself."""
    # Settings that are themselves the name of a file come below, if it holds a secret.
    themselves = {declared.environment for declared in registry["settings_declared"]}
    for variable, value in os.environ.items():
        named = variable.startswith(ENVIRONMENT_PREFIX) and variable.endswith("_FILE") and "__" in variable
        if named and value and variable not in themselves:
            yield variable, Path(value)
    key = registry.settings.get("jwt.private_key_file")
    if key:
        yield "jwt.private_key_file", Path(str(key))
    ini = registry.get(CONFIG_FILE)
    if ini is not None and _holds_a_secret(Path(ini)):
        yield "the configuration", Path(ini)


def _holds_a_secret(ini: Path) -> bool:
    try:
        lines = ini.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    names = ("secret", "password", "token", "secret_key", "previous_secrets")
    return any(
        line.partition("=")[0].strip().rpartition(".")[2] in names and line.partition("=")[2].strip()
        for line in lines
        if not line.lstrip().startswith(("#", ";"))
    )
