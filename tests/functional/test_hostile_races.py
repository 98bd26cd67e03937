"""Sixteen at once: one winner where there can be only one, exact counts, and nothing half done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import func, select

from mealshare.features.accounts.models import Account, User
from mealshare.features.meals.models import Meal, PostTag, Tag
from mealshare.features.media.models import Media, UploadBasket
from mealshare.features.reactions.models import Like
from tests.functional.hostile_requests import (
    Answer,
    Somebody,
    browser_of,
    multipart,
    send,
    send_json,
    urlencoded,
    visitor,
)
from tests.functional.races import THREADS, at_once, statuses

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def mei(wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any) -> Any:
    """Somebody in a program and in a browser."""
    person = make_user("mei")
    person.program = Somebody(authorization=token(app, person)["Authorization"])
    person.browser = browser_of(registry, person.account_id)
    return person


def scalar(registry: Any, statement: Any) -> Any:
    """One value from the database."""
    with registry["engine"].connect() as connection:
        return connection.scalar(statement)


def test_one_name_one_person(wsgi_app: Router, registry: Any) -> None:
    """The same username in sixteen spellings, then the same address with sixteen names."""

    def register(username: str, email: str) -> Callable[[], Answer]:
        body = {"username": username, "email": email, "password": "sesame noodles tonight"}
        return lambda: send_json(wsgi_app, "POST", "/api/users", Somebody(), body)

    spellings = [
        "".join(c.upper() if number >> i & 1 else c for i, c in enumerate("wang")) for number in range(THREADS)
    ]
    answers = at_once([register(name, f"{number}@example.org") for number, name in enumerate(spellings)])
    assert statuses(answers) == {201: 1, 422: THREADS - 1}
    assert {answer.json["errors"][0]["code"] for answer in answers if answer.status == 422} == {"username_taken"}
    answers = at_once([register(f"person{number}", "One@Example.org") for number in range(THREADS)])
    assert statuses(answers) == {201: 1, 422: THREADS - 1}
    assert {answer.json["errors"][0]["code"] for answer in answers if answer.status == 422} == {"email_unusable"}
    assert (
        scalar(registry, select(func.count()).select_from(Account))
        == scalar(registry, select(func.count()).select_from(User))
        == 2
    )


def test_likes_are_counted_exactly(wsgi_app: Router, registry: Any, mei: Any, make_user: Any) -> None:
    """Sixteen people like, take back and like again, each several times, in a browser and over JSON."""
    meal = send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "rice"}).json
    people = [browser_of(registry, make_user(f"fan{number}").account_id) for number in range(THREADS)]

    def press(number: int) -> Callable[[], Answer]:
        def run() -> Answer:
            for round in range(6):
                method = "PUT" if (round + number) % 2 else "DELETE"
                answer = send(wsgi_app, method, f"/api/meals/{meal['id']}/like", people[number])
                assert answer.status == 204, answer.text
            return answer

        return run

    at_once([press(number) for number in range(THREADS)])
    at_once([lambda: send(wsgi_app, "PUT", f"/api/meals/{meal['id']}/like", people[0])] * THREADS)
    rows = scalar(registry, select(func.count()).select_from(Like))
    # The last round of the odd ones is a DELETE, of the even ones a PUT; the first has pressed again.
    assert rows == THREADS // 2 == send(wsgi_app, "GET", f"/api/meals/{meal['id']}").json["likes_count"]


def test_one_edit_for_each_version(wsgi_app: Router, mei: Any) -> None:
    """With If-Match one of sixteen wins each round, and the others are told; nobody's words are lost unseen."""
    path = "/api/meals/" + send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "0"}).json["id"]
    for round in range(1, 4):
        seen = send(wsgi_app, "GET", path, mei.program)
        etag = seen.header("ETag")

        def edit(number: int, round: int = round, etag: str = etag) -> Callable[[], Answer]:
            body = {"food": f"{round}-{number}"}
            method = "PUT" if number % 2 else "PATCH"
            return lambda: send_json(wsgi_app, method, path, mei.program, body, HTTP_IF_MATCH=etag)

        answers = at_once([edit(number) for number in range(THREADS)])
        assert statuses(answers) == {200: 1, 412: THREADS - 1}
        winner = next(answer.json for answer in answers if answer.status == 200)
        now = send(wsgi_app, "GET", path, mei.program).json
        assert (now["food"], now["version"]) == (winner["food"], seen.json["version"] + 1)


