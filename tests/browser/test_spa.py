"""examples/spa: a front end on another origin, in a real browser against a real site."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, expect

from mealshare.core import clock
from mealshare.core.db.migrate import upgrade
from mealshare.core.security.jwt import AccessTokens
from mealshare.core.security.jwt_keys import JwtSettings
from mealshare.core.settings import Secret
from tests.browser.conftest import PHONE
from tests.browser.people import PASSWORD, Friend, make_friend, new_name
from tests.browser.spa import PORT, ServedSpa, build, served, served_on_its_port
from tests.databases import new_database
from tests.sites import RunningSite, running_site

pytestmark = pytest.mark.browser

#: Far above what these tests do; only the attempts to log in have the limit of a real site.
LIMITS = dict.fromkeys(("login_address", "signup", "upload", "api", "write", "stream", "address"), "100000/5 minutes")


@pytest.fixture(scope="module")
def built(node: str) -> Path:
    """The built application."""
    return build()


@pytest.fixture(scope="module")
def spa(built: Path) -> Iterator[ServedSpa]:
    """The application on a free port, which the site lets in too."""
    with served(built, "") as spa:
        yield spa


@pytest.fixture(scope="module")
def site(spa: ServedSpa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A site that lets in the two origins of the application."""
    folder = tmp_path_factory.mktemp("spa")
    settings = {
        "cors__origins": f"http://localhost:{PORT} {spa.origin}",
        "ratelimit__enabled": "true",
        **{f"ratelimit__{name}": limit for name, limit in LIMITS.items()},
    }
    with new_database("sqlite", folder) as url:
        upgrade(url)
        with running_site(folder, url, **settings) as site:
            spa.site = site.url
            yield site


@pytest.fixture
def api(browser: Browser, site: RunningSite) -> Iterator[BrowserContext]:
    """Where people of the site act who do not use the application."""
    context = browser.new_context(base_url=site.url)
    yield context
    context.close()


@pytest.fixture
def eater(api: BrowserContext) -> Friend:
    """Somebody with an account and without a language of their own."""
    return make_friend(api.request, new_name(), locale=None)


@pytest.fixture
def open_app(browser: Browser, site: RunningSite, spa: ServedSpa) -> Iterator[Callable[..., Page]]:
    """``open_app(origin=...)``: a telephone with the application; whatever goes wrong in it fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_app(origin: str = spa.origin, **options: Any) -> Page:
        options = {"viewport": PHONE, "locale": "en-GB", "timezone_id": "Europe/Berlin"} | options
        context = browser.new_context(base_url=origin, **options)
        contexts.append(context)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda message: _heard(message.type, message.text, complaints))
        context.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((origin, site.url, "blob:"))
                else complaints.append(f"a request to {request.url}")
            ),
        )
        page = context.new_page()
        page.set_default_timeout(15_000)
        return page

    yield open_app
    for context in contexts:
        context.close()
    assert complaints == []


def _heard(kind: str, text: str, complaints: list[str]) -> None:
    # That the site says no is what many of these tests are about, and Chromium remarks on it.
    remarks = ("Failed to load resource", "blocked by CORS policy")
    if kind in ("error", "warning") and not any(remark in text for remark in remarks):
        complaints.append(text)


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form of /login, where the page is already, and send it."""
    page.get_by_label("Name or e-mail").fill(name)
    page.get_by_label("Password").fill(password)
    page.locator("form").get_by_role("button", name="Log in").click()


def log_in_and_go(page: Page, name: str, path: str) -> None:
    """Log in on the way to ``path``."""
    page.goto(f"/login?next={path}")
    log_in(page, name)
    page.wait_for_url(path)


