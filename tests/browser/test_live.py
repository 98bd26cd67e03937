"""What is posted while a page is open."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import post_meals, register

pytestmark = pytest.mark.browser


def test_new_meals_are_announced_above_the_feed_and_shown_when_asked_for(open_page: Callable[..., Page]) -> None:
    """To a visitor on the front page; the author, who has just posted them, is told nothing."""
    writer, reader = open_page(), open_page()
    register(writer)
    post_meals(writer, "The first")
    with reader.expect_request("**/api/feed/stream?feed=public&last_event_id=*") as listening:
        reader.goto("/")
    assert listening.value.resource_type == "eventsource"
    writer.goto("/")
    post_meals(writer, "The second", "The third")
    link = reader.get_by_role("link", name="New meals: 2")
    expect(link).to_be_visible()
    link.click()
    expect(reader.locator("article.card h2").first).to_have_text("The third")
    expect(reader.get_by_role("link", name="New meals")).to_have_count(0)
