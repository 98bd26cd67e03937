"""Meals over JSON, as a program would use them."""

from __future__ import annotations

import pytest

from mealshare.core.db import record_statements

MEAL = {
    "food": "麻辣香锅",
    "note": "So hot. #麻辣 with @nobody https://example.org/x",
    "meal_type": "dinner",
    "eaten_at": "2026-03-01T19:30:00+08:00",
    "time_zone": "Asia/Shanghai",
    "visibility": "public",
    "sensitive": False,
    "spoiler_text": "",
    "language": "zh-Hans",
    "place": {"name": "Old Wang’s", "city": "Chengdu", "country_code": "cn", "latitude": 30.66, "longitude": 104.06},
    "source": "restaurant",
    "tags": ["Hotpot"],
    "diets": ["halal"],
    "allergens": {"contains": ["peanuts", "sesame"], "free_from": ["milk"]},
    "recipe_url": "https://example.org/recipe",
}


def post(app, headers, **changes):
    return app.post_json("/api/meals", {**MEAL, **changes}, headers=headers, status=201)


def test_a_meal_comes_back_as_it_was_posted(app, make_user, token):
    headers = token(app, make_user("mei"))
    response = post(app, headers)
    meal = response.json
    assert response.headers["Location"] == f"http://localhost/api/meals/{meal['id']}"
    for name in (
        "food",
        "note",
        "meal_type",
        "eaten_at",
        "time_zone",
        "visibility",
        "language",
        "source",
        "diets",
        "allergens",
        "recipe_url",
    ):
        assert meal[name] == MEAL[name], name
    assert meal["eaten_on"] == "2026-03-01"
    assert meal["place"] == {**MEAL["place"], "country_code": "CN"}
    assert [tag["name"] for tag in meal["tags"]] == ["Hotpot", "麻辣"]
    assert '<a href="http://localhost/tags/' in meal["note_html"]
    assert "nofollow" in meal["note_html"]
    assert meal["url"] == f"http://localhost/@mei/{meal['id']}"
    assert meal["uri"] == f"http://localhost/users/mei/posts/{meal['id']}"
    assert meal["viewer"] == {
        "liked": False,
        "wanted": False,
        "ate_too": False,
        "own": True,
        "can_edit": True,
        "avoided": [],
        "not_declared": [],
    }
    assert isinstance(meal["id"], str)
    assert app.get(f"/api/meals/{meal['id']}").json == {
        **meal,
        "viewer": {
            "liked": False,
            "wanted": False,
            "ate_too": False,
            "own": False,
            "can_edit": False,
            "avoided": [],
            "not_declared": [],
        },
    }


def test_only_food_is_enough_and_the_rest_is_guessed(app, make_user, token, registry):
    headers = token(app, make_user("mei", time_zone="Asia/Tokyo"))
    meal = app.post_json("/api/meals", {"food": "toast"}, headers=headers, status=201).json
    assert meal["time_zone"] == "Asia/Tokyo"
    assert meal["eaten_at"].endswith("+09:00")
    assert meal["meal_type"] in {"breakfast", "lunch", "snack", "dinner", "late_night"}
    assert meal["visibility"] == "public"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"food": "", "media": []}, "#", "food_or_photo"),
        ({"food": "x" * 141}, "#/food", "too_long"),
        ({"note": "x" * 2001}, "#/note", "too_long"),
        ({"food": 5}, "#/food", "not_text"),
        ({"food": None}, "#/food", "not_text"),
        ({"meal_type": "second_breakfast"}, "#/meal_type", "not_a_choice"),
        ({"eaten_at": "2026-03-01T19:30:00"}, "#/eaten_at", "bad_datetime"),
        ({"eaten_at": "2999-03-01T19:30:00Z"}, "#/eaten_at", "eaten_at_range"),
        ({"time_zone": "../../etc/passwd"}, "#/time_zone", "bad_time_zone"),
        ({"tags": ["a b"]}, "#/tags/0", "tag_characters"),
        ({"tags": [f"t{n}" for n in range(21)]}, "#/tags", "too_many"),
        ({"note": " ".join(f"#t{n}" for n in range(21)), "tags": []}, "#/tags", "too_many"),
        ({"allergens": {"contains": ["milk"], "free_from": ["milk"]}}, "#/allergens", "allergen_in_both"),
        ({"allergens": {"contains": ["gold"]}}, "#/allergens/contains/0", "not_a_choice"),
        ({"recipe_url": "javascript:alert(1)"}, "#/recipe_url", "bad_url"),
        ({"place": {"name": ""}}, "#/place/name", "too_short"),
        ({"place": {"name": "x", "latitude": 91.0, "longitude": 0.0}}, "#/place/latitude", "too_big"),
        ({"place": {"name": "x", "latitude": 1.0}}, "#/place", "half_a_coordinate"),
        ({"media": [{"id": "99"}]}, "#/media/0", "media_not_found"),
        ({"media": [{"id": "99999999999999999999"}]}, "#/media/0/id", "bad_id"),
        ({"role": "admin"}, "#/role", "unknown"),
        ({"id": "1"}, "#/id", "unknown"),
        ({"language": "x" * 30}, "#/language", "too_long"),
    ],
)
def test_what_is_wrong_is_said_with_a_pointer(app, make_user, token, change, pointer, code):
    headers = token(app, make_user("mei"))
    problem = app.post_json("/api/meals", {**MEAL, **change}, headers=headers, status=422)
    assert problem.content_type == "application/problem+json"
    assert (pointer, code) in {(error["pointer"], error["code"]) for error in problem.json["errors"]}
    assert app.get("/api/meals").json == []


