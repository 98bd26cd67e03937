"""Meals in the browser's way: forms, redirects, pages."""

from __future__ import annotations

import re

import pytest
from webob import Request
from webtest import Upload


def compose(app, path="/new"):
    return app.get(path).forms[_index(app.get(path))]


def _index(page):
    return next(number for number, form in page.forms.items() if isinstance(number, int) and "food" in form.fields)


def post_meal(app, **fields):
    form = compose(app)
    for name, value in fields.items():
        form[name] = value
    return form.submit(expect_errors=True)


def test_look_without_account_or_cookie(app):
    page = app.get("/")
    assert "What are people eating?" in page
    assert "What did you eat?" in page
    assert "I ate this!" in page
    assert "Nobody has eaten yet, you must all be starving!" in page
    assert page.html.find("html")["lang"] == "en"


def test_everything_is_there_in_chinese(app):
    page = app.get("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert page.html.find("html")["lang"] == "zh-Hans"
    assert "What did you eat?" not in page
    assert re.search("[\u4e00-\u9fff]{4}", page.html.find("h1").text)


def test_post_look_edit_delete(app, make_user, login):
    login(app, make_user("mei"))
    form = compose(app)
    form["food"] = "Dan dan noodles"
    form["note"] = "Too hot <script>alert(1)</script> #noodles"
    form["place"] = "Old Wang’s"
    form["tags"] = "sichuan, 麻辣"
    form["eaten_at"] = "2026-03-01T19:30"
    form["time_zone"] = "Asia/Shanghai"
    form["meal_type"] = "dinner"
    form.set("contains", True, index=next(o for o, f in enumerate(form.fields["contains"]) if f._value == "peanuts"))
    response = form.submit()
    assert response.status_int == 303
    meal_path = response.headers["Location"].removeprefix("http://localhost")
    page = response.follow()
    assert "Published" in page
    assert page.html.find("h1").text == "Dan dan noodles"
    assert "<script>alert" not in page.text
    assert "Contains: Peanuts" in page.html.find(class_="badges").text
    assert [tag.text for tag in page.html.select("ul.tags a")] == ["#sichuan", "#麻辣", "#noodles"]
    assert "Published" not in app.get(meal_path)
    for path in ("/", "/@mei", "/@MEI", "/tags/noodles", "/tags/%E9%BA%BB%E8%BE%A3", "/tags/SICHUAN"):
        assert "Dan dan noodles" in app.get(path), path

    edit = app.get(f"{meal_path}/edit")
    form = edit.forms[_index(edit)]
    assert form["food"].value == "Dan dan noodles"
    assert form["eaten_at"].value == "2026-03-01T19:30"
    assert form["tags"].value == "sichuan 麻辣"
    form["food"] = "Dan dan mian"
    form["visibility"] = "unlisted"
    page = form.submit().follow()
    assert "edited" in page.html.find(class_="byline__when").text
    assert "Dan dan mian" not in app.get("/")
    assert "Dan dan mian" in app.get("/@mei")

    page = app.get(f"{meal_path}/delete")
    form = next(form for form in page.forms.values() if form.action.endswith("/delete"))
    gone = form.submit().follow()
    assert "Dan dan mian" not in gone
    app.get(meal_path, status=404)
    app.get(f"{meal_path}/edit", status=404)


def test_an_error_loses_nothing(app, make_user, login, picture):
    login(app, make_user("mei"))
    form = compose(app)
    form["food"] = "toast"
    form["note"] = "words that took long to write"
    form["recipe_url"] = "not an address"
    form.fields["photo"][0].value = Upload("toast.jpg", picture(), "image/jpeg")
    form.fields["photo_alt"][0].value = "A piece of toast"
    page = form.submit(status=422)
    assert "web address" in page
    form = page.forms[_index(page)]
    assert form["food"].value == "toast"
    assert form["note"].value == "words that took long to write"
    assert form["media_alt"].value == "A piece of toast"
    form["recipe_url"] = ""
    meal = form.submit().follow()
    assert "is being prepared" in meal


def test_a_refused_photo_is_named_and_the_words_stay(app, make_user, login):
    login(app, make_user("mei"))
    form = compose(app)
    form["food"] = "toast"
    form.fields["photo"][0].value = Upload("toast.jpg", b"<script>alert(1)</script>", "image/jpeg")
    page = form.submit(status=422)
    assert page.html.find(id="media-error")
    assert page.forms[_index(page)]["food"].value == "toast"


def test_photos_are_shown_when_they_are_ready(app, make_user, login, picture, run_jobs, registry):
    login(app, make_user("mei"))
    form = compose(app)
    form.fields["photo"][0].value = Upload("IMG_1.PNG", picture("png"), "text/plain")
    form.fields["photo_alt"][0].value = "A red plate"
    response = form.submit()
    assert "is being prepared" in response.follow()
    run_jobs(registry)
    page = app.get(response.headers["Location"])
    image = page.html.find("figure").find("img")
    assert image["alt"] == "A red plate"
    assert app.get(image["src"]).content_type == "image/webp"
    card = app.get("/").html.select_one("article.card img")
    assert app.get(card["src"]).content_length < app.get(image["src"]).content_length
    assert page.html.find("h1").text in {"Breakfast", "Brunch", "Lunch", "Snack", "Dinner", "Late-night bite"}


def test_a_visitor_posts_before_signing_up(app, picture, run_jobs, registry):
    form = compose(app, "/")
    form["food"] = "Shy soup"
    form.fields["photo"][0].value = Upload("soup.jpg", picture(), "image/jpeg")
    response = form.submit()
    assert response.headers["Location"].endswith("/register")
    page = response.follow()
    assert "Your meal is kept" in page
    assert app.get("/api/feed/public").json == []
    form = next(form for form in page.forms.values() if "password" in form.fields)
    form["username"] = "newcomer"
    form["email"] = "new@example.org"
    form["password"] = "plum cobbler on a tuesday"
    page = form.submit().follow()
    assert page.html.find("h1").text == "Shy soup"
    assert page.request.path.startswith("/@newcomer/")
    run_jobs(registry)
    (meal,) = app.get("/api/feed/public").json
    assert meal["food"] == "Shy soup"
    assert meal["media"][0]["state"] == "ready"


def test_a_visitor_with_an_account_logs_in_instead(app, make_user):
    user = make_user("mei")
    form = compose(app, "/")
    form["food"] = "Shy soup"
    form.submit()
    page = app.get("/login")
    form = next(form for form in page.forms.values() if "password" in form.fields)
    form["login"] = user.username
    form["password"] = user.password
    assert form.submit().follow().html.find("h1").text == "Shy soup"


def test_what_a_visitor_wrote_wrongly_is_said_before_the_registration(app):
    form = compose(app, "/")
    form["recipe_url"] = "nonsense"
    page = form.submit(status=422)
    assert page.html.find(id="recipe_url-error")


def test_nobody_edits_what_is_not_theirs(app, make_user, login, token):
    meal = app.post_json("/api/meals", {"food": "mine"}, headers=token(app, make_user("mei"))).json
    path = meal["url"].removeprefix("http://localhost")
    assert "/login?next=" in app.get(f"{path}/edit", status=303).headers["Location"]
    login(app, make_user("tom"))
    app.get(f"{path}/edit", status=403)
    app.get(f"{path}/delete", status=403)
    assert f"{path}/edit" not in app.get(path)


def test_an_edit_over_a_newer_version_asks_first(app, make_user, login, token):
    user = make_user("mei")
    headers = token(app, user)
    meal = app.post_json("/api/meals", {"food": "first"}, headers=headers).json
    login(app, user)
    path = meal["url"].removeprefix("http://localhost")
    page = app.get(f"{path}/edit")
    app.patch_json(f"/api/meals/{meal['id']}", {"food": "second"}, headers=headers)
    form = page.forms[_index(page)]
    form["food"] = "third"
    page = form.submit(status=422)
    assert "changed in the meantime" in page
    assert page.forms[_index(page)]["food"].value == "third"
    page.forms[_index(page)].submit(status=303)
    assert app.get(f"/api/meals/{meal['id']}").json["food"] == "third"


def test_like_button_works_without_script(app, make_user, login, token):
    meal = app.post_json("/api/meals", {"food": "mine"}, headers=token(app, make_user("mei"))).json
    login(app, make_user("tom"))
    page = app.get("/")
    form = next(form for form in page.forms.values() if form.action.endswith("/like"))
    page = form.submit().follow()
    assert app.get(f"/api/meals/{meal['id']}").json["likes_count"] == 1
    form = next(form for form in page.forms.values() if form.action.endswith("/like"))
    form.submit()
    assert app.get(f"/api/meals/{meal['id']}").json["likes_count"] == 0


def test_a_name_in_the_address_that_is_not_the_eaters_is_404(app, make_user, token):
    meal = app.post_json("/api/meals", {"food": "mine"}, headers=token(app, make_user("mei"))).json
    make_user("tom")
    app.get(f"/@tom/{meal['id']}", status=404)
    app.get(f"/@Mei/{meal['id']}")


def test_the_permanent_address_leads_to_the_page(app, make_user, token):
    meal = app.post_json("/api/meals", {"food": "mine"}, headers=token(app, make_user("mei"))).json
    uri = meal["uri"].removeprefix("http://localhost")
    assert app.get(uri, status=303).headers["Location"] == meal["url"]
    app.get(uri.replace("mei", "tom"), status=404)


def test_a_visitor_cannot_fill_the_site_with_kept_meals(app, new_app, rate_limits):
    statuses = [compose(visitor).submit(expect_errors=True).status_int for visitor in (new_app() for _ in range(31))]
    assert set(statuses[:30]) == {422}  # An empty form is not a meal, but its basket counts.
    page = post_meal(app, food="toast")
    assert page.status_int == 422
    assert "too often" in page
    assert page.forms[_index(page)]["food"].value == "toast"


def test_older_meals_come_by_a_plain_link(app, make_user, token):
    headers = token(app, make_user("mei"))
    for number in range(25):
        app.post_json("/api/meals", {"food": f"meal number {number:02}"}, headers=headers)
    page = app.get("/")
    assert len(page.html.select("article.card")) == 20
    older = page.click("Older meals")
    assert len(older.html.select("article.card")) == 5
    assert "Older meals" not in older
    assert "There is nothing older" in app.get("/?max_id=1")


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("signed_in", [False, True])
def test_pages_cost_a_fixed_number_of_statements(app, make_user, login, token, count, signed_in, count_statements):
    user = make_user("mei")
    headers = token(app, user)
    for number in range(count):
        meal = app.post_json("/api/meals", {"food": f"meal {number}", "tags": ["tag"]}, headers=headers).json
    if signed_in:
        login(app, user)
    path = meal["url"].removeprefix("http://localhost")
    for url, most in (("/", 1), ("/@mei", 2), ("/tags/tag", 2), (path, 3)):
        with count_statements() as statements:
            app.get(url)
        assert len(statements) <= most + signed_in, (url, statements)


def test_a_warning_covers_the_photo(app, make_user, login, picture, run_jobs, registry):
    login(app, make_user("mei"))
    form = compose(app)
    form["food"] = "tartare"
    form["note"] = "very raw"
    form["spoiler_text"] = "raw meat"
    form.fields["photo"][0].value = Upload("x.jpg", picture(), "image/jpeg")
    path = form.submit().headers["Location"]
    run_jobs(registry)
    for page in (app.get(path), app.get("/")):
        veil = page.html.find("details", class_="veil")
        assert "raw meat" in veil.find("summary").text
        assert all(image.find_parent("details") for image in page.html.select(".photos img, .meal__photo img"))
        assert all(note.find_parent("details") for note in page.html.select(".card__note, .meal__note"))


@pytest.mark.parametrize(
    "path", ["/@nobody", "/@mei%00/1", "/tags/none", "/tags/%F0%9F%8D%95", "/@mei/99", f"/@mei/{10**30}", "/nothing"]
)
def test_what_is_not_there_is_a_friendly_404(app, make_user, path):
    make_user("mei")
    page = app.get(path, status=404)
    assert "Somebody has eaten this page" in page


def test_bad_bytes_are_400(wsgi_app, registry):
    # Not through WebTest: its own cookie jar cannot read such an address.
    request = Request.blank("/")
    request.environ["PATH_INFO"] = "/\xff"
    response = request.get_response(wsgi_app)
    assert (response.status_int, response.content_type) == (400, "text/html")
    request = Request.blank("/?max_id=%ff")
    assert request.get_response(wsgi_app).status_int < 500


def test_the_wrong_method_is_405(app, make_user, login, token):
    user = make_user("mei")
    private = app.post_json("/api/meals", {"food": "x", "visibility": "only_me"}, headers=token(app, user)).json
    for path, allowed in (
        ("/@mei", "GET, HEAD"),
        ("/about", "GET, HEAD"),
        ("/", "GET, HEAD"),
        ("/new", "GET, HEAD, POST"),
    ):
        response = app.delete(path, headers={"X-CSRF-Token": csrf(app)}, status=405)
        assert response.headers["Allow"] == allowed
        assert response.content_type == "text/html"
    assert app.get("/logout", status=405).headers["Allow"] == "POST"
    # What one may not see has no methods either.
    app.delete(private["url"].removeprefix("http://localhost"), headers={"X-CSRF-Token": csrf(app)}, status=404)


def csrf(app):
    return app.get("/about").html.find("input", {"name": "csrf_token"})["value"]


def test_a_strange_host_changes_nothing(app, make_user, token):
    for host in ("evil.example", "evil.example:80", "localhost.evil.example"):
        page = app.get("/settings/profile", headers={"Host": host}, status=303)
        assert page.headers["Location"].startswith("http://localhost/login")
        assert "evil.example" not in app.get("/", headers={"Host": host})
