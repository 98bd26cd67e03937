"""A reader of Chinese, who sees whatever a page shows or reads out, and knows each English text of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polib
from bs4 import BeautifulSoup, Comment, Doctype, NavigableString, Tag
from pyramid.interfaces import IRoutesMapper
from pyramid.router import Router
from webob import Request
from webtest import TestApp, TestResponse

from tests.people import form_with

CATALOGUE = Path(__file__).resolve().parents[2] / "mealshare/locale/en/LC_MESSAGES/mealshare.po"
CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.1"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
VISIBLE = ("alt", "title", "placeholder", "aria-label", "label", "data-status")
#: What other sites and search engines show of a page.
PREVIEWS = ("description", "og:title", "og:description", "og:image:alt")
WORD = re.compile(r"[A-Za-z_]{2,}")
#: Names that are the same in Chinese, and the words of people that no language setting translates.
NAMES = frozenset(
    WORD.findall(
        """MealShare API api CSV Atom RFC JavaScript openapi json GNU Affero UTF JSON type id http https MB JPEG PNG WebP GIF AVIF HEIC
        ASCII Idempotency Key Firefox Linux Asia Shanghai CN true false xiaomei laowang aqiang zhangsan"""
    )
)
#: What a script fills in.
FILLED_IN = re.compile(r"\{[a-z]+\}")
#: The place of a value in a message, after re.escape.
MARKER = re.compile(r"(?:\\\$)?\\\{\w+\\\}")


def english_messages() -> re.Pattern[str]:
    """Finds any English text of the catalogue, whatever stands in its places, if it has more than three letters."""
    texts = set()
    for entry in polib.pofile(str(CATALOGUE)):
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            plain = re.sub(r"\$?\{\w+\}", "", text)
            if len(re.findall("[A-Za-z]", plain)) > 3 and not set(WORD.findall(plain)) <= NAMES:
                texts.add(MARKER.sub(".+?", re.escape(" ".join(text.split()))))
    assert len(texts) > 250
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(longest_first)})(?!\w)")


ENGLISH = english_messages()


def english_in(texts: Iterable[str], names: Set[str] = NAMES) -> list[str]:
    """The texts that hold an English message, or any Latin word that is no name."""
    # A text without a Latin word holds no message: to look for all of them at every place takes long.
    latin = [text for text in texts if WORD.search(text)]
    return [text for text in latin if set(WORD.findall(FILLED_IN.sub("", text))) - names or ENGLISH.search(text)]


def visible_texts(page: str) -> Iterator[str]:
    """What the page shows or reads out, in Chinese: what is marked as another language is left out."""
    soup = BeautifulSoup(page, "html.parser")
    # The cities of time zones are named by CLDR, which has no Chinese name for some.
    for foreign in soup.select("script, style, body [lang]:not([lang|=zh]), code, #time_zone option, #zone option"):
        foreign.decompose()
    for node in soup.descendants:
        if isinstance(node, NavigableString):
            if not isinstance(node, Comment | Doctype):
                yield " ".join(node.split())
        elif isinstance(node, Tag):
            for name, value in node.attrs.items():
                if name in VISIBLE or name.startswith("data-msg-"):
                    yield str(value)
            if (node.get("name") or node.get("property")) in PREVIEWS:
                yield str(node["content"])


class Walker:
    """A reader of Chinese who looks closely at every page."""

    def __init__(self, wsgi_app: Router, visited: set[str]) -> None:
        self.app = TestApp(wsgi_app, extra_environ=CHINESE | {"HTTP_USER_AGENT": FIREFOX})
        self.router = wsgi_app
        self.visited = visited

    def get(self, path: str, status: int = 200, names: Set[str] = NAMES) -> TestResponse:
        """Look at a page."""
        return self.look(self.app.get(path, status=status), names)

    def look(self, page: TestResponse, names: Set[str] = NAMES) -> TestResponse:
        """Follow redirects, then look; the page must be Chinese all through."""
        while page.status_int in (302, 303):
            page = page.follow()
        where = f"{page.request.method} {page.request.environ['PATH_INFO']} {page.status_int}"
        assert page.content_type == "text/html", where
        assert page.html.find("html")["lang"] == "zh-Hans", where
        found = english_in(visible_texts(page.text), names)
        assert found == [], f"{where}: {found}"
        if page.status_int < 400:
            mapper = self.router.registry.getUtility(IRoutesMapper)
            self.visited.add(mapper(Request.blank(page.request.path))["route"].name)
        return page

    def fill(self, path: str, field: str, **values: Any) -> TestResponse:
        """Send the form of the page that has ``field``, and look at what comes back."""
        form = form_with(self.app.get(path), field)
        for name, value in values.items():
            form.set(name, value, index=0)
        return self.look(form.submit(expect_errors=True))

    def press(
        self, path: str, action: str, button: str | None = None, names: Set[str] = NAMES, **values: Any
    ) -> TestResponse:
        """Send the form of the page that leads to ``action``, with ``values`` that no browser need offer, and look."""
        page = self.app.get(path)
        form = next(form for form in page.forms.values() if form.action == action)
        for name, value in values.items():
            if isinstance(value, bool):
                form[name].checked = value
            else:
                form.fields[name][0].force_value(value)
        return self.look(form.submit(button, expect_errors=True), names)

    def sign_in(self, user: SimpleNamespace) -> None:
        """Sign in with the form."""
        self.fill("/login", "password", login=user.username, password=user.password)
