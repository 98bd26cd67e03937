"""`Idempotency-Key`: whatever is sent again is done once, and whoever sends it again hears what came of it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from webtest import TestResponse

from mealshare.api.idempotency import KEY_REFUSED, PROBLEMS
from mealshare.api.view import OPERATIONS
from mealshare.core.idempotency.models import IdempotencyKey
from mealshare.core.jobs.models import Job
from mealshare.features.accounts.models import Account, Grant
from mealshare.features.meals.models import Post
from mealshare.features.media.models import Media
from tests.functional.hostile_requests import Somebody, multipart, send, send_json
from tests.functional.races import THREADS, at_once, statuses

POSTS = Post.__table__
#: Operations whose key is not heeded, and why.
WITHOUT = {
    "POST api.batch": "each request in it has its own",
    "POST api.users": "a visitor's, and a name can be taken once only",
    "POST api.login": "a visitor's, and answered with secrets",
    "POST api.token.refresh": "a visitor's, and answered with secrets; done in a transaction of its own",
}


class Person(SimpleNamespace):
    """Somebody with a program."""

    def ask(
        self, method: str, path: str, key: str | None = None, body: Any = None, status: Any = "*", **more: Any
    ) -> TestResponse:
        """Send JSON, or a form that is given as (body, type)."""
        options: dict[str, Any] = {}
        if isinstance(body, tuple):
            options = {"body": body[0], "content_type": body[1]}
        elif body is not None:
            options = {"body": json.dumps(body).encode(), "content_type": "application/json"}
        headers = self.headers | more | ({} if key is None else {"Idempotency-Key": key})
        return self.app.request(path, method=method, headers=headers, status=status, **options)

    def posts(self, food: str = "rice", **more: Any) -> dict[str, Any]:
        """Post a meal."""
        return self.ask("POST", "/api/meals", body={"food": food} | more, status=201).json


@pytest.fixture
def people(app: Any, make_user: Any, token: Any) -> Any:
    """``people("mei", "ann")``: each with a program."""

    def make(*names: str) -> list[Person]:
        users = [make_user(name) for name in names]
        return [Person(app=app, headers=token(app, user), **vars(user)) for user in users]

    return make


def told(answer: TestResponse) -> tuple[Any, ...]:
    """What must be the same."""
    names = ("Location", "ETag", "Content-Type", "Cache-Control", "Vary", "Content-Language")
    return answer.status, answer.body, [answer.headers.get(name) for name in names]


def scalar(registry: Any, statement: Any) -> Any:
    """One value from the database."""
    with registry["engine"].connect() as connection:
        return connection.scalar(statement)


def everything(registry: Any) -> dict[str, Any]:
    """All rows of the site but those of the keys."""
    tables = {mapper.local_table for mapper in Post.registry.mappers} - {IdempotencyKey.__table__}
    with registry["engine"].connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in tables if table.name
        }


def test_everything_that_changes_something(people: Any, registry: Any, picture: Any) -> None:
    """Each request twice: the second changes not one row, and is answered like the first."""
    mei, ann = people("mei", "ann")
    theirs, own, photo = ann.posts()["id"], mei.posts(tags=["a"])["id"], picture("png", size=(8, 8))
    etag = mei.ask("GET", f"/api/meals/{own}").headers["ETag"]
    form = [("file", "a.png", photo), ("description", None, "soup")]
    requests: list[tuple[Any, ...]] = [
        ("POST", "/api/meals", {"food": "soup", "tags": ["a"]}, 201),
        ("POST", "/api/users/mei/meals", {"food": "soup", "tags": ["b"]}, 201),
        ("PATCH", f"/api/meals/{own}", {"note": "hot"}, 200, {"If-Match": etag}),
        ("PUT", f"/api/meals/{own}", {"food": "noodles"}, 200),
        ("POST", "/api/meals/visibility", {"from": ["public"], "to": "followers"}, 200),
        ("POST", f"/api/meals/{theirs}/comments", {"note": "mm"}, 201),
        ("POST", f"/api/meals/{theirs}/ate-too", {}, 201),
        ("PUT", f"/api/meals/{theirs}/like", None, 204),
        ("PUT", "/api/users/ann/follow", None, 200),
        ("PATCH", "/api/user/profile", {"bio": "I eat"}, 200),
        ("POST", "/api/media", multipart(form), 202),
        ("PUT", "/api/user/avatar", multipart([("file", "a.png", photo)]), 200),
        ("DELETE", "/api/user/avatar", None, 204),
        ("DELETE", f"/api/meals/{own}", None, 204),
    ]
    for number, (method, path, body, status, *more) in enumerate(requests):
        key, headers = f"key-{number}", more[0] if more else {}
        first = mei.ask(method, path, key, body, status, **headers)
        assert "Idempotency-Replayed" not in first.headers
        before = everything(registry)
        if path == "/api/media":
            # Whoever uploads again writes the form anew, with another boundary.
            body = multipart(form, boundary="another")
        again = mei.ask(method, path, key, body, status, **headers)
        assert told(again) == told(first), path
        assert again.headers["Idempotency-Replayed"] == "true"
        assert everything(registry) == before, path
        # The id of the request and the limits are those of now.
        assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def test_no_operation_is_forgotten(registry: Any) -> None:
    """What changes something heeds a key, unless the list above says why not."""
    category = registry.introspector.get_category(OPERATIONS)
    operations = [item["introspectable"]["operation"] for item in category]
    unsafe = {f"{one.request_method} {one.route_name}": one for one in operations if one.request_method != "GET"}
    assert len(unsafe) > 30
    assert {name for name, one in unsafe.items() if not one.keyed} == set(WITHOUT)


def test_another_request_under_the_same_key(people: Any, registry: Any) -> None:
    mei, ann = people("mei", "ann")
    meal = mei.ask("POST", "/api/meals", '"one"', {"food": "soup"}, 201).json
    others: list[tuple[Any, ...]] = [
        ("POST", "/api/meals", {"food": "soup "}),
        ("POST", "/api/meals", (b'{"food": "soup"}', "application/json; charset=utf-8")),
        ("POST", "/api/users/mei/meals", {"food": "soup"}),
        ("PUT", f"/api/meals/{meal['id']}", {"food": "soup"}),
        ("POST", "/api/meals?x=1", {"food": "soup"}),
    ]
    for method, path, body in others:
        answer = mei.ask(method, path, "one", body, 422)
        assert answer.json["type"].endswith("/problems/idempotency_key_reused"), path
    # A key is somebody's own: the same word of another person is another key, and tells nothing of the first.
    theirs = ann.ask("POST", "/api/meals", "one", {"food": "soup"}, 201)
    assert theirs.json["id"] != meal["id"]
    assert "Idempotency-Replayed" not in theirs.headers
    assert scalar(registry, select(func.count()).select_from(POSTS)) == 2
    # In quotes and bare it is the same key.
    assert mei.ask("POST", "/api/meals", "one", {"food": "soup"}, 201).json["id"] == meal["id"]


def test_a_secret_is_shown_once(people: Any, registry: Any) -> None:
    """Who repeats what made a token, or a new password, hears that it was done; the secret stands nowhere."""
    (mei,) = people("mei")
    wanted = {"name": "phone", "scopes": ["read"], "expires_at": None}
    first = mei.ask("POST", "/api/tokens", "one", wanted, 201)
    again = mei.ask("POST", "/api/tokens", "one", wanted, 409)
    assert again.json["type"].endswith("/problems/idempotency_done")
    assert again.headers["Location"] == first.headers["Location"]
    assert len(mei.ask("GET", "/api/tokens").json) == 1
    passwords = {"current_password": mei.password, "new_password": "noodles tomorrow at noon"}
    changed = mei.ask("PUT", "/api/user/password", "two", passwords, 200)
    with registry["engine"].connect() as connection:
        kept = repr(connection.execute(select(IdempotencyKey.__table__)).all())
    secrets = [first.json["token"], *changed.json["tokens"].values(), *passwords.values()]
    assert not [secret for secret in secrets if isinstance(secret, str) and len(secret) > 10 and secret in kept]
    # The token that asked has ended with the old password; the new one may ask again and gets no other password.
    mei.ask("PUT", "/api/user/password", "two", passwords, 401)
    mei.headers = {"Authorization": f"Bearer {changed.json['tokens']['access_token']}"}
    assert mei.ask("PUT", "/api/user/password", "two", passwords, 409).json["type"].endswith("/idempotency_done")


def test_an_error_is_not_kept(people: Any, registry: Any) -> None:
    """It has changed nothing, so the key is free for the corrected request."""
    (mei,) = people("mei")
    mei.ask("POST", "/api/meals", "one", {"food": "x", "tags": ["two words"]}, 422)
    mei.ask("POST", "/api/meals", "one", {"food": "x", "media": [{"id": "1"}]}, 422)
    mei.ask("POST", "/api/meals", "one", (b"{", "application/json"), 400)
    assert scalar(registry, select(func.count()).select_from(IdempotencyKey)) == 0
    meal = mei.ask("POST", "/api/meals", "one", {"food": "x"}, 201).json
    path = f"/api/meals/{meal['id']}"
    mei.ask("PATCH", path, "two", {"food": "y"}, 412, **{"If-Match": '"old"'})
    changed = mei.ask("PATCH", path, "two", {"food": "y"}, 200, **{"If-Match": mei.ask("GET", path).headers["ETag"]})
    # The condition is no longer true, because the request itself has changed that.
    again = mei.ask("PATCH", path, "two", {"food": "y"}, 200, **{"If-Match": '"old"'})
    assert told(again) == told(changed)


def test_who_may_no_longer_do_it_is_told_nothing(people: Any, registry: Any) -> None:
    """Limit, authentication, permission and what one may see come before any answer that is kept."""
    mei, ann = people("mei", "ann")
    meal = ann.posts()["id"]
    comment = ("POST", f"/api/meals/{meal}/comments", "one", {"note": "mm"})
    mei.ask(*comment, status=201)
    removed = mei.posts()["id"]
    for path in ("like", "want"):
        mei.ask("PUT", f"/api/meals/{meal}/{path}", path, status=204)
    mei.ask("DELETE", f"/api/meals/{removed}", "gone", status=204)
    ann.ask("PUT", "/api/users/mei/block", status=204)
    mei.ask(*comment, status=404)
    # Only that it was done, which mei knows, and only to mei.
    mei.ask("DELETE", f"/api/meals/{removed}", "gone", status=204)
    ann.ask("DELETE", f"/api/meals/{removed}", "gone", status=404)
    mei.app.delete(f"/api/meals/{removed}", headers={"Idempotency-Key": "gone"}, status=404)
    mei.ask("DELETE", f"/api/meals/{removed}", 'wr"ong', status=404)
    with registry["engine"].begin() as connection:
        connection.execute(update(Grant).values(scopes="read"))
    for method, path, key in (("POST", "/api/meals", "three"), ("DELETE", f"/api/meals/{meal}/like", "like")):
        mei.ask(method, path, key, {"food": "x"} if method == "POST" else None, 403)
    with registry["engine"].begin() as connection:
        connection.execute(Grant.__table__.delete())
    mei.ask(*comment, status=401)
    mei.ask("DELETE", f"/api/meals/{removed}", "gone", status=401)


def test_a_repeat_counts(people: Any, rate_limits: Any) -> None:
    """As any request, and no kept answer is given to whoever has used up the limit."""
    (mei,) = people("mei")
    left = [
        int(mei.ask("POST", "/api/meals", "one", {"food": "x"}, 201).headers["X-RateLimit-Remaining"]) for _ in "123"
    ]
    assert left == [left[0], left[0] - 1, left[0] - 2]
    answers = [mei.ask("POST", "/api/meals", "one", {"food": "x"}) for _ in range(left[-1] + 1)]
    assert Counter(answer.status_int for answer in answers) == {201: left[-1], 429: 1}
    assert answers[-1].status_int == 429


def test_the_price(people: Any, backend: str, count_statements: Any) -> None:
    """Nothing without a key; with one, to look for it, to claim it (on PostgreSQL with a bound) and to keep the answer."""
    (mei,) = people("mei")
    mei.posts()

    def taken(**options: Any) -> list[str]:
        with count_statements() as statements:
            mei.ask("POST", "/api/meals", body={"food": "x"}, status=201, **options)
        return statements

    plain, keyed, again = taken(), taken(key="one"), taken(key="one")
    assert not [statement for statement in plain if "idempotency_keys" in statement or "lock_timeout" in statement]
    assert len(keyed) == len(plain) + (3 if backend == "sqlite" else 5)
    assert len([statement for statement in keyed if "idempotency_keys" in statement]) == 3
    # Who it is, and what was answered.
    assert len(again) == 2
    path = "/api/meals/" + mei.posts()["id"]
    with count_statements() as reading:
        mei.ask("GET", path, "one")
    assert not [statement for statement in reading if "idempotency_keys" in statement]


def test_sweeping(people: Any, registry: Any, run_jobs: Any) -> None:
    """After a day (the setting) a key is free again; not before, and not another's."""
    (mei,) = people("mei")
    ids = [mei.ask("POST", "/api/meals", key, {"food": key}, 201).json["id"] for key in ("old", "new")]
    older, younger = timedelta(hours=24, minutes=1), timedelta(hours=23, minutes=59)
    with registry["engine"].begin() as connection:
        for key, age in (("old", older), ("new", younger)):
            row = IdempotencyKey.__table__
            made = connection.scalar(select(row.c.created_at).where(row.c.key == key))
            connection.execute(update(row).where(row.c.key == key).values(created_at=made - age))
    with registry["open_work"]() as work:
        work.queue.ensure_periodic(work.session)
        work.session.execute(update(Job).values(run_at=Job.created_at))
    run_jobs(registry)
    assert mei.ask("POST", "/api/meals", "new", {"food": "new"}, 201).json["id"] == ids[1]
    assert mei.ask("POST", "/api/meals", "old", {"food": "old"}, 201).json["id"] != ids[0]
    assert mei.ask("POST", "/api/meals", "old", {"food": "anything"}, 422)