def test_problems_are_in_the_language_of_the_reader(app, make_user, token):
    headers = token(app, make_user("mei")) | {"Accept-Language": "zh-CN"}
    detail = app.post_json("/api/meals", {}, headers=headers, status=422).json["errors"][0]["detail"]
    assert any("\u4e00" <= char <= "\u9fff" for char in detail)


def test_put_replaces_and_patch_changes(app, make_user, token):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    url = f"/api/meals/{meal['id']}"
    patched = app.patch_json(
        url, {"food": "soup", "place": None, "allergens": {"free_from": None}}, headers=headers
    ).json
    assert patched["food"] == "soup"
    assert patched["place"] is None
    assert patched["allergens"] == {"contains": ["peanuts", "sesame"], "free_from": []}
    assert patched["note"] == MEAL["note"]
    assert patched["version"] == meal["version"] + 1
    assert patched["edited_at"] is not None
    replaced = app.put_json(url, {"food": "rice"}, headers=headers).json
    assert replaced["note"] == ""
    assert replaced["tags"] == []
    assert replaced["diets"] == []
    # What the eater's clock said does not change because the client left it out.
    assert replaced["eaten_at"] == meal["eaten_at"]


def test_a_change_of_visibility_is_no_edit(app, make_user, token):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    patched = app.patch_json(f"/api/meals/{meal['id']}", {"visibility": "only_me"}, headers=headers).json
    assert patched["visibility"] == "only_me"
    assert patched["edited_at"] is None
    assert patched["version"] == meal["version"] + 1


def test_a_patch_that_changes_nothing_makes_no_version(app, make_user, token):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    assert app.patch_json(f"/api/meals/{meal['id']}", {"food": meal["food"]}, headers=headers).json == meal


def test_a_stale_version_is_refused(app, make_user, token):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    url = f"/api/meals/{meal['id']}"
    etag = app.get(url, headers=headers).headers["ETag"]
    app.put(f"/api/meals/{meal['id']}/like", headers=headers, status=204)
    # Somebody liked it meanwhile: that does not stand in the way of the words.
    app.patch_json(url, {"food": "one"}, headers=headers | {"If-Match": etag})
    problem = app.patch_json(url, {"food": "two"}, headers=headers | {"If-Match": etag}, status=412)
    assert problem.json["type"].endswith("/precondition_failed")
    app.delete(url, headers=headers | {"If-Match": etag}, status=412)
    assert app.get(url).json["food"] == "one"


def test_not_modified_costs_one_statement(app, make_user, token, count_statements):
    meal = post(app, token(app, make_user("mei"))).json
    url = f"/api/meals/{meal['id']}"
    etag = app.get(url).headers["ETag"]
    with count_statements() as statements:
        app.get(url, headers={"If-None-Match": etag}, status=304)
    assert len(statements) <= 1


@pytest.mark.parametrize("method", ["put_json", "patch_json", "delete_json"])
def test_others_cannot_change_it(app, make_user, token, method):
    meal = post(app, token(app, make_user("mei"))).json
    other = token(app, make_user("tom"))
    problem = getattr(app, method)(f"/api/meals/{meal['id']}", {"food": "mud"}, headers=other, status=403)
    assert problem.json["type"].endswith("/not_yours")
    getattr(app, method)(f"/api/meals/{meal['id']}", {"food": "mud"}, status=401)


