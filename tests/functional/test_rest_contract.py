"""What every address of the API promises, asked of each: HEAD, OPTIONS, wrong methods and parameters, entity tags.

All of it is worked through by the route table, so a new operation is asked as well; where an answer needs a good body,
a table below has it, and an operation that is in no table fails.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router

from mealshare.api.fields import FIELDS, paths_of
from mealshare.api.view import OPERATIONS, Operation
from tests.functional.hostile_requests import (
    METHODS,
    Answer,
    Somebody,
    browser_of,
    multipart,
    route_table,
    send,
    send_json,
)
from tests.functional.matrix import World

JSON, PROBLEM = "application/json", "application/problem+json"
#: What is new in each answer.
CHANGING = {"x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"}
TOKEN = {"name": "script", "scopes": ["read"], "expires_at": None}
#: Bodies with which a thing is made.
CREATED: dict[str, Any] = {
    "api.users": {"username": "newcomer", "email": "newcomer@example.org", "password": "sesame noodles at midnight"},
    "api.meals": {"food": "soup"},
    "api.user.meals": {"food": "soup"},
    "api.meal.ate_too": {"note": "me too"},
    "api.meal.comments": {"note": "looks good"},
    "api.tokens": TOKEN,
}
#: Bodies with which a thing is changed; two, because the second client has to fail.
CHANGED: dict[tuple[str, str], tuple[Any, Any]] = {
    ("api.meal", "PUT"): ({"food": "one"}, {"food": "two"}),
    ("api.meal", "PATCH"): ({"food": "one"}, {"food": "two"}),
    ("api.meal", "DELETE"): (None, None),
    ("api.comment", "PATCH"): ({"note": "one"}, {"note": "two"}),
    ("api.comment", "DELETE"): (None, None),
    ("api.media.item", "PATCH"): ({"description": "one"}, {"description": "two"}),
    ("api.media.item", "DELETE"): (None, None),
    ("api.profile", "PATCH"): ({"bio": "one"}, {"bio": "two"}),
    ("api.preferences", "PUT"): ({"avoid": ["milk"]}, {"avoid": ["eggs"]}),
    ("api.notifications.settings", "PUT"): ({"like": False}, {"follow": False}),
    ("api.tokens.item", "DELETE"): (None, None),
}


@pytest.fixture
def world(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any, run_jobs: Any, picture: Any
) -> World:  # fmt: skip
    """The author, one who acts upon what the author posts, and one who may more; signed in both ways."""
    people = {
        name: make_user(name, role=role)
        for name, role in {"author": "user", "stranger": "user", "admin": "admin"}.items()
    }
    browsers = {name: browser_of(registry, person.account_id) for name, person in people.items()}
    programs = {name: Somebody(authorization=token(app, person)["Authorization"]) for name, person in people.items()}
    return World(
        wsgi_app, registry, people, browsers, programs, route_table(registry), run_jobs, picture(size=(40, 30))
    )


class Things:
    """Something of the author's behind every address."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.author = world.programs["author"]
        self.thing = world.post("public")
        # Something that the author can draw.
        send_json(world.app, "POST", "/api/meals", world.programs["stranger"], {"food": "noodles"})
        self.own_comment = self.json("POST", f"/api/meals/{self.thing.id}/comments", {"note": "mine"})["id"]
        self.token_id = self.json("POST", "/api/tokens", TOKEN)["id"]
        body, kind = multipart([("file", "a.jpg", world.picture)])
        self.free_media = send(world.app, "POST", "/api/media", self.author, body=body, content_type=kind).json["id"]
        world.run_jobs(world.registry)

    def json(self, method: str, path: str, value: Any) -> Any:
        """What the author is answered."""
        answer = send_json(self.world.app, method, path, self.author, value)
        assert answer.status < 300, answer.text
        return answer.json

    def path(self, name: str) -> str:
        """The address of the thing under the route."""
        own = {"api.tokens.item": self.token_id, "api.comment": self.own_comment, "api.media.item": self.free_media}
        route = self.world.table[name]
        if name in own:
            return self.world.fill(route, id=own[name])
        if name == "api.user.follower":
            return self.world.fill(route, follower="stranger")
        query = {"api.users": "?q=au", "api.places": "?q=sec", "api.search": "?q=unmistakable"}
        return self.world.path(route, self.thing) + query.get(name, "")

    def who_may(self, method: str, path: str) -> Somebody:
        """The first one whom the address does not turn away; the author in the end."""
        for who in (self.author, self.world.browsers["author"], self.world.programs["admin"]):
            if send(self.world.app, method, with_query(path, "nonsense=1"), who).status not in (401, 403):
                return who
        return self.author


