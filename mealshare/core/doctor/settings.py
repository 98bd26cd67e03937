"""Settings that are right one by one and not together, and those that are for development."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pyramid.registry import Registry

from mealshare.core.db import DatabaseSettings
from mealshare.core.doctor import Finding, Level
from mealshare.core.mail import MailSettings
from mealshare.core.ratelimit import RateLimitSettings
from mealshare.core.security.jwt_keys import JwtSettings
from mealshare.core.settings import settings_of
from mealshare.core.timing import TimingSettings

#: Words in secrets that somebody has copied from an example.
_COPIED = ("change", "example", "secret", "default", "password", "tests-only", "everybody", "insecure")
_LEAST_CHARACTERS = 10
_LOCAL = ("localhost", "127.0.0.1", "::1")


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`."""
    base = urlsplit(registry["base_url"])
    public = base.hostname not in _LOCAL
    yield from _secrets(registry, public=public)
    if public and base.scheme == "http":
        yield Finding("site.base_url is http: passwords and cookies travel readable", Level.WARNING)
    if public:
        yield from _for_the_world(registry)


def _secrets(registry: Registry, *, public: bool) -> Iterator[Finding]:
    level = Level.ERROR if public else Level.WARNING
    given = {"site.secret": str(registry["secret"]), "jwt.secret": str(settings_of(registry, JwtSettings).secret)}
    for name, secret in given.items():
        lower = secret.lower()
        if secret and (len(set(secret)) < _LEAST_CHARACTERS or any(word in lower for word in _COPIED)):
            yield Finding(f"{name} looks like one of an example: `mealshare init` makes a good one", level)
    if given["site.secret"] == given["jwt.secret"]:
        yield Finding("site.secret and jwt.secret are the same", level)


def _for_the_world(registry: Registry) -> Iterator[Finding]:
    mail = settings_of(registry, MailSettings)
    if not mail.host:
        yield Finding("mail.host is empty: nobody gets a link for a new password", Level.WARNING)
    elif mail.sender.rstrip(">").endswith("@localhost"):
        yield Finding("mail.sender is at localhost: other servers will refuse the mail", Level.WARNING)
    if not settings_of(registry, RateLimitSettings).enabled:
        yield Finding("ratelimit.enabled is false: passwords can be guessed without end")
    if settings_of(registry, TimingSettings).enabled:
        yield Finding("timing.enabled is true: times tell strangers what exists", Level.WARNING)
    if settings_of(registry, DatabaseSettings).echo:
        yield Finding("db.echo is true: what people write stands in the log", Level.WARNING)
