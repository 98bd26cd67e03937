"""What holds on every page, in both languages: WCAG 2.2 AA as far as a machine can tell, room on small screens and for
large letters, and nothing inline that the content security policy would have to allow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize

from tests.browser.conftest import PHONE, Watch
from tests.browser.people import Stock

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
#: Each language is looked at in two of the four ways, so that each page is looked at in all of them.
WAYS: dict[str, list[tuple[ViewportSize, Literal["light", "dark"]]]] = {
    "en-GB": [(DESKTOP, "light"), (PHONE, "dark")],
    "zh-CN": [(DESKTOP, "dark"), (PHONE, "light")],
}
#: One element each that breaks a rule, put into the page to see that the checks would notice.
BAD = {
    "contrast": '<p id="bad">Words that nobody can read</p>',
    "name": '<button type="button" id="bad"></button>',
}


def show_more(page: Page) -> None:
    """Unfold everything that is folded."""
    page.evaluate("for (const details of document.querySelectorAll('main details')) details.open = true")


def send(page: Page) -> None:
    """Send the page's form as it is, so that it comes back with its errors."""
    with page.expect_navigation():
        page.locator("main form button[type=submit]").first.click()


def wait_until_ready(page: Page) -> None:
    """Wait for what scripts make of the page."""
    for marked, made in (("form[data-compose]", ".photo-add"), ("#swagger-ui", ".opblock")):
        if page.locator(marked).count():
            page.locator(made).first.wait_for(state="attached")


@dataclass(frozen=True)
class Visit:
    """A page: its path (with the stock's meals and name filled in), who looks, and what is done before looking."""

    path: str
    signed_in: bool = False
    then: Callable[[Page], None] | None = None
    status: int = 200


VISITS = {
    "front": Visit("/"),
    "front, signed in": Visit("/", True),
    "front, unfolded": Visit("/", then=show_more),
    "meal of words": Visit("{words}"),
    "meal with everything": Visit("{full}", True),
    "meal with photos": Visit("{four}"),
    "meal in Arabic": Visit("{arabic}"),
    "meal behind a warning": Visit("{veiled}"),
    "meal behind a warning, shown": Visit("{veiled}", True, show_more),
    "person": Visit("/@{username}"),
    "oneself": Visit("/@{username}", True),
    "tag": Visit("/tags/noodles"),
    "new": Visit("/new", then=show_more),
    "new, with errors": Visit("/new", True, send),
    "edit": Visit("{four}/edit", True, show_more),
    "delete": Visit("{one}/delete", True),
    "register": Visit("/register"),
    "register, with errors": Visit("/register", then=send),
    "log in": Visit("/login"),
    "log in, with errors": Visit("/login", then=send),
    "forgotten password": Visit("/password/forgot"),
    "forgotten password, with errors": Visit("/password/forgot", then=send),
    "reset with a bad link": Visit("/password/reset?token=nonsense", status=404),
    "profile": Visit("/settings/profile", True),
    "password": Visit("/settings/password", True),
    "password, with errors": Visit("/settings/password", True, send),
    "devices": Visit("/settings/sessions", True),
    "about": Visit("/about"),
    "problem type": Visit("/problems/not_found"),
    "not found": Visit("/nothing-here", status=404),
    "wrong method": Visit("/logout", status=405),
    "API documentation": Visit("/docs"),
}


@pytest.mark.parametrize("locale", WAYS)
@pytest.mark.parametrize("name", VISITS)
def test_the_page(open_page: Callable[..., Page], stock: Stock, name: str, locale: str) -> None:
    """All checks on one visit, since the visits are what takes the time."""
    visit = VISITS[name]
    state = stock.state if visit.signed_in else None
    # Colours that are on their way to others have a contrast that nobody sees for long.
    page = open_page(locale=locale, viewport=DESKTOP, reduced_motion="reduce", storage_state=state)
    answer = page.goto(visit.path.format(username=stock.username, **stock.meals))
    assert answer is not None and answer.status == visit.status
    if visit.then is not None:
        visit.then(page)
    wait_until_ready(page)
    assert inline(page) == []
    assert page.evaluate("document.documentElement.lang") == {"en-GB": "en", "zh-CN": "zh-Hans"}[locale]
    assert page.locator("h1").count() == 1 or name == "API documentation"
    for viewport, scheme in WAYS[locale]:
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        assert findings(page) == [], (viewport, scheme)
        assert overflow(page) == [], viewport
    # 320 is WCAG's narrowest (1.4.10), and what 1280 leaves at 400 %; 640 is what it leaves at 200 %.
    for width in (320, 640):
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) == [], f"wider than {width}"
    page.set_viewport_size(DESKTOP)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert overflow(page) == [], "wider than 1280 with letters twice as large"


@pytest.mark.parametrize("kind", BAD)
def test_the_checks_would_notice(open_page: Callable[..., Page], kind: str) -> None:
    page = open_page()
    page.goto("/about")
    assert findings(page) == []
    page.evaluate("html => document.querySelector('main').insertAdjacentHTML('beforeend', html)", BAD[kind])
    page.evaluate("document.querySelector('p#bad')?.style.setProperty('color', '#ddd')")
    assert len(findings(page)) == 1


def test_the_width_would_be_noticed(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("/about")
    assert overflow(page) == []
    page.evaluate("document.querySelector('h1').style.minWidth = '500px'")
    assert len(overflow(page)) == 1


def test_a_breach_of_the_policy_would_be_noticed(open_page: Callable[..., Page], watch: Watch) -> None:
    page = open_page()
    page.goto("/about")
    for bad in ('<p style="color: red">x</p>', '<img src="/none.png">'):
        page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", bad)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.bad = 1'}))")
    page.evaluate("fetch('https://example.org/').catch(() => null)")
    page.wait_for_timeout(200)
    assert page.evaluate("window.bad") is None
    for directive in ("style-src", "script-src", "connect-src"):
        assert any(directive in text for text in watch.complaints), directive
    assert [text.split("/")[-1] for text in watch.broken] == ["none.png"]
    watch.complaints.clear()
    watch.broken.clear()
    watch.foreign.clear()


@cache
def axe() -> str:
    """The source of axe-core; it is handed to the page by the debugger, which the page's policy does not bind."""
    return AXE.read_text(encoding="utf-8")


def findings(page: Page) -> list[Any]:
    """What axe finds against WCAG 2.2 A and AA: the rule and the elements.  Swagger UI is not ours."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe())
    result = page.evaluate(
        """tags => axe.run({exclude: ['#swagger-ui']}, {runOnly: tags, resultTypes: ['violations'], elementRef: false})""",
        WCAG,
    )
    return [
        (rule["id"], node["html"][:200], node["failureSummary"])
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


def inline(page: Page) -> list[str]:
    """Inline scripts, styles and handlers in the HTML as the server sent it."""
    html = page.request.get(page.url).text()
    return re.findall(r"<style\b|\sstyle=[\"']|<script(?![^>]*\ssrc=)|\son[a-z]+=[\"']|javascript:", html)


def overflow(page: Page) -> list[str]:
    """Elements that stick out of a page which can be scrolled sideways."""
    return page.evaluate(
        """() => {
          const room = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= room) return [];
          const wide = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > room + 0.5);
          return wide.slice(0, 3).map((one) => one.outerHTML.slice(0, 160));
        }"""
    )
