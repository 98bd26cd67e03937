"""What a process has in hand of meals is never shown out of its time, nor to whom it is not for.

Whatever happens, a process that keeps pieces answers as one does that keeps none, and as one that has just begun.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from sqlalchemy import update
from webtest import TestApp

from mealshare import main
from mealshare.core.cache.fragments import fragments_of
from mealshare.core.clock import now
from mealshare.core.db import Window
from mealshare.core.jobs import run_due
from mealshare.features.accounts.models import Account
from mealshare.features.meals.models import Post
from mealshare.features.meals.queries import PUBLIC, card_by_id
from tests.sites import site_settings

TOKEN = re.compile(rb'(name="csrf_token" value=")[^"]*')
EXACT = {"latitude": 30.123456789012345, "longitude": -0.30000000000000004}
FIRST = {
    "food": "100% <b>tofu</b> %(when)s", "note": "Hot <!--live--> #tofu @tom", "eaten_at": "2026-03-01T19:30:00+08:00",
    "place": {"name": "Old Chen", "city": "Chengdu", "country_code": "CN", **EXACT}, "tags": ["sichuan"],
    "diets": ["halal"], "allergens": {"contains": ["peanuts"], "free_from": ["milk"]},
}  # fmt: skip


@pytest.fixture
def forgetful(registry, site_folder):
    """The same site in a process that keeps nothing."""
    url = registry["engine"].url.render_as_string(hide_password=False)
    settings = site_settings(site_folder, url, "http://localhost")
    other = main({}, **settings, **{"jobs.engine": "worker", "cache.fragment_megabytes": "0"})
    yield other
    other.registry["engine"].dispose()


@pytest.fixture
def site(registry, wsgi_app, forgetful, make_user, token, login, picture):
    program = TestApp(wsgi_app)
    users = {name: make_user(name) for name in ("mei", "tom", "ann")}
    headers = {name: token(program, user) for name, user in users.items()}
    readers = {"visitor": TestApp(wsgi_app), "chinese": TestApp(wsgi_app)}
    readers["chinese"].extra_environ["HTTP_ACCEPT_LANGUAGE"] = "zh"
    for name, user in users.items():
        readers[name] = TestApp(wsgi_app)
        login(readers[name], user)

    class Site(SimpleNamespace):
        def call(self, name, method, path, body=None, **options):
            if body is None:
                return getattr(program, method)(path, headers=headers[name], **options)
            return getattr(program, f"{method}_json")(path, body, headers=headers[name], **options)

        def post(self, **fields):
            return self.call("mei", "post", "/api/meals", FIRST | fields).json

        def answers(self, reader, app):
            """All that shows meals, as ``reader`` gets it from ``app``."""
            asking = TestApp(app, extra_environ=dict(reader.extra_environ), cookiejar=reader.cookiejar)
            first = self.meals[0]
            paths = ["/", "/@mei", "/api/meals", "/home", "/api/feed/home", "/api/meals?tag=tofu"]
            paths += [first["url"].removeprefix("http://localhost"), f"/api/meals/{first['id']}"]
            found = {}
            for path in paths:
                answer = asking.get(path, expect_errors=True)
                # An error has the id of its request in it.
                body = TOKEN.sub(rb"\1", answer.body) if answer.status_int == 200 else b""
                found[path] = answer.status_int, body
            return found

        def check(self, what):
            """Every reader gets the same of the process that keeps and of the one that does not."""
            run_due(registry)
            for name, reader in readers.items():
                forgetful.registry["cache"].clear()
                right = self.answers(reader, forgetful)
                shown = self.answers(reader, wsgi_app)
                wrong = [path for path in right if shown[path] != right[path]]
                assert not wrong, (what, name, wrong)
                if what in ("posted", "liked", "eaten too"):
                    # What was read and rendered just now, once more.
                    assert self.answers(reader, wsgi_app) == right
            assert registry["fragments"].hits

    found = Site(meals=[], users=users, picture=picture, headers=headers, program=program, registry=registry)
    found.call("tom", "put", "/api/users/mei/follow")
    return found


def execute(site, statement):
    with site.registry["engine"].begin() as connection:
        connection.execute(statement)


def test_whatever_happens_all_are_shown_what_is_so_now(site, app):
    first = site.post()
    site.meals = [first, site.post(food="Soup", visibility="followers"), site.post(food="Rice", note="")]
    one = f"/api/meals/{first['id']}"
    site.check("posted")

    def change(**fields):
        return lambda: site.call("mei", "patch", one, fields)

    def avatar():
        type, body = site.program.encode_multipart([], [("file", "me.jpg", site.picture())])
        site.program.put("/api/user/avatar", body, headers=site.headers["mei"] | {"Content-Type": type})

    def photo():
        upload = [("file", "soup.jpg", site.picture())]
        headers = site.headers["mei"]
        media = site.program.post("/api/media", upload_files=upload, headers=headers, status=202).json
        site.call("mei", "patch", one, {"media": [{"id": media["id"]}]})
        # Seen while it is not ready yet; the checks run the job.
        assert '"state":"processing"' in app.get(one).text

    def eat_too():
        site.meals.append(site.call("tom", "post", f"{one}/ate-too", {"eaten_at": "2026-03-02T12:00:00Z"}).json)

    suspended = update(Account).where(Account.username == "mei")
    steps = {
        "edited": change(food="Mapo tofu", note="Hotter #tofu"),
        "a name": lambda: site.call("mei", "patch", "/api/user/profile", {"display_name": "Mei <Lin>"}),
        "an avatar": avatar,
        "a photo": photo,
        "liked": lambda: site.call("ann", "put", f"{one}/like"),
        "wanted": lambda: site.call("tom", "put", f"{one}/want"),
        "said": lambda: site.call("ann", "post", f"{one}/comments", {"note": "Yum"}),
        "eaten too": eat_too,
        "unliked": lambda: site.call("ann", "delete", f"{one}/like"),
        "warned": lambda: site.call("ann", "put", "/api/preferences", {"mode": "warn", "avoid": ["peanuts", "fish"]}),
        "left out": lambda: site.call("ann", "put", "/api/preferences", {"mode": "hide", "avoid": ["peanuts"]}),
        "a warning": change(spoiler_text="Very hot"),
        "a place": change(place={"name": "Old Chen", "city": "Leshan"}),
        "no comments": change(comments_closed=True),
        "no preferences": lambda: site.call("ann", "put", "/api/preferences", {}),
        "for followers": change(visibility="followers"),
        "blocked": lambda: site.call("mei", "put", "/api/users/ann/block"),
        "only mine": change(visibility="only_me"),
        "public": change(visibility="public"),
        "unblocked": lambda: site.call("mei", "delete", "/api/users/ann/block"),
        "muted": lambda: site.call("ann", "put", "/api/users/mei/mute", {}),
        "language": lambda: site.call("tom", "patch", "/api/user/profile", {"locale": "zh_CN", "time_zone": "Asia/Tokyo"}),
        "suspended": lambda: execute(site, suspended.values(suspended_at=now())),
        "back": lambda: execute(site, suspended.values(suspended_at=None)),
        "deleted": lambda: site.call("mei", "delete", one),
    }  # fmt: skip
    for what, step in steps.items():
        step()
        site.check(what)


def test_the_answers_are_right_and_not_only_equal(site, app):
    meal = site.post()
    place = [app.get("/api/meals").json[0]["place"] for _ in range(2)]
    assert place == [FIRST["place"]] * 2
    for _ in range(2):
        page = app.get("/")
        assert "100% &lt;b&gt;tofu&lt;/b&gt; %(when)s" in page
        assert page.html.find(id=f"meal-{meal['id']}").find("time", attrs={"data-relative": True}).text
        assert {form["csrf_token"].value for form in page.forms.values() if "csrf_token" in form.fields} == {
            page.forms[f"like-{meal['id']}"]["csrf_token"].value
        }
    site.call("mei", "patch", f"/api/meals/{meal['id']}", {"food": "Rice"})
    assert app.get("/api/meals").json[0]["food"] == "Rice"
    assert "Rice" in app.get("/")
    assert "tofu&lt;" not in app.get("/")


def test_a_list_that_was_read_before_takes_one_statement_and_sends_less(site, app, count_statements):
    meals = [site.post(food=f"soup {number}") for number in range(20)]
    with site.registry["read_engine"].connect() as connection:
        fragments = fragments_of(connection)
        site.registry["fragments"].clear()
        misses = []
        for _ in range(3):
            before = fragments.misses
            with count_statements() as statements:
                page = PUBLIC.page(connection, Window())
            misses.append(fragments.misses - before)
            assert len(statements) == 1
            assert [str(card.id) for card in page.items] == [meal["id"] for meal in reversed(meals)]
    assert misses == [21, 0, 0]


def test_what_falls_out_is_read_again(site, app):
    fragments = site.registry["fragments"]
    meals = [site.post(food=f"soup {number}") for number in range(5)]
    expected = app.get("/api/meals").body
    assert app.get("/api/meals").body == expected
    for number in range(2):
        key = next(key for key in list(fragments._entries) if key[0] == int(meals[number]["id"]))
        fragments._entries.pop(key)
        assert app.get("/api/meals").body == expected


def test_what_may_be_rolled_back_is_not_kept(site, registry, app):
    meal = int(site.post(food="Soup")["id"])
    app.get("/api/meals")
    with pytest.raises(RuntimeError), registry["open_work"]() as work:
        change = update(Post).where(Post.id == meal).values(food="Stones", version=Post.version + 1)
        work.session.execute(change)
        assert fragments_of(work.connection) is None
        card = card_by_id(work.connection, meal)
        assert (card.food, card.version) == ("Stones", 2)
        assert registry["meal_json"].one(card, None)
        raise RuntimeError
    site.call("mei", "patch", f"/api/meals/{meal}", {"food": "Rice"})
    found = app.get(f"/api/meals/{meal}").json
    assert (found["food"], found["version"]) == ("Rice", 2)
