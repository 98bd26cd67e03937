"""Security: identity, rule book, policy, CSRF, cookies, headers."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.config import Configurator

from mealshare.core.security.cookies import CookieJar
from mealshare.core.settings import Secret, SettingsError, setting


@dataclass(frozen=True)
class SiteSettings:
    """The site itself."""

    base_url: str = setting(
        help="The address under which people reach the site, such as https://meals.example; never taken from the Host header."
    )
    secret: Secret = setting(
        help="At least 32 random characters; cookies and forms are signed with keys derived from it."
    )
    name: str = setting("MealShare", "The site's name, as shown in the page title and in mails.")
    language: str = setting(
        "en", "The language for visitors whose browser asks for none that the site has.", choices=("en", "zh_CN")
    )
    registration: str = setting("open", "Who may sign up.", choices=("open", "closed"))


def includeme(config: Configurator) -> None:
    """Read the site's settings and install identity, rules, CSRF and headers, in this order."""
    registry = config.registry
    site = config.declare_settings(SiteSettings, prefix="site")
    base_url = site.base_url.rstrip("/")
    if not base_url.startswith(("http://", "https://")) or base_url.count("/") != 2:
        raise SettingsError(f"the setting site.base_url is wrong: {site.base_url!r} is not http(s)://host[:port]")
    if len(site.secret) < 32:
        raise SettingsError(
            "the setting site.secret is wrong: it needs at least 32 characters; `mealshare init` makes one"
        )
    registry["base_url"] = base_url
    registry["secret"] = site.secret
    registry["default_locale"] = site.language
    registry["cookies"] = CookieJar(secure=base_url.startswith("https:"))
    config.include("mealshare.core.security.permissions")
    config.include("mealshare.core.security.policy")
    config.include("mealshare.core.security.csrf")
    config.include("mealshare.core.security.headers")
