"""What people do, in a real browser."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
_names = itertools.count(1)
PASSWORD = "plum cobbler on a tuesday"


def register(page, name=None):
    name = name or f"eater{next(_names)}"
    page.goto("/register")
    fill_registration(page, name)
    return name


def fill_registration(page, name):
    page.locator("[name=username]").fill(name)
    page.locator("[name=email]").fill(f"{name}@example.org")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url(re.compile(r"^(?!.*/register)"))


def save(tmp_path, data, name="photo.jpg"):
    path = Path(tmp_path) / name
    path.write_bytes(data)
    return str(path)


def wait_for_photo(page, selector="article img"):
    """Reload until the worker has made the variants."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if page.locator(selector).count():
            return page.locator(selector).first
        time.sleep(0.3)
        page.reload()
    raise AssertionError("the photo never became ready")


def test_look(open_page):
    page = open_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="What are people eating?")).to_be_visible()
    expect(page.get_by_label("What did you eat?")).to_be_visible()
    expect(page.get_by_role("button", name="I ate this!")).to_be_visible()


def test_post_with_a_photo_before_signing_up(open_page, tmp_path, picture):
    page = open_page()
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Shy soup")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add photos").click()
    chooser.value.set_files([save(tmp_path, picture(), "one.jpg"), save(tmp_path, picture("png"), "two.png")])
    descriptions = page.get_by_label("Describe this photo")
    expect(descriptions).to_have_count(2)
    descriptions.nth(0).fill("The first one")
    descriptions.nth(1).fill("The second one")
    # Change the order: the second goes first.
    page.get_by_role("button", name="Move photo 2 earlier").click()
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url("**/register")
    expect(page.get_by_text("Your meal is kept")).to_be_visible()
    name = f"eater{next(_names)}"
    fill_registration(page, name)
    page.wait_for_url(re.compile(rf"/@{name}/\d+"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Shy soup")
    wait_for_photo(page)
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


def test_without_javascript(open_page, tmp_path, picture):
    page = open_page(java_script_enabled=False)
    name = register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Bread")
    page.locator("[name=photo]").first.set_input_files(save(tmp_path, picture()))
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
    page.get_by_text(name).first.click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_older_meals_load_in_place(open_page, server):
    page = open_page()
    register(page)
    token = page.locator("[name=csrf_token]").first.get_attribute("value")
    for number in range(23):
        answer = page.request.post("/api/meals", data={"food": f"meal {number}"}, headers={"X-CSRF-Token": token})
        assert answer.status == 201, answer.text()
    page.goto("/")
    expect(page.locator("article.card")).to_have_count(20)
    page.get_by_role("link", name="Older meals").click()
    page.wait_for_function("document.querySelectorAll('article.card').length > 20")
    assert page.url.rstrip("/") == server.url.rstrip("/")


def test_like_in_place(open_page):
    page = open_page()
    register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Plums")
    page.get_by_role("button", name="I ate this!").click()
    page.goto("/")
    card = page.locator("article.card").first
    card.get_by_role("button", name="Yum!").click()
    expect(card.get_by_role("button", name="Yum!")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.locator("article.card").first.get_by_role("button", name="Yum!")).to_have_attribute(
        "aria-pressed", "true"
    )