@dataclass
class Preflights:
    """The questions that the browser asks the site before it sends what a page wants to send."""

    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)

    def over(self, page: Page) -> None:
        """Listen to what ``page`` does; Playwright itself does not tell of preflights."""
        session: CDPSession = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.responseReceivedExtraInfo", self._answered)
        session.send("Network.enable")

    def _asked(self, event: dict[str, Any]) -> None:
        if event["request"]["method"] == "OPTIONS":
            headers = {name.lower(): value for name, value in event["request"]["headers"].items()}
            names = headers.get("access-control-request-headers", "")
            self.asked[event["requestId"]] = (headers["access-control-request-method"], names)

    def _answered(self, event: dict[str, Any]) -> None:
        # Of every request: Chromium does not promise that a question is told before its answer.
        headers = {name.lower(): value for name, value in event["headers"].items()}
        self.answers[event["requestId"]] = (event["statusCode"], headers)

    def settled(self, page: Page) -> list[tuple[tuple[str, str], int, dict[str, str]]]:
        """Each question with the status and the headers of its answer, when all have come in."""
        deadline = time.monotonic() + 15
        while not self.asked.keys() <= self.answers.keys():
            assert time.monotonic() < deadline, "the browser does not tell of the answer to a preflight"
            page.wait_for_timeout(50)
        return [(asked, *self.answers[key]) for key, asked in self.asked.items()]


def test_a_day_with_the_application(
    built: Path,
    browser: Browser,
    site: RunningSite,
    api: BrowserContext,
    eater: Friend,
    open_app: Callable[..., Page],
    photo_file: Callable[..., str],
) -> None:
    cook = make_friend(api.request, new_name(), display_name="The Cook")
    soup = cook.post(food="Soup of the day", note="With #leeks.")
    with served_on_its_port(built, site.url) as spa:
        page = open_app(spa.origin)
        preflights = Preflights()
        preflights.over(page)
        tokens: list[str] = []
        page.on("response", lambda answer: tokens.append(answer.text()) if answer.url.endswith("/api/login") else None)

        # Look: a visitor needs no account, and the browser asks the site nothing beforehand.
        page.goto("/")
        expect(page.get_by_role("heading", name="Soup of the day")).to_be_visible()
        assert preflights.asked == {}
        page.get_by_role("link", name="#leeks").click()
        expect(page.get_by_role("heading", name="Meals tagged #leeks")).to_be_visible()
        page.get_by_role("heading", name="Soup of the day").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Soup of the day")

        # Log in, wrong and right; back to where one was.
        page.get_by_role("button", name="Log in").click()
        log_in(page, eater.username, "not the password")
        expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
        log_in(page, eater.username)
        page.wait_for_url(f"/meals/{soup['id']}")
        like = page.get_by_role("button", name="Yum!")
        like.click()
        expect(like).to_have_attribute("aria-pressed", "true")
        page.get_by_label("Your comment").fill("I want some")
        page.get_by_role("button", name="Comment").click()
        expect(page.locator(".comment")).to_contain_text("I want some")

        # Follow: the button, the number, and the feed of whom one follows.
        page.get_by_role("link", name="The Cook").click()
        page.get_by_role("button", name="Follow", exact=True).click()
        expect(page.get_by_role("button", name="Following")).to_be_visible()
        expect(page.get_by_text("1 follower")).to_be_visible()
        page.get_by_role("link", name="MealShare", exact=True).click()
        page.get_by_role("link", name="Following").click()
        expect(page.get_by_role("heading", name="Soup of the day")).to_be_visible()

        _post_with_a_photo(page, eater, photo_file)
        meal = page.url.rpartition("/")[2]
        _edit_and_hide(page, eater, meal)
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Soup of the day")).to_be_visible()
        assert api.request.get(f"/api/meals/{meal}", headers=eater.headers).status == 404

        # Nothing that opens the account lies where a script can find it later.
        access = json.loads(tokens[-1])
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert access["access_token"] not in kept
        assert access["refresh_token"] not in kept

        _refused_even_here(page, site)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        page.get_by_role("link", name="Post a meal").click()
        expect(page.get_by_text("Log in to go on.")).to_be_visible()
        headers = {"Authorization": f"Bearer {access['access_token']}"}
        assert api.request.get("/api/user/profile", headers=headers).status == 401
        _check(preflights.settled(page), f"http://localhost:{PORT}")


