"""Rate limits: ``registry["ratelimit"]``.

The window moves: at no moment are there more hits in the seconds that lie behind than the limit says.  A fixed window
is cheaper but lets twice the limit through around its edge, which for guessing passwords is twice the guesses; a
weighted count of two windows is only approximately right, and so would its tests be.  The times of the hits are small
(about 40 bytes each) and bounded.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from pyramid.config import Configurator

from mealshare.core.ratelimit.memory import BoundedMemoryStorage
from mealshare.core.settings import SettingsError, setting

__all__ = ["BoundedMemoryStorage", "Decision", "RateLimitSettings", "RateLimiter", "address_key", "make_rate_limiter"]

RATELIMIT_FAILED = "ratelimit.storage_failed"

log = logging.getLogger(__name__)

_SCHEMES = {"memory": "mealshare-memory://"}
_NOT_LIMITS = frozenset({"enabled", "backend"})


@dataclass(frozen=True)
class RateLimitSettings:
    """The limits, each written as ``10/5 minutes``."""

    enabled: bool = setting(True, "Whether limits hold; off for load tests only.")
    backend: str = setting("memory", "Where hits are counted.", choices=("memory",))
    login_account: str = setting("10/5 minutes", "Login attempts for one account from one address.")
    login_address: str = setting("30/5 minutes", "Login attempts from one address.")
    login_all: str = setting("1000/5 minutes", "Login attempts in all.")
    signup: str = setting("5/30 minutes", "Registrations from one address.")
    reset: str = setting("5/1 day", "Password reset mails for one account.")
    upload: str = setting("30/30 minutes", "Uploads by one account.")
    api: str = setting("300/5 minutes", "API requests by one client.")


@dataclass(frozen=True)
class Decision:
    """Whether a hit is allowed, and what to tell the client.

    ``reset_at`` is when the oldest hit stops counting, that is, when one more becomes possible; ``retry_after`` is the
    same in whole seconds from now, rounded up, and 0 when the hit is allowed.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_at: datetime
    retry_after: int


class RateLimiter:
    """Counts hits against the named limits of ``settings``, in the ``limits`` storage ``storage``."""

    def __init__(self, settings: RateLimitSettings, storage: object) -> None:
        """Raises SettingsError for a limit that cannot be read."""
        self._enabled = settings.enabled
        self._limits = {
            field.name: _parse(field.name, getattr(settings, field.name))
            for field in fields(settings)
            if field.name not in _NOT_LIMITS
        }
        self._strategy = MovingWindowRateLimiter(storage)  # type: ignore[arg-type]

    def hit(self, name: str, *keys: str) -> Decision:
        """Count one hit against the limit ``name`` for whom ``keys`` describe.  A refused hit does not count.

        A storage that fails allows the hit: a broken counter must not lock everybody out.  KeyError for an unknown
        name.
        """
        return self._decide(name, keys, count=True)

    def peek(self, name: str, *keys: str) -> Decision:
        """What ``hit`` would say, without counting."""
        return self._decide(name, keys, count=False)

    def clear(self, name: str, *keys: str) -> None:
        """Forget the hits, as after a login that succeeded."""
        item, key = self._limits[name], _key(name, keys)
        try:
            self._strategy.clear(item, key)
        except Exception:
            log.warning(RATELIMIT_FAILED, exc_info=True, extra={"limit": name})

    def healthy(self) -> bool:
        """Whether hits can be counted now."""
        try:
            return bool(self._strategy.storage.check())
        except Exception:
            return False

    def _decide(self, name: str, keys: tuple[str, ...], *, count: bool) -> Decision:
        item = self._limits[name]
        if not self._enabled:
            return _free(item)
        key = _key(name, keys)
        try:
            allowed = self._strategy.hit(item, key) if count else self._strategy.test(item, key)
            reset, remaining = self._strategy.get_window_stats(item, key)
        except Exception:
            log.warning(RATELIMIT_FAILED, exc_info=True, extra={"limit": name})
            return _free(item)
        return Decision(
            allowed=allowed,
            limit=item.amount,
            remaining=max(0, remaining),
            reset_at=datetime.fromtimestamp(reset, UTC),
            retry_after=0 if allowed else max(1, math.ceil(reset - time.time())),
        )


def _free(item: RateLimitItem) -> Decision:
    return Decision(True, item.amount, item.amount, datetime.fromtimestamp(time.time(), UTC), 0)


def _parse(name: str, text: str) -> RateLimitItem:
    try:
        item = parse(text)
    except ValueError:
        item = None
    if item is None or item.amount < 1 or item.get_expiry() < 1 or ";" in text or "," in text or "|" in text:
        raise SettingsError(f"the setting ratelimit.{name} is wrong: {text!r} does not read like '10/5 minutes'")
    return item


def _key(name: str, keys: tuple[str, ...]) -> str:
    """A short key: names of any length and content, never stored as they are, never run together."""
    digest = hashlib.blake2b(digest_size=16)
    for key in keys:
        data = key.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"{name}/{digest.hexdigest()}"


def address_key(address: str | None) -> str:
    """The part of a client's address that stands for the client.

    An IPv6 subscriber owns a whole /64 (RFC 6177), so all of it is one client; an IPv4 address written as IPv6 is the
    IPv4 address.  What is no address, as behind a Unix socket, is ``"unknown"``: one client together.
    """
    text = (address or "").strip().removeprefix("[").partition("]")[0].partition("%")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def make_rate_limiter(settings: RateLimitSettings) -> RateLimiter:
    """The limiter that ``settings`` describe; SettingsError if a limit cannot be read."""
    return RateLimiter(settings, storage_from_string(_SCHEMES[settings.backend]))


def includeme(config: Configurator) -> None:
    """Register the settings and the limiter."""
    settings = config.declare_settings(RateLimitSettings, prefix="ratelimit")
    config.registry["ratelimit"] = make_rate_limiter(settings)