def test_patches_of_different_members_all_hold(wsgi_app: Router, mei: Any) -> None:
    """Without If-Match a patch is never refused, and none undoes another."""
    path = "/api/meals/" + send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "rice"}).json["id"]
    patches: list[dict[str, Any]] = [
        {"food": "noodles"}, {"note": "n"}, {"meal_type": "brunch"}, {"spoiler_text": "s"}, {"sensitive": True}, {"language": "fr"}, {"source": "street"},
        {"recipe_url": "https://example.org/"}, {"diets": ["vegan"]}, {"tags": ["t"]}, {"place": {"name": "p"}}, {"visibility": "unlisted"},
        {"allergens": {"contains": ["milk"]}}, {"allergens": {"free_from": ["nuts"]}}, {"time_zone": "Asia/Tokyo"}, {"place": {"city": "c", "name": "p"}},
    ]  # fmt: skip
    answers = at_once([lambda patch=patch: send_json(wsgi_app, "PATCH", path, mei.program, patch) for patch in patches])
    assert statuses(answers) == {200: THREADS}
    meal = send(wsgi_app, "GET", path, mei.program).json
    assert (meal["food"], meal["note"], meal["meal_type"], meal["spoiler_text"], meal["sensitive"]) == (
        "noodles",
        "n",
        "brunch",
        "s",
        True,
    )
    assert (meal["language"], meal["source"], meal["recipe_url"], meal["diets"]) == (
        "fr",
        "street",
        "https://example.org/",
        ["vegan"],
    )
    assert (meal["tags"][0]["name"], meal["visibility"], meal["time_zone"]) == ("t", "unlisted", "Asia/Tokyo")
    assert meal["allergens"] == {"contains": ["milk"], "free_from": ["nuts"]}
    assert (meal["place"]["name"], meal["place"]["city"]) == ("p", "c")


def test_a_picture_is_in_one_meal(wsgi_app: Router, registry: Any, mei: Any, picture: Any) -> None:
    """Sixteen meals want it: one gets it, the others are told, and no empty meal is left behind."""
    body, kind = multipart([("file", "a.png", picture("png", size=(8, 8)))])
    media = send(wsgi_app, "POST", "/api/media", mei.program, body=body, content_type=kind).json["id"]
    wanted = {"media": [{"id": media}]}
    answers = at_once([lambda: send_json(wsgi_app, "POST", "/api/meals", mei.program, wanted)] * THREADS)
    assert statuses(answers) == {201: 1, 422: THREADS - 1}
    assert scalar(registry, select(func.count()).select_from(Meal)) == 1
    assert scalar(registry, select(Media.post_id)) == int(
        next(answer.json["id"] for answer in answers if answer.status == 201)
    )
    assert scalar(registry, select(Account.meals_count).where(Account.id == mei.account_id)) == 1


def test_a_refresh_token_is_good_once(wsgi_app: Router, mei: Any) -> None:
    """Sixteen uses at once: at most one gets tokens, and as two uses mean a thief, those are worthless as well."""
    login = send_json(wsgi_app, "POST", "/api/login", Somebody(), {"username": "mei", "password": mei.password}).json
    refresh = {"refresh_token": login["refresh_token"]}
    answers = at_once([lambda: send_json(wsgi_app, "POST", "/api/token/refresh", Somebody(), refresh)] * THREADS)
    won = [answer.json for answer in answers if answer.status == 200]
    assert len(won) <= 1
    assert statuses(answers)[401] == THREADS - len(won)
    for tokens in (*won, login):
        who = Somebody(authorization=f"Bearer {tokens['access_token']}")
        assert send(wsgi_app, "GET", "/api/user/profile", who).status == 401
        again = send_json(
            wsgi_app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": tokens["refresh_token"]}
        )
        assert again.status == 401
    # Another sign-in of the same person is not touched.
    assert send(wsgi_app, "GET", "/api/user/profile", mei.program).status == 200