def _post_with_a_photo(page: Page, eater: Friend, photo_file: Callable[..., str]) -> None:
    page.get_by_role("link", name="Post a meal").click()
    # What is missing is told by the site, in the words of the site.
    page.get_by_role("button", name="I ate this!").click()
    expect(page.get_by_role("alert")).to_contain_text("Say what you ate, or add a photo.")
    page.get_by_label("Food").fill("x" * 141)
    page.get_by_role("button", name="I ate this!").click()
    food = page.get_by_label("Food")
    expect(food).to_have_attribute("aria-invalid", "true")
    expect(food).to_be_focused()
    food.fill("Dan dan noodles")
    page.set_input_files("input[type=file]", [photo_file()])
    page.get_by_label("What does it show?").fill("A bowl of noodles")
    expect(page.locator(".picked")).to_contain_text("Ready")
    page.get_by_role("button", name="I ate this!").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dan dan noodles")
    expect(page.get_by_role("img", name="A bowl of noodles")).to_have_js_property("naturalWidth", 800)
    assert len(eater.do("GET", f"/users/{eater.username}/meals")) == 1


def _edit_and_hide(page: Page, eater: Friend, meal: str) -> None:
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Note").fill("Twice as hot.")
    page.get_by_label("Who may see it").select_option("only_me")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("article").first).to_contain_text("Twice as hot.")
    assert eater.do("GET", f"/meals/{meal}")["visibility"] == "only_me"
    # An <img> cannot send the token: the picture of a meal that is not for everybody is fetched with it.
    photo = page.get_by_role("img", name="A bowl of noodles")
    expect(photo).to_have_js_property("naturalWidth", 800)
    assert (photo.get_attribute("src") or "").startswith("blob:")


#: What a page may learn of a request: the status, or that it learns nothing.
FETCH = """async ([address, options]) => {
    try { return (await fetch(address, options)).status } catch (error) { return error.name }
}"""


def _refused_even_here(page: Page, site: RunningSite) -> None:
    """An origin that is let in may use the methods and headers that the site lists, and no others."""
    tags = f"{site.url}/api/tags"
    assert page.evaluate(FETCH, [tags, {"headers": {"X-Request-Id": "abc"}}]) == 200
    assert page.evaluate(FETCH, [tags, {"headers": {"X-Method-Override": "DELETE"}}]) == "TypeError"
    assert page.evaluate(FETCH, [tags, {"method": "PURGE"}]) == "TypeError"


def _check(preflights: list[tuple[tuple[str, str], int, dict[str, str]]], origin: str) -> None:
    refused = {("GET", "x-method-override"), ("PURGE", "")}
    allowed = {
        ("GET", "authorization"),
        ("GET", "x-request-id"),
        ("POST", "content-type"),
        ("POST", "authorization"),
        ("POST", "authorization,content-type,idempotency-key"),
        ("PATCH", "authorization,content-type,if-match"),
        ("PUT", "authorization"),
        ("DELETE", "authorization,if-match"),
    }
    assert {asked for asked, _, _ in preflights} == allowed | refused
    for asked, status, headers in preflights:
        granted = {name: value for name, value in headers.items() if name.startswith("access-control-")}
        assert status == 204
        if asked in refused:
            assert granted == {}
        else:
            assert granted["access-control-allow-origin"] == origin
            assert granted["access-control-max-age"] == "86400"
            assert "access-control-allow-credentials" not in granted


