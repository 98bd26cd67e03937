"""A real Chromium against a real pserve."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(chromium):
    """The browser, started once for a module; headless."""
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield instance
        instance.close()


@pytest.fixture
def open_page(browser, server):
    """``open_page(...)`` gives a new tab with cookies of its own; whatever its console complains about fails the test."""
    contexts, complaints, foreign = [], [], []

    def open_page(**options):
        options = {
            "viewport": {"width": 390, "height": 844},
            "locale": "en-GB",
            "timezone_id": "Europe/Berlin",
        } | options
        context = browser.new_context(base_url=server.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((server.url, "blob:")) else foreign.append(request.url),
        )
        page.complaints = complaints
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert foreign == [], "a request left the site"
    assert [text for text in complaints if "Failed to load resource" not in text] == []
