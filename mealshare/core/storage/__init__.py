"""File storage: ``registry["storage"]``."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.core.settings import BootError, SettingsError
from mealshare.core.storage.interface import NotStored, Storage, StorageError, StorageFull, check_key
from mealshare.core.storage.local import LocalStorage
from mealshare.core.storage.settings import StorageSettings

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


def make_storage(settings: StorageSettings) -> Storage:
    """The storage that ``settings`` describe.

    Raises SettingsError if it cannot be used, BootError for a library that is missing.  S3 itself is not asked: a site
    starts while it is away.
    """
    if settings.backend == "s3":
        try:
            # Here, because the library takes half a second and 16 MB, and most sites have a folder.
            from mealshare.core.storage.s3 import S3Storage
        except ImportError:
            raise BootError(
                "the setting storage.backend is s3, but the library is missing: pip install 'mealshare[s3]'"
            ) from None
        return S3Storage(settings)
    try:
        return LocalStorage(settings.folder)
    except StorageError as error:
        raise SettingsError(f"the setting storage.folder is wrong: {error}") from error


def includeme(config: Configurator) -> None:
    """Register the settings and the storage."""
    config.registry["storage"] = make_storage(config.declare_settings(StorageSettings, prefix="storage"))
