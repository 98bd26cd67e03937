"""/docs: Swagger UI works under the content security policy, against the site that it stands on."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import PASSWORD, register

pytestmark = pytest.mark.browser


def test_authorize_and_try_it_out(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    name = register(page)
    # From here on only the token counts.
    page.context.clear_cookies()
    token = page.request.post("/api/login", data={"username": name, "password": PASSWORD}).json()["access_token"]
    page.goto("/docs")
    page.locator(".btn.authorize").click()
    page.locator(".auth-container input[type=text]").first.fill(token)
    page.locator(".modal-ux .auth.modal-btn.authorize").first.click()
    page.locator(".modal-ux .btn-done").first.click()
    page.locator("#operations-meals-postMeals, [id$='api_meals_post'], .opblock-post").filter(
        has=page.locator('[data-path="/api/meals"]')
    ).first.locator(".opblock-summary-control").click()
    block = page.locator(".opblock-post.is-open")
    block.locator("textarea.body-param__text").fill(json.dumps({"food": "Tried out"}))
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("201")
    expect(block.locator(".live-responses-table")).to_contain_text("Tried out")
    page.goto(f"/@{name}")
    expect(page.locator("article h2")).to_have_text("Tried out")
