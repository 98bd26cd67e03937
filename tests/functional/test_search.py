"""Search: what is found by what, and by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import delete, text

from mealshare.core.clock import now
from mealshare.core.ids import new_id
from mealshare.features.accounts.models import Account
from mealshare.features.meals.models import EatingPreference
from mealshare.features.meals.vocabulary import Allergen
from mealshare.features.search.indexing import MEALS, PEOPLE
from mealshare.features.search.service import rebuild
from mealshare.features.social.models import Block, Follow, FollowState, Mute

MEAL = {"eaten_at": "2026-03-01T12:00:00Z", "time_zone": "UTC", "meal_type": "lunch"}


@pytest.fixture
def post(app, token):
    headers = {}

    def post(user, food, **more):
        if user.username not in headers:
            headers[user.username] = token(app, user)
        return app.post_json("/api/meals", {**MEAL, "food": food, **more}, headers=headers[user.username]).json["id"]

    post.headers = lambda user: headers.setdefault(user.username, token(app, user))
    return post


def search(app, q, headers=None, **more):
    return app.get("/api/search", {"q": q, **more}, headers=headers).json


def foods(app, q, headers=None, **more):
    return [meal["food"] for meal in search(app, q, headers, type="meals", **more)["meals"]]


def page_foods(app, **query):
    return [link.text for link in app.get("/search", query).html.select(".card__food a")]


def test_meals_are_found_by_their_words(app, make_user, post):
    mei = make_user("mei")
    place = {"name": "Café de l’Étoile", "city": "Lyon"}
    post(mei, "麻辣香锅")
    post(mei, "番茄炒蛋", note="配米饭 with RICE")
    post(mei, "Crème brûlée", place=place)
    post(mei, "Toast", tags=["breakfast_club", "早午餐"], spoiler_text="burnt")
    expected = {
        "麻辣": ["麻辣香锅"], "辣": ["麻辣香锅"], "香锅": ["麻辣香锅"], "麻辣香锅": ["麻辣香锅"], "辣麻": [],
        "炒蛋": ["番茄炒蛋"], "蛋": ["番茄炒蛋"], "炒蛋 ric": ["番茄炒蛋"], "rice 米饭": ["番茄炒蛋"], "ric 米饭": [],
        "creme brulee": ["Crème brûlée"], "CRÈME bru": ["Crème brûlée"], "cafe": ["Crème brûlée"], "café": ["Crème brûlée"],
        "lyon etoile": ["Crème brûlée"], "club": ["Toast"], "#breakfast_club": ["Toast"], "早午": ["Toast"], "burn": ["Toast"],
        "t": ["Toast"], "oast": [], "nothing": [],
    }  # fmt: skip
    assert {q: foods(app, q) for q in expected} == expected
    assert {q: page_foods(app, q=q) for q in expected} == expected
    by_filter = {q: [meal["food"] for meal in app.get("/api/meals", {"q": q}).json] for q in expected}
    assert by_filter == expected
    of_mei = {q: [meal["food"] for meal in app.get("/api/users/mei/meals", {"q": q}).json] for q in expected}
    assert of_mei == expected


def test_people_tags_and_places_are_found(app, make_user, post, login):
    ada, bob = make_user("ada_l", display_name="Ada Löwe"), make_user("bob", display_name="张伟")
    post(
        ada, "Cake", tags=["CakeDay", "hot_pot"], place={"name": "The Cake Shop", "city": "Bern", "country_code": "CH"}
    )
    post(
        bob,
        "Pie",
        tags=["cake_shop_secret"],
        visibility="only_me",
        place={"name": "Cake at home", "city": "Secretville"},
    )
    found = search(app, "cake")
    assert [meal["food"] for meal in found["meals"]] == ["Cake"]
    assert [tag["name"] for tag in found["tags"]] == ["CakeDay"]
    assert found["places"] == [
        {"name": "The Cake Shop", "city": "Bern", "country_code": "CH", "url": "http://localhost/places/The%20Cake%20Shop"}
    ]  # fmt: skip
    assert found["users"] == []
    users = {
        q: [user["username"] for user in search(app, q, type="users")["users"]]
        for q in ("ada", "LOWE", "伟", "l", "ob")
    }
    assert users == {"ada": ["ada_l"], "LOWE": ["ada_l"], "伟": ["bob"], "l": ["ada_l"], "ob": []}
    tags = {
        q: [tag["name"] for tag in app.get("/api/tags", {"q": q}).json]
        for q in ("#cak", "hot p", "hot_", "hotX", "%", "")
    }
    assert tags == {"#cak": ["CakeDay"], "hot p": [], "hot_": ["hot_pot"], "hotX": [], "%": [], "": []}
    names = {
        q: [place["name"] for place in app.get("/api/places", {"q": q}).json]
        for q in ("the c", "shop", "hop", "%", "_", " ")
    }
    assert names == {"the c": ["The Cake Shop"], "shop": ["The Cake Shop"], "hop": [], "%": [], "_": [], " ": []}
    # One's own places are there for oneself.
    own = app.get("/api/places", {"q": "cake"}, headers=post.headers(bob)).json
    assert [(place["name"], place["city"]) for place in own] == [
        ("Cake at home", "Secretville"),
        ("The Cake Shop", "Bern"),
    ]
    page = app.get("/search", {"q": "cake"})
    assert page.html.find("a", href="/tags/cakeday") and page.html.find("a", href="/places/The%20Cake%20Shop")
    assert "Secretville" not in page
    assert page_foods(app, place="the cake shop") == ["Cake"]
    assert app.get("/search", {"q": "ada"}).html.find("a", class_="results__person")["href"] == "/@ada_l"


def test_a_place_shows_only_what_may_be_known_of_it(app, make_user, post):
    """Two ate at a place of one name; the city of the one whose meal is private stays private."""
    ada, bob = make_user("ada"), make_user("bob")
    post(ada, "Soup", place={"name": "Home", "city": "Bern"})
    post(
        bob,
        "Soup",
        place={"name": "HOME", "city": "Secretville", "latitude": 1.5, "longitude": 2.5},
        visibility="only_me",
    )
    (place,) = app.get("/api/places?q=hom").json
    assert place == {"name": "Home", "city": "Bern", "country_code": "", "url": "http://localhost/places/Home"}


def test_names_are_completed_without_what_people_say_about_themselves(app, make_user, token):
    ada, _bob = make_user("ada", display_name="Ada Löwe"), make_user("bob")
    app.patch_json("/api/user/profile", {"bio": "I eat bobotie"}, headers=token(app, ada))
    assert [user["username"] for user in app.get("/api/users?q=bob").json] == ["bob"]
    assert [user["username"] for user in search(app, "bob")["users"]] == ["bob", "ada"]
    (user,) = app.get("/api/users?q=lowe").json
    assert set(user) == {"username", "display_name", "avatar_url", "url"}
    app.patch_json("/api/user/profile", {"bio": None, "display_name": "Countess"}, headers=token(app, ada))
    assert [user["username"] for user in app.get("/api/users?q=countess").json] == ["ada"]
    assert app.get("/api/users?q=lowe").json == []
    assert [user["username"] for user in search(app, "bob")["users"]] == ["bob"]


def test_filters_combine(app, make_user, post):
    mei = make_user("mei")
    nuts = {"allergens": {"contains": ["nuts"]}}
    post(mei, "Soup one", meal_type="dinner", diets=["vegan"], tags=["winter"], place={"name": "Hut"})
    post(mei, "Soup two", diets=["vegan", "halal"], eaten_at="2026-02-01T12:00:00Z", **nuts)
    post(mei, "Stew", diets=["vegan"], tags=["winter"])
    cases = [
        ({"q": "soup"}, ["Soup two", "Soup one"]),
        ({"q": "soup", "meal_type": "dinner"}, ["Soup one"]),
        ({"q": "soup", "diet": ["vegan", "halal"]}, ["Soup two"]),
        ({"q": "soup", "without": "nuts"}, ["Soup one"]),
        ({"q": "s", "tag": "#Winter"}, ["Stew", "Soup one"]),
        ({"q": "soup", "tag": "winter"}, ["Soup one"]),
        ({"q": "soup", "place": "HUT"}, ["Soup one"]),
        ({"q": "soup", "from": "2026-02-15"}, ["Soup one"]),
        ({"q": "soup", "to": "2026-02-15"}, ["Soup two"]),
        ({"q": "soup", "photo": "true"}, []),
        ({"q": "soup", "photo": "false", "diet": "vegan", "to": "2026-02-15", "meal_type": "lunch"}, ["Soup two"]),
        ({"q": "soup", "tag": "unheard"}, []),
    ]
    for query, expected in cases:
        assert foods(app, headers=None, **query) == expected, query
        assert page_foods(app, **query) == expected, query
        assert [meal["food"] for meal in app.get("/api/meals", query).json] == expected, query
    assert page_foods(app, meal_type="dinner") == ["Soup one"]
    page = app.get("/search", {"q": "soup", "diet": ["vegan", "halal"], "to": "2026-02-15"})
    form = next(form for form in page.forms.values() if "q" in form.fields)
    assert (form["q"].value, form["to"].value) == ("soup", "2026-02-15")
    assert [field._value for field in form.fields["diet"] if field.checked] == ["vegan", "halal"]
    assert page_foods(app, **{"q": "soup", "from": "not a day", "meal_type": "elevenses", "max_id": "-3"}) == [
        "Soup two",
        "Soup one",
    ]


def relate(work, model, account, target, **more):
    with work() as unit:
        unit.session.add(model(id=new_id(), account_id=account.account_id, target_id=target.account_id, **more))


def undo(work, model):
    with work() as unit:
        unit.session.execute(delete(model))


def test_who_finds_what(app, make_user, post, work):
    mei, viewer = make_user("mei"), make_user("viewer")
    for visibility in ("public", "unlisted", "followers", "only_me"):
        post(
            mei,
            f"Dumpling {visibility}",
            visibility=visibility,
            tags=["dumpling"],
            place={"name": f"Dumpling {visibility}"},
        )
    own, theirs = post.headers(mei), post.headers(viewer)

    def seen(headers=None):
        found = search(app, "dumpling", headers)
        return [meal["food"].removeprefix("Dumpling ") for meal in found["meals"]], sorted(
            place["name"].removeprefix("Dumpling ") for place in found["places"]
        )

    everything = ["only_me", "followers", "unlisted", "public"]
    assert seen() == (["public"], ["public"])
    assert seen(theirs) == (["public"], ["public"])
    assert seen(own) == (everything, sorted(everything))
    # A list of everybody's meals stays one, also with a filter.
    assert [meal["food"] for meal in app.get("/api/meals?q=dumpling", headers=own).json] == ["Dumpling public"]
    relate(work, Follow, viewer, mei, state=FollowState.REQUESTED)
    assert seen(theirs)[0] == ["public"]
    undo(work, Follow)
    relate(work, Follow, viewer, mei, state=FollowState.ACCEPTED)
    assert seen(theirs) == (["followers", "public"], ["public"])
    relate(work, Mute, viewer, mei, until=now() + timedelta(hours=1))
    assert seen(theirs) == ([], [])
    assert seen(own)[0] == everything
    undo(work, Mute)
    relate(work, Mute, viewer, mei, until=now() - timedelta(hours=1))
    assert seen(theirs)[0] == ["followers", "public"]
    for one, other in ((viewer, mei), (mei, viewer)):
        relate(work, Block, one, other)
        assert seen(theirs) == ([], [])
        assert search(app, "mei", theirs)["users"] == [] == app.get("/api/users?q=mei", headers=theirs).json
        assert app.get("/api/meals?q=dumpling", headers=theirs).json == []
        assert seen()[0] == ["public"]
        undo(work, Block)
    with work() as unit:
        unit.session.get(Account, mei.account_id).suspended_at = datetime.now(UTC)
    assert seen(theirs) == ([], []) == seen()
    assert search(app, "mei")["users"] == []


def test_what_changes_is_found_by_what_it_says_now(app, make_user, post):
    mei = make_user("mei")
    meal = post(mei, "Porridge", note="with honey")
    headers = post.headers(mei)
    app.patch_json(f"/api/meals/{meal}", {"note": "with jam", "place": {"name": "Kitchen"}}, headers=headers)
    assert (foods(app, "honey"), foods(app, "jam"), foods(app, "kitchen porr")) == ([], ["Porridge"], ["Porridge"])
    app.patch_json(f"/api/meals/{meal}", {"visibility": "only_me"}, headers=headers)
    assert (foods(app, "jam"), foods(app, "jam", headers)) == ([], ["Porridge"])
    app.patch_json(f"/api/meals/{meal}", {"visibility": "public"}, headers=headers)
    assert foods(app, "jam") == ["Porridge"]
    app.delete(f"/api/meals/{meal}", headers=headers)
    assert foods(app, "jam", headers) == []


def test_what_is_avoided_is_not_found(app, make_user, post, work):
    mei, viewer = make_user("mei"), make_user("viewer")
    post(mei, "Nut cake", allergens={"contains": ["nuts"]})
    post(mei, "Plain cake")
    with work() as unit:
        unit.session.add(EatingPreference(account_id=viewer.account_id, mode="hide", avoid=(Allergen.NUTS,)))
    assert foods(app, "cake", post.headers(viewer)) == ["Plain cake"]
    assert foods(app, "cake") == ["Plain cake", "Nut cake"]


def test_pages_follow_each_other_without_gap_or_duplicate(app, make_user, post):
    mei = make_user("mei")
    for number in range(25):
        post(mei, f"Soup {number}", tags=["soup"] if not number else [])
    expected = [f"Soup {number}" for number in reversed(range(25))]
    for path in ("/api/search", "/api/meals"):
        read, address = [], f"{path}?q=soup&limit=10"
        while address:
            answer = app.get(address)
            meals = answer.json if path == "/api/meals" else answer.json["meals"]
            read += [meal["food"] for meal in meals]
            links = dict(reversed(part.split("; rel=")) for part in answer.headers.get("Link", "").split(", ") if part)
            address = links.get('"next"', "").strip("<>").removeprefix("http://localhost")
        assert read == expected, path
    first = app.get("/search?q=soup&meal_type=lunch")
    second = first.click("Older meals")
    shown = [link.text for page in (first, second) for link in page.html.select(".card__food a")]
    assert shown == expected
    # Beside the meals there is something on the first page only.
    oldest = search(app, "soup")["meals"][-1]["id"]
    assert search(app, "soup")["tags"] and not search(app, "soup", max_id=oldest)["tags"]


HOSTILE = (
    '"', "'", "\\", '"soup', 'soup"', "soup*", "*", "soup NEAR soup", 'NEAR("soup" "x", 5)', "soup OR x", "soup AND NOT x", "words:soup",
    "meal_words", "{words} : soup", "- soup", "^soup", "soup & x | !x", "soup:*", "'soup':A", "soup<->x", "a'::tsquery", "');--", "%", "_", "/",
    "%s %(x)s", ":words", "\u202esoup", "\ue000mei", "😀", "\u0301", "\uffff", "a" * 200, "辣" * 200, "a " * 100, "ﷺ" * 200, "\t\n soup \r",
)  # fmt: skip


@pytest.mark.parametrize("face", ["/api/search", "/api/meals", "/api/users", "/api/tags", "/api/places", "/search"])
def test_no_query_breaks_it(app, make_user, post, face):
    post(make_user("mei"), "Soup", place={"name": "100 % soup_shop / it's"})
    for q in HOSTILE:
        answer = app.get(f"{face}?q={quote(q)}", expect_errors=True)
        assert answer.status_int == 200 or (face == "/api/tags" and answer.status_int == 400 and len(q) > 101), ascii(q)
    for q in ("%00", "soup%00", "%ff", "x" * 10_000, "%f0%9f"):
        assert app.get(f"{face}?q={q}", expect_errors=True).status_int in (200, 400), q
    for raw in ("?q", "?", "", "?q=a&q=b", "?place=%00&tag=%00", "?max_id=%00&q=a"):
        assert app.get(f"{face}{raw}", expect_errors=True).status_int in (200, 400), raw
    if face == "/api/places":
        assert len(app.get(f"{face}?q=100 %25 soup_").json) == 1


def test_nothing_to_look_for_and_nothing_found(app):
    for q in ("", " ", "…", "🍜"):
        assert search(app, q) == {"meals": [], "users": [], "tags": [], "places": []}
        assert app.get("/api/meals", {"q": q}).json == []
    app.get("/api/search", status=400)
    app.get("/api/search?q=x&type=recipes", status=400)
    page = app.get("/search")
    assert "Nobody seems to have eaten that yet" not in page and page.html.find("input", id="q")
    assert "Nobody seems to have eaten that yet" in app.get("/search?q=zzz")


@pytest.mark.parametrize("count", [1, 20, 100])
def test_the_number_of_statements_does_not_grow(app, make_user, post, login, registry, work, count_statements, count):
    mei = make_user("mei")
    for number in range(count):
        post(mei, f"Soup {number}", tags=[f"soup{number}"], place={"name": f"Soup bar {number}"})
    for _ in range(min(count, 12) - 1):
        make_user(f"soup_{_}")

    def statements(path, **options):
        with count_statements() as ran:
            app.get(path, **options)
        return len(ran)

    headers = post.headers(mei)
    assert statements("/search?q=soup") == 2
    assert statements("/search?q=soup&meal_type=lunch") == 1
    assert statements("/api/search?q=soup&limit=50") == 2
    assert statements("/api/search?q=soup&type=meals") == 1
    assert statements("/api/meals?q=soup") == 1
    assert statements("/api/meals?q=soup&tag=soup0&place=soup bar 0") == 1
    assert [statements(f"/api/{kind}?q=soup") for kind in ("users", "tags", "places")] == [1, 1, 1]
    assert statements("/api/search?q=soup", headers=headers) == 3
    assert statements("/api/meals?q=soup", headers=headers) == 2
    login(app, mei)
    assert statements("/search?q=soup") == 3


def test_an_index_that_is_missing_fills_itself(app, make_user, post, registry, work, run_jobs):
    people = [make_user(f"mei_{number}") for number in range(3)]
    for number in range(5):
        post(people[0], f"Soup {number}")
    gone = post(people[0], "Gone soup")
    app.delete(f"/api/meals/{gone}", headers=post.headers(people[0]))

    def empty():
        with work() as unit:
            unit.session.execute(text("DELETE FROM meal_words"))
            unit.session.execute(text("DELETE FROM person_words"))

    empty()
    assert search(app, "soup")["meals"] == [] == app.get("/api/users?q=mei").json
    # What is posted before the job has run does not hide what is missing.
    post(people[0], "New soup")
    registry["jobs"].handlers["search.fill"](registry, {})
    run_jobs(registry)
    assert len(foods(app, "soup")) == 6 and len(app.get("/api/users?q=mei").json) == 3
    with work() as unit:
        assert MEALS.is_complete(unit.session) and PEOPLE.is_complete(unit.session)
    registry["jobs"].handlers["search.fill"](registry, {})
    assert run_jobs(registry) == 0
    empty()
    assert list(rebuild(work, "meals", batch=2)) == [2, 2, 2]
    assert list(rebuild(work, "people", batch=2)) == [2, 1]
    assert len(foods(app, "soup")) == 6 and len(app.get("/api/users?q=mei").json) == 3