def test_an_origin_that_the_site_does_not_know(
    built: Path, site: RunningSite, eater: Friend, open_app: Callable[..., Page]
) -> None:
    meal = eater.post(food="Not for strangers' scripts")
    target = f"{site.url}/api/meals/{meal['id']}"
    json_body = {"Content-Type": "application/json"}
    attempts: list[tuple[str, dict[str, Any]]] = [
        (target, {}),
        (target, {"headers": eater.headers}),
        (f"{target}/like", {"method": "PUT", "headers": eater.headers}),
        (target, {"method": "DELETE", "headers": eater.headers | {"If-Match": '"1"'}}),
        (
            f"{site.url}/api/meals",
            {"method": "POST", "headers": eater.headers | json_body, "body": '{"food": "Forged"}'},
        ),
        # What needs no preflight reaches the site: it is not read as JSON there, and its answer not here.
        (f"{site.url}/api/meals", {"method": "POST", "body": '{"food": "Forged"}'}),
        (
            f"{site.url}/api/login",
            {
                "method": "POST",
                "headers": json_body,
                "body": json.dumps({"username": eater.username, "password": PASSWORD}),
            },
        ),
        (f"{site.url}/openapi.json", {}),
    ]
    with served(built, site.url) as stranger:
        page = open_app(stranger.origin)
        preflights = Preflights()
        preflights.over(page)
        page.goto("/")
        expect(page.get_by_role("alert")).to_contain_text(f"{site.url} cannot be reached.")
        expect(page.get_by_role("alert")).to_contain_text(f"does not let {stranger.origin} use its API")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        assert [page.evaluate(FETCH, list(attempt)) for attempt in attempts] == ["TypeError"] * len(attempts)
        told = preflights.settled(page)
    assert {method for (method, _), _, _ in told} == {"GET", "PUT", "DELETE", "POST"}
    for _, status, headers in told:
        assert status == 204
        assert not [name for name in headers if name.startswith("access-control-")]
    assert [one["food"] for one in eater.do("GET", f"/users/{eater.username}/meals")] == [meal["food"]]
    assert eater.do("GET", f"/meals/{meal['id']}")["likes_count"] == 0


def test_a_list_without_end_while_others_post(
    open_app: Callable[..., Page], eater: Friend, api: BrowserContext
) -> None:
    foods = [f"Dish {number}" for number in range(45)]
    for food in foods:
        eater.post(food=food)
    page = open_app()
    pages: list[str] = []
    page.on("request", lambda request: pages.append(request.url) if "/api/feed/public" in request.url else None)
    page.goto("/")
    other = make_friend(api.request, new_name())
    own = page.locator("article").filter(has=page.get_by_role("link", name=eater.username)).get_by_role("heading")
    own.first.wait_for()
    late = 0
    while own.count() < len(foods):
        shown = page.locator("article").count()
        late += 1
        other.post(food=f"Late {late}")
        page.locator("article").last.scroll_into_view_if_needed()
        page.wait_for_function("shown => document.querySelectorAll('article').length > shown", arg=shown)
        assert late < 10, "the list does not grow"
    assert own.all_inner_texts() == foods[::-1]
    addresses = [link.get_attribute("href") for link in page.locator("article h2 a").all()]
    assert len(addresses) == len(set(addresses))
    assert len(pages) >= 3
    # What came meanwhile is announced, and moves nothing until it is wanted.
    button = page.get_by_role("button", name=re.compile(rf"^{late} new meals?$"))
    button.click()
    expect(page.locator("article h2").first).to_have_text(f"Late {late}")
    expect(button).to_have_count(0)
    # Going to a meal and back leads to the same place of the same list.
    page.get_by_role("heading", name="Dish 44").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dish 44")
    asked = len(pages)
    page.go_back()
    expect(page.get_by_role("heading", name="Dish 44")).to_be_visible()
    assert len(pages) == asked


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_a_meal_that_changed_meanwhile(choice: str, open_app: Callable[..., Page], eater: Friend) -> None:
    meal = eater.post(food="Porridge", note="With cinnamon.")
    page = open_app()
    log_in_and_go(page, eater.username, f"/meals/{meal['id']}/edit")
    page.get_by_label("Food").fill("Porridge with plums")
    eater.do("PATCH", f"/meals/{meal['id']}", {"note": "With too much cinnamon.", "meal_type": "breakfast"})
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".version").first).to_contain_text("With too much cinnamon.")
    expect(dialog.locator(".version").last).to_contain_text("Porridge with plums")
    if choice == "mine":
        # Nobody may come in between unseen here either.
        eater.do("PATCH", f"/meals/{meal['id']}", {"note": "No cinnamon at all."})
        dialog.get_by_role("button", name="Save mine on top").click()
        expect(dialog).to_contain_text("No cinnamon at all.")
        dialog.get_by_role("button", name="Save mine on top").click()
    else:
        dialog.get_by_role("button", name="Take theirs").click()
    page.wait_for_url(f"/meals/{meal['id']}")
    expected = (
        ("Porridge with plums", "No cinnamon at all.") if choice == "mine" else ("Porridge", "With too much cinnamon.")
    )
    expect(page.get_by_role("heading", level=1)).to_have_text(expected[0])
    now = eater.do("GET", f"/meals/{meal['id']}")
    assert (now["food"], now["note"], now["meal_type"]) == (*expected, "breakfast")