def test_a_key_of_the_browsers_own_scripts(app: Any, make_user: Any, login: Any) -> None:
    """With a session it is the same, once the form's token is right."""
    login(app, make_user("mei"))
    form = app.get("/new").forms
    csrf = next(one["csrf_token"].value for one in form.values() if "food" in one.fields)
    headers = {"X-CSRF-Token": csrf, "Idempotency-Key": "one"}
    first, again = (app.post_json("/api/meals", {"food": "x"}, headers=headers, status=201) for _ in "12")
    assert told(first) == told(again)
    app.post_json("/api/meals", {"food": "x"}, headers={"Idempotency-Key": "one"}, status=403)


def test_the_document(app: Any) -> None:
    document = app.get("/openapi.json").json
    for path, takes in (("/api/meals", True), ("/api/media", True), ("/api/login", False), ("/api/batch", False)):
        operation = document["paths"][path]["post"]
        names = [one.get("name") or one["$ref"].rpartition("/")[2] for one in operation.get("parameters", ())]
        assert ("Idempotency-Key" in names) is takes, path
        answers = [
            document["components"]["responses"][one["$ref"].rpartition("/")[2]]
            for status, one in operation["responses"].items()
            if status >= "4"
        ]
        problems = {code for one in answers for code in one["content"]["application/problem+json"]["examples"]}
        known = {code for code in problems if code.startswith("idempotency_")}
        assert known == (set(PROBLEMS) if takes else {KEY_REFUSED}), path


