"""What people do in a browser again and again, and somebody who has done a lot."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import APIRequestContext, Browser, Locator, Page

from tests.people import draw

PASSWORD = "plum cobbler on a tuesday"
_names = itertools.count(1)
#: Kinds of news that the host of `company_site` has: a request, likes, answers, a copy.
NOTICES = 4

NOTE = "With a link https://example.org/recipes/1234567890/abcdefghijklmnopqrstuvwxyz and #tags.\n\nA second paragraph."
#: Harder than life: each has broken a page somewhere.
MEALS: dict[str, dict[str, Any]] = {
    "words": {"food": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtenkantinenessen", "note": "a" * 300},
    "arabic": {"food": "كبسة بالدجاج", "note": "أكلة لذيذة جدا، 3 أطباق #كبسة", "language": "ar"},
    "chinese": {"food": "麻婆豆腐", "note": "有点辣，不过很下饭。#川菜", "language": "zh-Hans", "meal_type": "lunch"},
    "full": {
        "food": "Everything at once", "note": NOTE, "meal_type": "dinner", "source": "home", "visibility": "unlisted",
        "tags": ["spicy", "summer_in_the_city", "très_bon", "麻辣", "noodles", "homemade", "leftovers", "quick"],
        "place": {"name": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", "city": "Krungthep"},
        "diets": ["vegan", "halal"], "allergens": {"contains": ["gluten", "soybeans"], "free_from": ["milk", "eggs"]},
        "recipe_url": "https://recipes.a-very-long-host-name-indeed.example.org/x",
    },
    "one": {"food": "Portrait", "photos": [(600, 1200)]},
    "four": {"food": "Four photos", "photos": [(900, 600), (600, 900), (900, 900), (1200, 300)]},
    "veiled": {"food": "Haggis", "note": "Hidden words.", "spoiler_text": "Offal", "sensitive": True, "photos": [(800, 600)]},
}  # fmt: skip


@dataclass(frozen=True)
class Stock:
    """Somebody with a name as long as names get, the cookies of their session, and the paths of their meals by name."""

    username: str
    state: Any
    meals: dict[str, str]


@dataclass(frozen=True)
class Friend:
    """Somebody who acts through the API, with a token."""

    request: APIRequestContext
    username: str
    headers: dict[str, str]

    def do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the API; gives its JSON, or None where it has nothing to say."""
        answer = self.request.fetch(f"/api{path}", method=method, data=body, headers=self.headers)
        assert answer.ok, f"{method} {path}: {answer.text()}"
        return answer.json() if answer.body() else None

    def post(self, **meal: Any) -> Any:
        """Post a meal."""
        return self.do("POST", "/meals", meal)

    def say(self, meal: Any, note: str, to: Any = None) -> Any:
        """Comment on a meal, or answer a comment on it."""
        return self.do("POST", f"/meals/{meal['id']}/comments", {"note": note, "in_reply_to_id": to and to["id"]})


def new_name() -> str:
    """A username that nobody has yet."""
    return f"eater{next(_names)}"


def fill_registration(page: Page, name: str) -> None:
    """Fill in the form of /register and send it."""
    page.locator("[name=username]").fill(name)
    page.locator("[name=email]").fill(f"{name}@example.org")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url(re.compile(r"^(?!.*/register)"))


def register(page: Page, name: str | None = None) -> str:
    """Register; gives the username."""
    name = name or new_name()
    page.goto("/register")
    fill_registration(page, name)
    return name


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Log in with the form."""
    page.goto("/login")
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(password)
    page.locator("main form button[type=submit]").click()


def post_meal(page: Page, food: str) -> str:
    """Post a meal of nothing but words from the front page; gives its address."""
    page.goto("/")
    page.get_by_label("What did you eat?").fill(food)
    page.get_by_role("button", name="I ate this!").click()
    page.wait_for_url(re.compile(r"/@\w+/\d+"))
    return page.url


def choose_photos(page: Page, *paths: str) -> None:
    """Choose files with the button of the compose box."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add photos").click()
    chooser.value.set_files(list(paths))


def post_meals(page: Page, *foods: str) -> list[dict[str, Any]]:
    """Post meals as the person signed in to ``page``, quicker than with the form."""
    token = page.locator("[name=csrf_token]").first.get_attribute("value")
    answers = [
        page.request.post("/api/meals", data={"food": food}, headers={"X-CSRF-Token": token or ""}) for food in foods
    ]
    assert [answer.status for answer in answers] == [201] * len(foods), answers[0].text()
    return [answer.json() for answer in answers]


