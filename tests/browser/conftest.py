"""A real Chromium against a real pserve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from mealshare.core.db.migrate import upgrade
from tests.browser.people import Stock, company_site, stock_site
from tests.databases import new_database
from tests.sites import RunningSite, running_site

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Five seconds are not enough where two browsers, two servers and their tests share two cores.
expect.set_options(timeout=15_000)
PHONE: ViewportSize = {"width": 390, "height": 844}


@dataclass
class Watch:
    """What went wrong in the tabs of one test; whatever is left in a list at its end fails it.

    Not frozen: Playwright leaves a mark on the owner of an event handler.
    """

    #: Warnings and errors of the console (a breach of the content security policy is one), and uncaught exceptions.
    complaints: list[str]
    #: Requests that left the site.
    foreign: list[str]
    #: Files of the page, and requests of its scripts, that were answered with an error.
    broken: list[str]

    def over(self, context: BrowserContext, url: str) -> None:
        """Watch every page of ``context``, a context on the site at ``url``."""
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on(
            "request",
            lambda request: None if request.url.startswith((url, "blob:")) else self.foreign.append(request.url),
        )
        context.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        # That a file could not be loaded stands in `broken`, with its address.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.request.resource_type != "document":
            self.broken.append(f"{response.status} {response.url}")


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """The browser, started once for all tests of this folder; headless."""
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield instance
        instance.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """One site for all tests of this folder: each makes people of its own."""
    folder = tmp_path_factory.mktemp("server")
    with new_database("sqlite", folder) as url:
        upgrade(url)
        with running_site(folder, url) as site:
            yield site


@pytest.fixture(scope="package")
def stock(browser: Browser, server: RunningSite) -> Stock:
    """Somebody with meals of every kind."""
    return stock_site(browser, server.url)


@pytest.fixture(scope="package")
def company(browser: Browser, server: RunningSite) -> Stock:
    """Somebody among friends: with followers, news, a long conversation, and a nut allergy."""
    return company_site(browser, server.url)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What went wrong; a test that provokes it clears the list."""
    watch = Watch([], [], [])
    yield watch
    assert watch.foreign == [], "a request left the site"
    assert watch.complaints == []
    assert watch.broken == []


@pytest.fixture
def open_page(browser: Browser, server: RunningSite, watch: Watch) -> Iterator[Callable[..., Page]]:
    """``open_page(...)`` gives a new tab with cookies of its own: a telephone in Berlin that speaks English."""
    contexts: list[BrowserContext] = []

    def open_page(**options: Any) -> Page:
        options = {"viewport": PHONE, "locale": "en-GB", "timezone_id": "Europe/Berlin"} | options
        context = browser.new_context(base_url=server.url, **options)
        contexts.append(context)
        watch.over(context, server.url)
        page = context.new_page()
        page.set_default_timeout(15_000)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def signed_in(open_page: Callable[..., Page], stock: Stock) -> Callable[..., Page]:
    """``signed_in(...)`` gives a tab in which the person of ``stock`` is signed in."""
    return lambda **options: open_page(storage_state=stock.state, **options)


@pytest.fixture
def photo_file(tmp_path: Path, picture: Callable[..., bytes]) -> Callable[..., str]:
    """``photo_file(name="photo.jpg", kind="jpeg", size=(800, 600))``: the path of a picture file."""

    def make(name: str = "photo.jpg", kind: str = "jpeg", size: tuple[int, int] = (800, 600)) -> str:
        path = tmp_path / name
        path.write_bytes(picture(kind, size))
        return str(path)

    return make