def test_sixteen_at_once(wsgi_app: Any, registry: Any, make_user: Any, token: Any, app: Any, picture: Any) -> None:
    """One meal, one like and one picture with one file, and the same answer for all sixteen."""
    mei = Somebody(authorization=token(app, make_user("mei"))["Authorization"])
    meal = {"food": "rice", "tags": ["a", "b"]}
    one = at_once([lambda: send_json(wsgi_app, "POST", "/api/meals", mei, meal, HTTP_IDEMPOTENCY_KEY="m")] * THREADS)
    assert statuses(one) == {201: THREADS}
    assert len({(answer.body, answer.header("Location"), answer.header("ETag")) for answer in one}) == 1
    assert sum(answer.header("Idempotency-Replayed") == "true" for answer in one) == THREADS - 1
    assert scalar(registry, select(func.count()).select_from(POSTS)) == 1
    assert scalar(registry, select(Account.meals_count).where(Account.meals_count > 0)) == 1
    path = f"/api/meals/{one[0].json['id']}"

    def upload(number: int) -> Any:
        body, kind = multipart([("file", "a.png", picture("png", size=(8, 8)))], boundary=f"b{number}")
        headers = {"HTTP_IDEMPOTENCY_KEY": "p"}
        return lambda: send(wsgi_app, "POST", "/api/media", mei, body=body, content_type=kind, headers=headers)

    files = at_once([upload(number) for number in range(THREADS)])
    assert statuses(files) == {202: THREADS}
    assert len({answer.body for answer in files}) == 1
    assert scalar(registry, select(func.count()).select_from(Media)) == 1
    assert scalar(registry, select(func.count()).select_from(Job).where(Job.name == "media.process")) == 1
    assert len(list(registry["storage"].keys("originals/"))) == 1
    headers = {"HTTP_IDEMPOTENCY_KEY": "d"}
    gone = at_once([lambda: send(wsgi_app, "DELETE", path, mei, headers=headers)] * THREADS)
    assert statuses(gone) == {204: THREADS}
    assert scalar(registry, text("SELECT count(*) FROM idempotency_keys")) == 3
