"""What a page may hold, whatever somebody has typed into it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import orjson
from bs4 import BeautifulSoup, Comment, Tag

BASE = "http://localhost"
#: What is dangerous in XML, in HTML or in JSON; each of these may be typed by anybody.
HOSTILE = "]]><script>alert('1')</script>&amp;\"<!--\u2028{{x}}${y}--><![CDATA[ \U0001f35c \u0627\u0644"
#: What our own pages may hold (sanitised notes are among them, so nothing in those may be anything else).
#: First, where a button of a meal, of a comment or of a person posts to.
HTMX_POSTS = re.compile(r"/@\w+/\d+/(like|want|comments(/close)?)|/comments/\d+/like|/@\w+/follow")
OWN_SCRIPTS = re.compile(r"/static/[0-9a-f]+/(js|vendor)/[\w./-]+\.js")
URL_ATTRIBUTES = (
    "href",
    "src",
    "action",
    "formaction",
    "srcset",
    "data",
    "poster",
    "background",
    "xlink:href",
    "ping",
    "cite",
)
FORBIDDEN = (
    "iframe",
    "object",
    "embed",
    "base",
    "applet",
    "frame",
    "frameset",
    "math",
    "style",
    "template",
    "noscript",
    "plaintext",
    "xss",
)


def check_page(html: str, said: str) -> BeautifulSoup:
    """No script but ours, no handler, no address but of this site (and plain web links); gives the parsed page."""
    page = BeautifulSoup(html, "html.parser")
    for element in page.find_all(True):
        assert isinstance(element, Tag)
        assert element.name not in FORBIDDEN, (element, said)
        for name, value in element.attrs.items():
            text = " ".join(value) if isinstance(value, list) else str(value)
            assert not name.lower().startswith("on"), (element, said)
            assert not name.lower().startswith(("hx-on", "data-hx-on", "style", "srcdoc")), (element, said)
            assert ">" not in name and "<" not in name and '"' not in name, (element, said)
            if name.lower() in URL_ATTRIBUTES:
                check_address(text, said)
            if name == "hx-post":
                assert HTMX_POSTS.fullmatch(text), (element, said)
        assert "hx-get" not in element.attrs, (element, said)
    check_elements(page, said)
    return page


def check_address(text: str, said: str) -> None:
    """An address that leads to the web or to this site, and runs nothing."""
    squeezed = re.sub(r"[\s\x00-\x20]", "", text).lower()
    assert not re.match(r"(javascript|data|vbscript|file|blob):", squeezed), (text, said)
    assert not squeezed.startswith(("//", "/\\", "\\")), (text, said)
    assert urlsplit(squeezed).scheme in ("", "http", "https"), (text, said)


def check_elements(page: BeautifulSoup, said: str) -> None:
    """Scripts, links, forms and metas are the layout's own."""
    for script in page.find_all("script"):
        if script.get("type") == "application/ld+json":
            # A block of data, which nothing runs; nothing in it can end it.
            assert "src" not in script.attrs and isinstance(orjson.loads(str(script.string or "")), dict), (
                script,
                said,
            )
            assert not set("<>&") & set(script.string or ""), (script, said)
            continue
        assert OWN_SCRIPTS.fullmatch(str(script.get("src", ""))) and not script.get_text(strip=True), (script, said)
    for link in page.find_all("link"):
        assert str(link["href"]).startswith(("/", BASE)), (link, said)
    for form in page.find_all("form"):
        assert str(form.get("action", "/")).startswith("/"), (form, said)
    for meta in page.find_all("meta"):
        assert "http-equiv" not in meta.attrs, (meta, said)
    for comment in page.find_all(string=lambda text: isinstance(text, Comment)):
        assert "script" not in comment and "onerror" not in comment, (comment, said)
