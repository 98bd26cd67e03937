"""What holds on every page, in both languages: WCAG 2.2 AA as far as a machine can tell, room on small screens and for
large letters, and nothing inline that the content security policy would have to allow."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
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
            # Drawing the document of the API is work for which a busy machine takes its time.
            page.locator(made).first.wait_for(state="attached", timeout=60_000)


def open_menu(page: Page) -> None:
    """Open the menu of the page's head."""
    page.locator("header details.menu > summary").click()


def say_nothing(page: Page) -> None:
    """Send a comment without words and without a script, which comes back with an error."""
    with page.expect_navigation():
        page.locator("#comments > form.comment-form").evaluate("form => form.submit()")


def say_no_more(page: Page) -> None:
    """Take all words out of a comment."""
    page.locator("[name=note]").fill("")
    send(page)


def make_token(page: Page) -> None:
    """Make an access token, and copy it."""
    page.locator("#name").fill("Kitchen scale")
    send(page)
    page.locator("[data-copy]").click()


def ask_for_suggestions(page: Page) -> None:
    """Begin a tag that exists."""
    show_more(page)
    page.locator("[name=tags]").press_sequentially("tal", delay=60)
    page.locator("[role=option]").first.wait_for()


@dataclass(frozen=True)
class Visit:
    """A page: its path (with names and meals filled in), who looks, and what is done before looking.

    Whoever is signed in is the one of ``stock``, or the host of ``company`` where ``host`` says so.
    """

    path: str
    signed_in: bool = False
    then: Callable[[Page], None] | None = None
    status: int = 200
    host: bool = False


def as_host(path: str, then: Callable[[Page], None] | None = None) -> Visit:
    """A page that the host of ``company`` looks at."""
    return Visit(path, True, then, host=True)


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
    "access tokens, with errors": Visit("/settings/tokens", True, send),
    "access tokens, a new one": Visit("/settings/tokens", True, make_token),
    "revoke all tokens": Visit("/settings/tokens/revoke-all", True),
    "about": Visit("/about"),
    "problem type": Visit("/problems/not_found"),
    "not found": Visit("/nothing-here", status=404),
    "wrong method": Visit("/logout", status=405),
    "API documentation": Visit("/docs"),
    "developers": Visit("/developers?origin=https://app.example.org", then=show_more),
    "API, index": Visit("/api"),
    "API, a list": Visit("/api/meals?limit=2", then=show_more),
    "API, one's own things": Visit("/api/user/profile", True, show_more),
    "API, an upload": Visit("/api/media", True, show_more, status=405),
    "menu": as_host("/about", open_menu),
    "home": as_host("/home"),
    "home of somebody who follows nobody": Visit("/home", True),
    "explore": Visit("/explore", True),
    "explore, nothing of the kind": Visit("/explore?meal_type=brunch&photo=true"),
    "what to eat": as_host("/random", show_more),
    "what to eat, nothing fits": as_host("/random?meal_type=brunch&place=nowhere"),
    "search": Visit("/search", True, show_more),
    "search with results": as_host("/search?q=tal"),
    "search for people": as_host("/search?q=friend"),
    "search for a place": as_host("/search?q=Llanfair"),
    "search with filters, without results": Visit("/search?q=zz&tag=talk&diet=vegan&without=milk", True),
    "place": Visit("/places/Llanfairpwllgwyngyll"),
    "somebody whom one follows": as_host("{friend}", show_more),
    "oneself, asked by somebody": as_host("/@guest_0", show_more),
    "followers": as_host("/@{host}/followers"),
    "following": Visit("/@{host}/following"),
    "following nobody": Visit("/@{username}/following", True),
    "follow requests": as_host("/follow-requests"),
    "no follow requests": Visit("/follow-requests", True),
    "mute": as_host("{friend}/mute"),
    "block": as_host("{friend}/block"),
    "privacy": as_host("/settings/privacy"),
    "many meals at once": as_host("/settings/privacy/meals"),
    "many meals at once, asked again": as_host("/settings/privacy/meals", send),
    "blocked people": as_host("/settings/blocks"),
    "blocked nobody": Visit("/settings/blocks", True),
    "muted people": as_host("/settings/mutes"),
    "allergies and diets": as_host("/settings/food"),
    "what one is told about": as_host("/settings/notifications"),
    "notifications": as_host("/notifications"),
    "notifications of one kind": as_host("/notifications?type=like"),
    "no notifications": Visit("/notifications?type=follow_request", True),
    "want list": as_host("/want"),
    "empty want list": Visit("/want", True),
    "who ate this too": as_host("{talk}/ate-too"),
    "nobody ate this too": Visit("{closed}/ate-too"),
    "after the meal of another": as_host("{inspired}"),
    "inspired meal": as_host("{copy}"),
    "conversation": Visit("{talk}"),
    "conversation, all forms open": as_host("{talk}", show_more),
    "conversation, nothing said": as_host("{talk}", say_nothing),
    "one thread": as_host("{thread}"),
    "closed comments": as_host("{closed}"),
    "edit a comment": as_host("{comment}/edit"),
    "edit a comment, with errors": as_host("{comment}/edit", say_no_more),
    "delete a comment": as_host("{comment}/delete"),
    "meal that one avoids": as_host("{peanuts}"),
    "meal that one avoids, shown": as_host("{peanuts}?show=1"),
    "meal that declares nothing": as_host("{silent}"),
    "diary": Visit("/@{username}/diary", True),
    "diary of another": Visit("/@{username}/diary"),
    "diary, empty": as_host("/@{host}/diary/2020/2"),
    "diary of a year": Visit("/@{username}/diary/{today:%Y}", True, show_more),
    "diary of a week": Visit("/@{username}/diary/week", True),
    "diary of a day": Visit("/@{username}/diary/{today:%Y/%-m/%-d}", True),
    "diary of a day, empty": as_host("/@{host}/diary/2020/2/3"),
    "shared from elsewhere": as_host("/share?title=Soup&text=Hot&url=https://recipes.example.org/soup"),
    "suggestions while typing": as_host("/new", ask_for_suggestions),
}