def test_deleted_stays_deleted(wsgi_app: Router, registry: Any, mei: Any, make_user: Any) -> None:
    """Deleting while others edit, like and delete: the words are gone, no like lives on, the counts are right."""
    fans = [browser_of(registry, make_user(f"fan{number}").account_id) for number in range(4)]
    form = urlencoded([("food", "secret again"), ("version", "1")])
    for _ in range(4):
        meal = send_json(
            wsgi_app, "POST", "/api/meals", mei.program, {"food": "secret", "note": "#secret", "tags": ["t"]}
        ).json
        path = f"/api/meals/{meal['id']}"
        calls: list[Callable[[], Answer]] = [
            *[lambda path=path: send(wsgi_app, "DELETE", path, mei.program)] * 4,
            *[lambda path=path: send_json(wsgi_app, "PATCH", path, mei.program, {"food": "secret again"})] * 3,
            *[lambda path=path: send_json(wsgi_app, "PUT", path, mei.program, {"food": "secret once more"})] * 3,
            *[
                lambda id=meal["id"]: send(
                    wsgi_app, "POST", f"/@mei/{id}/edit", mei.browser, body=form, content_type=FORM
                )
            ]
            * 2,
            *[lambda path=path, fan=fan: send(wsgi_app, "PUT", f"{path}/like", fan) for fan in fans],
        ]
        answers = at_once(calls)
        assert statuses(answers[:4]) == {204: 1, 404: 3}
        assert send(wsgi_app, "GET", path, mei.program).status == 404
        table = Meal.__table__
        with registry["engine"].connect() as connection:
            row = connection.execute(select(table).where(table.c.id == int(meal["id"]))).one()
        assert (row.food, row.note, row.note_html, row.likes_count) == ("", "", "", 0)
        assert row.deleted_at is not None
    for model in (Like, PostTag):
        assert scalar(registry, select(func.count()).select_from(model)) == 0
    assert scalar(registry, select(func.sum(Tag.meals_count))) == 0
    assert scalar(registry, select(Account.meals_count).where(Account.id == mei.account_id)) == 0


def test_counts_follow_the_visibility(wsgi_app: Router, registry: Any, mei: Any) -> None:
    """Sixteen threads hide and show the same four meals with the same tags: tag and person count what is there."""
    ids = [
        send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "rice", "tags": ["b", "a", "c"]}).json["id"]
        for _ in range(4)
    ]

    def turn(number: int) -> Callable[[], Answer]:
        def run() -> Answer:
            for round in range(4):
                visibility = ("only_me", "public", "unlisted", "followers")[(number + round) % 4]
                path = f"/api/meals/{ids[(number + round) % 4]}"
                answer = send_json(
                    wsgi_app,
                    "PATCH",
                    path,
                    mei.program,
                    {"visibility": visibility, "tags": ["a", "c"] if round % 2 else ["c", "b"]},
                )
                assert answer.status == 200, answer.text
            return answer

        return run

    at_once([turn(number) for number in range(THREADS)])
    meals = send(wsgi_app, "GET", "/api/users/mei/meals", mei.program).json
    listed = Counter(tag["name"] for meal in meals if meal["visibility"] == "public" for tag in meal["tags"])
    with registry["engine"].connect() as connection:
        counted = {name: count for name, count in connection.execute(select(Tag.name, Tag.meals_count)).all() if count}
    assert counted == dict(listed)
    open_ones = sum(meal["visibility"] in ("public", "unlisted") for meal in meals)
    assert send(wsgi_app, "GET", "/api/users/mei").json["meals_count"] == open_ones


def test_a_basket_is_published_once(wsgi_app: Router, registry: Any, make_user: Any, picture: Any) -> None:
    """One visitor's meal, and several sign-ins at once with the cookie of its basket: one meal, in one account."""
    body, kind = multipart([("food", None, "dumplings"), ("photo", "a.png", picture("png", size=(8, 8)))])
    kept = send(wsgi_app, "POST", "/new", visitor(), body=body, content_type=kind)
    assert (kept.status, kept.header("Location")) == (303, "http://localhost/register")
    basket = kept.header("Set-Cookie").split("basket=")[1].split(";")[0]
    people = [make_user(f"guest{number}") for number in range(8)]

    def sign_in(person: Any) -> Callable[[], Answer]:
        who = Somebody({**visitor().cookies, "basket": basket}, visitor().csrf)
        form = urlencoded([("login", person.username), ("password", person.password)])
        return lambda: send(wsgi_app, "POST", "/login", who, body=form, content_type=FORM)

    answers = at_once([sign_in(person) for person in people])
    assert statuses(answers) == {303: 8}
    assert scalar(registry, select(func.count()).select_from(Meal)) == 1
    assert scalar(registry, select(func.count()).select_from(UploadBasket)) == 0
    with registry["engine"].connect() as connection:
        media = connection.execute(select(Media.account_id, Media.post_id)).one()
        assert tuple(media) == tuple(connection.execute(select(Meal.__table__.c.account_id, Meal.__table__.c.id)).one())
