"""Which browser on which system, in words that somebody recognises their own device by."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mealshare.core.i18n import _

#: The first that occurs is named: those that pretend to be another one stand before it.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("MicroMessenger", "WeChat"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("HarmonyOS", "HarmonyOS"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
_MOBILE = frozenset({"iPhone", "iPad", "Android", "HarmonyOS"})
#: RFC 9110, 10.1.5: the first product of the header is the most significant one.
_PRODUCT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}")


@dataclass(frozen=True)
class Device:
    """``words`` is a message to translate, ``icon`` the name of a symbol of the sprite."""

    words: str
    icon: str


def describe(user_agent: str) -> Device:
    """What the User-Agent header says, as far as it can be believed."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    icon = "smartphone" if system in _MOBILE else "monitor"
    if browser and system:
        return Device(_("${browser} on ${system}", mapping={"browser": browser, "system": system}), icon)
    product = _PRODUCT.match(user_agent.partition("/")[0])
    if browser is None and product is not None and not user_agent.startswith("Mozilla/"):
        return Device(_("The program ${name}", mapping={"name": product[0].strip()}), "code")
    return Device(_("An unknown device"), icon)


def _first(names: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((name for sign, name in names if sign in text), None)