def test_what_was_seen_is_what_is_deleted(open_app: Callable[..., Page], eater: Friend) -> None:
    meal = eater.post(food="Leftovers")
    page = open_app()
    log_in_and_go(page, eater.username, f"/meals/{meal['id']}")
    eater.do("PATCH", f"/meals/{meal['id']}", {"food": "The best leftovers ever"})
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text("changed meanwhile")
    expect(page.get_by_role("heading", level=1)).to_have_text("The best leftovers ever")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("/")


#: How long a token from `sign_in_long_ago` is still good.
SECONDS_LEFT = 4


def aged(token: str, site: RunningSite) -> str:
    """The same access token as the site would have issued it long ago: nobody waits for a quarter of an hour in a test."""
    secret = re.search(r"^jwt\.secret = (\S+)$", site.ini.read_text(encoding="utf-8"), re.MULTILINE)
    assert secret is not None
    settings = JwtSettings(secret=Secret(secret[1]))
    age = timedelta(seconds=settings.access_seconds + settings.leeway_seconds - SECONDS_LEFT)
    claims = AccessTokens.from_settings(settings, site.url).verify(token)
    return AccessTokens.from_settings(settings, site.url, lambda: clock.now() - age).issue(claims)


def sign_in_long_ago(page: Page, site: RunningSite, name: str, path: str) -> dict[str, Any]:
    """Log in on the way to ``path`` with an access token that is about to run out; gives both tokens."""
    tokens: dict[str, Any] = {}

    def age(route: Route) -> None:
        answer = route.fetch()
        tokens.update(answer.json())
        tokens["access_token"] = aged(tokens["access_token"], site)
        route.fulfill(response=answer, json=tokens)

    page.route("**/api/login", age)
    log_in_and_go(page, name, path)
    page.unroute("**/api/login")
    return tokens


