"""What somebody avoids: left out or marked, everywhere, and never promised."""

from __future__ import annotations

import pytest
from webtest import TestApp

from tests.people import form_with

AVOID = {"mode": "hide", "avoid": ["peanuts", "milk"], "diets": ["vegan"]}
SATAY = {"food": "satay", "tags": ["dish"], "allergens": {"contains": ["peanuts"]}}
RICE = {"food": "plain rice", "tags": ["dish"]}
SALAD = {"food": "salad", "tags": ["dish"], "diets": ["vegan"], "allergens": {"free_from": ["peanuts", "milk"]}}


@pytest.fixture
def site(new_app, make_user, token, login):
    """Mei has posted three meals; Ann is in a browser and in a program, Mei in a program."""

    class Site:
        def __init__(self):
            self.mei, self.ann = make_user("mei"), make_user("ann")
            self.browser, self.headers = new_app(), {}
            for user in (self.mei, self.ann):
                self.headers[user.username] = token(self.browser, user)
            login(self.browser, self.ann)
            self.program = new_app()
            self.meals = {meal["food"]: self.post("mei", meal) for meal in (SATAY, RICE, SALAD)}

        def post(self, name, meal):
            return self.program.post_json("/api/meals", meal, headers=self.headers[name]).json

        def get(self, path, **options):
            return self.program.get(path, headers=self.headers["ann"], **options)

        def prefer(self, **given):
            return self.program.put_json("/api/preferences", given, headers=self.headers["ann"])

        def page(self, food):
            return self.meals[food]["url"].removeprefix("http://localhost")

    return Site()


def card(page, meal):
    return page.html.find("article", id=f"meal-{meal['id']}")


def cautions(found):
    return [note.text.strip() for note in found.select(".caution")]


def test_over_json(site, app):
    assert site.get("/api/preferences").json == {"mode": "warn", "avoid": [], "diets": []}
    # In the order of the vocabulary, each once.
    given = {"mode": "hide", "avoid": ["milk", "peanuts", "milk"], "diets": ["vegan"]}
    assert site.prefer(**given).json == {"mode": "hide", "avoid": ["peanuts", "milk"], "diets": ["vegan"]}
    assert site.prefer(**given).json == site.get("/api/preferences").json
    # What is left out goes back to its default.
    assert site.prefer(avoid=["fish"]).json == {"mode": "warn", "avoid": ["fish"], "diets": []}
    for wrong in ({"avoid": ["stones"]}, {"mode": "ignore"}, {"avoid": None}, {"avoid": ["milk"] * 15}, {"safe": True}):
        site.program.put_json("/api/preferences", wrong, headers=site.headers["ann"], status=422)
    assert site.get("/api/preferences").json["avoid"] == ["fish"]
    app.get("/api/preferences", status=401)
    app.put_json("/api/preferences", AVOID, status=401)
    mine = site.program.get("/api/preferences", headers=site.headers["mei"]).json
    assert mine["avoid"] == []


def test_on_the_settings_page(site, app):
    page = site.browser.get("/settings/profile").click("Allergies and diets")
    assert page.html.find("nav", class_="sidenav").find("a", attrs={"aria-current": "page"})["href"] == "/settings/food"
    assert "declared by whoever ate it" in page
    form = form_with(page, "avoid")
    for name, chosen in (("avoid", ("peanuts", "milk")), ("diets", ("vegan",))):
        for box in form.fields[name]:
            box.checked = box._value in chosen
    form["mode"] = "hide"
    page = form.submit(status=303).follow()
    assert site.get("/api/preferences").json == AVOID
    form = form_with(page, "avoid")
    assert [box._value for box in form.fields["avoid"] if box.checked] == ["peanuts", "milk"]
    assert form["mode"].value == "hide"
    for box in form.fields["avoid"] + form.fields["diets"]:
        box.checked = False
    form.submit(status=303)
    assert site.get("/api/preferences").json == {"mode": "hide", "avoid": [], "diets": []}
    form["mode"].force_value("ignore")
    form.submit(status=422)
    assert app.get("/settings/food", status=303).headers["Location"].startswith("http://localhost/login")


JSON_LISTS = ("/api/meals", "/api/meals?tag=dish", "/api/feed/public", "/api/feed/tags/dish", "/api/users/mei/meals",
              "/api/want", "/api/meals/{original}/ate-too")  # fmt: skip
PAGES = ("/", "/tags/dish", "/@mei", "/want", "/@mei/{original}/ate-too")


