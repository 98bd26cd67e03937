"""Explore, what to eat, and what to fill in: both faces, for visitors and people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from mealshare.core.db import record_statements
from mealshare.core.ids import new_id
from mealshare.features.reactions.models import Want
from mealshare.features.timelines.models import TimelineEntry, TimelinePull


def post(app, headers, **meal):
    return app.post_json("/api/meals", meal, headers=headers, status=201).json


def test_explore_shows_the_meals_of_a_kind_and_keeps_the_kind_when_paging(app, make_user, token):
    headers = token(app, make_user("mei"))
    for number in range(25):
        post(app, headers, food=f"Noodles {number}", meal_type="lunch", tags=["noodles"])
    post(app, headers, food="Porridge", meal_type="breakfast")
    page = app.get("/explore?meal_type=lunch")
    assert "Porridge" not in page and "Noodles 24" in page and "#noodles" in page
    older = page.html.select_one(".pager a")["href"]
    assert "meal_type=lunch" in older
    assert "Noodles 0" in app.get(older)
    assert "Porridge" in app.get("/explore?meal_type=nonsense&photo=1")


@pytest.mark.parametrize("count", [1, 20, 100])
def test_explore_and_the_draw_take_as_many_statements_for_one_meal_as_for_a_hundred(
    app, make_user, token, login, count
):
    user = make_user("mei")
    headers = token(app, user)
    for number in range(count):
        post(app, headers, food=f"Noodles {number}", tags=["noodles"])
    login(app, make_user("ada"))
    for path, most in (("/explore", 3), ("/random", 3)):
        app.get(path)
        with record_statements() as statements:
            app.get(path)
        assert len(statements) == most, path


def test_a_visitor_draws_from_everybody_and_gets_another_one(app, make_user, token):
    headers = token(app, make_user("mei"))
    first, second = post(app, headers, food="Soup"), post(app, headers, food="Rice")
    ids = {app.get("/api/meals/random").json["id"] for _ in range(30)}
    assert ids == {first["id"], second["id"]}
    for _ in range(5):
        assert "Rice" in app.get(f"/random?but={first['id']}")
    answer = app.get("/api/meals/random")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


def test_nothing_to_draw_is_told(app):
    assert "Nothing fits" in app.get("/random")
    problem = app.get("/api/meals/random", status=404).json
    assert problem["type"].endswith("/nothing_to_draw")


def test_the_draw_knows_ones_wants_ones_favourites_and_whom_one_follows(app, make_user, token, work):
    mei, ada = make_user("mei"), make_user("ada")
    hers, mine = token(app, mei), token(app, ada)
    wanted, followed, other = (post(app, hers, food=food) for food in ("Wanted", "Followed", "Other"))
    long_ago = datetime.now(UTC) - timedelta(days=60)
    for days in (0, 5):
        post(
            app,
            mine,
            food="My favourite" if days else "ＭＹ favourite",
            eaten_at=(long_ago + timedelta(days=days)).isoformat(),
        )
    post(app, mine, food="Only once", eaten_at=long_ago.isoformat())
    for days in (1, 40):
        post(app, mine, food="Lately", eaten_at=(datetime.now(UTC) - timedelta(days=days)).isoformat())
    with work() as unit:
        unit.session.execute(insert(Want).values(id=new_id(), post_id=int(wanted["id"]), account_id=ada.account_id))
        unit.session.execute(
            insert(TimelineEntry).values(
                account_id=ada.account_id, post_id=int(followed["id"]), author_id=mei.account_id
            )
        )
    foods = {app.get("/api/meals/random", headers=mine).json["food"] for _ in range(60)}
    assert foods == {"Wanted", "Followed", "My favourite"}
    for source, food in (("want", "Wanted"), ("followed", "Followed"), ("favourite", "My favourite")):
        assert app.get(f"/api/meals/random?source={source}", headers=mine).json["food"] == food
    everybody = {app.get("/api/meals/random?source=public", headers=mine).json["food"] for _ in range(40)}
    assert everybody == {"Wanted", "Followed", "Other"}
    assert other["food"] in everybody


def test_the_draw_honours_type_place_and_allergens(app, make_user, token):
    headers = token(app, make_user("mei"))
    post(app, headers, food="Peanut soup", meal_type="lunch", allergens={"contains": ["peanuts"]})
    post(app, headers, food="Rice", meal_type="dinner", place={"name": "Chez Nous"})
    for query, food in (("meal_type=lunch", "Peanut soup"), ("place=chez+nous", "Rice"), ("without=peanuts", "Rice")):
        assert {app.get(f"/api/meals/random?{query}").json["food"] for _ in range(8)} == {food}
    app.get("/api/meals/random?meal_type=dinner&without=peanuts&place=elsewhere", status=404)
    app.get("/api/meals/random?nonsense=1", status=400)
    assert "Peanut soup" in app.get("/random?meal_type=lunch&source=bogus")


def test_what_nobody_else_may_see_is_never_drawn(app, make_user, token):
    headers = token(app, make_user("mei"))
    for visibility in ("only_me", "followers", "unlisted"):
        post(app, headers, food=visibility, visibility=visibility)
    app.get("/api/meals/random", status=404)


def test_suggestions_come_from_ones_own_last_meals(app, make_user, token):
    headers = token(app, make_user("mei", time_zone="Asia/Shanghai"))
    app.get("/api/meals/suggestions", status=401)
    assert app.get("/api/meals/suggestions", headers=headers).json["meal_types"][20] == "breakfast"
    for day in (1, 2, 3):
        post(
            app, headers, food="Brunch", meal_type="brunch", eaten_at=f"2026-03-0{day}T10:15:00+08:00",
            place={"name": "Canteen"}, tags=["weekend"],
        )  # fmt: skip
    post(app, headers, food="Toast", eaten_at="2026-03-05T07:00:00+08:00", place={"name": "Home"})
    learnt = app.get("/api/meals/suggestions", headers=headers).json
    assert len(learnt["meal_types"]) == 48
    assert (learnt["meal_types"][20], learnt["meal_types"][24]) == ("brunch", "lunch")
    assert learnt["places"] == ["Canteen", "Home"]
    assert learnt["tags"] == ["weekend"]
    # And a meal that is posted without saying which takes the same guess.
    assert post(app, headers, food="Eggs", eaten_at="2026-03-06T10:00:00+08:00")["meal_type"] == "brunch"
    others = token(app, make_user("ada", time_zone="Asia/Shanghai"))
    assert post(app, others, food="Eggs", eaten_at="2026-03-06T10:00:00+08:00")["meal_type"] == "breakfast"


def test_the_compose_page_offers_ones_own_places(app, make_user, token, login):
    user = make_user("mei")
    post(app, token(app, user), food="Rice", place={"name": "Chez <Nous>"})
    assert not app.get("/new").html.select("#own-places")
    login(app, user)
    options = app.get("/new").html.select("#own-places option")
    assert [option["value"] for option in options] == ["Chez <Nous>"]


def test_the_draw_knows_authors_whose_meals_are_not_written_for_each(app, make_user, token, work):
    mei, ada = make_user("mei"), make_user("ada")
    post(app, token(app, mei), food="Followed by many")
    with work() as unit:
        unit.session.execute(insert(TimelinePull).values(account_id=ada.account_id, author_id=mei.account_id))
    path = "/api/meals/random?source=followed"
    assert app.get(path, headers=token(app, ada)).json["food"] == "Followed by many"
