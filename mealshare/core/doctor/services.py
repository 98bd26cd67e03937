"""What the site talks to over the network, or relies on: caches, storage, limits, broker, mail."""

from __future__ import annotations

from collections.abc import Iterator

from pyramid.registry import Registry

from mealshare.core.doctor import DATABASE, Finding, Level
from mealshare.core.mail import MailSettings
from mealshare.core.settings import settings_of


def check(registry: Registry) -> Iterator[Finding]:
    """Ask each as /health/ready does, and the mail server, if there is one."""
    for name, healthy in registry["health_checks"].items():
        if name != DATABASE and not healthy():
            yield Finding(f"{name} does not work")
    for name, healthy in registry["health_helpers"].items():
        if not healthy():
            yield Finding(f"{name} cannot be reached; the site goes on without it")
    mail = settings_of(registry, MailSettings)
    if mail.host and not registry["mailer"].healthy():
        yield Finding(
            f"the mail server {mail.host} cannot be reached, or does not take the user and password", Level.ERROR
        )
