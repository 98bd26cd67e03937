"""Rate limits: ``registry["ratelimit"]``.

The window moves: at no moment are there more hits in the seconds that lie behind than the limit says.  A fixed window
is cheaper but lets twice the limit through around its edge, which for guessing passwords is twice the guesses; a
weighted count of two windows is only approximately right, and so would its tests be.  The times of the hits are small
(about 10 bytes each) and bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from pyramid.config import Configurator

from mealshare.core.ratelimit.interface import Count, HitStorage, Window
from mealshare.core.ratelimit.limiter import FAILED as RATELIMIT_FAILED
from mealshare.core.ratelimit.limiter import Decision, Limit, RateLimiter, parse_limit
from mealshare.core.ratelimit.memory import BoundedMemoryStorage
from mealshare.core.ratelimit.redis import RedisStorage
from mealshare.core.ratelimit.requests import Spent, address_key, limited, spend_for
from mealshare.core.redis import site_prefix
from mealshare.core.settings import Secret, SettingsError, setting

__all__ = [
    "RATELIMIT_FAILED", "BoundedMemoryStorage", "Count", "Decision", "HitStorage", "Limit", "RateLimitSettings",
    "RateLimiter", "RedisStorage", "Spent", "Window", "address_key", "limits_of", "make_rate_limiter", "parse_limit",
    "spend_for",
]  # fmt: skip

_NOT_LIMITS = frozenset({"enabled", "backend", "url", "prefix", "timeout"})


@dataclass(frozen=True)
class RateLimitSettings:
    """The limits, each written as ``10/5 minutes``, and where hits are counted."""

    enabled: bool = setting(True, "Whether limits hold; off for load tests only.")
    backend: str = setting(
        "memory",
        "Where hits are counted: in the memory of each process, or in one Redis for all of them.",
        choices=("memory", "redis"),
    )
    url: Secret = setting(Secret(""), "Where Redis is: redis://[user:password@]host:port/number, rediss:// or unix://.")
    prefix: str = setting("", "What the keys in Redis begin with; empty: the host and port of site.base_url.")
    timeout: float = setting(
        0.25, "Seconds to wait for Redis before a request goes on uncounted.", minimum=0.01, maximum=5
    )
    login_account: str = setting("10/5 minutes", "Login attempts for one account from one address.")
    login_address: str = setting("30/5 minutes", "Login attempts from one address.")
    login_all: str = setting("1000/5 minutes", "Login attempts in all.")
    signup: str = setting("5/30 minutes", "Registrations from one address.")
    reset: str = setting("5/1 day", "Password reset mails for one account.")
    upload: str = setting("30/30 minutes", "Uploads by one account.")
    comment: str = setting("60/30 minutes", "Comments, and changes of them, by one account.")
    api: str = setting("300/5 minutes", "API requests by one client.")
    write: str = setting("150/5 minutes", "Changes by one client, over the API and with forms together.")
    search: str = setting(
        "120/5 minutes", "Searches and completions by one client, over the API and on pages together."
    )
    batch: str = setting("60/5 minutes", "Batches by one client; what is in them counts as well.")
    stream: str = setting("60/5 minutes", "Streams that one client opens.")
    address: str = setting(
        "6000/5 minutes", "API requests and forms of all who are signed in, from one address together."
    )


def limits_of(settings: RateLimitSettings) -> dict[str, Limit]:
    """The limits by name.  Raises SettingsError for one that cannot be read."""
    limits = {}
    for field in fields(settings):
        if field.name in _NOT_LIMITS:
            continue
        try:
            limits[field.name] = parse_limit(getattr(settings, field.name))
        except ValueError as error:
            raise SettingsError(f"the setting ratelimit.{field.name} is wrong: {error}") from None
    return limits


def make_rate_limiter(settings: RateLimitSettings, base_url: str = "") -> RateLimiter:
    """The limiter that ``settings`` describe, for the site at ``base_url``.

    Raises SettingsError for a limit or an address that cannot be read, BootError for a library that is missing.
    """
    return RateLimiter(limits_of(settings), _storage(settings, base_url), enabled=settings.enabled)


def _storage(settings: RateLimitSettings, base_url: str) -> HitStorage:
    if settings.backend == "memory":
        return BoundedMemoryStorage()
    return RedisStorage(settings.url, f"{site_prefix(settings.prefix, base_url)}:limit:", settings.timeout)


def includeme(config: Configurator) -> None:
    """Register the settings, the limiter, and the option ``limit`` of pages' views."""
    settings = config.declare_settings(RateLimitSettings, prefix="ratelimit")
    base_url: str = config.registry.get("base_url", "")
    config.registry["ratelimit"] = make_rate_limiter(settings, base_url)
    # Under the permission: what is refused anyway counts for nothing.  Over the view: it must not run.
    config.add_view_deriver(limited, name="limited", under="decorated_view", over="rendered_view")