def wait_until_refused(api: BrowserContext, tokens: dict[str, Any]) -> None:
    """Return when the access token's time is over."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    deadline = time.monotonic() + SECONDS_LEFT + 10
    while (answer := api.request.get("/api/user/profile", headers=headers)).ok:
        assert time.monotonic() < deadline, "the token does not run out"
        time.sleep(0.2)
    assert answer.json()["type"].endswith("/token_expired")


def test_many_requests_find_the_token_run_out(
    site: RunningSite, open_app: Callable[..., Page], eater: Friend, api: BrowserContext
) -> None:
    meals = [eater.post(food=f"Bun {number}") for number in range(3)]
    page = open_app()
    seen: list[tuple[str, int]] = []
    page.on(
        "response", lambda answer: seen.append((f"{answer.request.method} {urlsplit(answer.url).path}", answer.status))
    )
    tokens = sign_in_long_ago(page, site, eater.username, f"/people/{eater.username}")
    expect(page.get_by_role("button", name="Yum!")).to_have_count(3)
    wait_until_refused(api, tokens)
    seen.clear()
    page.evaluate("document.querySelectorAll('.like').forEach((button) => button.click())")
    deadline = time.monotonic() + 20
    while [status for what, status in seen if what.startswith("PUT")].count(204) < len(meals):
        assert time.monotonic() < deadline, f"the requests were not made again: {seen}"
        page.wait_for_timeout(50)
    likes = sorted(f"PUT /api/meals/{meal['id']}/like" for meal in meals)
    assert sorted(what for what, status in seen if status == 401) == likes
    assert sorted(what for what, status in seen if status == 204) == likes
    assert seen.count(("POST /api/token/refresh", 200)) == 1
    assert [eater.do("GET", f"/meals/{meal['id']}")["likes_count"] for meal in meals] == [1, 1, 1]
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_a_sign_in_that_has_ended(
    site: RunningSite, open_app: Callable[..., Page], eater: Friend, api: BrowserContext
) -> None:
    page = open_app()
    tokens = sign_in_long_ago(page, site, eater.username, "/new")
    page.get_by_label("Food").fill("Half a sentence about")
    # Somebody else uses the refresh token first. When its owner does, the site cannot tell who is the thief.
    stolen = api.request.post("/api/token/refresh", data={"refresh_token": tokens["refresh_token"]})
    assert stolen.ok
    wait_until_refused(api, tokens)
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url("/login?next=%2Fnew&why=ended")
    expect(page.get_by_text("Your sign-in has ended.")).to_be_visible()
    thief = {"Authorization": f"Bearer {stolen.json()['access_token']}"}
    assert api.request.get("/api/user/profile", headers=thief).status == 401
    assert eater.do("GET", f"/users/{eater.username}/meals") == []
    # Back to where one was, with what one had written.
    log_in(page, eater.username)
    page.wait_for_url("/new")
    expect(page.get_by_label("Food")).to_have_value("Half a sentence about")
    page.get_by_role("button", name="I ate this!").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Half a sentence about")


def test_an_answer_that_is_lost(open_app: Callable[..., Page], eater: Friend) -> None:
    page = open_app()
    log_in_and_go(page, eater.username, "/new")
    page.get_by_label("Food").fill("Once only")

    def lose(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort("connectionreset")

    page.route("**/api/meals", lose, times=1)
    page.get_by_role("button", name="I ate this!").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Once only")
    assert len(eater.do("GET", f"/users/{eater.username}/meals")) == 1
    # A page that could not be loaded is asked for again, too.
    page.context.set_offline(True)
    page.get_by_role("link", name=eater.username).first.click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(eater.username)


def test_problems_in_the_language_of_the_reader(
    open_app: Callable[..., Page], eater: Friend, api: BrowserContext
) -> None:
    page = open_app(locale="zh-CN")
    page.goto("/register")
    page.get_by_label("用户名").fill("two words")
    page.get_by_label("邮箱").fill("nobody@example.org")
    page.get_by_label("密码").fill("short")
    page.locator("form").get_by_role("button", name="注册").click()
    for label, words in (("用户名", "字母"), ("密码", "12 个字符")):
        expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label(label)).to_have_accessible_description(re.compile(words))
    expect(page.get_by_label("邮箱")).to_have_attribute("aria-invalid", "false")
    # Too many attempts: the site says for how long, and the page counts down.
    page.get_by_role("link", name="登录").click()
    for _ in range(10):
        api.request.post("/api/login", data={"username": eater.username, "password": "not the password"})
    page.get_by_label("用户名或邮箱").fill(eater.username)
    page.get_by_label("密码").fill(PASSWORD)
    page.locator("form").get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"\d+ 秒后可重试"))
    # The language is a choice as well.
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
    expect(page.locator("html")).to_have_attribute("lang", "en")
