"""Being somebody: the profile, the picture, the password, the devices."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import PASSWORD, log_in, register

pytestmark = pytest.mark.browser
ANOTHER_PASSWORD = "quince jelly by the window"


def press(page: Page, name: str) -> None:
    """Press the button of that name in the page's own part."""
    page.locator("main").get_by_role("button", name=name, exact=True).click()


def test_profile_and_picture(open_page: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    page = open_page()
    name = register(page)
    page.goto("/settings/profile")
    page.get_by_label("Display name").fill("مريم")
    page.get_by_label("About you").fill("أحب الطعام\nand #soup")
    page.get_by_label("Time zone").select_option("Asia/Shanghai")
    press(page, "Save")
    expect(page.get_by_role("status")).to_contain_text("Your profile is saved.")
    expect(page.locator(".menu__name")).to_have_text("مريم")
    expect(page.locator("header img.avatar")).to_have_count(0)
    page.get_by_label("A picture of you").set_input_files(photo_file("me.jpg"))
    press(page, "Save picture")
    picture = page.locator("header img.avatar")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.goto(f"/@{name}")
    expect(page.get_by_role("heading", level=1)).to_have_text("مريم")
    assert page.locator("h1").evaluate("heading => getComputedStyle(heading).direction") == "rtl"
    expect(page.locator(".profile__bio a")).to_have_text("#soup")
    page.get_by_role("link", name="Edit profile").click()
    press(page, "Remove picture")
    expect(page.locator("header img.avatar")).to_have_count(0)


def test_a_picture_that_is_none(open_page: Callable[..., Page], tmp_path) -> None:
    page = open_page()
    register(page)
    page.goto("/settings/profile")
    letter = tmp_path / "letter.jpg"
    letter.write_text("no picture")
    page.get_by_label("A picture of you").set_input_files(str(letter))
    press(page, "Save picture")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Profile")


def test_a_new_password_ends_the_other_session(open_page: Callable[..., Page]) -> None:
    here, there = open_page(), open_page()
    name = register(here)
    log_in(there, name)
    expect(there.locator(".menu__name")).to_have_text(name)
    here.goto("/settings/password")
    here.get_by_label("Current password").fill(PASSWORD)
    here.get_by_label("New password", exact=True).fill(ANOTHER_PASSWORD)
    here.get_by_label("New password, again").fill(ANOTHER_PASSWORD)
    press(here, "Change the password")
    expect(here.get_by_role("status")).to_contain_text("Your password is changed.")
    there.goto("/settings/profile")
    there.wait_for_url(re.compile(r"/login\?next="))
    log_in(there, name)
    expect(there.get_by_role("alert").first).to_be_visible()
    log_in(there, name, ANOTHER_PASSWORD)
    expect(there.locator(".menu__name")).to_have_text(name)


def test_see_and_end_a_session(open_page: Callable[..., Page]) -> None:
    here, there = open_page(), open_page()
    name = register(here)
    log_in(there, name)
    here.goto("/settings/sessions")
    rows = here.locator("main .row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("This one")
    rows.nth(1).get_by_role("button", name="End session").click()
    expect(rows).to_have_count(1)
    there.goto("/")
    expect(there.get_by_role("link", name="Log in")).to_be_visible()
    expect(here.locator(".menu__name")).to_have_text(name)


def test_log_out_from_the_menu(open_page: Callable[..., Page]) -> None:
    page = open_page()
    name = register(page)
    page.goto("/about")
    menu = page.locator("header details.menu")
    menu.locator("summary").click()
    expect(page.get_by_role("link", name="Your meals")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Your meals")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    # Back shows nothing of the session.
    page.go_back()
    page.goto(f"/@{name}")
    expect(page.get_by_role("link", name="Edit profile")).to_have_count(0)
