"""/docs: Swagger UI works under the content security policy, against the site that it stands on."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Watch
from tests.browser.people import PASSWORD, register

pytestmark = pytest.mark.browser


def open_docs(page: Page) -> None:
    """Open the page, and wait until the document is drawn: a busy machine takes its time for that."""
    page.goto("/docs")
    page.locator(".opblock").first.wait_for(timeout=60_000)


def operation(page: Page, method: str, path: str) -> Locator:
    """The operation, opened."""
    block = page.locator(f".opblock-{method}").filter(has=page.locator(f'[data-path="{path}"]')).first
    block.locator(".opblock-summary-control").click()
    return block


def authorize(page: Page, token: str) -> None:
    """Enter a bearer token."""
    page.locator(".btn.authorize").click()
    box = page.locator(".auth-container").filter(has=page.locator("code", has_text="bearerAuth"))
    # The first of three, and on a telephone the only one in sight: Swagger UI alone goes to the last.
    expect(box.locator("input").first).to_be_focused()
    box.locator("input").first.fill(token)
    box.locator(".auth.modal-btn.authorize").click()
    page.locator(".modal-ux .btn-done").first.click()


def post_a_meal(page: Page, food: str) -> Locator:
    """Try out POST /api/meals; gives what is shown of the answer."""
    block = operation(page, "post", "/api/meals")
    block.locator("textarea.body-param__text").fill(json.dumps({"food": food}))
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table tbody .response").first


def test_authorize_and_try_it_out(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    name = register(page)
    # From here on only the token counts.
    page.context.clear_cookies()
    token = page.request.post("/api/login", data={"username": name, "password": PASSWORD}).json()["access_token"]
    open_docs(page)
    expect(page.locator(".docs__who")).to_have_count(0)
    authorize(page, token)
    answer = post_a_meal(page, "Tried out")
    expect(answer.locator(".response-col_status")).to_contain_text("201")
    expect(answer).to_contain_text("Tried out")
    # What is written down as an optional parameter must not be sent along unless somebody fills it in.
    listed = operation(page, "get", "/api/users/{username}/meals")
    listed.locator("tr[data-param-name=username] input").fill(name)
    listed.get_by_role("button", name="Execute").click()
    expect(listed.locator(".live-responses-table")).to_contain_text("Tried out")
    asked = parse_qs(urlsplit(listed.locator(".request-url pre").inner_text().strip()).query)
    assert set(asked) <= {"limit", "skip", "sort"}
    page.goto(f"/@{name}")
    expect(page.locator("article h2")).to_have_text("Tried out")


def test_try_it_out_as_who_is_signed_in(open_page: Callable[..., Page], watch: Watch) -> None:
    page = open_page()
    name = register(page)
    open_docs(page)
    expect(page.locator(".docs__who")).to_contain_text(f"@{name}")
    answer = post_a_meal(page, "Tried without a token")
    expect(answer.locator(".response-col_status")).to_contain_text("201")
    page.goto(f"/@{name}")
    expect(page.locator("article h2")).to_have_text("Tried without a token")
    # A token that does not count never falls back to the cookie, here as anywhere.
    open_docs(page)
    authorize(page, "not-a-token")
    refused = post_a_meal(page, "Not posted")
    expect(refused.locator(".response-col_status")).to_contain_text("401")
    expect(refused).to_contain_text("token_malformed")
    assert len(watch.broken) == 1
    watch.broken.clear()