def wait_for_photo(page: Page, selector: str = "article img", count: int = 1) -> Locator:
    """Reload until the worker has made the variants of ``count`` photos; gives the first."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if page.locator(selector).count() >= count:
            return page.locator(selector).first
        time.sleep(0.3)
        page.reload()
    raise AssertionError("the photo never became ready")


def stock_site(browser: Browser, url: str) -> Stock:
    """Register somebody in a browser and post `MEALS`; returns when their photos are ready."""
    context = browser.new_context(base_url=url, locale="en-GB")
    page = context.new_page()
    name = register(page, "wolfeschlegelsteinhausenberger")
    token = page.locator("[name=csrf_token]").first.get_attribute("value") or ""
    headers = {"X-CSRF-Token": token}
    # A language of one's own would come before that of the browser.
    assert context.request.patch("/api/user/profile", data={"locale": None}, headers=headers).ok
    paths = {key: _post(context.request, headers, meal).removeprefix(url) for key, meal in MEALS.items()}
    state = context.storage_state()
    context.close()
    return Stock(name, state, paths)


def make_friend(request: APIRequestContext, name: str, **profile: Any) -> Friend:
    """Register somebody through the API."""
    person = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    assert request.post("/api/users", data=person).ok
    friend = make_login(request, name)
    friend.do("PATCH", "/user/profile", profile)
    return friend


def make_login(request: APIRequestContext, name: str) -> Friend:
    """Sign somebody in through the API."""
    answer = request.post("/api/login", data={"username": name, "password": PASSWORD})
    return Friend(request, name, {"Authorization": f"Bearer {answer.json()['access_token']}"})


def company_site(browser: Browser, url: str) -> Stock:
    """Register a host among friends: follows, requests, blocks, wants, a long conversation, and a nut allergy."""
    api = browser.new_context(base_url=url)
    context = browser.new_context(base_url=url, locale="en-GB")
    page = context.new_page()
    name = register(page, "hubertblainewolfeschlegelstein")
    host = make_login(api.request, name)
    host.do("PATCH", "/user/profile", {"locale": None, "locked": True})
    long = "Everybody who has ever eaten here, and their aunts"
    friend = make_friend(api.request, "friend_of_the_house", display_name=long, bio="b" * 200)
    others = [make_friend(api.request, f"guest_{number}", display_name="مريم") for number in range(4)]
    friend.do("PUT", f"/users/{name}/follow")
    host.do("POST", f"/follow-requests/{friend.username}")
    paths = _host_meals(host, friend, others) | {"friend": f"/@{friend.username}"}
    others[0].do("PUT", f"/users/{name}/follow")
    for person in (friend, others[1]):
        host.do("PUT", f"/users/{person.username}/follow")
    host.do("PUT", f"/users/{others[2].username}/mute")
    host.do("PUT", f"/users/{others[3].username}/block")
    host.do("PUT", "/preferences", {"mode": "hide", "avoid": ["peanuts"], "diets": ["vegan"]})
    deadline = time.monotonic() + 30
    while len(host.do("GET", "/notifications")) < NOTICES:
        assert time.monotonic() < deadline, "the notifications never came"
        time.sleep(0.2)
    state = context.storage_state()
    context.close()
    api.close()
    return Stock(name, state, {key: path.removeprefix(url) for key, path in paths.items()})


def _host_meals(host: Friend, friend: Friend, others: list[Friend]) -> dict[str, str]:
    """What the host and a friend posted and said to each other: the addresses."""
    place = {"name": "Llanfairpwllgwyngyll", "city": "Krungthep"}
    talk = host.post(food="A dish to talk about", note=f"With @{friend.username}.", place=place, tags=["talk"])
    for person in (friend, *others):
        person.do("PUT", f"/meals/{talk['id']}/like")
    long = friend.say(talk, f"@{host.username} " + "w" * 300)
    for number in range(12):
        (friend, host)[number % 2].say(talk, f"Reply {number}", long)
    own = host.say(talk, "My own words.\n\nTwo paragraphs, and https://example.org/" + "x" * 80)
    gone = friend.say(talk, "Soon gone.")
    host.say(talk, "An answer to nothing.", gone)
    friend.do("DELETE", f"/comments/{gone['id']}")
    closed = host.post(food="No words, please", comments_closed=True)
    peanuts = friend.post(food="Satay", allergens={"contains": ["peanuts"]})
    silent = friend.post(food="Something silent", place=place)
    host.do("PUT", f"/meals/{silent['id']}/want")
    copy = friend.do("POST", f"/meals/{talk['id']}/ate-too", {"food": "The same dish"})
    return {
        "talk": talk["url"], "closed": closed["url"], "peanuts": peanuts["url"], "silent": silent["url"],
        "copy": copy["url"], "comment": own["url"], "thread": f"{talk['url']}?thread={long['id']}",
        "inspired": f"/new?inspired_by={silent['id']}",
    }  # fmt: skip


def _post(request: APIRequestContext, headers: dict[str, str], meal: dict[str, Any]) -> str:
    ids = [_upload(request, headers, size, number) for number, size in enumerate(meal.get("photos", ()), 1)]
    body = {name: value for name, value in meal.items() if name != "photos"} | {"media": [{"id": id} for id in ids]}
    answer = request.post("/api/meals", data=body, headers=headers)
    assert answer.status == 201, answer.text()
    return str(answer.json()["url"])


def _upload(request: APIRequestContext, headers: dict[str, str], size: tuple[int, int], number: int) -> str:
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": draw("jpeg", size)}
    answer = request.post("/api/media", multipart={"file": file, "description": f"Photo {number}"}, headers=headers)
    assert answer.status == 202, answer.text()
    id = str(answer.json()["id"])
    deadline = time.monotonic() + 30
    while request.get(f"/api/media/{id}").json()["state"] != "ready":
        assert time.monotonic() < deadline, "a photo never became ready"
        time.sleep(0.2)
    return id
