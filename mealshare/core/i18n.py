"""Languages: which one a reader gets, and the texts in it.

English stands in the sources; every text is a msgid of the gettext domain ``mealshare``.  Mark one with ``_("Save")``,
or with ``n_("${n} like", "${n} likes", n)`` where a number decides, and turn it into words with ``request.translate``
(or with ``translate(message, locale)`` where there is no request, as in a job).  Templates name
``i18n:domain="mealshare"`` on their root element, else nothing in them is extracted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, cast

from babel.numbers import format_decimal
from pyramid.config import Configurator
from pyramid.events import BeforeRender
from pyramid.i18n import TranslationString, TranslationStringFactory, make_localizer
from pyramid.request import Request
from pyramid.threadlocal import get_current_request
from pyramid_chameleon.interfaces import IChameleonTranslate

from mealshare.core.security.policy import identity_if_known

DOMAIN = "mealshare"
_ = TranslationStringFactory(DOMAIN)

DEFAULT_LOCALE = "en"
#: The locales that have a catalogue; the first is the one of the sources.
LOCALES = ("en", "zh_CN")
#: The name of each locale in its own language, for the language switch.
ENDONYMS: Mapping[str, str] = {"en": "English", "zh_CN": "简体中文"}
LOCALE_COOKIE = "lang"
LOCALE_DIRECTORY = Path(__file__).resolve().parent.parent / "locale"

_BCP47 = {"en": "en", "zh_CN": "zh-Hans"}
_BY_LANGUAGE = {"en": "en", "zh": "zh_CN"}
#: A longer Accept-Language is cut here: no browser sends one, and what is remembered by it must stay small.
_HEADER_LIMIT = 500
_RANGE = re.compile(r"(\*|[A-Za-z]{1,8}(?:[-_][A-Za-z0-9]{1,8})*)\Z")
#: RFC 9110, 12.4.2: at most three decimals, between 0 and 1.
_QUALITY = re.compile(r"[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)
_MARKER = re.compile(r"(?<!\$)\$(?:\{([A-Za-z][-A-Za-z0-9_]*)\}|([A-Za-z][-A-Za-z0-9_]*))")
_MEMO_LIMIT = 4096


class Plural(NamedTuple):
    """A text that depends on a number, not yet in any language."""

    singular: str
    plural: str
    n: int
    mapping: Mapping[str, object]


def n_(singular: str, plural: str, n: int, **mapping: object) -> Plural:
    """Mark a text with a number: ``${n}`` in it is the number, ``mapping`` holds the other markers."""
    return Plural(singular, plural, n, mapping)


def to_bcp47(locale: str) -> str:
    """The language tag (BCP 47) of a locale, for ``lang=`` and ``Content-Language``: ``zh_CN`` gives ``zh-Hans``."""
    return _BCP47.get(locale) or locale.replace("_", "-")


def match_locale(tag: object) -> str | None:
    """The locale that serves the language tag ``tag`` ("zh", "zh-Hant-TW", "en_GB" ...), or None.

    All of Chinese is served by ``zh_CN``: whoever reads the traditional script reads the simplified one more easily
    than English.
    """
    if not isinstance(tag, str) or len(tag) > 64 or _RANGE.match(tag) is None:
        return None
    return _BY_LANGUAGE.get(re.split("[-_]", tag, maxsplit=1)[0].lower())


def negotiate(
    account_locale: str | None, cookie: str | None, accept_language: str | None, default: str = DEFAULT_LOCALE
) -> str:
    """The locale for a reader: the account's wins over the cookie's, the cookie's over the Accept-Language header's.

    Whatever is unknown or malformed counts as absent; with nothing left the answer is ``default``.  Never raises.
    """
    locale = match_locale(account_locale) or match_locale(cookie)
    if locale is None and isinstance(accept_language, str):
        locale = _from_header(accept_language[:_HEADER_LIMIT])
    return locale or default


@lru_cache(maxsize=1024)
def _from_header(header: str) -> str | None:
    """RFC 9110, 12.5.4: the highest quality wins, among equals the first; ``*`` is whatever the header does not name.

    ``q=0`` refuses a locale unless another range of the header asks for it ("en-GB;q=0, en" gets English).
    """
    qualities: dict[str, float] = {}
    others: float | None = None
    for element in header.split(","):
        language_range, quality = _parse_element(element)
        if quality is None:
            continue
        if language_range == "*":
            others = max(quality, others or 0.0)
        elif (locale := match_locale(language_range)) is not None:
            qualities[locale] = max(quality, qualities.get(locale, 0.0))
    if others is not None:
        for locale in LOCALES:
            qualities.setdefault(locale, others)
    # A dict keeps the order of insertion and max() the first of equals: the order of the header.
    best = max(qualities, key=lambda locale: qualities[locale], default=None)
    return best if best is not None and qualities[best] > 0 else None


def _parse_element(element: str) -> tuple[str, float | None]:
    """The range and the quality of one element; the quality is None where the element is malformed."""
    language_range, *parameters = (part.strip() for part in element.split(";"))
    if _RANGE.match(language_range) is None or len(parameters) > 1:
        return "", None
    if not parameters:
        return language_range, 1.0
    quality = _QUALITY.match(re.sub(r"\s*=\s*", "=", parameters[0]))
    return language_range, float(quality[1]) if quality else None


class _Catalogue:
    """The texts of one locale.  What was looked up once costs one dictionary access."""

    def __init__(self, locale: str) -> None:
        self.localizer = make_localizer(locale, [str(LOCALE_DIRECTORY)])
        self._found: dict[tuple[str, str, str | None], str | None] = {}

    def find(self, domain: str, msgid: str, context: str | None) -> str | None:
        """The translation with its markers still in it, or None where there is none."""
        key = (domain, msgid, context)
        try:
            return self._found[key]
        except KeyError:
            pass
        looked_up = f"{context}\x04{msgid}" if context else str(msgid)
        text = cast(str, self.localizer.translations.dugettext(domain, looked_up))
        found = None if text == looked_up else text
        if len(self._found) < _MEMO_LIMIT:
            self._found[(domain, str(msgid), context)] = found
        return found

    def find_plural(self, singular: str, plural: str, n: int) -> str:
        return cast(str, self.localizer.pluralize(singular, plural, n, domain=DOMAIN))


@lru_cache(maxsize=len(LOCALES))
def _catalogue(locale: str) -> _Catalogue:
    return _Catalogue(locale)


def _catalogue_for(locale: str) -> _Catalogue:
    return _catalogue(locale if locale in LOCALES else DEFAULT_LOCALE)


def translate(message: str | Plural, locale: str, mapping: Mapping[str, object] | None = None) -> str:
    """``message`` in the language of ``locale``, its markers filled in from its own mapping and from ``mapping``.

    A plain string is taken as a msgid of this project.  A message among the values of the mapping is translated too.
    Where there is no translation the message's default (its English) is given; an unknown locale is served as English.
    """
    if isinstance(message, Plural):
        return plural(message.singular, message.plural, message.n, locale, {**message.mapping, **(mapping or {})})
    catalogue = _catalogue_for(locale)
    if isinstance(message, TranslationString):
        text = catalogue.find(message.domain or DOMAIN, message, message.context)
        if text is None:
            text = str(message.default)
        if message.mapping:
            mapping = {**message.mapping, **mapping} if mapping else message.mapping
    else:
        text = catalogue.find(DOMAIN, message, None)
        if text is None:
            text = message
    return interpolate(text, mapping, locale) if mapping else text


def plural(singular: str, plural: str, n: int, locale: str, mapping: Mapping[str, object] | None = None) -> str:
    """The form of a text that ``n`` asks for, in the language of ``locale``; ``${n}`` is the number as it writes it."""
    text = _catalogue_for(locale).find_plural(singular, plural, n)
    return interpolate(text, {"n": format_number(n, locale), **(mapping or {})}, locale)


@lru_cache(maxsize=4096)
def format_number(n: int, locale: str) -> str:
    """A whole number as the locale writes it: 1234 gives ``1,234``."""
    return str(format_decimal(n, locale=locale if locale in LOCALES else DEFAULT_LOCALE))


def interpolate(text: str, mapping: Mapping[str, object], locale: str) -> str:
    """Fill in ``${name}`` and ``$name``; a marker that the mapping does not know stays as it is."""

    def fill(marker: re.Match[str]) -> str:
        name = marker[1] or marker[2]
        if name not in mapping:
            return marker[0]
        value = mapping[name]
        return translate(value, locale) if isinstance(value, TranslationString | Plural) else str(value)

    return _MARKER.sub(fill, text)


def locale_negotiator(request: Request) -> str:
    """Pyramid's locale negotiator.  Never raises: error pages use it when session, cookie or bytes are broken."""
    identity = identity_if_known(request)
    try:
        cookie = request.cookies.get(LOCALE_COOKIE)
    except UnicodeDecodeError:
        # Cookies that are not UTF-8 are none of ours.
        cookie = None
    return negotiate(
        None if identity is None else identity.locale,
        cookie,
        request.environ.get("HTTP_ACCEPT_LANGUAGE"),
        request.registry.get("default_locale", DEFAULT_LOCALE),
    )