@pytest.mark.parametrize("locale", WAYS)
@pytest.mark.parametrize("name", VISITS)
def test_the_page(open_page: Callable[..., Page], stock: Stock, company: Stock, name: str, locale: str) -> None:
    """All checks on one visit, since the visits are what takes the time."""
    visit = VISITS[name]
    state = (company if visit.host else stock).state if visit.signed_in else None
    # Colours that are on their way to others have a contrast that nobody sees for long.
    page = open_page(locale=locale, viewport=DESKTOP, reduced_motion="reduce", storage_state=state)
    names = {"username": stock.username, "host": company.username, "today": datetime.now(UTC)}
    answer = page.goto(visit.path.format(**names, **stock.meals, **company.meals))
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


def test_the_bars_of_a_phone_hide_nothing_that_has_the_focus(signed_in: Callable[..., Page], stock: Stock) -> None:
    page = signed_in(reduced_motion="reduce")
    page.goto(f"/@{stock.username}")
    top, bottom = page.locator(".topbar"), page.locator(".tabs")
    hidden, seen = [], 0
    for _ in range(50):
        page.keyboard.press("Tab")
        focused = page.evaluate_handle("document.activeElement").as_element()
        box = focused and focused.bounding_box()
        above, below = top.bounding_box(), bottom.bounding_box()
        assert box and above and below
        if focused.evaluate("one => one.closest('main') !== null"):
            seen += 1
            if box["y"] < above["y"] + above["height"] or box["y"] + min(box["height"], 44) > below["y"]:
                hidden.append(focused.evaluate("one => one.outerHTML.slice(0, 120)"))
    assert seen > 30
    assert hidden == []


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
    with page.expect_response("**/none.png"):
        for bad in ('<p style="color: red">x</p>', '<img src="/none.png">'):
            page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", bad)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.bad = 1'}))")
    page.evaluate("fetch('https://example.org/').catch(() => null)")
    assert page.evaluate("window.bad") is None
    # What the browser says of it arrives after the page has gone on.
    missing = {"style-src", "script-src", "connect-src"}
    deadline = time.monotonic() + 15
    while missing and time.monotonic() < deadline:
        page.wait_for_timeout(50)
        missing = {directive for directive in missing if not any(directive in text for text in watch.complaints)}
    assert not missing
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
        """tags => axe.run({exclude: ['#swagger-ui']}, {
          // Axe leaves the size of what one presses to whoever asks for it (2.5.8).
          runOnly: tags, rules: {'target-size': {enabled: true}}, resultTypes: ['violations'], elementRef: false})""",
        WCAG,
    )
    return [
        (rule["id"], node["html"][:200], node["failureSummary"])
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


def inline(page: Page) -> list[str]:
    """Inline scripts, styles and handlers in the HTML as the server sent it."""
    html = page.request.get(page.url, headers={"Accept": "text/html"}).text()
    # What is described for machines is no program: the policy does not bind it.
    html = html.replace('<script type="application/ld+json">', "")
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