@pytest.mark.parametrize("visibility", ["followers", "only_me"])
def test_what_one_may_not_see_is_exactly_like_missing(app, make_user, token, visibility):
    mine, other = token(app, make_user("mei")), token(app, make_user("tom"))
    meal = post(app, mine, visibility=visibility, tags=["secret"]).json
    hidden, missing = f"/api/meals/{meal['id']}", "/api/meals/4711"
    for call, arguments in ((app.get, {}), (app.delete, {}), (app.patch_json, {"params": {"food": "x"}})):
        for headers in (other, {}):
            answers = [call(url, headers=headers, expect_errors=True, **arguments) for url in (hidden, missing)]
            assert answers[0].status_int == answers[1].status_int == 404
            bodies = [
                {k: v for k, v in answer.json.items() if k not in ("request_id", "instance")} for answer in answers
            ]
            assert bodies[0] == bodies[1]
    for url in ("/api/meals", "/api/feed/public", "/api/users/mei/meals", "/api/meals?tag=secret"):
        assert app.get(url, headers=other).json == []
    assert app.get("/api/tags").json == []
    assert app.get("/api/users/mei").json["meals_count"] == 0
    app.get(f"/@mei/{meal['id']}", status=404)
    assert app.get(hidden, headers=mine).json["id"] == meal["id"]
    assert [item["id"] for item in app.get("/api/users/mei/meals", headers=mine).json] == [meal["id"]]


def test_visibility_goes_both_ways(app, make_user, token):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    url = f"/api/meals/{meal['id']}"
    for visibility, count, listed in (("only_me", 0, 0), ("unlisted", 1, 0), ("public", 1, 1)):
        app.patch_json(url, {"visibility": visibility}, headers=headers)
        assert app.get("/api/users/mei").json["meals_count"] == count
        assert len(app.get("/api/feed/public").json) == listed
        assert [tag["meals_count"] for tag in app.get("/api/tags").json] == [1] * (2 * listed)


def test_delete_leaves_nothing_behind(app, make_user, token, registry):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    app.put(f"/api/meals/{meal['id']}/like", headers=headers, status=204)
    app.patch_json(f"/api/meals/{meal['id']}", {"note": "edited"}, headers=headers)
    app.delete(f"/api/meals/{meal['id']}", headers=headers, status=204)
    app.get(f"/api/meals/{meal['id']}", headers=headers, status=404)
    app.delete(f"/api/meals/{meal['id']}", headers=headers, status=404)
    assert app.get("/api/users/mei").json["meals_count"] == 0
    assert app.get("/api/tags").json == []
    with registry["engine"].connect() as connection:
        counts = {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("post_tags", "post_revisions", "likes")
        }
        row = connection.exec_driver_sql("SELECT food, note, note_html, uri FROM posts").one()
        when = connection.exec_driver_sql(
            "SELECT eaten_at, eaten_on, time_zone, meal_type, language, place_id, likes_count FROM posts"
        ).one()
    assert tuple(when) == (None, None, None, None, None, None, 0)
    assert counts == {"post_tags": 0, "post_revisions": 0, "likes": 0}
    assert tuple(row) == ("", "", "", meal["uri"])


def test_the_revision_keeps_what_it_said(app, make_user, token, registry):
    headers = token(app, make_user("mei"))
    meal = post(app, headers).json
    app.patch_json(f"/api/meals/{meal['id']}", {"food": "another"}, headers=headers)
    with registry["engine"].connect() as connection:
        from mealshare.features.meals.models import PostRevision

        (row,) = connection.execute(PostRevision.__table__.select()).all()
    assert row.version == 1
    assert row.content["food"] == "麻辣香锅"


def test_today_is_the_eaters_day(app, make_user, token):
    import time_machine

    user = make_user("mei", time_zone="America/New_York")
    with time_machine.travel("2026-06-10T02:00:00Z", tick=False):
        # It is still the evening of the 9th in New York.
        headers = token(app, user)
        today = app.post_json("/api/meals", {"food": "supper"}, headers=headers, status=201).json
        app.post_json(
            "/api/meals", {"food": "old", "eaten_at": "2026-06-08T19:00:00-04:00"}, headers=headers, status=201
        )
        assert [meal["id"] for meal in app.get("/api/meals/today", headers=headers).json] == [today["id"]]
        assert today["eaten_on"] == "2026-06-09"
    app.get("/api/meals/today", status=401)


