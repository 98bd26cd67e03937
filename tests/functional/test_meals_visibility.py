"""A change of mind about many meals at once: every count is exact, and every place follows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from mealshare.core.clock import now
from mealshare.features.accounts.models import Account
from mealshare.features.meals import service_visibility
from mealshare.features.meals.events import VisibilityChanged
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import Meal, Post, PostTag, Tag
from mealshare.features.meals.schemas import MealInput
from mealshare.features.meals.service_visibility import VisibilityService
from tests.functional.hostile_requests import browser_of, send_json
from tests.functional.races import THREADS, at_once

ALL = ("public", "unlisted", "followers", "only_me")


@pytest.fixture
def post(registry, work):
    """``post(account_id, visibility, tags, inspired_by=)``: a meal by the service; gives its id."""

    def make(account_id: int, visibility: str, tags: list[str], **options: Any) -> int:
        with work() as unit:
            meal = MealInput.model_validate({"food": "rice", "visibility": visibility, "tags": tags}, strict=False)
            return make_meal_service(unit, registry).post(account_id, meal, **options).id

    return make


def recount(registry: Any) -> None:
    """Every count is that of the rows."""
    posts, tags = Post.__table__, Tag.__table__
    with registry["engine"].connect() as connection:
        meals = connection.execute(select(posts).where(posts.c.deleted_at.is_(None))).all()
        tagged = connection.execute(select(PostTag.tag_id, PostTag.post_id)).all()
        counted = dict(map(tuple, connection.execute(select(tags.c.id, tags.c.meals_count))))
        authors = dict(map(tuple, connection.execute(select(Account.id, Account.meals_count))))
    public = {meal.id for meal in meals if meal.visibility == "public"}
    seen = [meal for meal in meals if meal.visibility in ("public", "unlisted")]
    assert {id: n for id, n in counted.items() if n} == dict(Counter(tag for tag, meal in tagged if meal in public))
    assert {id: n for id, n in authors.items() if n} == dict(Counter(meal.account_id for meal in seen))
    copies = Counter(meal.inspired_by_id for meal in seen if meal.inspired_by_id is not None)
    assert {meal.id: meal.ate_too_count for meal in meals if meal.ate_too_count} == dict(copies)


@pytest.fixture
def table(registry, make_user, post):
    """Two people who have eaten in all ways, each after the other and after themselves, and some meals deleted."""
    mei, bob = make_user("mei"), make_user("bob")
    ids: dict[str, list[int]] = {"mei": [], "bob": []}
    for round in range(3):
        for number, visibility in enumerate(ALL):
            for who, other in (("mei", "bob"), ("bob", "mei")):
                account = {"mei": mei, "bob": bob}[who].account_id
                seen = ids[other if number % 2 else who]
                after = seen[-1] if seen else None
                tags = ["rice", *(["egg"] if number % 2 else []), *(["rare"] if round == 0 else [])]
                ids[who].append(post(account, visibility, tags, inspired_by=after))
    recount(registry)
    return mei, bob, ids


@pytest.mark.parametrize("chunk", [2, 500])
@pytest.mark.parametrize(
    ("visibilities", "to"),
    [
        (("public", "unlisted"), "followers"), (("public",), "unlisted"), (("followers", "only_me"), "public"),
        (ALL, "only_me"), (ALL, "public"), (("unlisted", "followers"), "public"),
    ],
)  # fmt: skip
def test_counts_are_exact(registry, work, table, monkeypatch, visibilities, to, chunk):
    mei, bob, ids = table
    monkeypatch.setattr(service_visibility, "CHUNK", chunk)
    heard: list[VisibilityChanged] = []
    bus = registry["events"]
    monkeypatch.setitem(
        bus.handlers, VisibilityChanged, [*bus.handlers[VisibilityChanged], lambda _work, event: heard.append(event)]
    )
    columns = select(Meal.id, Meal.account_id, Meal.visibility, Meal.version, Meal.edited_at)
    with work() as unit:
        before = {row.id: row for row in unit.session.execute(columns)}
        number = VisibilityService(unit).change(mei.account_id, visibilities, to)
    with work() as unit:
        after = {row.id: row for row in unit.session.execute(columns)}
    wanted = {
        row.id for row in before.values() if row.account_id == mei.account_id and row.visibility in visibilities
    } - {row.id for row in before.values() if row.visibility == to}
    assert number == len(wanted) > 0
    for id, row in before.items():
        change = (to, row.version + 1, None) if id in wanted else (row.visibility, row.version, row.edited_at)
        assert tuple(after[id])[2:] == change
    recount(registry)
    # Each meal is told of once, with those that had the same visibility.
    assert sorted(id for event in heard for id in event.meal_ids) == sorted(wanted)
    for event in heard:
        assert len(event.meal_ids) <= chunk
        assert (event.account_id, event.after) == (mei.account_id, to)
        assert {before[id].visibility for id in event.meal_ids} == {event.before}
    with work() as unit:
        assert VisibilityService(unit).change(mei.account_id, visibilities, to) == 0


def test_over_json(app, make_user, token, post, registry):
    mei, bob = make_user("mei"), make_user("bob")
    mine, theirs = token(app, mei), token(app, bob)
    ids = [post(mei.account_id, "public", ["rice"]) for _ in range(2)]
    old = post(mei.account_id, "public", ["rice"], at=datetime(2020, 1, 1, tzinfo=UTC))
    other = post(bob.account_id, "public", ["rice"])
    assert len(app.get("/api/users/mei/meals").json) == 3
    etag = app.get(f"/api/meals/{old}", headers=mine).headers["ETag"]
    body = {"from": ["public"], "to": "only_me", "before": "2021-01-01T00:00:00+08:00"}
    assert app.post_json("/api/meals/visibility", body, headers=mine).json == {"changed": 1}
    for path in (f"/api/meals/{old}", f"/@mei/{old}"):
        app.get(path, status=404)
        app.get(path, headers=theirs, status=404)
    shown = app.get(f"/api/meals/{old}", headers={**mine, "If-None-Match": etag}, status=200).json
    assert (shown["visibility"], shown["version"], shown["edited_at"]) == ("only_me", 2, None)
    assert app.get("/api/users/mei").json["meals_count"] == 2
    body = {"from": ["public", "unlisted"], "to": "followers"}
    assert app.post_json("/api/meals/visibility", body, headers=mine).json == {"changed": 2}
    assert [meal["id"] for meal in app.get("/api/meals").json] == [str(other)]
    assert [tag["meals_count"] for tag in app.get("/api/tags").json] == [1]
    app.put("/api/users/mei/follow", headers=theirs)
    assert {meal["id"] for meal in app.get("/api/users/mei/meals", headers=theirs).json} == set(map(str, ids))
    # And back, at the same address.
    body = {"from": ["followers", "only_me"], "to": "public"}
    assert app.post_json("/api/meals/visibility", body, headers=mine).json == {"changed": 3}
    app.get(f"/@mei/{old}")
    recount(registry)
    for body, code in (
        ({"from": [], "to": "public"}, "too_few"),
        ({"from": ["everybody"], "to": "public"}, "not_a_choice"),
        ({"from": ["public"]}, "missing"),
        ({"from": ["public"], "to": "only_me", "before": "0001-01-01T00:00:00+14:00"}, "bad_datetime"),
        ({"from": ["public"], "to": "only_me", "before": "2021-01-01"}, "bad_datetime"),
    ):
        answer = app.post_json("/api/meals/visibility", body, headers=mine, status=422)
        assert answer.json["errors"][0]["code"] == code, body
    app.post_json("/api/meals/visibility", {"from": ["public"], "to": "only_me"}, status=401)


def test_in_the_browser(app, make_user, login, post, registry):
    mei = make_user("mei", time_zone="Asia/Shanghai")
    login(app, mei)
    assert "You have not posted any meals yet." in app.get("/settings/privacy")
    for visibility in ("public", "public", "unlisted", "only_me"):
        post(mei.account_id, visibility, ["rice"])
    # The evening of 1 January in London is the 2nd in Shanghai.
    old = post(mei.account_id, "public", [], at=datetime(2020, 1, 1, 20, tzinfo=UTC))
    page = app.get("/settings/privacy")
    form = next(form for form in page.forms.values() if form.action == "/settings/privacy/meals")
    assert [field.checked for field in form.fields["from"]] == [True, True, False, False]
    assert form["to"].value == "followers"
    form["before"] = "2020-01-02"
    assert "nothing would change" in form.submit(status=200)
    form["before"] = "2020-01-03"
    page = form.submit(status=200)
    assert "This changes 1 meal." in page
    confirm = next(form for form in page.forms.values() if "confirmed" in form.fields)
    assert "1 meal is changed." in confirm.submit(status=303).follow()
    app.get(f"/@mei/{old}")
    form["before"] = ""
    page = form.submit(status=200)
    assert "This changes 3 meals." in page
    confirm = next(form for form in page.forms.values() if "confirmed" in form.fields)
    assert "3 meals are changed." in confirm.submit(status=303).follow()
    assert app.get("/api/meals").json == []
    recount(registry)
    form = next(form for form in app.get("/settings/privacy/meals").forms.values() if "from" in form.fields)
    for field in form.fields["from"]:
        field.checked = False
    form["before"] = "2020-13-01"
    page = form.submit(status=422)
    assert page.html.find(id="from-error")
    assert page.html.find(id="before-error")


def test_the_number_of_statements_does_not_grow_with_the_meals(registry, work, make_user, count_statements):
    mei = make_user("mei")
    taken = []
    for number in (1, 20, 100):
        with work() as unit:
            unit.session.execute(insert(Meal), [_row(mei.account_id, number, item) for item in range(number)])
        with count_statements() as statements, work() as unit:
            assert VisibilityService(unit).change(mei.account_id, ["only_me"], "followers") == number
        taken.append(len(statements))
    assert taken[0] == taken[1] == taken[2]


def _row(account_id: int, batch: int, number: int) -> dict[str, Any]:
    name = f"{batch}-{number}"
    return {
        "kind": "meal", "account_id": account_id, "uri": name, "url": name, "food": "rice", "visibility": "only_me",
        "meal_type": "lunch", "eaten_at": now(), "time_zone": "UTC", "eaten_on": now().date(),
    }  # fmt: skip


def test_many_at_once(wsgi_app, registry, make_user, post):
    """Two people turn all their meals over while they edit, copy and delete single ones: every count stays exact."""
    accounts = [make_user(name).account_id for name in ("mei", "bob")]
    people = [browser_of(registry, account_id) for account_id in accounts]
    ids: list[int] = []
    for number in range(12):
        ids.append(post(accounts[number % 2], "public", ["a", "b"], inspired_by=ids[-1] if ids else None))

    def turn(number: int) -> Any:
        me = people[number % 2]

        def run() -> Any:
            for round in range(4):
                to = ALL[(number + round) % 4]
                if number % 4 < 2:
                    answer = send_json(wsgi_app, "POST", "/api/meals/visibility", me, {"from": list(ALL), "to": to})
                    assert answer.status == 200, answer.text
                else:
                    path = f"/api/meals/{ids[(number + 2 * round) % 12]}"
                    body = {"visibility": to, "tags": ["b", "c"][: 1 + round % 2]}
                    answer = send_json(wsgi_app, "PATCH", path, me, body)
                    assert answer.status in (200, 403, 404), answer.text
            return answer

        return run

    at_once([turn(number) for number in range(THREADS)])
    recount(registry)
    with registry["engine"].connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Post)) == 12
