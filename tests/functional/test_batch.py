"""Several requests in one: each is judged as if it had come by itself, and together they can do nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from webtest import TestApp

from mealshare import main
from mealshare.api import batch as batches
from mealshare.features.meals.models import Post
from tests.functional.hostile_requests import Somebody, browser_of, send_json
from tests.people import add_user, bearer
from tests.sites import site_settings


def one(method: str, path: str, body: Any = None, id: str = "", **headers: str) -> dict[str, Any]:
    """A request of a batch."""
    request: dict[str, Any] = {"id": id or f"{method} {path}"[:64], "method": method, "path": path}
    if headers:
        request["headers"] = {name.replace("_", "-"): value for name, value in headers.items()}
    return request if body is None else request | {"body": body}


class Batches:
    """Somebody who sends batches over the API."""

    def __init__(self, app: TestApp, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers

    def __call__(self, *requests: dict[str, Any], status: int = 200, **more: Any) -> Any:
        numbered = [{**request, "id": f"{number}"} for number, request in enumerate(requests)]
        answer = self.app.post_json("/api/batch", {"requests": numbered, **more}, headers=self.headers, status=status)
        if status != 200:
            return answer.json
        assert [part["id"] for part in answer.json["responses"]] == [request["id"] for request in numbered]
        return answer.json["responses"]

    def meals(self) -> int:
        with self.app.app.registry["engine"].connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(Post)) or 0)


@pytest.fixture
def mei(app: TestApp, make_user: Callable[..., Any], token: Callable[..., Any]) -> Batches:
    return Batches(app, token(app, make_user("mei")))


def problem(part: dict[str, Any]) -> str:
    """The problem that a part of the answer is."""
    assert part["headers"]["Content-Type"] == "application/problem+json"
    assert part["body"]["status"] == part["status"]
    return str(part["body"]["type"]).rpartition("/")[2]


def test_each_request_is_answered_as_if_it_had_come_by_itself(mei: Batches) -> None:
    soup = {"food": "麻辣烫", "note": "with ${words}"}
    posted, feed, wrong, missing, profile = mei(
        one("POST", "/api/meals", soup), one("GET", "/api/feed/public?limit=1&fields=food"), one("POST", "/api/meals", {"food": 7}),
        one("GET", "/api/meals/117"), one("GET", "/api/user/profile"),
    )  # fmt: skip
    assert posted["status"] == 201
    assert posted["headers"]["Location"].endswith(f"/api/meals/{posted['body']['id']}")
    # It was committed before the next one began.
    assert feed["body"] == [{"food": "麻辣烫"}]
    alone = mei.app.post_json("/api/meals", {"food": 7}, headers=mei.headers, status=422).json
    assert problem(wrong) == "invalid"
    assert wrong["body"]["errors"] == alone["errors"]
    assert problem(missing) == "not_found"
    assert profile["body"]["email"] == "mei@example.org"
    ids = {part["headers"]["X-Request-Id"] for part in (posted, feed, wrong, missing, profile)}
    assert len(ids) == 5
    assert len({id.rpartition(".")[0] for id in ids}) == 1


def test_conditions_keys_and_merge_patches(mei: Batches) -> None:
    key = {"Idempotency_Key": "once"}
    first, again = mei(
        one("POST", "/api/meals", {"food": "soup"}, **key), one("POST", "/api/meals", {"food": "soup"}, **key)
    )
    assert first["body"] == again["body"]
    assert again["headers"]["Idempotency-Replayed"] == "true"
    assert mei.meals() == 1
    path, etag = (
        f"/api/meals/{first['body']['id']}",
        first["headers"].get("ETag")
        or mei.app.get(f"/api/meals/{first['body']['id']}", headers=mei.headers).headers["ETag"],
    )
    patch = {"Content_Type": "application/merge-patch+json"}
    same, packed, changed, late, gone = mei(
        one("GET", path, If_None_Match=etag),
        # As the tag reads that came with an answer in brotli.
        one("GET", path, If_None_Match=f'{etag[:-1]}-br"'),
        one("PATCH", path, {"note": "hot"}, If_Match=etag, **patch),
        one("PATCH", path, {"note": "cold"}, If_Match=etag, **patch),
        one("DELETE", path),
    )
    assert (same["status"], same["body"], packed["status"]) == (304, None, 304)
    assert changed["body"]["note"] == "hot"
    assert problem(late) == "precondition_failed"
    assert (gone["status"], gone["body"]) == (204, None)


def test_a_failure_stops_the_rest_only_if_that_is_wanted(mei: Batches) -> None:
    requests = (
        one("POST", "/api/meals", {"food": "soup"}),
        one("GET", "/api/nothing"),
        one("POST", "/api/meals", {"food": "rice"}),
    )
    assert [part["status"] for part in mei(*requests)] == [201, 404, 201]
    done, failed, left = mei(*requests, stop_on_error=True)
    assert (done["status"], failed["status"], problem(left)) == (201, 404, "batch_stopped")
    # What was done before stays done.
    assert mei.meals() == 3


def test_what_comes_too_late_or_answers_too_much_is_not_run(mei: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = [one("POST", "/api/meals", {"food": "soup"}) for _ in range(3)]
    monkeypatch.setattr(batches, "MOST_BYTES", 100)
    parts = mei(*posts)
    assert [part["status"] for part in parts] == [201, 503, 503]
    assert problem(parts[1]) == "batch_cut"
    monkeypatch.setattr(batches, "MOST_SECONDS", -1.0)
    assert [part["status"] for part in mei(*posts)] == [503] * 3
    assert mei.meals() == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/batch", {"requests": [one("GET", "/api/instance")]}),
        ("POST", "/api/%62atch", {"requests": [one("GET", "/api/instance")]}),
        ("GET", "/api/feed/stream", None),
        ("POST", "/api/media", {"file": "x"}),
        ("PUT", "/api/user/avatar", {"file": "x"}),
        ("POST", "/api/login", {"username": "mei", "password": "x" * 12}),
        ("POST", "/api/users", {"username": "eve", "email": "eve@example.org", "password": "x" * 12}),
        ("POST", "/api/token/refresh", {"refresh_token": "x" * 43}),
        ("POST", "/api/tokens", {"name": "x", "scopes": ["read"]}),
    ],
)
def test_what_stays_out(mei: Batches, method: str, path: str, body: Any) -> None:
    refused, after = mei(one(method, path, body), one("GET", "/api/instance"))
    assert problem(refused) == "not_in_batch"
    assert after["status"] == 200


HOSTILE_PATHS = (
    "//evil.example/api/meals", "http://evil.example/api/meals", "/admin", "/", "", "/api", "/apix/meals", "/API/meals", "/openapi.json",
    "/api/../admin", "/api/%2e%2e/admin", "/api/.%2E/admin", "/api/./meals", "/api//evil", "/api/%2f/evil", "/api/meals\\..\\x", "/api/%5cx",
    "/api/meals#x", "/api/meals\r\nHost: evil", "/api/%0d%0aX:1", "/api/%00", "/api/meals ", " /api/meals", "/api/café", "/api/%zz", "/api/%",
    "/api/meals?a=\n", "/api/meals?<script>", "api/meals", "/api/meals\t", "/api/" + "a" * 5000, "\ud800",
)  # fmt: skip
HOSTILE_HEADERS = (
    {"Authorization": "Bearer x"}, {"Cookie": "session=x"}, {"Host": "evil.example"}, {"X-Forwarded-For": "127.0.0.1"}, {"Origin": "null"},
    {"X-Forwarded-Host": "evil.example"}, {"X-CSRF-Token": "x"}, {"Sec-Fetch-Site": "none"}, {"Content-Length": "0"}, {"Accept": "text/html"},
    {"Transfer-Encoding": "chunked"}, {"X-HTTP-Method-Override": "DELETE"}, {"If-Match": '"a"\r\nCookie: session=x'}, {"If-Match": ""},
    {"if-match\r\nCookie": "x"}, {"If-Match": '"a"', "if-match": '"b"'}, {"Content-Type": "multipart/form-data; boundary=x"}, {"If_Match": "x"},
    {"Content-Type": "application/x-www-form-urlencoded"}, {"Accept-Language": "x" * 2000}, {"If-Match": "é"}, {"": "x"}, {"If-Match": 7},
)  # fmt: skip


def test_a_batch_that_breaks_a_rule_does_nothing(mei: Batches) -> None:
    """The whole of it is refused, whatever else is in it, and says where it is wrong."""
    good = one("POST", "/api/meals", {"food": "soup"})
    wrong: list[tuple[str, Any]] = [("/path", one("GET", path)) for path in HOSTILE_PATHS if path != "\ud800"]
    wrong += [("/headers", one("GET", "/api/meals") | {"headers": headers}) for headers in HOSTILE_HEADERS]
    wrong += [
        ("/method", one(method, "/api/meals")) for method in ("HEAD", "OPTIONS", "TRACE", "get", "CONNECT", "GET\r\n")
    ]
    wrong += [("/url", one("GET", "/api/meals") | {"url": "http://evil.example"})]
    for where, request in wrong:
        errors = mei(good, request, status=422)["errors"]
        assert errors[0]["pointer"].startswith(f"#/requests/1{where}"), request
    for body, where in (
        ({"requests": []}, "#/requests"),
        ({"requests": [good | {"id": f"{number}"} for number in range(21)]}, "#/requests"),
        ({"requests": [good, good]}, "#/requests"),
        ({"requests": [good | {"id": ""}]}, "#/requests/0/id"),
        ({"requests": [good], "stop_on_error": "yes"}, "#/stop_on_error"),
        ({"requests": {"0": good}}, "#/requests"),
    ):
        answer = mei.app.post_json("/api/batch", body, headers=mei.headers, status=422)
        assert answer.json["errors"][0]["pointer"] == where
    big = {"requests": [good | {"body": {"note": "x" * 1_100_000}}]}
    mei.app.post_json("/api/batch", big, headers=mei.headers, status=413)
    surrogate = b'{"requests":[{"id":"a","method":"GET","path":"/api/\\ud800"}]}'
    mei.app.post("/api/batch", surrogate, headers=mei.headers | {"Content-Type": "application/json"}, status=400)
    assert mei.meals() == 0


def test_any_json_arrives_as_it_was_sent(mei: Batches) -> None:
    """What cannot be written again, or not exactly, must not become a 500 or something else."""
    for text in (
        b"1e999",
        b"-0",
        b"1" * 400,
        b"NaN",
        b'"\\u0000"',
        b'"\\u2028"',
        b"[" * 150 + b"]" * 150,
        b'{"a":1,"a":2}',
    ):
        body = b'{"requests":[{"id":"a","method":"POST","path":"/api/meals","body":{"food":%b}}]}' % text
        alone = b'{"food":%b}' % text
        kind = mei.headers | {"Content-Type": "application/json"}
        outer = mei.app.post("/api/batch", body, headers=kind, expect_errors=True)
        direct = mei.app.post("/api/meals", alone, headers=kind, expect_errors=True)
        status = outer.json["responses"][0]["status"] if outer.status_int == 200 else outer.status_int
        assert status == direct.status_int, text


def test_who_asks_is_who_sent_the_batch(
    wsgi_app: Any, registry: Any, make_user: Callable[..., Any], mei: Batches
) -> None:
    """A visitor stays one; a session counts for each request, and needs its form token once; a bad token is refused."""
    visitor = Batches(mei.app, {})
    feed, profile, post = visitor(
        one("GET", "/api/feed/public"), one("GET", "/api/user/profile"), one("POST", "/api/meals", {"food": "soup"})
    )
    assert (feed["status"], problem(profile), problem(post)) == (200, "login_required", "login_required")
    assert "WWW-Authenticate" in profile["headers"]
    # A token that does not count is refused once, and nothing is run as a visitor's.
    wrong = {"Authorization": "Bearer a.b.c"}
    assert Batches(mei.app, wrong)(one("GET", "/api/feed/public"), status=401)["type"].endswith("/token_malformed")

    ann = browser_of(registry, make_user("ann").account_id)
    body = {"requests": [one("POST", "/api/meals", {"food": "soup"}), one("GET", "/api/feed/home")]}
    for who, headers in (
        (Somebody(ann.cookies), {}),
        (ann, {"HTTP_ORIGIN": "http://evil.example"}),
        (ann, {"HTTP_SEC_FETCH_SITE": "cross-site"}),
    ):
        refused = send_json(wsgi_app, "POST", "/api/batch", who, body, **headers)
        assert (refused.status, refused.json["type"].rpartition("/")[2]) == (403, "csrf")
    assert mei.meals() == 0
    posted, home = send_json(wsgi_app, "POST", "/api/batch", ann, body).json["responses"]
    assert (posted["status"], home["body"][0]["food"]) == (201, "soup")
    assert "Set-Cookie" not in posted["headers"]


def test_addresses_of_the_site_do_not_follow_the_host(mei: Batches) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Accept-Language": "zh-CN"}
    posted, missing, english = Batches(mei.app, mei.headers | headers)(
        one("POST", "/api/meals", {"food": "soup"}),
        one("GET", "/api/nothing"),
        one("GET", "/api/nothing", Accept_Language="en"),
    )
    assert posted["headers"]["Location"].startswith("http://localhost/")
    assert missing["headers"]["Content-Language"] != english["headers"]["Content-Language"]


def test_each_request_counts_for_its_limits(mei: Batches, rate_limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    left = int(mei.app.get("/api/instance", headers=mei.headers).headers["X-RateLimit-Remaining"])
    before, *_, last = mei(*[one("GET", "/api/instance") for _ in range(10)])
    # The batch counts as well, and came first.
    assert int(before["headers"]["X-RateLimit-Remaining"]) == left - 2
    assert int(last["headers"]["X-RateLimit-Remaining"]) == left - 11
    while left > 0:
        parts = mei(*[one("GET", "/api/instance") for _ in range(20)])
        left = int(parts[-1]["headers"]["X-RateLimit-Remaining"])
    assert problem(parts[-1]) == "rate_limited"
    assert "Retry-After" in parts[-1]["headers"]
    mei(one("GET", "/api/instance"), status=429)


def test_with_a_pool_of_one_and_at_the_same_time(database_url: str, tmp_path: Path) -> None:
    """A batch holds no connection while its requests want one: otherwise four of them would wait for each other."""
    few = {"db.pool_size": "1", "db.pool_overflow": "0", "db.pool_timeout": "20", "jobs.engine": "worker"}
    application = main({}, **site_settings(tmp_path, database_url, "http://localhost"), **few)
    mei = Batches(TestApp(application), bearer(TestApp(application), add_user(application.registry, "mei")))
    results: list[list[int]] = []

    def send() -> None:
        requests = [one("POST", "/api/meals", {"food": "soup"}), one("GET", "/api/feed/home")] * 3
        results.append([part["status"] for part in mei(*requests)])

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [[201, 200] * 3] * 4
    assert mei.meals() == 12
    application.registry["engine"].dispose()