def test_post_at_ones_own_address_only(app, make_user, token):
    headers = token(app, make_user("mei"))
    make_user("tom")
    assert (
        app.post_json("/api/users/mei/meals", {"food": "toast"}, headers=headers, status=201).json["user"]["username"]
        == "mei"
    )
    assert (
        app.post_json("/api/users/tom/meals", {"food": "toast"}, headers=headers, status=403)
        .json["type"]
        .endswith("/not_yours")
    )
    app.post_json("/api/users/nobody/meals", {"food": "toast"}, headers=headers, status=404)
    assert len(app.get("/api/users/MEI/meals").json) == 1


@pytest.fixture
def variety(app, make_user, token):
    headers = token(app, make_user("mei"))
    ids = {}
    for name, change in {
        "plain": {"tags": [], "note": "", "diets": [], "allergens": {}, "place": None},
        "halal": {"tags": ["Hotpot"], "note": "", "allergens": {"contains": ["milk"]}},
        "vegan": {
            "diets": ["vegan", "halal"],
            "meal_type": "lunch",
            "eaten_at": "2026-03-05T12:00:00+08:00",
            "allergens": {},
        },
    }.items():
        ids[name] = post(app, headers, **change).json["id"]
    return ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["vegan", "halal", "plain"]),
        ("meal_type=lunch", ["vegan"]),
        ("diet=halal", ["vegan", "halal"]),
        ("diet=halal&diet=vegan", ["vegan"]),
        ("without=milk", ["vegan", "plain"]),
        ("tag=hotpot", ["vegan", "halal"]),
        ("tag=%23HOTPOT", ["vegan", "halal"]),
        ("tag=nothing", []),
        ("place=old%20WANG’s", ["vegan", "halal"]),
        ("from=2026-03-02", ["vegan"]),
        ("to=2026-03-01", ["halal", "plain"]),
        ("from=2026-03-01&to=2026-03-01&diet=halal", ["halal"]),
        ("photo=true", []),
        ("photo=false", ["vegan", "halal", "plain"]),
    ],
)
def test_filters_combine(app, variety, query, names):
    for address in ("/api/meals", "/api/feed/public", "/api/users/mei/meals"):
        assert [meal["id"] for meal in app.get(f"{address}?{query}").json] == [variety[name] for name in names]


@pytest.mark.parametrize(
    "query",
    ["colour=red", "limit=0", "limit=101", "max_id=abc", "skip=10001", "from=yesterday", "photo=maybe", "diet=air"],
)
def test_a_parameter_that_is_not_understood_is_400(app, query):
    assert app.get(f"/api/meals?{query}", status=400).content_type == "application/problem+json"


def test_pages_link_to_each_other(app, make_user, token):
    headers = token(app, make_user("mei"))
    ids = [app.post_json("/api/meals", {"food": f"meal {n}"}, headers=headers).json["id"] for n in range(7)][::-1]
    seen, url = [], "/api/feed/public?limit=3"
    while url:
        response = app.get(url)
        seen += [meal["id"] for meal in response.json]
        url = {rel: link for link, rel in _links(response)}.get("next")
        # Somebody posts while we read: no duplicate, no gap.
        app.post_json("/api/meals", {"food": "new"}, headers=headers)
    assert seen == ids
    response = app.get(f"/api/feed/public?limit=2&max_id={ids[3]}")
    previous = {rel: link for link, rel in _links(response)}["prev"]
    assert [meal["id"] for meal in app.get(previous).json] == ids[2:4]
    assert app.get("/api/users/mei/meals?limit=2&skip=1").json[0]["id"] != ids[0]


def _links(response):
    for part in filter(None, response.headers.get("Link", "").split(", ")):
        target, relation = part.split("; ")
        yield target.strip("<>").removeprefix("http://localhost"), relation.split('"')[1]


