"""What people do with each other, in a real browser: four journeys from beginning to end."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import choose_photos, new_name, post_meal, register, wait_for_photo

pytestmark = pytest.mark.browser


def until(question: Any, seconds: float = 15) -> None:
    """Wait for what a job does after the answer."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.2)


def choose_visibility(page: Page, address: str, visibility: str) -> None:
    """Change who may see the meal, with the form."""
    page.goto(f"{address}/edit")
    page.get_by_text("More about this meal").click()
    page.get_by_label("Who may see it").select_option(visibility)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(address)


def test_change_of_mind(open_page, photo_file, watch):
    """Public, then only for oneself, then public again at the same address: gone everywhere, and back everywhere."""
    mei, ada, visitor = open_page(), open_page(), open_page()
    author, follower = register(mei), register(ada)
    word = f"regret{author}"
    ada.goto(f"/@{author}")
    ada.get_by_role("button", name=f"Follow @{author}", exact=True).click()
    expect(ada.get_by_role("button", name=f"Unfollow @{author}")).to_be_visible()

    mei.goto("/")
    mei.get_by_label("What did you eat?").fill(f"{word} pancakes")
    choose_photos(mei, photo_file("pancakes.jpg"))
    mei.get_by_text("More about this meal").click()
    mei.get_by_label("Note").fill(f"With @{follower}.")
    mei.get_by_label("Tags").fill(word)
    mei.get_by_role("button", name="I ate this!").click()
    mei.wait_for_url(re.compile(rf"/@{author}/\d+"))
    address, id = mei.url, mei.url.rpartition("/")[2]
    photo = wait_for_photo(mei).get_attribute("src")

    def lists(page: Page, *, signed_in: bool) -> dict[str, bool]:
        """Where the meal shows."""
        paths = [
            "/",
            f"/@{author}",
            f"/search?q={word}",
            "/feed.atom",
            f"/@{author}/feed.json",
            "/api/feed/public",
            f"/api/meals?q={word}",
        ]
        paths += ["/home", "/api/feed/home", "/notifications"] if signed_in else []
        found = {}
        for path in paths:
            answer = page.request.get(path)
            # A list says the word as well where it repeats what was asked for.
            found[path] = answer.status == 200 and f"{word} pancakes" in answer.text()
        return found

    def things(page: Page) -> set[int]:
        """How the meal, its photo, its tag and what the API says of them answer."""
        paths = (
            address,
            photo,
            f"/tags/{word}",
            f"/api/meals/{id}",
            f"/api/meals/{id}/comments",
            f"/oembed?url={address}",
        )
        return {page.request.get(path).status for path in paths}

    def everywhere(shown: bool) -> bool:
        both = (*lists(ada, signed_in=True).values(), *lists(visitor, signed_in=False).values())
        return set(both) == {shown} and things(ada) == things(visitor) == {200 if shown else 404}

    until(lambda: everywhere(True))
    # What the browsers keep: the page and the picture are asked about again.
    visitor.goto(address)
    etag = visitor.request.get(f"/api/meals/{id}").headers["etag"]
    expect(visitor.get_by_role("heading", level=1)).to_have_text(f"{word} pancakes")

    choose_visibility(mei, address, "only_me")
    assert everywhere(False)
    assert visitor.request.get(f"/api/meals/{id}", headers={"If-None-Match": etag}).status == 404
    assert visitor.request.get(f"/api/tags?q={word}").json() == []
    assert visitor.reload().status == 404
    assert ada.goto(address).status == 404
    assert mei.goto(address).status == 200

    choose_visibility(mei, address, "public")
    # Whom the note names is not told twice.
    back = {path for path, shown in lists(visitor, signed_in=False).items() if not shown}
    assert back == set()
    until(lambda: lists(ada, signed_in=True)["/home"])
    assert things(ada) == things(visitor) == {200}
    visitor.goto(address)
    expect(visitor.locator("article img").first).to_be_visible()
    # The pages that were not there are what this is about.
    watch.broken.clear()


def test_allergy(open_page):
    """What somebody avoids is left out of every list; its own address warns first; or it is only marked."""
    mei, ada = open_page(), open_page()
    author = register(mei)
    register(ada)
    word = f"satay{author}"
    token = mei.locator("[name=csrf_token]").first.get_attribute("value") or ""
    meals = {}
    for name, allergens in {
        "peanutty": {"contains": ["peanuts"]}, "declared": {"free_from": ["peanuts"]}, "silent": {},
    }.items():  # fmt: skip
        body = {"food": f"{word} {name}", "allergens": allergens}
        meals[name] = mei.request.post("/api/meals", data=body, headers={"X-CSRF-Token": token}).json()["url"]

    ada.goto("/settings/food")
    ada.get_by_label("Peanuts").check(force=True)
    ada.get_by_label("Leave them out").check()
    ada.get_by_role("button", name="Save").click()
    expect(ada.get_by_role("status")).to_be_visible()

    for path in ("/", f"/search?q={word}", "/explore", f"/@{author}"):
        ada.goto(path)
        expect(ada.get_by_text(f"{word} peanutty", exact=True)).to_have_count(0)
        expect(ada.get_by_role("link", name=f"{word} declared", exact=True)).to_be_visible()
        silent = ada.locator("article", has_text=f"{word} silent")
        expect(silent).to_contain_text("Not declared: peanuts")
    expect(ada.locator("article", has_text=f"{word} declared")).not_to_contain_text("Not declared")

    ada.goto(meals["peanutty"])
    expect(ada.get_by_role("heading", level=1)).to_contain_text("Contains peanuts, which you avoid")
    expect(ada.get_by_role("button", name="Yum!")).to_have_count(0)
    ada.get_by_role("link", name="Show it anyway").click()
    expect(ada.get_by_role("heading", level=1)).to_have_text(f"{word} peanutty")

    ada.goto("/settings/food")
    ada.get_by_label("Show them with a warning").check()
    ada.get_by_role("button", name="Save").click()
    ada.goto("/")
    expect(ada.locator("article", has_text=f"{word} peanutty").first).to_contain_text(
        "Contains peanuts, which you avoid"
    )
    for path in ("/settings/food", "/", meals["peanutty"]):
        ada.goto(path)
        assert not re.search(r"\bsafe\b", ada.locator("body").inner_text(), re.IGNORECASE)