@pytest.fixture
def things(world: World) -> Things:
    """Something of the author's behind every address."""
    return Things(world)


def operations(registry: Any) -> list[Operation]:
    """All that the API can do, documented or not, but for what never ends."""
    found = [item["introspectable"]["operation"] for item in registry.introspector.get_category(OPERATIONS)]
    return [operation for operation in found if operation.media_type == JSON]


def reads(registry: Any) -> list[Operation]:
    """Those that answer a GET."""
    return [operation for operation in operations(registry) if operation.request_method == "GET"]


def with_query(path: str, more: str) -> str:
    """The address with one more parameter."""
    return f"{path}{'&' if '?' in path else '?'}{more}"


def lasting(answer: Answer) -> list[tuple[str, str]]:
    """The headers but for what is new in each answer."""
    return sorted((name.lower(), value) for name, value in answer.headers if name.lower() not in CHANGING)


@pytest.mark.parametrize("coding", ["identity", "br"])
def test_head_is_get_without_the_body(things: Things, registry: Any, coding: str) -> None:
    asked = {"HTTP_ACCEPT_ENCODING": coding}
    for operation in reads(registry):
        good = things.path(operation.route_name)
        for path in (good, with_query(good, "nonsense=1")):
            get, head = (
                send(things.world.app, method, path, things.author, headers=asked) for method in ("GET", "HEAD")
            )
            assert (head.status, lasting(head)) == (get.status, lasting(get)), path
            assert head.body == b"", path


def test_options_and_wrong_methods(things: Things, registry: Any) -> None:
    """``Allow`` names exactly what an address answers to."""
    world = things.world
    for name, route in world.table.items():
        if name not in registry["api_routes"]:
            continue
        # As somebody who sees it, with a parameter that every operation refuses before it does anything.
        path = with_query(things.path(name).partition("?")[0], "nonsense=1")
        options = send(world.app, "OPTIONS", path, things.author)
        assert (options.status, options.body) == (204, b""), name
        allowed = options.header("Allow").split(", ")
        assert allowed == sorted({"OPTIONS", *allowed}), name
        assert options.header("Accept-Patch") == (
            "application/json, application/merge-patch+json" if "PATCH" in allowed else ""
        ), name
        for method in (*METHODS, "TRACE", "LINK"):
            answer = send(world.app, method, path, things.author)
            assert (answer.status != 405) is (method in allowed), (name, method, answer.status)
            if answer.status == 405:
                assert answer.header("Allow").split(", ") == allowed, (name, method)
                assert method == "HEAD" or answer.json["type"].endswith("/problems/method_not_allowed"), name
                assert answer.header("Content-Type") == PROBLEM, (name, method)
        assert route.methods <= set(allowed), name


def test_an_unknown_parameter_is_refused_everywhere(things: Things, registry: Any) -> None:
    """Also by what changes something, which then does not."""
    before = things.world.rows()
    for operation in operations(registry):
        path = things.path(operation.route_name)
        who = things.who_may(operation.request_method, path)
        for method in {
            operation.request_method,
            "HEAD" if operation.request_method == "GET" else operation.request_method,
        }:
            answer = send(things.world.app, method, with_query(path, "nonsense=1"), who)
            assert (answer.status, answer.header("Content-Type")) == (400, PROBLEM), (method, path, answer.text)
            if method != "HEAD":
                assert answer.json["type"].endswith("/problems/unknown_parameter"), path
                assert "nonsense" in [error["parameter"] for error in answer.json["errors"]], path
    assert things.world.rows() == before


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_every_get_has_a_tag_and_knows_it_again(things: Things, registry: Any, coding: str) -> None:
    """But for what is kept nowhere.  The 304 says of caching what the 200 said."""
    asked, found = {"HTTP_ACCEPT_ENCODING": coding}, 0
    for operation in reads(registry):
        path = things.path(operation.route_name)
        get = send(things.world.app, "GET", path, things.author, headers=asked)
        assert get.status == 200, (path, get.text)
        if "no-store" in get.header("Cache-Control"):
            continue
        found += 1
        etag = get.header("ETag")
        assert etag.startswith('"') and etag.endswith('-gzip"') is (get.header("Content-Encoding") == "gzip"), path
        for method in ("GET", "HEAD"):
            again = send(things.world.app, method, path, things.author, headers=asked | {"HTTP_IF_NONE_MATCH": etag})
            assert (again.status, again.body, again.header("ETag")) == (304, b"", etag), path
            for name in ("Cache-Control", "Vary"):
                assert again.header(name) == get.header(name), (path, name)
        other = send(things.world.app, "GET", path, things.author, headers=asked | {"HTTP_IF_NONE_MATCH": '"other"'})
        assert (other.status, other.body) == (200, get.body), path
    assert found > 20