@pytest.mark.parametrize("count", [1, 20, 100])
@pytest.mark.parametrize("signed_in", [False, True])
def test_lists_cost_one_statement_whatever_their_length(
    app, make_user, token, registry, count, signed_in, count_statements
):
    user = make_user("mei")
    headers = token(app, user)
    from mealshare.features.meals.factory import make_meal_service
    from mealshare.features.meals.schemas import MealInput

    with registry["open_work"]() as work:
        service = make_meal_service(work, registry)
        for n in range(count):
            service.post(user.account_id, MealInput(food=f"meal {n}", tags=["tag"]))
    reader = headers if signed_in else {}
    for url in ("/api/feed/public?limit=100", "/api/meals?limit=100", "/api/meals?limit=100&meal_type=dinner&tag=tag"):
        with count_statements() as statements:
            app.get(url, headers=reader)
        assert len(statements) == 1 + signed_in, statements
    for url in ("/api/users/mei/meals?limit=100", "/api/feed/tags/tag?limit=100"):
        with count_statements() as statements:
            assert len(app.get(url, headers=reader).json) == count
        assert len(statements) == 2 + signed_in, statements


def test_likes_are_idempotent_and_counted(app, make_user, token):
    mine, other = token(app, make_user("mei")), token(app, make_user("tom"))
    meal = post(app, mine).json
    url = f"/api/meals/{meal['id']}"
    for _ in range(2):
        app.put(f"{url}/like", headers=other, status=204)
    assert app.get(url, headers=other).json["likes_count"] == 1
    assert app.get(url, headers=other).json["viewer"]["liked"] is True
    assert app.get("/api/feed/public", headers=other).json[0]["viewer"]["liked"] is True
    assert app.get(url, headers=mine).json["viewer"]["liked"] is False
    for _ in range(2):
        app.delete(f"{url}/like", headers=other, status=204)
    assert app.get(url).json["likes_count"] == 0
    app.put(f"{url}/like", status=401)
    app.put("/api/meals/4711/like", headers=other, status=404)


def test_wrong_methods_and_bodies(app, make_user, token):
    headers = token(app, make_user("mei"))
    response = app.put_json("/api/meals", {}, headers=headers, status=405)
    assert {method.strip() for method in response.headers["Allow"].split(",")} >= {"GET", "POST"}
    app.post("/api/meals", "food=x", headers=headers, status=415)
    app.post("/api/meals", b"{", content_type="application/json", headers=headers, status=400)
    app.post("/api/meals", b"\xff", content_type="application/json", headers=headers, status=400)
    app.post("/api/meals", b"[" * 100_000, content_type="application/json", headers=headers, status=400)
    app.post(
        "/api/meals",
        b'{"food": "%s"}' % (b"x" * 1_100_000),
        content_type="application/json",
        headers=headers,
        status=413,
    )
    for path in ("/api/meals/%ff", "/api/meals/0", "/api/meals/-1", f"/api/meals/{2**63}", "/api/meals/1%00"):
        assert app.get(path, expect_errors=True).status_int in (400, 404)


def test_the_public_feed_is_one_statement_for_anybody(app, make_user, token):
    post(app, token(app, make_user("mei")))
    with record_statements() as statements:
        app.get("/api/feed/public")
    assert len(statements) == 1


@pytest.fixture
def with_photo(app, make_user, token, picture, run_jobs, registry):
    headers = token(app, make_user("mei"))
    files = [("file", "x.jpg", picture())]
    media = app.post("/api/media", {"description": "before"}, upload_files=files, headers=headers, status=202).json
    meal = app.post_json("/api/meals", {"media": [{"id": media["id"]}]}, headers=headers, status=201).json
    run_jobs(registry)
    return headers, meal["id"], media["id"]


def test_cards_show_a_picture_as_it_is_now(app, with_photo):
    headers, meal_id, media_id = with_photo
    assert app.get("/api/feed/public").json[0]["media"][0]["description"] == "before"
    assert 'alt="before"' in app.get("/")
    app.patch_json(f"/api/media/{media_id}", {"description": "after"}, headers=headers)
    assert app.get("/api/feed/public").json[0]["media"][0]["description"] == "after"
    assert 'alt="after"' in app.get("/")


def test_the_last_picture_of_a_meal_without_words_stays(app, with_photo):
    headers, meal_id, media_id = with_photo
    problem = app.delete(f"/api/media/{media_id}", headers=headers, status=409).json
    assert problem["type"].endswith("/last_picture")
    assert len(app.get(f"/api/meals/{meal_id}").json["media"]) == 1
    app.patch_json(f"/api/meals/{meal_id}", {"food": "words"}, headers=headers)
    app.delete(f"/api/media/{media_id}", headers=headers, status=204)
    assert app.get(f"/api/meals/{meal_id}").json["media"] == []
