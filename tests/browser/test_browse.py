"""The browsable API in a browser: a person finds a meal, changes it and deletes it, with nothing but what the pages offer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.people import PASSWORD, post_meal, register

pytestmark = pytest.mark.browser


def test_a_person_browses_changes_and_deletes(open_page: Callable[..., Page], watch: Watch) -> None:
    page = open_page()
    name = register(page)
    post_meal(page, "Tea eggs")
    page.context.clear_cookies()

    # A visitor who logs in comes back to the address.
    page.goto("/api/user/profile")
    expect(page.locator(".status--bad").first).to_have_text("401 Unauthorized")
    page.get_by_role("link", name="Log in", exact=True).first.click()
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/api/user/profile")
    expect(page.locator(".status--good").first).to_have_text("200 OK")

    # From the index by links alone.
    page.goto("/api")
    page.locator("pre.json a[href='/api/meals']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("List public meals")
    page.locator("pre.json a[href^='/api/meals/']").first.click()
    page.wait_for_url(re.compile(r"/api/meals/\d+$"))
    address = page.url

    page.locator("#PATCH > summary").click()
    form = page.locator("#PATCH form")
    stale = form.locator("[data-header='If-Match']").input_value()
    editor = form.locator("textarea")
    meal = json.loads(editor.input_value())
    assert meal["food"] == "Tea eggs"
    editor.fill(json.dumps({"food": "Tea eggs <b>with soy</b>"}))
    form.get_by_role("button", name="PATCH").click()
    expect(form.locator("[data-status]")).to_have_text("200 OK")
    expect(form.locator("[data-result]")).to_contain_text('"food": "Tea eggs <b>with soy</b>"')
    assert form.locator("[data-result] b").count() == 0
    # The form goes on from the new state; with the old tag it is refused.
    editor.fill(json.dumps({"food": "Tea eggs with soy"}))
    form.get_by_role("button", name="PATCH").click()
    expect(form.locator("[data-result]")).to_contain_text('"food": "Tea eggs with soy"')
    form.locator("[data-header='If-Match']").fill(stale)
    form.get_by_role("button", name="PATCH").click()
    expect(form.locator("[data-status]")).to_have_text(re.compile("^412"))
    assert [entry.partition(" ")[0] for entry in watch.broken] == ["412"]
    watch.broken.clear()

    # The JSON that a script of the page reads is stored; the page of the address stays a page all the same.
    assert (
        page.evaluate("fetch(location.href).then((answer) => answer.headers.get('Content-Type'))") == "application/json"
    )
    page.reload()
    expect(page.locator("pre.json").first).to_contain_text("Tea eggs with soy")

    page.locator("#DELETE > summary").click()
    page.locator("#DELETE form").get_by_role("button", name="DELETE").click()
    expect(page.locator("#DELETE [data-status]")).to_have_text(re.compile("^204"))
    page.goto(address)
    expect(page.locator(".status--bad").first).to_have_text("404 Not Found")


def test_a_token_instead_of_the_session(open_page: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    page = open_page()
    name = register(page)
    # From here on only the token counts.
    page.context.clear_cookies()
    token = page.request.post("/api/login", data={"username": name, "password": PASSWORD}).json()["access_token"]
    page.goto("/api/media")
    page.locator("#bearer").fill(f"Bearer {token}")
    page.locator("#POST > summary").click()
    form = page.locator("#POST form")
    form.locator("[data-part=file]").set_input_files(photo_file())
    form.locator("[data-part=description]").fill("A plate.")
    form.get_by_role("button", name="POST").click()
    expect(form.locator("[data-status]")).to_have_text(re.compile("^202"))
    expect(form.locator("[data-result]")).to_contain_text("A plate.")


def test_without_javascript(open_page: Callable[..., Page]) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/api/feed/public")
    page.locator("details.browse__form > summary").first.click()
    page.locator("[name=meal_type]").select_option("lunch")
    page.locator("[name=limit]").fill("5")
    page.locator("form.parameters button[type=submit]").click()
    page.wait_for_url("**/api/feed/public?limit=5&meal_type=lunch")
    expect(page.locator(".status--good").first).to_have_text("200 OK")
    page.goto("/api/meals")
    page.locator("#POST > summary").click()
    expect(page.locator("#POST form")).to_be_hidden()
    page.locator("#POST .headers > summary").click()
    expect(page.locator("#POST .headers .code")).to_contain_text("curl -X POST")
    page.get_by_role("link", name="JSON", exact=True).click()
    page.wait_for_url("**/api/meals?format=json")


def test_the_samples_of_the_developers_page(open_page: Callable[..., Page], server: object) -> None:
    """One choice for all samples; it works without a script, is kept with one, and a click copies what stands there."""
    for scripts in (False, True):
        page = open_page(java_script_enabled=scripts, permissions=["clipboard-read", "clipboard-write"])
        page.goto("/developers")
        page.locator("label.chip", has_text="Python").click()
        for language, shown in (("python", True), ("curl", False), ("javascript", False)):
            samples = page.locator(f".sample[data-lang={language}]")
            assert samples.count() > 8
            assert {samples.nth(number).is_visible() for number in range(samples.count())} == {shown}
    page.locator(".sample[data-lang=python] .sample__copy").first.click()
    expect(page.locator(".sample[data-lang=python] .sample__copy").first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("import httpx\n")
    page.reload()
    expect(page.locator("#in-python")).to_be_checked()
