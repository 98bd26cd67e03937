"""The cache: ``registry["cache"]`` for bytes, ``registry["fragments"]`` for rendered pieces."""

from __future__ import annotations

from dataclasses import dataclass

from dogpile.cache import make_region, register_backend
from pyramid.config import Configurator

from mealshare.core.cache.backed import BackedCache
from mealshare.core.cache.fragments import Fragments
from mealshare.core.cache.interface import Cache
from mealshare.core.settings import setting

__all__ = ["BackedCache", "Cache", "CacheSettings", "Fragments", "make_cache"]

# dogpile.cache has no annotations.
register_backend("mealshare.lru", "mealshare.core.cache.lru", "LruBackend")  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class CacheSettings:
    """The bounds of what a process remembers."""

    backend: str = setting("memory", "Where cached values live.", choices=("memory",))
    entries: int = setting(10_000, "Values that the memory of one process holds at most.", minimum=1)
    megabytes: int = setting(16, "Megabytes that these values take at most.", minimum=1)
    fragments: int = setting(5_000, "Rendered pieces (about 2 kB each) that one process holds at most.", minimum=0)


def make_cache(settings: CacheSettings) -> Cache:
    """The cache that ``settings`` describe."""
    region = make_region().configure(
        "mealshare.lru", arguments={"entries": settings.entries, "bytes": settings.megabytes * 1024 * 1024}
    )
    return BackedCache(region.backend)


def includeme(config: Configurator) -> None:
    """Register the settings and both caches."""
    settings = config.declare_settings(CacheSettings, prefix="cache")
    config.registry["cache"] = make_cache(settings)
    config.registry["fragments"] = Fragments(settings.fragments)
