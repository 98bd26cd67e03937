"""The home feed in both faces: what comes up in it, what leaves it again, and what reading it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mealshare.features.accounts.models import Account
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import EatingPreference
from mealshare.features.meals.places import place_path
from mealshare.features.meals.service_visibility import VisibilityService
from mealshare.features.meals.vocabulary import Allergen, AvoidMode
from mealshare.features.social.models import Mute
from mealshare.features.social.service import BlockService, FollowService, MuteService
from mealshare.features.timelines.models import TimelineEntry, TimelinePull
from mealshare.features.timelines.service import BACK_FILLED
from mealshare.features.timelines.settings import TimelineSettings
from tests.functional.home_feeds import Site


@pytest.fixture
def site(wsgi_app: Any, registry: Any, make_user: Any, token: Any, run_jobs: Any) -> Site:
    """An empty site."""
    return Site(wsgi_app, registry, make_user, token, run_jobs)


@pytest.fixture
def pull_above(registry: Any) -> Any:
    """``pull_above(2)`` makes authors with more followers than that pulled ones, in this test."""
    settings = registry["settings"]
    before = settings[TimelineSettings]

    def change(number: int) -> None:
        settings[TimelineSettings] = TimelineSettings(pull_above=number)

    yield change
    settings[TimelineSettings] = before


def test_followed_people_and_oneself_newest_first(site: Site) -> None:
    site.post("mei", "before")
    site.follow("ann>mei")
    assert site.home("ann") == ["before"]
    site.post("ann", "own secret", "only_me")
    site.post("bob", "a stranger's")
    for visibility in ("public", "unlisted", "followers", "only_me"):
        site.post("mei", f"mei {visibility}", visibility)
    # One's own is there at once, the others' after the job.
    assert site.home("ann") == ["own secret", "before"]
    site.jobs()
    assert site.home("ann") == ["mei followers", "mei unlisted", "mei public", "own secret", "before"]
    assert site.home("mei")[:2] == ["mei only_me", "mei followers"]
    assert site.home("bob") == ["a stranger's"]
    # Who only asks to follow finds nothing.
    with site.registry["open_work"]() as work:
        work.session.get(Account, site["bob"]).locked = True
    site.follow("ann>bob")
    assert "a stranger's" not in site.home("ann")
    with site.registry["open_work"]() as work:
        FollowService(work).accept(site["bob"], site["ann"])
    site.jobs()
    assert "a stranger's" in site.home("ann")


def test_jobs_are_harmless_when_they_run_twice(site: Site) -> None:
    site.follow("ann>mei", "bob>mei")
    meal = site.post("mei", "soup")
    handlers = site.registry["jobs"].handlers
    site.jobs()
    for _ in range(2):
        handlers["timelines.fan_out"](site.registry, {"author_id": site["mei"], "meal_ids": [meal]})
        handlers["timelines.back_fill"](site.registry, {"account_id": site["ann"], "author_id": site["mei"]})
        handlers["timelines.withdraw"](site.registry, {"author_id": site["mei"], "meal_ids": [meal]})
        handlers["timelines.settle"](site.registry, {"author_id": site["mei"]})
    assert site.rows(TimelineEntry) == 3
    assert site.home("ann") == site.home("bob") == ["soup"]


def test_unfollow_and_block_take_out_at_once_and_late_jobs_bring_nothing_back(site: Site) -> None:
    site.follow("ann>mei", "mei>ann", "bob>mei")
    site.post("mei", "soup")
    site.post("ann", "rice")
    site.jobs()
    assert (site.home("ann"), site.home("mei")) == (["rice", "soup"], ["rice", "soup"])
    site.post("mei", "too late")
    site.unfollow("ann", "mei")
    assert site.entries("ann", "mei") == 0
    assert site.home("ann") == ["rice"]
    site.jobs()
    assert site.home("ann") == ["rice"]
    assert site.home("bob") == ["too late", "soup"]
    site.follow("ann>mei", jobs=False)
    with site.registry["open_work"]() as work:
        BlockService(work).block(site["ann"], site["mei"])
    assert site.entries("mei", "ann") == site.entries("ann", "mei") == 0
    site.jobs()
    assert (site.home("ann"), site.home("mei")) == (["rice"], ["too late", "soup"])


def test_a_change_of_mind_about_who_may_see_it(site: Site) -> None:
    site.follow("ann>mei")
    meals = [site.post("mei", f"dish {number}") for number in range(3)]
    site.jobs()

    def change(before: str, after: str) -> None:
        with site.registry["open_work"]() as work:
            VisibilityService(work).change(site["mei"], [before], after)

    change("public", "only_me")
    # At once for the reader; the job only tidies up.
    assert site.home("ann") == []
    assert site.entries("ann", "mei") == 3
    site.jobs()
    assert site.entries("ann", "mei") == 0
    assert site.home("mei") == ["dish 2", "dish 1", "dish 0"]
    change("only_me", "followers")
    site.jobs()
    assert site.home("ann") == ["dish 2", "dish 1", "dish 0"]
    # A job of an older change that comes late does no harm.
    handlers = site.registry["jobs"].handlers
    handlers["timelines.withdraw"](site.registry, {"author_id": site["mei"], "meal_ids": meals})
    assert site.entries("ann", "mei") == 3
    change("followers", "only_me")
    site.jobs()
    handlers["timelines.fan_out"](site.registry, {"author_id": site["mei"], "meal_ids": meals})
    assert site.entries("ann", "mei") == 0
    change("only_me", "public")
    site.jobs()
    with site.registry["open_work"]() as work:
        make_meal_service(work, site.registry).delete(site["mei"], meals[1])
    assert site.home("ann") == site.home("mei") == ["dish 2", "dish 0"]
    site.jobs()
    assert site.rows(TimelineEntry, TimelineEntry.post_id == meals[1]) == 0


def test_muted_people_and_avoided_food_do_not_come_up(site: Site) -> None:
    site.follow("ann>mei", "ann>bob")
    site.post("mei", "soup")
    site.post("bob", "peanuts", allergens={"contains": ["peanuts"]})
    site.jobs()
    with site.registry["open_work"]() as work:
        work.session.add(
            EatingPreference(account_id=site["ann"], mode=AvoidMode.HIDE, avoid=(Allergen.PEANUTS,), diets=())
        )
    assert site.home("ann") == ["soup"]
    with site.registry["open_work"]() as work:
        MuteService(work).mute(site["ann"], site["mei"])
    assert site.home("ann") == []
    assert site.rows(Mute) == 1


def test_a_new_follower_finds_the_newest_meals_only(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BACK_FILLED == 200
    monkeypatch.setattr("mealshare.features.timelines.service.BACK_FILLED", 3)
    for number in range(5):
        site.post("mei", f"dish {number}")
    site.post("mei", "secret", "only_me")
    site.jobs()
    site.follow("ann>mei")
    assert site.home("ann") == ["dish 4", "dish 3", "dish 2"]


def test_fan_out_goes_on_behind_a_full_batch(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mealshare.features.timelines.service.FOLLOWERS", 2)
    site.follow(*(f"fan{number}>mei" for number in range(5)))
    meal = site.post("mei", "soup")
    site.jobs()
    assert site.rows(TimelineEntry, TimelineEntry.post_id == meal) == 6
    with site.registry["open_work"]() as work:
        make_meal_service(work, site.registry).delete(site["mei"], meal)
    site.jobs()
    assert site.rows(TimelineEntry) == 0


def test_filters_combine(site: Site) -> None:
    site.follow("ann>mei")
    site.post("mei", "麻辣香锅", meal_type="dinner", tags=["hot"])
    site.post("mei", "toast", meal_type="breakfast")
    site.post("bob", "stew", meal_type="dinner")
    site.jobs()
    assert site.home("ann", "?meal_type=dinner") == ["麻辣香锅"]
    assert site.home("ann", "?tag=hot&meal_type=dinner") == ["麻辣香锅"]
    assert site.home("ann", "?q=toast") == ["toast"]
    assert site.answer("ann", "/api/feed/home?colour=red", status=400)


# --- Authors with very many followers ---


def test_from_the_threshold_on_meals_are_looked_up_and_nothing_is_lost_or_doubled(
    site: Site, pull_above: Callable[[int], None]
) -> None:
    pull_above(2)
    site.follow("ann>mei", "bob>mei", "ann>bob")
    written = [site.post("mei", f"written {number}") for number in range(2)]
    site.jobs()
    site.follow("cho>mei")
    assert (site.pulled("mei"), site.entries("cho", "mei")) == (0, 2)
    crossing = site.post("mei", "crossing")
    site.jobs()
    assert site.pulled("mei") == 3
    for number in range(3):
        site.post("mei", f"pulled {number}", ("public", "followers", "only_me")[number])
        site.post("bob", f"bob {number}")
        site.post("ann", f"ann {number}")
    site.jobs()
    assert site.rows(TimelineEntry, TimelineEntry.post_id > crossing, TimelineEntry.author_id == site["mei"]) == 3
    expected = [
        "ann 2", "bob 2", "ann 1", "bob 1", "pulled 1", "ann 0", "bob 0", "pulled 0", "crossing", "written 1", "written 0",
    ]  # fmt: skip
    assert site.home("ann") == expected
    for limit in (1, 2, 3, 4):
        assert site.pages("ann", f"/api/feed/home?limit={limit}") == expected
    assert site.home("ann", "?skip=3&limit=3") == expected[3:6]
    assert site.home("cho") == ["pulled 1", "pulled 0", "crossing", "written 1", "written 0"]
    # The author's own home feed is as before.
    assert site.home("mei")[:2] == ["pulled 2", "pulled 1"]
    # New followers look up as well, and those who leave do not any more.
    site.follow("dan>mei")
    assert (site.pulled("mei"), site.entries("dan", "mei")) == (4, 0)
    assert site.home("dan") == ["pulled 1", "pulled 0", "crossing", "written 1", "written 0"]
    site.unfollow("dan", "mei")
    assert (site.pulled("mei"), site.home("dan")) == (3, [])
    # Whatever the entries from before say, the meal itself decides.
    with site.registry["open_work"]() as work:
        make_meal_service(work, site.registry).delete(site["mei"], written[0])
        MuteService(work).mute(site["cho"], site["mei"])
    assert site.home("ann") == expected[:-1]
    assert site.home("cho") == []


def test_what_a_filter_takes_away_leaves_no_gap_in_a_mixed_feed(site: Site, pull_above: Callable[[int], None]) -> None:
    pull_above(1)
    site.follow("ann>mei", "bob>mei", "ann>cho")
    site.post("mei", "settled", meal_type="snack")
    site.jobs()
    assert site.pulled("mei") == 2
    expected = []
    for number in range(4):
        expected.append(site.post("mei", f"lunch {number}", meal_type="lunch"))
        for other in range(3):
            site.post("mei", f"dinner {number}{other}", meal_type="dinner", allergens={"contains": ["milk"]})
        expected.append(site.post("cho", f"cho {number}", meal_type="lunch"))
    site.jobs()
    lunches = [word for number in reversed(range(4)) for word in (f"cho {number}", f"lunch {number}")]
    assert site.pages("ann", "/api/feed/home?limit=2&meal_type=lunch") == lunches
    assert site.pages("ann", "/api/feed/home?limit=2&q=lunch") == lunches[1::2]
    with site.registry["open_work"]() as work:
        work.session.add(
            EatingPreference(account_id=site["ann"], mode=AvoidMode.HIDE, avoid=(Allergen.MILK,), diets=())
        )
    assert site.pages("ann", "/api/feed/home?limit=2") == [*lunches, "settled"]


def test_below_half_the_threshold_meals_are_written_again(
    site: Site, pull_above: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pull_above(4)
    monkeypatch.setattr("mealshare.features.timelines.service.ROWS", BACK_FILLED)
    fans = [f"fan{number}" for number in range(5)]
    site.follow(*(f"{fan}>mei" for fan in fans))
    site.post("mei", "first")
    site.jobs()
    assert site.pulled("mei") == 5
    site.post("mei", "second")
    for fan in fans[:3]:
        site.unfollow(fan, "mei")
        site.jobs()
    # Two are half, and that is not below.
    assert site.pulled("mei") == 2
    site.follow("new>mei")
    assert site.pulled("mei") == 3
    for fan in ("new", fans[3]):
        site.unfollow(fan, "mei")
    site.jobs()
    assert site.rows(TimelinePull) == 0
    assert site.home(fans[4]) == ["second", "first"]
    site.post("mei", "third")
    site.jobs()
    assert site.home(fans[4]) == ["third", "second", "first"]
    assert site.home(fans[0]) == []


# --- The page, and what it all costs ---


def test_the_page_invites_whoever_follows_nobody(site: Site, new_app: Any, login: Any) -> None:
    assert new_app().get("/home", status=303).location.startswith("http://localhost/login")
    site["ann"]
    browser = new_app()
    login(browser, site.people["ann"])

    def ways(page: Any) -> set[str]:
        return {link["href"] for link in page.html.select(".invitation__ways a")}

    page = browser.get("/home")
    assert page.html.find(class_="empty") is not None
    assert ways(page) == {"/explore", "/search"}
    site.post("ann", "toast")
    page = browser.get("/home")
    assert "toast" in page
    assert ways(page) == {"/explore", "/search"}
    site.follow("ann>mei")
    page = browser.get("/home")
    assert ways(page) == set()
    for number in range(25):
        site.post("mei", f"dish {number}")
    site.jobs()
    page = browser.get("/home")
    assert len(page.html.select("article.card")) == 20
    older = page.click("Older meals")
    foods = [card.find("h2").text for card in older.html.select("article.card")]
    assert foods == ["dish 4", "dish 3", "dish 2", "dish 1", "dish 0", "toast"]


@pytest.mark.parametrize("pulled", [False, True], ids=["written", "pulled"])
@pytest.mark.parametrize("count", [1, 20, 100])
def test_reading_costs_a_fixed_number_of_statements(
    site: Site, pull_above: Any, new_app: Any, login: Any, count: int, pulled: bool, count_statements: Any
) -> None:
    pull_above(1 if pulled else 1000)
    site.follow("ann>mei", "bob>mei")
    for number in range(count):
        site.post("mei", f"dish {number}", place={"name": "Old Wang’s"})
    site.jobs()
    assert bool(site.pulled("mei")) is pulled
    site.headers("ann")
    browser = new_app()
    login(browser, site.people["ann"])
    for path, most in (("/home", 2), ("/home?max_id=9", 2), (place_path("old wang’s"), 2), ("/@mei", 2)):
        with count_statements() as statements:
            browser.get(path)
        assert len(statements) <= most + 1, (path, statements)
    for path in (
        "/api/feed/home?limit=100",
        "/api/feed/home?limit=100&meal_type=lunch",
        "/api/feed" + place_path("OLD Wang’s"),
    ):
        with count_statements() as statements:
            site.answer("ann", path)
        assert len(statements) <= 2 + 1, (path, statements)
    assert len(site.home("ann", "?limit=100")) == count