def _request_translate(request: Request, message: str | Plural, **mapping: object) -> str:
    """``request.translate(message, name=value)``: the message in the reader's language."""
    return translate(message, request.locale_name, mapping)


def _request_plural(request: Request, singular: str, plural_: str, n: int, **mapping: object) -> str:
    """``request.plural("${n} like", "${n} likes", n)``: the fitting form in the reader's language."""
    return plural(singular, plural_, n, request.locale_name, mapping)


def chameleon_translate(
    msgid: object,
    domain: str | None = None,
    mapping: Mapping[str, object] | None = None,
    context: str | None = None,
    target_language: str | None = None,
    default: str | None = None,
) -> str | None:
    """What Chameleon calls for each text of a template; by the memo, because a page has hundreds of them.

    ``target_language`` (an argument of the template) decides where given, then the current request, then English.
    """
    if msgid is None or not isinstance(msgid, str | Plural):
        return None if msgid is None else str(msgid)
    request = get_current_request()
    locale = target_language or (DEFAULT_LOCALE if request is None else request.locale_name)
    if isinstance(msgid, TranslationString | Plural):
        return translate(msgid, locale)
    text = _catalogue_for(locale).find(domain or DOMAIN, msgid, context)
    if text is None:
        # Chameleon compares the answer with its default by identity, so this very object has to go back.
        text = msgid if default is None else default
    return interpolate(text, mapping, locale) if mapping and text else text


def _add_template_names(event: BeforeRender) -> None:
    """``n_`` in a template is ``request.plural``: the extractor knows that name, so it finds the plurals there too."""
    request = event.get("request")
    if request is not None:
        event.setdefault("n_", request.plural)


def _register_chameleon(config: Configurator) -> None:
    config.registry.registerUtility(chameleon_translate, IChameleonTranslate)


def includeme(config: Configurator) -> None:
    """Register catalogues, negotiator, ``request.translate``, ``request.plural`` and the templates' translator."""
    config.add_translation_dirs(f"{DOMAIN}:locale")
    config.set_locale_negotiator(locale_negotiator)
    config.add_request_method(_request_translate, "translate")
    config.add_request_method(_request_plural, "plural")
    config.add_subscriber(_add_template_names, BeforeRender)
    # pyramid_chameleon registers its own translator at order 1000, from whichever side it is included.
    config.action("mealshare.i18n.chameleon", _register_chameleon, args=(config,), order=1001)
