"""Photos: choosing, describing, ordering and removing them, before and after the meal is posted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.people import choose_photos, register, wait_for_photo

pytestmark = pytest.mark.browser


def words(page: Page) -> list[str]:
    """The descriptions in the compose box, in its order."""
    return [field.input_value() for field in page.get_by_label("Describe this photo").all() if field.is_visible()]


def shown(page: Page) -> list[str | None]:
    """The descriptions of the photos of the meal that is shown."""
    return [image.get_attribute("alt") for image in page.locator("article figure img").all()]


def describe(page: Page, *descriptions: str) -> None:
    """Describe the photos in the compose box."""
    fields = page.get_by_label("Describe this photo")
    expect(fields).to_have_count(len(descriptions))
    for number, description in enumerate(descriptions):
        fields.nth(number).fill(description)


def post_described(page: Page, photo_file: Callable[..., str], *descriptions: str) -> str:
    """Post a meal with a photo for each description; gives its address."""
    page.goto("/")
    page.get_by_label("What did you eat?").fill("A meal with photos")
    choose_photos(page, *(photo_file(f"{number}.jpg") for number in range(len(descriptions))))
    describe(page, *descriptions)
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    wait_for_photo(page, count=len(descriptions))
    return page.url


def test_order_words_and_removal_before_posting(open_page: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    page = open_page()
    register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Sorted")
    choose_photos(page, photo_file("a.jpg"), photo_file("b.png", "png"), photo_file("c.webp", "webp"))
    describe(page, "a", "b", "c")
    # The ends cannot be moved over the edge, and what was moved keeps the focus, at either end too.
    expect(page.get_by_role("button", name="Move photo 1 earlier")).to_be_disabled()
    expect(page.get_by_role("button", name="Move photo 3 later")).to_be_disabled()
    page.get_by_role("button", name="Move photo 3 earlier").click()
    expect(page.get_by_role("button", name="Move photo 2 earlier")).to_be_focused()
    page.keyboard.press("Enter")
    assert words(page) == ["c", "a", "b"]
    expect(page.get_by_role("button", name="Move photo 1 later")).to_be_focused()
    page.get_by_role("button", name="Remove photo 2").click()
    expect(page.get_by_role("button", name="Remove photo 2")).to_be_focused()
    assert words(page) == ["c", "b"]
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    wait_for_photo(page, count=2)
    assert shown(page) == ["c", "b"]


def test_what_cannot_be_sent_is_said_before_it_is_sent(
    open_page: Callable[..., Page], photo_file: Callable[..., str], tmp_path: Path
) -> None:
    page = open_page()
    page.goto("/")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    alert = page.locator(".photo-error")
    expect(alert).to_have_attribute("role", "alert")
    heavy, letter = tmp_path / "heavy.jpg", tmp_path / "letter.txt"
    heavy.write_bytes(b"\xff\xd8\xff" + bytes(12_000_001))
    letter.write_text("no picture")
    choose_photos(page, str(heavy), str(letter), photo_file("good.jpg"))
    expect(alert).to_contain_text("“heavy.jpg” is larger than 12 MB.")
    expect(alert).to_contain_text("“letter.txt” is not a kind of picture that can be shown here.")
    expect(page.get_by_label("Describe this photo")).to_have_count(1)
    choose_photos(page, *(photo_file(f"{number}.jpg") for number in range(4)))
    expect(alert).to_have_text("At most 4 photos.")
    expect(page.get_by_label("Describe this photo")).to_have_count(4)
    # There is no button for a fifth, until one goes.
    expect(page.get_by_role("button", name="Add photos")).to_be_hidden()
    page.get_by_role("button", name="Remove photo 4").click()
    expect(page.get_by_role("button", name="Add photos")).to_be_visible()
    expect(alert).to_have_text("")
    vast = tmp_path / "vast.png"
    Image.new("1", (8000, 6251)).save(vast)
    choose_photos(page, str(vast))
    expect(alert).to_have_text("“vast.png” has more than 50 megapixels.")
    expect(page.get_by_label("Describe this photo")).to_have_count(3)
    assert "POST" not in sent


def test_photos_of_a_posted_meal(open_page: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    page = open_page()
    register(page)
    address = post_described(page, photo_file, "first", "second")
    page.get_by_role("link", name="Edit").click()
    assert words(page) == ["first", "second"]
    choose_photos(page, photo_file("new.jpg"))
    page.get_by_label("Describe this photo").nth(2).fill("new")
    # The new one goes between the two that are there, which change places.
    page.get_by_role("button", name="Move photo 3 earlier").click()
    page.get_by_role("button", name="Move photo 1 later").click()
    page.get_by_role("button", name="Move photo 2 later").click()
    assert words(page) == ["new", "second", "first"]
    page.get_by_role("button", name="Move photo 1 later").click()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(address)
    wait_for_photo(page, count=3)
    assert shown(page) == ["second", "new", "first"]
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("button", name="Remove photo 1").click()
    page.get_by_label("Describe this photo").and_(page.locator(":visible")).first.fill("described anew")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(address)
    assert shown(page) == ["described anew", "first"]


def test_a_mistake_elsewhere_keeps_the_photos(open_page: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    page = open_page()
    register(page)
    page.goto("/new")
    page.get_by_label("What did you eat?").fill("Soup")
    choose_photos(page, photo_file("soup.jpg"))
    describe(page, "A bowl")
    page.get_by_text("More about this meal").click()
    page.get_by_label("Recipe link").fill("ftp://example.org/soup")
    page.get_by_role("button", name="I ate this!").click()
    field = page.get_by_label("Recipe link")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert words(page) == ["A bowl"]
    field.fill("https://example.org/soup")
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    wait_for_photo(page)
    assert shown(page) == ["A bowl"]


def test_a_card_takes_the_variant_that_fits(open_page: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    phone = open_page()
    name = register(phone)
    phone.goto("/")
    phone.get_by_label("What did you eat?").fill("Sharp")
    choose_photos(phone, photo_file("large.jpg", size=(2000, 1500)))
    phone.get_by_role("button", name="I ate this!").click()
    phone.wait_for_url(re.compile(r"/@\w+/\d+"))
    wait_for_photo(phone)
    for options, width in (
        ({"viewport": {"width": 390, "height": 844}}, 400),
        ({"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3}, 1600),
        ({"viewport": {"width": 1280, "height": 900}}, 1600),
    ):
        page = open_page(**options)
        page.goto(f"/@{name}")
        image = page.locator("article img").first
        image.evaluate("image => { image.loading = 'eager'; return image.decode(); }")
        source = image.evaluate("image => image.currentSrc")
        assert source.endswith(f"/{width}.webp"), options
        assert image.evaluate("async image => (await createImageBitmap(image)).width") == width
