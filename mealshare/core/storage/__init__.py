"""File storage: ``registry["storage"]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyramid.config import Configurator

from mealshare.core.settings import SettingsError, setting
from mealshare.core.storage.interface import NotStored, Storage, StorageError, StorageFull, check_key
from mealshare.core.storage.local import LocalStorage

__all__ = [
    "LocalStorage",
    "NotStored",
    "Storage",
    "StorageError",
    "StorageFull",
    "StorageSettings",
    "check_key",
    "make_storage",
]


@dataclass(frozen=True)
class StorageSettings:
    """Where files live."""

    backend: str = setting("local", "Where files live.", choices=("local",))
    folder: Path = setting(Path("var/media"), "The folder of the local backend.")


def make_storage(settings: StorageSettings) -> Storage:
    """The storage that ``settings`` describe; SettingsError if it cannot be used."""
    try:
        return LocalStorage(settings.folder)
    except StorageError as error:
        raise SettingsError(f"the setting storage.folder is wrong: {error}") from error


def includeme(config: Configurator) -> None:
    """Register the settings and the storage."""
    config.registry["storage"] = make_storage(config.declare_settings(StorageSettings, prefix="storage"))