def test_ate_too_and_block(open_page, watch):
    """One eats what another ate; the other is told; then a block parts them, in both directions and everywhere."""
    mei, ada = open_page(), open_page()
    author, copier = register(mei), register(ada)
    original = post_meal(mei, f"Ramen by {author}")

    ada.goto(original)
    ada.get_by_role("link", name="I ate this too").click()
    expect(ada.get_by_label("What did you eat?")).to_have_value(f"Ramen by {author}")
    ada.get_by_role("button", name="I ate this!").click()
    ada.wait_for_url(re.compile(rf"/@{copier}/\d+"))
    copy = ada.url
    expect(ada.locator("article").first).to_contain_text(author)

    mei.goto("/notifications")
    expect(mei.locator("main")).to_contain_text(copier)
    mei.goto(original)
    expect(mei.locator("main")).to_contain_text(copier)
    expect(mei.locator("a[href*=inspired_by]").first).to_contain_text("1")
    # And a word with it.
    ada.goto(original)
    ada.get_by_label("Your comment").fill("The broth!")
    ada.get_by_role("button", name="Comment", exact=True).click()
    expect(ada.get_by_text("The broth!")).to_be_visible()

    mei.goto(f"/@{copier}/block")
    mei.locator("main").get_by_role("button", name="Block").click()
    for page, paths in ((ada, (original, f"/@{author}", f"/@{author}/diary")), (mei, (copy, f"/@{copier}"))):
        for path in paths:
            assert page.goto(path).status == 404, path
    for page, other in ((ada, author), (mei, copier)):
        for path in ("/", "/home", "/notifications", "/explore", "/search?q=Ramen", f"/search?q={other}"):
            page.goto(path)
            words = page.locator("main").inner_text().replace(f"“{other}”", "")
            assert f"@{other}" not in words, path
    mei.goto(original)
    expect(mei.locator("main")).not_to_contain_text("The broth!")
    ada.goto(copy)
    expect(ada.locator("main")).not_to_contain_text(f"@{author}")
    # A visitor sees both, and how they belong together.
    visitor = open_page()
    visitor.goto(copy)
    expect(visitor.locator("main")).to_contain_text(author)
    mei.goto("/settings/blocks")
    mei.locator("main").get_by_role("button", name="Unblock").click()
    assert mei.goto(copy).status == 200
    watch.broken.clear()


def test_late_abroad_in_chinese(open_page):
    """An account of Shanghai logs yesterday's dinner in New York, in Chinese, and finds it by two characters."""
    page = open_page(locale="zh-CN", timezone_id="Asia/Shanghai")
    name = register(page, new_name())
    yesterday = (datetime.now(ZoneInfo("America/New_York")) - timedelta(days=1)).date()
    page.goto("/")
    page.get_by_label("你吃了什么？").fill(f"麻辣香锅{name}")
    page.locator("details.compose-more > summary").last.click()
    page.locator("[name=eaten_at]").fill(f"{yesterday.isoformat()}T21:15")
    page.locator("[name=zone]").select_option("America/New_York")
    page.locator("main form[data-compose] button[type=submit]").click()
    page.wait_for_url(re.compile(rf"/@{name}/\d+"))
    id = page.url.rpartition("/")[2]

    meal = page.request.get(f"/api/meals/{id}").json()
    assert meal["eaten_on"] == yesterday.isoformat()
    assert (meal["time_zone"], meal["meal_type"]) == ("America/New_York", "dinner")
    assert meal["eaten_at"].startswith(f"{yesterday.isoformat()}T21:15:00-0")
    page.goto(f"/@{name}/diary/{yesterday.year}/{yesterday.month}/{yesterday.day}")
    expect(page.locator("main")).to_contain_text(f"麻辣香锅{name}")
    expect(page.locator("main")).to_contain_text("21:15")
    # In Shanghai it was the next day already; the diary goes by the clock on the eater's wall.
    after = yesterday + timedelta(days=1)
    page.goto(f"/@{name}/diary/{after.year}/{after.month}/{after.day}")
    expect(page.locator("main")).not_to_contain_text("麻辣香锅")

    page.goto("/search?q=麻辣")
    expect(page.get_by_role("link", name=f"麻辣香锅{name}").first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
