"""Searching while typing, and completing what is typed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.people import new_name, post_meals, register

pytestmark = pytest.mark.browser


def test_results_come_while_typing_and_the_address_keeps_up(open_page: Callable[..., Page]) -> None:
    page = open_page()
    register(page)
    post_meals(page, "麻辣香锅 quokkastew", "Plain quokkatoast")
    page.goto("/search")
    box, cards = page.get_by_role("searchbox"), page.locator("#results article.card")
    box.press_sequentially("quokka")
    expect(cards).to_have_count(2)
    expect(box).to_be_focused()
    box.press_sequentially(" 辣")
    expect(cards).to_have_count(0)
    expect(page.get_by_role("heading", name="Nobody seems to have eaten that yet")).to_be_visible()
    box.fill("辣 quokka")
    expect(cards).to_have_count(1)
    expect(page.locator("[data-search-status]")).to_have_text("Results are below.")
    page.wait_for_url("**/search?q=*quokka*")
    page.reload()
    expect(cards).to_have_count(1)
    page.get_by_text("Filters").click()
    page.get_by_label("With a photo").check()
    expect(cards).to_have_count(0)


def test_people_and_tags_are_completed_with_the_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page()
    # A list shows a few people only, and the names of other tests' people begin alike: all but the last letter is enough here.
    name = register(page, f"{new_name()}_completed")
    post_meals(page, "Porridge")
    page.goto("/new")
    page.get_by_text("More about this meal").click()
    note = page.get_by_label("Note")
    note.press_sequentially(f"with @{name[:-1]}")
    option = page.get_by_role("option", name=f"@{name}")
    expect(option.first).to_be_visible()
    # Without a choice the keys do what they always do.
    note.press("Escape")
    expect(option).to_have_count(0)
    note.press_sequentially(name[-1])
    expect(option.first).to_be_visible()
    note.press("ArrowDown")
    expect(option.first).to_have_attribute("aria-selected", "true")
    expect(note).to_have_attribute("aria-activedescendant", str(option.first.get_attribute("id")))
    note.press("Enter")
    expect(note).to_have_value(f"with @{name} ")
    expect(option).to_have_count(0)
    assert page.url.endswith("/new")


def test_what_was_typed_before_the_script_came_is_completed(open_page: Callable[..., Page]) -> None:
    page = open_page()
    name = register(page, f"{new_name()}_hasty")
    page.goto("/new")
    page.get_by_text("More about this meal").click()
    held: list[Route] = []
    page.route("**/suggest.js*", lambda route: held.append(route))
    note = page.get_by_label("Note")
    with page.expect_request("**/suggest.js*"):
        note.press_sequentially(f"with @{name[:-1]}")
    expect(note).to_have_value(f"with @{name[:-1]}")
    held[0].continue_()
    expect(page.get_by_role("option", name=f"@{name}")).to_be_visible()