def test_sparse_fields_everywhere(things: Things, registry: Any) -> None:
    """Every GET of declared members takes them, and refuses others."""
    found = 0
    for operation in reads(registry):
        shape, path = operation.shape, things.path(operation.route_name)
        if shape is None:
            refused = send(things.world.app, "GET", with_query(path, "fields=id"), things.author)
            assert refused.json["type"].endswith("/unknown_parameter"), path
            continue
        found += 1
        whole = send(things.world.app, "GET", path, things.author).json
        for name in (next(iter(shape)), [*paths_of(shape)][-1]):
            answer = send(things.world.app, "GET", with_query(path, f"{FIELDS}={name}"), things.author)
            assert answer.status == 200, (path, name)
            assert answer.json == only(whole, name.split(".")), (path, name)
        # What is declared is what there is.
        answer = send(things.world.app, "GET", with_query(path, f"{FIELDS}={','.join(shape)}"), things.author)
        assert answer.json == whole, path
        refused = send(things.world.app, "GET", with_query(path, f"{FIELDS}=nonsense"), things.author)
        assert (refused.status, refused.json["errors"][0]["parameter"]) == (400, "fields"), path
    assert found > 20


def only(value: Any, names: list[str]) -> Any:
    """The value with nothing but that member of it, and of what is in it."""
    if isinstance(value, list):
        return [only(item, names) for item in value]
    if not names or not isinstance(value, dict):
        return value
    return {names[0]: only(value[names[0]], names[1:])}


def test_whatever_is_made_says_where_it_is(things: Things, registry: Any) -> None:
    world, made = things.world, [operation for operation in operations(registry) if operation.status == 201]
    assert {operation.route_name for operation in made} == set(CREATED)
    for operation in made:
        name = operation.route_name
        answer = send_json(world.app, "POST", things.path(name).partition("?")[0], things.author, CREATED[name])
        assert answer.status == 201, (name, answer.text)
        location = answer.header("Location")
        assert location.startswith("http://localhost/api/"), name
        there = send(world.app, "GET", location.removeprefix("http://localhost"), things.author)
        key = "username" if name == "api.users" else "id"
        assert (there.status, there.json[key]) == (200, answer.json[key]), name


def conditional(registry: Any) -> list[tuple[str, str]]:
    """Route and method of all that changes something which also has a tag; a page of a list is no state of a thing."""
    known = operations(registry)
    tagged = {operation.route_name for operation in known if operation.request_method == "GET" and not operation.paged}
    unsafe = [operation for operation in known if operation.request_method in ("PUT", "PATCH", "DELETE")]
    return sorted((item.route_name, item.request_method) for item in unsafe if item.route_name in tagged)


def test_if_match(things: Things, registry: Any) -> None:
    """Each change refuses a client that has not seen the latest state, whatever the coding in which it saw it."""
    world = things.world
    assert set(conditional(registry)) == set(CHANGED)
    # What takes the thing away comes last.
    for name, method in sorted(CHANGED, key=lambda key: (key[1] == "DELETE", key)):
        path, (first, second) = things.path(name), CHANGED[name, method]
        for coding in ("identity", "br"):
            etag = send(world.app, "GET", path, things.author, headers={"HTTP_ACCEPT_ENCODING": coding}).header("ETag")
            seen = state(things, path)
            for wrong in ('"other"', f"W/{etag}", "nonsense", '"other-br"'):
                refused = change(things, method, path, first, wrong)
                assert (refused.status, refused.header("Content-Type")) == (412, PROBLEM), (name, method, wrong)
                assert refused.json["type"].endswith("/precondition_failed")
                assert state(things, path) == seen, (name, method, wrong)
            if method == "DELETE" and coding == "identity":
                continue
            given = f'"other", {etag}'
            assert change(things, method, path, first, given).status in (200, 204), (name, method)
            if method != "DELETE":
                assert change(things, method, path, second, given).status == 412, (name, method)
                assert change(things, method, path, second, "*").status in (200, 204), (name, method)
                # The answer to a change has the tag for the next one.
                again = change(things, method, path, first, "*")
                if again.status == 200:
                    assert change(things, method, path, second, again.header("ETag")).status == 200, (name, method)
                assert change(things, method, path, second, "*").status in (200, 204), (name, method)


