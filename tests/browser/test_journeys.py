"""What people do, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.people import (
    choose_photos,
    fill_registration,
    new_name,
    post_meal,
    register,
    wait_for_photo,
)

pytestmark = pytest.mark.browser


def test_look(open_page):
    page = open_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="What are people eating?")).to_be_visible()
    expect(page.get_by_label("What did you eat?")).to_be_visible()
    expect(page.get_by_role("button", name="I ate this!")).to_be_visible()


def test_post_with_a_photo_before_signing_up(open_page, photo_file):
    page = open_page()
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Shy soup")
    choose_photos(page, photo_file("one.jpg"), photo_file("two.png", "png"))
    descriptions = page.get_by_label("Describe this photo")
    expect(descriptions).to_have_count(2)
    descriptions.nth(0).fill("The first one")
    descriptions.nth(1).fill("The second one")
    # Change the order: the second goes first.
    page.get_by_role("button", name="Move photo 2 earlier").click()
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url("**/register")
    expect(page.get_by_text("Your meal is kept")).to_be_visible()
    name = new_name()
    fill_registration(page, name)
    page.wait_for_url(re.compile(rf"/@{name}/\d+"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Shy soup")
    wait_for_photo(page, count=2)
    assert [image.get_attribute("alt") for image in page.locator("article figure img").all()] == [
        "The second one",
        "The first one",
    ]
    assert (
        page.locator("article figure img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    )


def test_edit_change_visibility_and_delete(open_page):
    page = open_page()
    name = register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Porridge")
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(rf"/@{name}/\d+"))
    address = page.url
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("What did you eat?").fill("Porridge with plums")
    page.get_by_text("More about this meal").click()
    page.get_by_label("Who may see it").select_option("only_me")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Porridge with plums")
    expect(page.locator(".byline__when")).to_contain_text("edited")
    stranger = open_page()
    assert stranger.goto(address).status == 404
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"**/@{name}")
    assert page.goto(address).status == 404


def test_back_dating_in_the_persons_own_zone(open_page):
    page = open_page(timezone_id="Asia/Shanghai")
    name = register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Late noodles")
    page.get_by_text("More about this meal").click()
    page.get_by_label("When").fill("2026-03-01T23:30")
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(rf"/@{name}/\d+"))
    meal = page.request.get("/api/meals?limit=1").json()[0]
    assert meal["eaten_at"] == "2026-03-01T23:30:00+08:00"
    assert meal["eaten_on"] == "2026-03-01"
    assert meal["meal_type"] == "late_night"


def test_in_chinese(open_page):
    page = open_page(locale="zh-CN")
    page.goto("/")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert not re.search(r"What|Newest|Photo", page.locator("main").inner_text())
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What are people eating?")
    page.get_by_role("button", name="简体中文").click()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"


def test_without_javascript(open_page, photo_file):
    page = open_page(java_script_enabled=False)
    name = register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Bread")
    page.locator("[name=photo]").first.set_input_files(photo_file())
    page.locator("[name=photo_alt]").first.fill("A loaf")
    page.get_by_text("More about this meal").click()
    page.get_by_label("Note").fill("Still warm #bread")
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(rf"/@{name}/\d+"))
    image = wait_for_photo(page)
    assert image.get_attribute("alt") == "A loaf"
    page.get_by_role("button", name="Yum!").click()
    expect(page.get_by_role("button", name="Yum!")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="#bread").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("#bread")
    page.locator("header details.menu > summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_a_draft_that_was_left_waits_on_its_page(open_page, photo_file):
    page = open_page()
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Half a thought")
    choose_photos(page, photo_file())
    page.get_by_label("Describe this photo").fill("Half a plate")
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url("**/register")
    page.goto("/new")
    expect(page.get_by_label("What did you eat?")).to_have_value("Half a thought")
    expect(page.get_by_label("Describe this photo")).to_have_value("Half a plate")
    # Nobody else sees it.
    stranger = open_page()
    stranger.goto("/new")
    expect(stranger.get_by_label("What did you eat?")).to_have_value("")


def test_what_one_may_not_see_stays_behind_the_warning(open_page, stock):
    page = open_page()
    page.goto(stock.meals["veiled"])
    photo = page.locator("article figure img")
    expect(page.locator("summary").first).to_contain_text("Content warning: Offal")
    expect(photo).to_be_hidden()
    page.locator("summary").first.click()
    expect(photo).to_be_visible()
    page.goto(f"/@{stock.username}")
    card = page.locator("article.card").filter(has_text="Haggis")
    expect(card.get_by_text("Hidden words.")).to_be_hidden()
    card.locator("summary").click()
    expect(card.get_by_text("Hidden words.")).to_be_visible()


def test_words_run_in_their_own_direction(open_page, stock):
    page = open_page()
    page.goto(stock.meals["arabic"])
    direction = "element => getComputedStyle(element).direction"
    assert page.locator("h1").evaluate(direction) == "rtl"
    assert page.locator(".meal__note").evaluate(direction) == "rtl"
    assert page.locator("body").evaluate(direction) == "ltr"
    page.goto("/new")
    field = page.get_by_label("What did you eat?")
    field.fill("حمص")
    assert field.evaluate(direction) == "rtl"


def test_edit_in_two_windows(open_page):
    page = open_page()
    register(page)
    address = post_meal(page, "Toast")
    page.goto(f"{address}/edit")
    other = page.context.new_page()
    other.goto(f"{address}/edit")
    other.get_by_label("What did you eat?").fill("Toast with jam")
    other.get_by_role("button", name="Save").click()
    other.wait_for_url(address)
    page.get_by_label("What did you eat?").fill("Toast with honey")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("What did you eat?")).to_have_value("Toast with honey")
    # Having seen the warning, one may insist.
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Toast with honey")
