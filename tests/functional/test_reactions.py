"""Want lists and "I ate this too", in both faces."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select
from webtest import TestApp

from mealshare.core.ids import new_id
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import Post
from mealshare.features.meals.schemas import MealInput
from mealshare.features.reactions.events import Liked, Unliked
from mealshare.features.reactions.models import Like, Want
from mealshare.features.reactions.service import LikeService, WantService
from mealshare.features.social.models import Block
from tests.people import form_with

HOTPOT = {
    "food": "麻辣香锅", "note": "So hot, #huajiao everywhere", "tags": ["sichuan"], "diets": ["halal"], "place": {"name": "Old Wang’s"},
    "allergens": {"contains": ["peanuts"], "free_from": ["milk"]}, "eaten_at": "2026-03-01T19:30:00+08:00",
}  # fmt: skip


class Person:
    """Somebody with a program and a browser."""

    def __init__(self, app, user, token, login):
        self.app, self.user, self.headers = app, user, token(app, user)
        login(app, user)

    def call(self, method, path, body=None, **options):
        # Not with the browser's cookies: a program has none.
        program = TestApp(self.app.app)
        if body is None:
            return getattr(program, method)(path, headers=self.headers, **options)
        return getattr(program, f"{method}_json")(path, body, headers=self.headers, **options)

    def posts(self, **fields):
        return self.call("post", "/api/meals", {"food": "soup", **fields}).json

    def sees(self, meal, **options):
        return self.call("get", f"/api/meals/{meal['id']}", **options).json


@pytest.fixture
def people(new_app, make_user, token, login):
    """Makes one person for each name."""
    return lambda *names: [Person(new_app(), make_user(name), token, login) for name in names]


def page_of(meal):
    return meal["url"].removeprefix("http://localhost")


def button(page, meal, word):
    return page.forms[f"{word}-{meal['id']}"]


def rows(registry, model):
    with registry["engine"].connect() as connection:
        return connection.scalar(select(func.count()).select_from(model))


def test_a_want_is_private_idempotent_and_goes_with_its_meal(people, registry):
    mei, ann = people("mei", "ann")
    meal = mei.posts(food="dumplings")
    for _ in range(2):
        ann.call("put", f"/api/meals/{meal['id']}/want", status=204)
    assert rows(registry, Want) == 1
    assert ann.sees(meal)["viewer"]["wanted"] is True
    assert mei.sees(meal)["viewer"]["wanted"] is False
    assert [item["id"] for item in ann.call("get", "/api/want").json] == [meal["id"]]
    assert mei.call("get", "/api/want").json == []
    for _ in range(2):
        ann.call("delete", f"/api/meals/{meal['id']}/want", status=204)
    assert ann.call("get", "/api/want").json == []
    ann.call("put", f"/api/meals/{meal['id']}/want")
    mei.call("delete", f"/api/meals/{meal['id']}")
    assert rows(registry, Want) == 0
    ann.call("put", f"/api/meals/{meal['id']}/want", status=404)


def test_the_bookmark_on_a_card(people, app):
    mei, ann = people("mei", "ann")
    meal = mei.posts(food="dumplings")
    assert "What makes your mouth water?" in ann.app.get("/want")
    form = button(ann.app.get("/"), meal, "want")
    answer = form.submit(status=303)
    assert answer.headers["Location"].endswith(f"/#meal-{meal['id']}")
    page = ann.app.get("/want")
    assert "dumplings" in page
    assert page.html.find(id=f"bookmark-{meal['id']}")["aria-pressed"] == "true"
    # The way of htmx: the new button is on the page that the answer leads to.
    form = button(page, meal, "want")
    answer = ann.app.post(form.action, {"csrf_token": form["csrf_token"].value, "undo": "1", "next": page_of(meal)})
    assert answer.follow().html.find(id=f"bookmark-{meal['id']}")["aria-pressed"] == "false"
    assert "dumplings" not in ann.app.get("/want")
    # A visitor is asked to sign in.
    assert app.get("/want", status=303).headers["Location"].startswith("http://localhost/login")
    assert (
        button(app.get("/"), meal, "want").submit(status=303).headers["Location"].startswith("http://localhost/login")
    )


def test_what_became_invisible_is_not_on_the_list_until_it_comes_back(people, registry):
    mei, ann = people("mei", "ann")
    meal = mei.posts(food="dumplings")
    ann.call("put", f"/api/meals/{meal['id']}/want")
    for visibility, seen in (("only_me", 0), ("followers", 0), ("unlisted", 1)):
        mei.call("patch", f"/api/meals/{meal['id']}", {"visibility": visibility})
        assert len(ann.call("get", "/api/want").json) == seen, visibility
    block(registry, mei, ann)
    assert ann.call("get", "/api/want").json == []


def block(registry, who, whom):
    with registry["engine"].begin() as connection:
        values = {"id": new_id(), "account_id": who.user.account_id, "target_id": whom.user.account_id}
        connection.execute(insert(Block), values)


def test_the_want_list_is_paged_by_the_wish(people):
    mei, ann = people("mei", "ann")
    meals = [mei.posts(food=f"dish {number}") for number in range(5)]
    # Wished in another order than posted.
    wished = [meals[number] for number in (3, 0, 4, 1, 2)]
    for meal in wished:
        ann.call("put", f"/api/meals/{meal['id']}/want")
    expected, found, address = [meal["id"] for meal in reversed(wished)], [], "/api/want?limit=2"
    while address:
        answer = ann.call("get", address)
        found += [meal["id"] for meal in answer.json]
        links = {
            part.split('"')[1]: part.split("<")[1].split(">")[0]
            for part in answer.headers.get("Link", "").split(", ")
            if part
        }
        address = links.get("next", "").removeprefix("http://localhost")
        if "prev" in links and len(found) == 4:
            newer = ann.call("get", links["prev"].removeprefix("http://localhost"))
            assert [meal["id"] for meal in newer.json] == expected[:2]
    assert found == expected
    assert ann.call("get", "/api/want?colour=red", status=400).json["status"] == 400


def test_the_box_has_what_the_food_is_and_nothing_else(people):
    mei, ann = people("mei", "ann")
    meal = mei.posts(**HOTPOT)
    page = ann.app.get("/").click(description="I ate this too")
    form = form_with(page, "food")
    assert form["food"].value == "麻辣香锅"
    assert form["tags"].value == "sichuan huajiao"
    assert checked(form) == {"diets": ["halal"], "contains": ["peanuts"], "free_from": ["milk"]}
    assert (form["note"].value, form["place"].value, form["eaten_at"].value) == ("", "", "")
    assert "@mei" in page.html.find("form", class_="compose").find(class_="origin").text
    # An error loses neither the words nor the link.
    form["recipe_url"] = "nonsense"
    page = form.submit(status=422)
    form = form_with(page, "food")
    assert form["inspired_by"].value == meal["id"]
    form["recipe_url"] = ""
    form["note"] = "Better than hers"
    page = form.submit().follow()
    assert "Inspired by @mei’s 麻辣香锅" in page.html.find(class_="origin").text
    assert page.html.find(class_="origin").find("a")["href"] == page_of(meal)
    (copy,) = ann.call("get", f"/api/meals/{meal['id']}/ate-too").json
    assert (copy["inspired_by"], copy["place"], copy["note"]) == (meal["id"], None, "Better than hers")
    original = ann.sees(meal)
    assert (original["ate_too_count"], original["viewer"]["ate_too"]) == (1, True)
    panel = mei.app.get(page_of(meal)).html.find(attrs={"aria-labelledby": "ate-too-title"})
    assert "@ann" in panel.text
    assert panel.find("a", string="麻辣香锅")["href"] == page_of(copy)


def checked(form):
    names = ("diets", "contains", "free_from")
    return {name: [box._value for box in form.fields[name] if box.checked] for name in names}


def test_the_button_counts_and_says_that_one_has(people, app):
    mei, ann = people("mei", "ann")
    meal = mei.posts()
    ann.call("post", f"/api/meals/{meal['id']}/ate-too", status=201)

    def link(page):
        return page.html.find("article", id=f"meal-{meal['id']}").find("a", href=f"/new?inspired_by={meal['id']}")

    for somebody, label, done in (
        (app, "I ate this too", False),
        (ann.app, "I ate this too", True),
        (mei.app, "I ate this again", False),
    ):
        found = link(somebody.get("/"))
        assert label in found.text
        assert found.select_one("span:not([class])").text.strip() == "1"
        assert ("(you have)" in found.text) is ("action--done" in found["class"]) is done


def test_over_json_with_and_without_a_patch(people):
    mei, ann = people("mei", "ann")
    meal = mei.posts(**HOTPOT)
    path = f"/api/meals/{meal['id']}/ate-too"
    answer = ann.call("post", path, status=201)
    copy = answer.json
    assert answer.headers["Location"] == f"http://localhost/api/meals/{copy['id']}"
    same = ("food", "tags", "diets", "allergens")
    assert {name: copy[name] for name in same} == {name: meal[name] for name in same}
    assert (copy["note"], copy["place"], copy["user"]["username"]) == ("", None, "ann")
    patch = {"food": "麻辣烫", "allergens": {"contains": None}, "diets": None, "visibility": "unlisted"}
    copy = ann.call("post", path, patch, status=201).json
    assert (copy["food"], copy["diets"], copy["visibility"]) == ("麻辣烫", [], "unlisted")
    assert copy["allergens"] == {"contains": [], "free_from": ["milk"]}
    assert copy["inspired_by"] == meal["id"]
    assert ann.call("post", path, {"colour": "red"}, status=422).json["errors"][0]["pointer"] == "#/colour"
    assert ann.call("post", path, {"food": None}, status=422).json["errors"][0]["code"] == "food_or_photo"
    assert ann.sees(meal)["ate_too_count"] == 2


def test_only_what_one_may_see_can_be_eaten_too(people, app):
    mei, ann = people("mei", "ann")
    meal = mei.posts(food="secret soup")
    form = form_with(ann.app.get(f"/new?inspired_by={meal['id']}"), "food")
    mei.call("patch", f"/api/meals/{meal['id']}", {"visibility": "only_me"})
    ann.call("post", f"/api/meals/{meal['id']}/ate-too", status=404)
    ann.call("get", f"/api/meals/{meal['id']}/ate-too", status=404)
    ann.app.get(f"{page_of(meal)}/ate-too", status=404)
    # The box was open already: the words stay, the link is left out.
    page = form.submit().follow()
    assert page.html.find("h1").text == "secret soup"
    assert page.html.find(class_="origin") is None
    assert mei.sees(meal)["ate_too_count"] == 0
    # One that is not there, or never was, looks like the empty box.
    for id in (meal["id"], "12345", "nonsense", "0", "9" * 30, ""):
        page = app.get(f"/new?inspired_by={id}")
        assert form_with(page, "food")["food"].value == ""
        assert "secret" not in page
        assert page.html.find("input", attrs={"name": "inspired_by"}) is None
    answer = ann.app.get(f"/new?inspired_by={meal['id']}&inspired_by=x")
    form = form_with(answer, "food")
    form["food"] = "rice"
    ann.app.post("/new", [*form.submit_fields(), ("inspired_by", "nonsense")], status=303)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_visitor_ate_it_too_and_then_registers(people, app, hidden):
    (mei,) = people("mei")
    meal = mei.posts(**HOTPOT)
    form = form_with(app.get("/").click(description="I ate this too"), "food")
    form["note"] = "Mine"
    form.submit(status=303)
    assert form_with(app.get("/new"), "food")["inspired_by"].value == meal["id"]
    if hidden:
        mei.call("patch", f"/api/meals/{meal['id']}", {"visibility": "followers"})
    form = form_with(app.get("/register"), "password")
    form["username"], form["email"], form["password"] = "newcomer", "new@example.org", "plum cobbler on a tuesday"
    page = form.submit(status=303).follow()
    assert page.html.find("h1").text == "麻辣香锅"
    assert (page.html.find(class_="origin") is None) is hidden
    assert mei.sees(meal)["ate_too_count"] == (0 if hidden else 1)


def test_the_count_follows_each_copy(people):
    mei, ann = people("mei", "ann")
    meal = mei.posts()

    def count():
        return mei.sees(meal)["ate_too_count"]

    copy = ann.call("post", f"/api/meals/{meal['id']}/ate-too").json
    for visibility, expected in (("only_me", 0), ("unlisted", 1), ("followers", 0), ("public", 1), ("public", 1)):
        ann.call("patch", f"/api/meals/{copy['id']}", {"visibility": visibility})
        assert count() == expected, visibility
    secret = ann.call("post", f"/api/meals/{meal['id']}/ate-too", {"visibility": "only_me"}).json
    assert count() == 1
    ann.call("delete", f"/api/meals/{secret['id']}")
    assert count() == 1
    ann.call("delete", f"/api/meals/{copy['id']}")
    assert count() == 0
    assert mei.sees(meal)["viewer"]["ate_too"] is False


def test_a_chain_survives_its_beginning(people, app):
    mei, ann = people("mei", "ann")
    first = mei.posts(food="first")
    again = mei.call("post", f"/api/meals/{first['id']}/ate-too").json
    second = ann.call("post", f"/api/meals/{first['id']}/ate-too", {"food": "second"}).json
    third = mei.call("post", f"/api/meals/{second['id']}/ate-too", {"food": "third"}).json
    assert mei.sees(first)["ate_too_count"] == 2
    assert "Eaten again: first" in app.get(page_of(again)).html.find(class_="origin").text
    mei.call("delete", f"/api/meals/{first['id']}")
    assert ann.sees(second)["inspired_by"] is None
    assert app.get(page_of(second)).html.find(class_="origin") is None
    assert "Inspired by @ann’s second" in app.get(page_of(third)).html.find(class_="origin").text
    # The copy of a tombstone can change and go like any other.
    ann.call("patch", f"/api/meals/{second['id']}", {"visibility": "followers"})
    assert mei.sees(third)["inspired_by"] is None
    ann.call("delete", f"/api/meals/{second['id']}")
    assert [meal["food"] for meal in app.get("/api/meals").json] == ["third", "first"]


def test_who_ate_it_too_as_far_as_one_may_know(people, registry, app):
    mei, ann, bob = people("mei", "ann", "bob")
    meal = mei.posts()
    for person, visibility in ((ann, "only_me"), (ann, "followers"), (bob, "public")):
        person.call(
            "post",
            f"/api/meals/{meal['id']}/ate-too",
            {"food": f"{person.user.username} {visibility}", "visibility": visibility},
        )
    path = f"/api/meals/{meal['id']}/ate-too"
    assert [copy["food"] for copy in app.get(path).json] == ["bob public"]
    assert [copy["food"] for copy in ann.call("get", path).json] == ["bob public", "ann followers", "ann only_me"]
    page = app.get(f"{page_of(meal)}/ate-too")
    assert "bob public" in page
    assert "ann" not in page.html.find("main").text
    assert "ann" not in app.get(page_of(meal)).html.find(attrs={"aria-labelledby": "ate-too-title"}).text
    block(registry, bob, ann)
    assert [copy["food"] for copy in ann.call("get", path).json] == ["ann followers", "ann only_me"]


def test_the_panel_shows_ten_and_leads_to_all(people):
    mei, ann = people("mei", "ann")
    meal = mei.posts()
    assert "Nobody else yet" in ann.app.get(f"{page_of(meal)}/ate-too")
    for number in range(23):
        ann.call("post", f"/api/meals/{meal['id']}/ate-too", {"food": f"copy {number:02}"})
    page = ann.app.get(page_of(meal))
    assert len(page.html.select("[aria-labelledby=ate-too-title] li")) == 10
    page = page.click("See all")
    assert len(page.html.select("article.card")) == 20
    older = page.click("Older meals")
    assert [food.text for food in older.html.select(".card__food")] == ["copy 02", "copy 01", "copy 00"]


def test_events_tell_only_of_changes(people, registry, monkeypatch, work):
    mei, ann = people("mei", "ann")
    id, me = int(mei.posts()["id"]), ann.user.account_id
    seen = []
    for event in (Liked, Unliked):
        known = [*registry["events"].handlers[event], lambda _work, event: seen.append(event)]
        monkeypatch.setitem(registry["events"].handlers, event, known)
    for change in ("unlike", "like", "like", "unlike", "unlike"):
        with work() as unit:
            getattr(LikeService(unit), change)(me, id)
    assert seen == [Liked(id, me, mei.user.account_id), Unliked(id, me)]
    assert rows(registry, Like) == 0


@pytest.mark.parametrize("count", [1, 20, 100])
def test_lists_and_cards_cost_a_fixed_number_of_statements(people, registry, work, count, count_statements):
    mei, ann = people("mei", "ann")
    meal = mei.posts()
    with work() as unit:
        service = make_meal_service(unit, registry)
        for number in range(count):
            input = MealInput(food=f"copy {number}")
            copy = service.post(mei.user.account_id, input, inspired_by=int(meal["id"]))
            WantService(unit).want(ann.user.account_id, copy.id)
    api = f"/api/meals/{meal['id']}/ate-too?limit=100"
    # Those of a program cost no session, but the look at its grant.
    for url, most in (("/api/want?limit=100", 1), (api, 2), ("/api/meals?limit=100", 1)):
        with count_statements() as statements:
            assert len(ann.call("get", url).json) == count + (url == "/api/meals?limit=100" and count < 100)
        assert len(statements) == most + 1, (url, statements)
    for url, most in (("/want", 1), (f"{page_of(meal)}/ate-too", 2), ("/", 1)):
        with count_statements() as statements:
            ann.app.get(url)
        assert len(statements) == most + 1, (url, statements)


def test_all_of_it_is_there_in_chinese(people):
    mei, ann = people("mei", "ann")
    meal = mei.posts(food="麻辣香锅")
    copy = ann.call("post", f"/api/meals/{meal['id']}/ate-too").json
    zh = {"Accept-Language": "zh-CN"}
    for path in ("/want", f"{page_of(meal)}/ate-too", page_of(copy)):
        assert ann.app.get(path, headers=zh).html.find("html")["lang"] == "zh-Hans"


def test_a_deletion_between_the_look_and_the_post(people, registry, work):
    """The caller has asked whether the meal may be seen; if it goes before the transaction begins, the link goes."""
    mei, ann = people("mei", "ann")
    meal = mei.posts()
    mei.call("delete", f"/api/meals/{meal['id']}")
    with work() as unit:
        copy = make_meal_service(unit, registry).post(
            ann.user.account_id, MealInput(food="soup"), inspired_by=int(meal["id"])
        )
        assert copy.inspired_by_id is None
    with registry["engine"].connect() as connection:
        assert connection.scalar(select(Post.__table__.c.ate_too_count).where(Post.id == int(meal["id"]))) == 0