def change(things: Things, method: str, path: str, body: Any, etag: str) -> Answer:
    """The author's change, on a condition."""
    if body is None:
        return send(things.world.app, method, path, things.author, headers={"HTTP_IF_MATCH": etag})
    return send_json(things.world.app, method, path, things.author, body, HTTP_IF_MATCH=etag)


def state(things: Things, path: str) -> Any:
    """What is there now."""
    return send(things.world.app, "GET", path, things.author).json


def test_of_two_who_saw_the_same_one_wins(things: Things) -> None:
    """Both send the tag that they saw, at the same moment; the check stands behind the lock."""
    for name, method in CHANGED:
        if method == "DELETE":
            continue
        path = things.path(name)
        for number in range(5):
            # What is said again changes nothing, so the state before is another one than either of them wants.
            change(things, method, path, {"food": "none"} if method == "PUT" and name == "api.meal" else {}, "*")
            etag = send(things.world.app, "GET", path, things.author).header("ETag")
            barrier, statuses = threading.Barrier(2), list[int]()
            bodies = [fresh(body, f"{number}") for body in CHANGED[name, method]]
            threads = [
                threading.Thread(target=act_at, args=(barrier, things, method, path, body, etag, statuses))
                for body in bodies
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(statuses) == 2 and min(statuses) in (200, 204) and max(statuses) == 412, (name, method, statuses)


def fresh(body: dict[str, Any], more: str) -> dict[str, Any]:
    """The body with words that were not there before: who says what is there already changes nothing."""
    return {name: f"{value} {more}" if isinstance(value, str) else value for name, value in body.items()}


def act_at(
    barrier: threading.Barrier, things: Things, method: str, path: str, body: Any, etag: str, statuses: list[int]
) -> None:
    """Change it when both are ready."""
    barrier.wait()
    statuses.append(change(things, method, path, body, etag).status)


def test_bodies_of_another_type_are_told_which_is_read(things: Things, registry: Any) -> None:
    """RFC 9110 section 15.5.16, and RFC 5789 section 2.2 for PATCH."""
    found = 0
    for operation in operations(registry):
        if operation.body is None and operation.multipart is None:
            continue
        path = things.path(operation.route_name).partition("?")[0]
        answer = send(
            things.world.app,
            operation.request_method,
            path,
            things.author,
            body=b"food=soup",
            content_type="text/plain",
        )
        if answer.status in (401, 403):
            continue
        found += 1
        assert answer.status == 415, (path, answer.text)
        if operation.request_method == "PATCH":
            assert answer.header("Accept-Patch") == "application/json, application/merge-patch+json", path
        else:
            assert answer.header("Accept") == (JSON if operation.multipart is None else "multipart/form-data"), path
    assert found > 10


def test_merge_patches_everywhere(things: Things, registry: Any) -> None:
    """Under both names; an empty one changes nothing, and what is no object would replace the thing by no thing."""
    patched = [operation for operation in operations(registry) if operation.request_method == "PATCH"]
    assert len(patched) >= 4
    for operation in patched:
        path = things.path(operation.route_name)
        before = state(things, path)
        for kind in (JSON, "application/merge-patch+json", "application/merge-patch+json; charset=utf-8"):
            answer = send(things.world.app, "PATCH", path, things.author, body=b"{}", content_type=kind)
            assert (answer.status, answer.json) == (200, before), (path, kind)
        for body in (b"[]", b"null", b'"x"', b"7"):
            answer = send(things.world.app, "PATCH", path, things.author, body=body, content_type=JSON)
            assert answer.status == 422, (path, body)
        unknown = send_json(things.world.app, "PATCH", path, things.author, {"nonsense": None})
        assert unknown.status in (200, 422), path
        assert state(things, path) == before, path


PLACE = {"name": "Here", "city": "Paris", "country_code": "", "latitude": 48.5, "longitude": 2.5}
FULL = {
    "food": "soup", "note": "with #leek", "place": PLACE,
    "tags": ["one", "two"], "diets": ["vegan"], "allergens": {"contains": ["celery"], "free_from": ["milk", "eggs"]},
    "recipe_url": "https://example.org/soup", "source": "home", "language": "en", "spoiler_text": "hot",
}  # fmt: skip


PATCHES: list[tuple[Any, tuple[str, ...], Any]] = [
    ({"note": None}, ("note",), ""),
    ({"place": None}, ("place",), None),
    ({"place": {"city": None}}, ("place",), PLACE | {"city": ""}),
    ({"place": {"latitude": None, "longitude": None}}, ("place", "latitude"), None),
    ({"place": {"name": "There"}}, ("place",), PLACE | {"name": "There"}),
    ({"tags": ["three"]}, ("tags",), ["leek", "three"]),
    ({"tags": None}, ("tags",), ["leek"]),
    ({"diets": []}, ("diets",), []),
    ({"allergens": {"contains": ["fish"]}}, ("allergens",), {"contains": ["fish"], "free_from": ["eggs", "milk"]}),
    ({"allergens": {"free_from": None}}, ("allergens",), {"contains": ["celery"], "free_from": []}),
    ({"allergens": None}, ("allergens",), {"contains": [], "free_from": []}),
    ({"recipe_url": None, "source": None, "language": None}, ("recipe_url",), None),
    ({"visibility": None}, ("visibility",), "public"),
]
NO_PATCHES: list[tuple[Any, str]] = [
    ({"place": {"name": None}}, "#/place/name"),
    ({"place": {"latitude": None}}, "#/place"),
    ({"food": None}, "#"),
    ({"allergens": {"contains": "fish"}}, "#/allergens/contains"),
    ({"allergens": {"contains": ["milk"]}}, "#/allergens"),
    ({"place": "Here"}, "#/place"),
    ({"nonsense": 1}, "#/nonsense"),
    ({"place": {"nonsense": 1}}, "#/place/nonsense"),
]


def test_merge_patches_of_a_meal(things: Things) -> None:
    """RFC 7396: null resets, objects merge, lists are replaced; nothing else changes, and the whole must be a meal."""
    for patch, path, after in PATCHES:
        meal = things.json("POST", "/api/meals", FULL)
        patched = things.json("PATCH", f"/api/meals/{meal['id']}", patch)
        value = patched
        for name in path:
            value = value[name]
        assert (sorted(tag["name"] for tag in value) if path == ("tags",) else value) == after, patch
        untouched = set(meal) - set(patch) - {"edited_at", "version", "note_html", "tags"}
        assert {name: patched[name] for name in untouched} == {name: meal[name] for name in untouched}, patch
    for patch, pointer in NO_PATCHES:
        meal = things.json("POST", "/api/meals", FULL)
        refused = send_json(things.world.app, "PATCH", f"/api/meals/{meal['id']}", things.author, patch)
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer), patch
        assert state(things, f"/api/meals/{meal['id']}") == meal


