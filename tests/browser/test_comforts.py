"""What scripts add, and what nobody must need a mouse or patience for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from mealshare.core.db.migrate import upgrade
from tests.browser.conftest import Watch
from tests.browser.people import Stock, post_meal, post_meals, register
from tests.databases import new_database
from tests.sites import running_site

pytestmark = pytest.mark.browser
#: More presses of Tab than it takes to reach anything on these pages.
MANY = 60


def yum(card: Locator) -> Locator:
    """The like button of a card."""
    return card.get_by_role("button", name="Yum!")


def test_older_meals_are_appended_and_read_on_from(open_page: Callable[..., Page]) -> None:
    page = open_page()
    name = register(page)
    post_meals(page, *(f"meal {number}" for number in range(45)))
    page.goto(f"/@{name}")
    cards, older = page.locator("article.card"), page.get_by_role("link", name="Older meals")
    expect(cards).to_have_count(20)
    title = page.title()
    older.press("Enter")
    expect(cards).to_have_count(40)
    # Whoever used the keyboard goes on at the first of the new ones.
    expect(cards.nth(20).locator("h2 a")).to_be_focused()
    older.click()
    expect(cards).to_have_count(45)
    expect(older).to_have_count(0)
    assert page.url.endswith(f"/@{name}")
    assert page.title() == title
    foods = cards.locator("h2").all_inner_texts()
    assert foods == [f"meal {number}" for number in range(44, -1, -1)]
    # A card that came later is as alive as the others.
    yum(cards.nth(44)).click()
    expect(yum(cards.nth(44))).to_have_attribute("aria-pressed", "true")
    expect(cards).to_have_count(45)


def test_like_in_place_and_take_it_back(open_page: Callable[..., Page]) -> None:
    page = open_page()
    name = register(page)
    post_meals(page, "Plums", "Pears")
    page.goto(f"/@{name}")
    title, button = page.title(), yum(page.locator("article.card").filter(has_text="Plums"))
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_contain_text("1")
    # The new button has the focus of the one that it replaced.
    expect(button).to_be_focused()
    assert (page.title(), page.url.endswith(f"/@{name}")) == (title, True)
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    # Nobody is no number.
    expect(button).to_have_text("Yum!")
    expect(yum(page.locator("article.card").filter(has_text="Pears"))).to_have_text("Yum!")


def test_like_on_the_meals_own_page(open_page: Callable[..., Page]) -> None:
    page = open_page()
    register(page)
    address = post_meal(page, "Figs")
    button = yum(page.locator("article"))
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_contain_text("1")
    assert page.url == address


def test_like_a_card_that_has_moved_off_its_page(open_page: Callable[..., Page]) -> None:
    page, author = open_page(), open_page()
    register(page)
    name = register(author)
    post_meals(author, "Old crumbs", *(f"meal {number}" for number in range(19)))
    page.goto(f"/@{name}")
    card = page.locator("article.card").filter(has_text="Old crumbs")
    post_meals(author, "Fresh bread")
    yum(card).click()
    expect(yum(card)).to_have_attribute("aria-pressed", "true")


def test_a_visitor_who_likes_is_asked_to_log_in(open_page: Callable[..., Page], stock: Stock) -> None:
    page = open_page()
    page.goto(f"/@{stock.username}")
    yum(page.locator("article.card").first).click()
    page.wait_for_url(re.compile(r"/login\?next="))
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_session_that_ended_meanwhile_leads_to_the_login_page(
    open_page: Callable[..., Page], stock: Stock, watch: Watch
) -> None:
    page = open_page()
    register(page)
    page.goto(f"/@{stock.username}")
    page.context.clear_cookies(name=re.compile("session"))
    yum(page.locator("article.card").first).click()
    expect(page.locator("article.card")).to_have_count(0)
    assert re.search(r"/login|/like", page.url)
    watch.broken.clear()


def test_the_back_button_leads_to_a_page_that_works(open_page: Callable[..., Page]) -> None:
    page = open_page()
    name = register(page)
    post_meals(page, *(f"meal {number}" for number in range(25)))
    page.goto(f"/@{name}")
    cards = page.locator("article.card")
    page.get_by_role("link", name="Older meals").click()
    expect(cards).to_have_count(25)
    cards.nth(22).locator("h2 a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("meal 2")
    page.go_back()
    expect(cards.first).to_be_visible()
    yum(cards.first).click()
    expect(yum(cards.first)).to_have_attribute("aria-pressed", "true")
    if cards.count() == 20:
        page.get_by_role("link", name="Older meals").click()
    expect(cards).to_have_count(25)


def test_a_form_is_sent_once_and_again_after_going_back(open_page: Callable[..., Page]) -> None:
    page = open_page()
    name = register(page)
    page.goto("/")
    page.get_by_label("What did you eat?").fill("Only one")
    page.get_by_role("button", name="I ate this!").dblclick()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    page.goto(f"/@{name}")
    expect(page.locator("article.card")).to_have_count(1)
    page.go_back()
    page.go_back()
    page.get_by_label("What did you eat?").fill("Another one")
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    page.goto(f"/@{name}")
    expect(page.locator("article.card")).to_have_count(2)


def test_flash_messages_can_be_dismissed(open_page: Callable[..., Page]) -> None:
    page = open_page()
    register(page)
    post_meal(page, "Rice")
    flash = page.get_by_role("status").filter(has_text="Published")
    expect(flash).to_be_visible()
    flash.get_by_role("button", name="Dismiss").click()
    expect(flash).to_have_count(0)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of that name has the focus; all on the way must show that they have it."""
    for _ in range(MANY):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => {
              const one = document.activeElement, shown = one.matches('.chip__input') ? one.nextElementSibling : one;
              const style = getComputedStyle(shown);
              const label = one.labels?.[0]?.textContent ?? one.getAttribute('aria-label') ?? one.textContent;
              return {name: label.trim(), seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2};
            }"""
        )
        assert focus["seen"], f"nothing shows that {focus['name']!r} has the focus"
        if focus["name"].startswith(name):
            return
    raise AssertionError(f"{name!r} is out of reach of the keyboard")


def test_a_meal_can_be_posted_with_the_keyboard_alone(
    signed_in: Callable[..., Page], photo_file: Callable[..., str]
) -> None:
    page, photo = signed_in(), photo_file("soup.jpg")
    page.on("filechooser", lambda chooser: chooser.set_files(photo))
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    tab_to(page, "What did you eat?")
    page.keyboard.type("Typed soup")
    tab_to(page, "Add photos")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Describe this photo")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_label("Describe this photo")).to_be_focused()
    page.keyboard.type("A bowl")
    tab_to(page, "More about this meal")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    # One press of Tab reaches the chosen radio button; the arrows choose another.
    page.evaluate("document.activeElement.form.querySelector('[name=meal_type][value=lunch]').focus()")
    page.keyboard.press("ArrowRight")
    tab_to(page, "Note")
    page.keyboard.type("No mouse was harmed.")
    tab_to(page, "Vegan")
    page.keyboard.press("Space")
    tab_to(page, "Who may see it")
    page.keyboard.press("ArrowDown")
    tab_to(page, "I ate this!")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    meal = page.request.get(f"/api/meals/{page.url.rsplit('/', 1)[1]}").json()
    assert (meal["food"], meal["note"], meal["meal_type"]) == ("Typed soup", "No mouse was harmed.", "snack")
    assert (meal["diets"], meal["visibility"], meal["media"][0]["description"]) == (["vegan"], "unlisted", "A bowl")


def test_posting_with_a_photo_takes_three_taps(signed_in: Callable[..., Page], photo_file: Callable[..., str]) -> None:
    page = signed_in(has_touch=True, viewport={"width": 390, "height": 664})
    taps: list[str] = []
    page.expose_function("tapped", lambda text: taps.append(text))
    page.add_init_script("addEventListener('pointerdown', (event) => tapped(event.target.textContent), true)")
    page.goto("/")
    # All of it is in sight when the page opens.
    for name in ("Add photos", "I ate this!"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    field = page.get_by_label("What did you eat?")
    field.tap()
    page.keyboard.type("Quick noodles")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add photos").tap()
    chooser.value.set_files(photo_file("noodles.jpg"))
    page.get_by_role("button", name="I ate this!").tap()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Quick noodles")
    assert 1 <= len(taps) <= 3, taps


def test_an_empty_site_says_so(browser: Browser, tmp_path: Path) -> None:
    with new_database("sqlite", tmp_path) as url:
        upgrade(url)
        with running_site(tmp_path, url) as site:
            page = browser.new_page(base_url=site.url, locale="en-GB")
            page.goto("/")
            expect(page.get_by_role("heading", level=2)).to_have_text("Nobody has eaten yet, you must all be starving!")
            expect(page.get_by_role("button", name="I ate this!")).to_be_visible()
            page.close()
