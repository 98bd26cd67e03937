"""The one way to make a client of Redis, for whatever of the site may live there: limits, the cache."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from mealshare.core.settings import BootError, SettingsError

SCHEMES = ("redis://", "rediss://", "unix://")
#: Keys that are looked for, and deleted, in one step.
_STEP = 1000


def make_redis(url: str, timeout: float, section: str) -> Any:
    """A client for the Redis at ``url``, which no call waits for longer than ``timeout`` seconds.

    ``section`` is that of the settings ``backend`` and ``url``, for the messages.  It connects to nothing, so a site
    starts while Redis is away; every call may raise.  Safe in threads and after a fork.  Raises BootError where the
    library is missing, and SettingsError for an address that is missing or none; the message never shows it, because it
    may hold a password.
    """
    if not url:
        raise SettingsError(
            f"the setting {section}.url is missing: with {section}.backend = redis it says where Redis is"
        )
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise BootError(
            f"the setting {section}.backend is redis, but the library is missing: pip install 'mealshare[redis]'"
        ) from None
    if not url.startswith(SCHEMES):
        raise SettingsError(f"the setting {section}.url is wrong: it begins with none of {', '.join(SCHEMES)}")
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # Said, because what the library does by itself differs between its versions: whoever waits is a request.
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        raise SettingsError(f"the setting {section}.url is wrong: it is not an address of Redis") from None


def site_prefix(given: str, base_url: str) -> str:
    """What the keys of a site begin with: ``given`` or, if that is empty, the host and port of ``base_url``.

    Several sites may share one Redis: what one keeps there must be nothing to another.
    """
    return given or urlsplit(base_url).netloc or "mealshare"


def delete_prefix(client: Any, prefix: str) -> None:
    """Delete every key that begins with ``prefix``.  It walks all keys of the database, which is nothing for requests."""
    pattern = "".join(f"\\{char}" if char in "*?[]^-\\" else char for char in prefix)
    found: list[bytes] = []
    for key in client.scan_iter(match=f"{pattern}*", count=_STEP):
        found.append(key)
        if len(found) == _STEP:
            client.unlink(*found)
            found = []
    if found:
        client.unlink(*found)