def test_the_index_leads_everywhere(things: Things, registry: Any) -> None:
    """Each documented address is in it, and each that needs nothing filled in is there."""
    answer = send(things.world.app, "GET", "/api", headers={"HTTP_ORIGIN": "https://app.example"})
    assert (answer.status, answer.header("Content-Type")) == (200, JSON)
    named = answer.json
    documented = {item.route_name for item in operations(registry) if item.documented} | {"api.feed.stream"}
    expected = {name.removeprefix("api.").replace(".", "_") for name in documented}
    assert {*named} - {"openapi", "docs"} == expected
    assert named["meal"] == "http://localhost/api/meals/{id}"
    assert named["places"] == "http://localhost/api/places{?q}"
    for name, address in named.items():
        assert address.startswith("http://localhost/"), name
        if "{" not in address and name != "feed_stream":
            path = address.removeprefix("http://localhost")
            assert send(things.world.app, "GET", path, things.author).status in (200, 405), name
    assert json.dumps(named) == json.dumps(send(things.world.app, "GET", "/api").json)


def test_whoever_takes_no_json_gets_it_anyway(things: Things) -> None:
    """RFC 9110 section 12.4.1 allows it, and a program that reads the status only is served; a page is for browsers."""
    for accept in ("application/xml", "image/*", "text/plain;q=1, */*;q=0", "nonsense"):
        answer = send(things.world.app, "GET", "/api/meals", headers={"HTTP_ACCEPT": accept})
        assert (answer.status, answer.header("Content-Type")) == (200, JSON)
    for accept in ("application/xml", JSON):
        problem = send(
            things.world.app, "GET", "/api/meals/1", headers={"HTTP_ACCEPT": accept, "HTTP_ACCEPT_LANGUAGE": "zh-CN"}
        )
        assert (problem.status, problem.header("Content-Type")) == (404, PROBLEM)
        assert problem.header("Content-Language") == "zh-Hans"
