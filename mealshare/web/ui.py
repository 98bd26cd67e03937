"""What every template has at hand as ``ui``: words, times, addresses, icons, the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from babel.dates import format_skeleton
from markupsafe import Markup, escape
from pyramid.config import Configurator
from pyramid.renderers import render
from pyramid.request import Request

from mealshare.core.clock import now
from mealshare.core.dates import exact_time, relative_time, rfc3339
from mealshare.core.i18n import ENDONYMS, Plural, to_bcp47
from mealshare.core.markup import trusted
from mealshare.core.readonly import is_read_only
from mealshare.core.security import SiteSettings
from mealshare.core.security.identity import Identity
from mealshare.core.security.policy import identity_if_known
from mealshare.core.settings import settings_of
from mealshare.web.flash import Message, take_messages

_UI = "_mealshare_ui"
#: Number of colours for avatars without a picture; the stylesheet has a class for each.
AVATAR_COLOURS = 8


@dataclass(frozen=True)
class Slot:
    """Something that a feature shows in a page of a lower one."""

    renderer: str
    data: Callable[[Request], dict[str, Any] | None]
    order: int


def add_slot(
    config: Configurator, name: str, renderer: str, data: Callable[[Request], dict[str, Any] | None], order: int = 100
) -> None:
    """Directive ``config.add_slot(name, "package:templates/x.pt", data)``: fill the slot ``name`` with that template.

    ``data(request)`` gives the template's values, or None to show nothing.
    """
    slots = config.registry["slots"].setdefault(name, [])
    slots.append(Slot(renderer, data, order))
    slots.sort(key=lambda slot: slot.order)


class Ui:
    """The template's helper for one request."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.registry = request.registry
        self.locale: str = request.locale_name
        self.lang = to_bcp47(self.locale)
        self.now = now()
        self.site = settings_of(request.registry, SiteSettings)
        self.static_prefix: str = request.registry["static_prefix"]

    @classmethod
    def of(cls, request: Request) -> Ui:
        """The helper of this request, made at first use."""
        ui = request.__dict__.get(_UI)
        if ui is None or ui.locale != request.locale_name:
            ui = request.__dict__[_UI] = cls(request)
        return ui

    @property
    def identity(self) -> Identity | None:
        """Who reads; None when that cannot be found out, as on the error page of a broken database."""
        return identity_if_known(self.request)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be posted or changed at the moment."""
        return is_read_only(self.registry)

    @property
    def zone(self) -> str:
        """The reader's time zone."""
        return self.identity.time_zone if self.identity else "UTC"

    @cached_property
    def path(self) -> str:
        """The path and query of this page, for links that come back to it."""
        request = self.request
        try:
            return str(request.path_qs) if request.method in ("GET", "HEAD") else "/"
        except UnicodeDecodeError:
            return "/"

    def csrf(self) -> Markup:
        """The token for a form."""
        return self.csrf_token

    @cached_property
    def csrf_token(self) -> Markup:
        """The token for the forms of this page, fit for an attribute."""
        return escape(self.registry["csrf"].get_csrf_token(self.request))

    @cached_property
    def escaped_path(self) -> Markup:
        """The path of this page, fit for an attribute."""
        return escape(self.path)

    def marked(self, csrf: Markup, path: Markup) -> Ui:
        """The same, with marks in place of what differs between any two pages, for what is kept and filled in later."""
        marked = copy(self)
        marked.__dict__ |= {"csrf_token": csrf, "escaped_path": path}
        return marked

    @contextmanager
    def marking(self, csrf: Markup, path: Markup) -> Iterator[None]:
        """Inside the block, templates of this request are given marks in place of its token and its path."""
        known = self.request.__dict__
        known[_UI] = self.marked(csrf, path)
        try:
            yield
        finally:
            known[_UI] = self

    def messages(self) -> list[Message]:
        """Flash messages; each is shown once."""
        return take_messages(self.request)

    def t(self, message: str | Plural, **params: Any) -> str:
        """The message in the reader's language."""
        return str(self.request.translate(message, **params))

    def error(self, code: str, params: dict[str, Any] | None = None) -> str:
        """The words for an error code."""
        return error_text(self.request, code, params or {})

    def static(self, path: str) -> str:
        """The address of a static file."""
        return f"{self.static_prefix}/{path}"

    def icon(self, name: str) -> Markup:
        """A decorative icon of the sprite."""
        return _icon(self.static_prefix, name)

    def relative(self, moment: datetime) -> str:
        """How long ago, in words."""
        return relative_time(moment, self.now, self.locale)

    def exact(self, moment: datetime, zone: str | None = None) -> str:
        """The exact time in ``zone`` (the reader's own, if none is given)."""
        return exact_time(moment, zone or self.zone, self.locale)

    def month(self, moment: datetime) -> str:
        """The month and the year, in words."""
        return str(format_skeleton("yMMMM", moment, locale=self.locale))

    @property
    def base_url(self) -> str:
        """The site's own address, for links that leave it."""
        return str(self.registry["base_url"])

    def machine(self, moment: datetime) -> str:
        """The time for a datetime attribute (RFC 3339)."""
        return rfc3339(moment)

    def avatar(self, account_id: int, name: str, key: str | None, size: str = "") -> Markup:
        """An avatar: the picture, or the first letter of the name in a colour that is always the same for a person."""
        classes = f"avatar avatar--{size}" if size else "avatar"
        if key is not None:
            return Markup(
                '<img class="{}" src="/avatars/{}.webp" alt="" width="40" height="40" loading="lazy">'
            ).format(classes, key)
        colour = (account_id >> 16) % AVATAR_COLOURS
        return Markup('<span class="{} avatar--{}" aria-hidden="true">{}</span>').format(
            classes, colour, name.strip()[:1].upper() or "?"
        )

    def slot(self, name: str) -> Iterable[Markup]:
        """What the features put into the slot ``name``."""
        for slot in self.registry["slots"].get(name, ()):
            data = slot.data(self.request)
            if data is not None:
                yield trusted(render(slot.renderer, data, request=self.request))

    @property
    def languages(self) -> list[tuple[str, str, str]]:
        """Each language of the site: its code, its BCP 47 tag and its own name."""
        return [(code, to_bcp47(code), name) for code, name in ENDONYMS.items()]


@lru_cache(maxsize=512)
def _icon(static_prefix: str, name: str) -> Markup:
    """An icon is on a page a hundred times."""
    return Markup(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}/icons.svg#i-{}"/></svg>'
    ).format(static_prefix, name)


def error_text(request: Request, code: str, params: Any) -> str:
    """The words for an error code in the reader's language; an unknown code is a programming error and shows itself."""
    return str(request.translate(request.registry["messages"][code], **params))