@pytest.mark.parametrize("mode", ["hide", "warn"])
def test_every_list_leaves_out_or_warns(site, mode):
    original = site.post("mei", {"food": "buffet"})["id"]
    for meal in (SATAY, RICE, SALAD):
        path = f"/api/meals/{original}/ate-too"
        copy = site.program.post_json(path, meal, headers=site.headers["mei"]).json
        for id in (copy["id"], site.meals[meal["food"]]["id"]):
            site.program.put(f"/api/meals/{id}/want", headers=site.headers["ann"])
    seen = {"satay", "plain rice", "salad"}
    for before, expected in ((True, seen), (False, seen - {"satay"} if mode == "hide" else seen)):
        for path in JSON_LISTS:
            foods = {meal["food"] for meal in site.get(path.format(original=original)).json}
            assert foods - {"buffet"} == expected, path
        for path in PAGES:
            page = site.browser.get(path.format(original=original))
            foods = {food.text for food in page.html.select(".card__food")}
            assert foods - {"buffet"} == expected, path
            warned = {
                found.find(class_="card__food").text
                for found in page.html.select("article.card")
                if found.select(".caution--contains")
            }
            assert warned == (set() if before or mode == "hide" else {"satay"}), path
        if before:
            site.prefer(**AVOID | {"mode": mode})
    # Nobody else's lists have changed.
    assert "satay" in TestApp(site.program.app).get("/").text


def test_what_a_card_says(site):
    site.prefer(**AVOID | {"mode": "warn"})
    for page in (site.browser.get("/"), None):

        def said(food, page=page):
            meal = site.meals[food]
            return cautions(card(page or site.browser.get(site.page(food)), meal))

        assert said("satay") == ["Contains peanuts, which you avoid.", "Not declared: milk, vegan"]
        assert said("plain rice") == ["Not declared: peanuts, milk, vegan"]
        assert said("salad") == []
    both = site.post("mei", {"food": "both", "allergens": {"contains": ["milk", "peanuts"]}, "diets": ["vegan"]})
    assert cautions(card(site.browser.get("/"), both)) == ["Contains peanuts and milk, which you avoid."]
    own = site.post("ann", {"food": "my satay", "allergens": {"contains": ["peanuts"]}})
    assert cautions(card(site.browser.get("/"), own)) == []
    assert cautions(TestApp(site.program.app).get("/").html) == []
    chinese = site.browser.get("/", headers={"Accept-Language": "zh-CN"})
    assert "peanuts" not in " ".join(cautions(card(chinese, both)))


def test_a_meal_that_is_left_out_warns_first(site):
    site.prefer(**AVOID)
    site.browser.get("/")
    path = site.page("satay")
    page = site.browser.get(path)
    assert page.html.find("h1").text.strip() == "Contains peanuts, which you avoid."
    assert page.html.find("article") is None
    page = page.click("Show it anyway")
    assert cautions(card(page, site.meals["satay"]))[0] == "Contains peanuts, which you avoid."
    assert page.html.find("h1").text == "satay"
    # A button that was pressed comes back to the meal, by htmx as well, and not to the warning.
    form = page.forms[f"like-{site.meals['satay']['id']}"]
    assert form.submit().follow().html.find("h1").text == "satay"
    assert f'{{"next": "{path}?show=1"}}' in page.html.find(id=form.id)["hx-vals"]
    meal = site.get(f"/api/meals/{site.meals['satay']['id']}").json
    assert (meal["viewer"]["avoided"], meal["viewer"]["not_declared"]) == (["peanuts"], ["milk"])
    # Neither the others, nor in the other mode, nor for others.
    for food in ("plain rice", "salad"):
        assert site.browser.get(site.page(food)).html.find("h1").text == food
    assert TestApp(site.program.app).get(path).html.find("h1").text == "satay"
    site.prefer(**AVOID | {"mode": "warn"})
    assert site.browser.get(path).html.find("h1").text == "satay"


def test_ones_own_are_never_left_out(site):
    site.prefer(**AVOID)
    own = site.post("ann", SATAY)
    assert [meal["id"] for meal in site.get("/api/meals").json if meal["food"] == "satay"] == [own["id"]]
    page = site.browser.get(own["url"].removeprefix("http://localhost"))
    assert page.html.find("h1").text == "satay"
    assert own["viewer"]["avoided"] == site.get(f"/api/meals/{own['id']}").json["viewer"]["avoided"] == []


def test_nothing_is_promised(site):
    site.prefer(**AVOID)
    for path in ("/settings/food", "/", site.page("satay"), site.page("satay") + "?show=1", site.page("salad")):
        assert "safe" not in site.browser.get(path).html.find("main").text.lower(), path


def test_the_notes_cost_no_statement(site, count_statements):
    site.prefer(**AVOID | {"mode": "warn"})
    for path, most in (("/", 2), ("/settings/food", 2)):
        with count_statements() as statements:
            site.browser.get(path)
        assert len(statements) == most, statements
