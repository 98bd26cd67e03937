"""The cache: ``registry["cache"]`` for bytes, ``registry["fragments"]`` for rendered pieces."""

from __future__ import annotations

from dataclasses import dataclass

from dogpile.cache import make_region, register_backend
from pyramid.config import Configurator

from mealshare.core.cache.backed import BackedCache
from mealshare.core.cache.fragments import Fragments, fragments_of, with_fragments
from mealshare.core.cache.interface import Cache
from mealshare.core.redis import make_redis, site_prefix
from mealshare.core.settings import Secret, setting

__all__ = ["BackedCache", "Cache", "CacheSettings", "Fragments", "fragments_of", "make_cache"]

# dogpile.cache has no annotations.
register_backend("mealshare.lru", "mealshare.core.cache.lru", "LruBackend")  # type: ignore[no-untyped-call]
register_backend("mealshare.redis", "mealshare.core.cache.redis", "RedisBackend")  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class CacheSettings:
    """Where cached values live, and the bounds of what a process remembers."""

    backend: str = setting(
        "memory",
        "Where cached values live: in the memory of each process, or in one Redis for all of them.",
        choices=("memory", "redis"),
    )
    url: Secret = setting(Secret(""), "Where Redis is: redis://[user:password@]host:port/number, rediss:// or unix://.")
    prefix: str = setting("", "What the keys in Redis begin with; empty: the host and port of site.base_url.")
    timeout: float = setting(
        0.25, "Seconds to wait for Redis before a request goes on without it.", minimum=0.01, maximum=5
    )
    entries: int = setting(10_000, "Values that the memory of one process holds at most.", minimum=1)
    megabytes: int = setting(16, "Megabytes that these values take at most.", minimum=1)
    fragment_megabytes: int = setting(
        24,
        "Megabytes of meals, as they were last read and rendered, that one process holds at most (about 8 kB each); 0 "
        "turns it off.",
        minimum=0,
    )


def make_cache(settings: CacheSettings, base_url: str = "") -> Cache:
    """The cache that ``settings`` describe, for the site at ``base_url``.  For what it raises, see `make_redis`."""
    if settings.backend == "redis":
        client = make_redis(settings.url, settings.timeout, "cache")
        prefix = f"{site_prefix(settings.prefix, base_url)}:cache:"
        region = make_region().configure("mealshare.redis", arguments={"client": client, "prefix": prefix})
        return BackedCache(region.backend, shared=True)
    region = make_region().configure(
        "mealshare.lru", arguments={"entries": settings.entries, "bytes": settings.megabytes * 1024 * 1024}
    )
    return BackedCache(region.backend)


def includeme(config: Configurator) -> None:
    """Register the settings and both caches."""
    settings = config.declare_settings(CacheSettings, prefix="cache")
    config.registry["cache"] = make_cache(settings, config.registry.get("base_url", ""))
    fragments = Fragments(settings.fragment_megabytes * 1024 * 1024)
    registry = config.registry
    registry["fragments"] = fragments
    if "read_engine" in registry:
        registry["read_engine"] = with_fragments(registry["read_engine"], fragments)
        if registry["replica"] is not None:
            registry["replica"].engine = with_fragments(registry["replica"].engine, fragments)
