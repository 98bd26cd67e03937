"""Who gets what: every address with every method, for every kind of viewer and every visibility.

What one may not see must answer exactly as if it had never been: the same status, headers and bytes.  So each answer
for a hidden thing is compared with the answer of the very same address after its rows are gone.  The matrix is made
from the route table; an address that it does not know fails the first test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import delete, select, update

from mealshare.features.accounts.models import Grant
from mealshare.features.meals.models import Meal, Place, PostRevision, PostTag, Tag
from mealshare.features.media.models import Media
from mealshare.features.reactions.models import Like
from tests.functional.hostile_requests import (
    METHODS,
    SAFE,
    Answer,
    Route,
    Somebody,
    browser_of,
    multipart,
    route_table,
    send,
    send_json,
    urlencoded,
    visitor,
)

#: What each address is about.  A new one has to be put here, where its column of expectations follows from the kind.
KINDS = {
    # One meal: hidden or not.
    "meal": "meal", "meal.uri": "meal", "meal.edit": "meal", "meal.delete": "meal", "meal.like": "meal", "api.meal": "meal", "api.meal.like": "meal",
    # Its picture, and the picture as its owner's thing.
    "media.file": "picture", "api.media.item": "own picture",
    # A tag that only this meal has.
    "tag": "tag", "api.feed.tag": "tag",
    # Lists and counts in which the meal could show.
    "front": "list", "person": "list", "api.user": "list", "api.meals": "list", "api.user.meals": "list",
    "api.feed.public": "list", "api.tags": "list", "person.uri": "list",
    # One's own things: nothing for a visitor.
    "settings": "personal", "settings.profile": "personal", "settings.password": "personal", "settings.sessions": "personal",
    "settings.sessions.end": "personal", "settings.sessions.end_others": "personal", "avatar.form": "personal",
    "api.profile": "personal", "api.logout": "personal", "api.media": "personal", "api.user.avatar": "personal",
    "api.meals.today": "personal",
    # Everybody's, and about nobody.
    "health.live": "open", "health.ready": "open", "about": "open", "problem": "open", "robots": "open", "manifest": "open",
    "api.instance": "open", "api.openapi": "open", "docs": "open", "register": "open", "login": "open", "logout": "open",
    "language": "open", "password.forgot": "open", "password.reset": "open", "api.users": "open", "api.login": "open",
    "api.token.refresh": "open", "api.jwks": "open", "avatar.file": "open", "meal.new": "open", "static": "open",
}  # fmt: skip
VIEWERS = ("anonymous", "stranger", "author", "moderator", "admin")
#: Who sees a meal of this visibility, in this release.
SEEN_BY = {
    "public": set(VIEWERS), "unlisted": set(VIEWERS), "followers": {"author"}, "only_me": {"author"}, "deleted": set(),
}  # fmt: skip
HIDDEN = [(visibility, viewer) for visibility, seen in SEEN_BY.items() for viewer in VIEWERS if viewer not in seen]
SEEN = [(visibility, viewer) for visibility, seen in SEEN_BY.items() for viewer in VIEWERS if viewer in seen]
MEAL = {"food": "unmistakable dumplings", "note": "a note", "tags": ["onlyhere"], "place": {"name": "Secret Kitchen"}}


def kind_of(route: Route) -> str:
    """What the matrix says about the route; KeyError if it does not know it."""
    return KINDS["static" if route.is_static else route.name]


def about(table: dict[str, Route], *kinds: str) -> list[Route]:
    """The routes of these kinds."""
    return [route for route in table.values() if kind_of(route) in kinds]


@dataclass
class World:
    """A site with a meal of one visibility, and the people who look at it."""

    app: Router
    registry: Any
    people: dict[str, SimpleNamespace]
    browsers: dict[str, Somebody]
    programs: dict[str, Somebody]
    table: dict[str, Route]
    run_jobs: Callable[[Any], int]
    picture: bytes

    def post(self, visibility: str) -> SimpleNamespace:
        """A new meal with a picture, a like by the stranger and a tag of its own."""
        author = self.programs["author"]
        body, kind = multipart([("file", "a.jpg", self.picture)])
        media_id = send(self.app, "POST", "/api/media", author, body=body, content_type=kind).json["id"]
        meal = send_json(self.app, "POST", "/api/meals", author, MEAL | {"media": [{"id": media_id}]}).json
        self.run_jobs(self.registry)
        stranger = self.programs["stranger"]
        assert send(self.app, "PUT", f"/api/meals/{meal['id']}/like", stranger).status == 204
        if visibility == "deleted":
            assert send(self.app, "DELETE", f"/api/meals/{meal['id']}", author).status == 204
        elif visibility != "public":
            change = send_json(self.app, "PATCH", f"/api/meals/{meal['id']}", author, {"visibility": visibility})
            assert change.json["visibility"] == visibility
        with self.registry["engine"].connect() as connection:
            key = connection.scalar(select(Media.storage_key).where(Media.id == int(media_id)))
        return SimpleNamespace(id=meal["id"], media_id=media_id, key=key or "0" * 32, username="author")

    def path(self, route: Route, thing: SimpleNamespace) -> str:
        """The address of the thing under this route."""
        id = thing.media_id if kind_of(route) == "own picture" else thing.id
        return route.path(username=thing.username, id=id, key=thing.key, edge="400", tag="onlyhere", code="csrf")

    def faces(self, viewer: str) -> list[Somebody]:
        """The ways in which the viewer can come: with a browser and with a program."""
        return [self.browsers[viewer], self.programs[viewer]]

    def ask(self, route: Route, method: str, path: str, who: Somebody) -> Answer:
        """A request with a body that would be good, so that nothing but the thing decides."""
        if method in SAFE:
            return send(self.app, method, path, who)
        if route.name == "api.meal" and method in ("PUT", "PATCH"):
            return send_json(self.app, method, path, who, {"food": "changed by a stranger"})
        if route.name == "api.media.item" and method == "PATCH":
            return send_json(self.app, method, path, who, {"description": "changed by a stranger"})
        form = urlencoded([("food", "changed by a stranger"), ("csrf_token", who.csrf)]) if not route.is_api else b""
        return send(self.app, method, path, who, body=form, content_type=FORM if form else "")

    def erase(self, thing: SimpleNamespace) -> None:
        """Take away every trace of the thing, as if it had never been."""
        with self.registry["engine"].begin() as connection:
            for model in (Like, PostTag, PostRevision, Media):
                connection.execute(delete(model).where(model.post_id == int(thing.id)))
            connection.execute(delete(Meal.__table__).where(Meal.__table__.c.id == int(thing.id)))
            connection.execute(delete(Tag))
            connection.execute(delete(Place))
        self.registry["fragments"].clear()


FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def world(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any, run_jobs: Any, picture: Any
) -> World:  # fmt: skip
    """People of each kind, signed in both ways."""
    roles = {"stranger": "user", "author": "user", "moderator": "moderator", "admin": "admin"}
    people = {name: make_user(name, role=role) for name, role in roles.items()}
    browsers = {name: browser_of(registry, person.account_id) for name, person in people.items()}
    # The cookie keeps the token in the forms of error pages from being a new one each time.
    cookie = visitor().cookies
    programs = {name: Somebody(cookie, "", token(app, person)["Authorization"]) for name, person in people.items()}
    return World(
        wsgi_app, registry, people, {"anonymous": visitor(), **browsers}, {"anonymous": visitor(), **programs},
        route_table(registry), run_jobs, picture(size=(40, 30)),
    )  # fmt: skip


@contextmanager
def unchanged(world: World) -> Iterator[None]:
    """Nothing about posts, pictures and likes changes inside the block."""

    def rows() -> list[Any]:
        with world.registry["engine"].connect() as connection:
            return [
                connection.execute(select(model.__table__).order_by(model.id)).all() for model in (Meal, Media, Like)
            ]

    before = rows()
    yield
    assert rows() == before


def test_the_matrix_knows_every_route(registry: Any) -> None:
    """A route that is new, renamed or gone has to be thought about here."""
    names = {"static" if route.is_static else route.name for route in route_table(registry).values()}
    assert names == set(KINDS)


@pytest.mark.parametrize(("visibility", "viewer"), HIDDEN)
def test_hidden_is_exactly_like_missing(world: World, visibility: str, viewer: str) -> None:
    """Every method of every address of a hidden thing, compared with nothing being there; and none has an effect."""
    thing = world.post(visibility)
    routes = about(world.table, "meal", "picture", "own picture", "tag")

    def answers() -> dict[tuple[str, str, int], Answer]:
        return {
            (route.name, method, number): world.ask(route, method, world.path(route, thing), who)
            for route in routes
            for method in METHODS
            for number, who in enumerate(world.faces(viewer))
        }

    with unchanged(world):
        hidden = answers()
    world.erase(thing)
    missing = answers()
    assert len(hidden) == len(routes) * len(METHODS) * 2
    for key, answer in hidden.items():
        assert answer.comparable() == missing[key].comparable(), key
        assert answer.status in (404, 405), key
        assert b"unmistakable" not in answer.body, key


@pytest.mark.parametrize("visibility", ["followers", "only_me", "deleted"])
def test_no_list_and_no_count_knows_of_a_hidden_meal(world: World, visibility: str) -> None:
    """What strangers read before a hidden meal was posted and after it is the same, to the byte."""
    author = world.programs["author"]
    send_json(world.app, "POST", "/api/meals", author, {"food": "soup", "tags": ["soup"], "place": {"name": "Home"}})
    routes = [route for route in about(world.table, "list", "open") if "GET" in route.methods and route.name != "docs"]
    more = ("?q=", "?tag=onlyhere", "?place=Secret%20Kitchen", "?photo=true", "?limit=1", "?skip=0", "?min_id=1")
    filtered = [
        f"{path}{query}" for path in ("/api/meals", "/api/users/author/meals", "/api/feed/public") for query in more[1:]
    ]

    def answers() -> dict[tuple[str, str, int], Any]:
        paths = [route.path(username="author", code="csrf", key="0" * 32) for route in routes] + filtered
        return {
            (path, viewer, number): without_clock(send(world.app, "GET", path, who))
            for path in paths
            for viewer in VIEWERS
            if viewer != "author" or visibility == "deleted"
            for number, who in enumerate(world.faces(viewer))
        }

    before = answers()
    world.post(visibility)
    assert answers() == before


def without_clock(answer: Answer) -> Any:
    """The comparable answer without words for how long ago something was."""
    status, headers, text = answer.comparable()
    return status, headers, re.sub(r"(<time[^>]*>)[^<]*(</time>)", r"\1\2", text)


#: What each viewer gets for a meal that they see: (anonymous, stranger, author, moderator, admin), browser and program.
WEB_EXPECTED = {
    ("meal", "GET"): (200, 200, 200, 200, 200),
    ("meal.uri", "GET"): (303, 303, 303, 303, 303),
    ("meal.edit", "GET"): (303, 403, 200, 403, 403),
    ("meal.edit", "POST"): (303, 403, 303, 403, 403),
    ("meal.delete", "GET"): (303, 403, 200, 200, 200),
    ("meal.like", "POST"): (303, 303, 303, 303, 303),
    ("api.meal", "GET"): (200, 200, 200, 200, 200),
    ("api.meal", "PUT"): (401, 403, 200, 403, 403),
    ("api.meal", "PATCH"): (401, 403, 200, 403, 403),
    ("api.meal.like", "PUT"): (401, 204, 204, 204, 204),
    ("api.meal.like", "DELETE"): (401, 204, 204, 204, 204),
    ("media.file", "GET"): (200, 200, 200, 200, 200),
    ("api.media.item", "GET"): (404, 404, 200, 404, 404),
    ("api.media.item", "PATCH"): (404, 404, 200, 404, 404),
    ("tag", "GET"): (200, 200, 200, 200, 200),
    ("api.feed.tag", "GET"): (200, 200, 200, 200, 200),
    # Last, because nothing is left afterwards.
    ("api.media.item", "DELETE"): (404, 404, 204, 404, 404),
    ("meal.delete", "POST"): (303, 403, 303, 303, 303),
    ("api.meal", "DELETE"): (401, 403, 204, 204, 204),
}
#: What does away with the meal or with its picture, which these bodies do not name.
GONE_AFTERWARDS = {
    ("meal.delete", "POST"), ("api.meal", "DELETE"), ("api.media.item", "DELETE"), ("meal.edit", "POST"), ("api.meal", "PUT"),
}  # fmt: skip


def test_the_expectations_cover_every_method_of_every_thing(registry: Any) -> None:
    """No method of an address about a thing goes without an expectation."""
    table = route_table(registry)
    wanted = {
        (route.name, method)
        for route in about(table, "meal", "picture", "own picture", "tag")
        for method in route.methods - {"HEAD", "OPTIONS"}
    }
    assert wanted == set(WEB_EXPECTED)


@pytest.mark.parametrize(("visibility", "viewer"), SEEN)
def test_what_one_may_do_with_what_one_sees(world: World, visibility: str, viewer: str) -> None:
    """Every method of every address of a visible thing; a method that it does not know is 405 and says which it does."""
    column = VIEWERS.index(viewer)
    for number, who in enumerate(world.faces(viewer)):
        thing = world.post(visibility)
        for (name, method), expected in WEB_EXPECTED.items():
            route = world.table[name]
            answer = world.ask(route, method, world.path(route, thing), who)
            assert answer.status == expected[column], (name, method, number, answer.text[:300])
            if expected[column] in (401, 403, 404):
                assert b"unmistakable" not in answer.body
            if expected[column] == 303 and viewer == "anonymous" and name != "meal.uri":
                assert answer.header("Location").startswith("http://localhost/login?next=")
            if (name, method) in GONE_AFTERWARDS and expected[column] < 400:
                thing = world.post(visibility)
        for route in about(world.table, "meal", "picture", "tag"):
            for method in set(METHODS) - route.methods - ({"OPTIONS"} if route.is_api else set()):
                answer = world.ask(route, method, world.path(route, thing), who)
                assert answer.status == 405, (route.name, method)
                assert set(answer.header("Allow").split(", ")) - {"OPTIONS"} == route.methods


@pytest.mark.parametrize("visibility", ["public", "followers", "only_me"])
def test_the_author_sees_it_in_every_list_where_it_belongs(world: World, visibility: str) -> None:
    """The other half of hiding: it is not lost to its author."""
    thing = world.post(visibility)
    for path in ("/api/users/author/meals", "/api/meals/today"):
        listed = send(world.app, "GET", path, world.programs["author"]).json
        assert [meal["id"] for meal in listed] == [thing.id]
    assert "unmistakable" in send(world.app, "GET", "/@author", world.browsers["author"]).text
    for path in ("/", "/api/meals", "/api/feed/public", "/tags/onlyhere"):
        listed_page = send(world.app, "GET", path, world.browsers["author"]).text
        assert ("unmistakable" in listed_page) == (visibility == "public"), path


def test_personal_addresses_are_closed_to_visitors(world: World) -> None:
    """Every method of every personal address: a page leads to the login, the API says 401."""
    for route in about(world.table, "personal"):
        for method in route.methods - {"OPTIONS"}:
            for who in world.faces("anonymous"):
                answer = world.ask(route, method, route.path(), who)
                if route.is_api:
                    assert answer.status == 401, (route.name, method)
                    assert answer.header("WWW-Authenticate").startswith("Bearer")
                else:
                    assert (answer.status, "/login?next=" in answer.header("Location")) == (303, True), (
                        route.name,
                        method,
                    )


def test_pages_of_ones_own_are_not_for_tokens(world: World) -> None:
    """A token that leaks cannot change the password or end sessions: those pages take a browser's session only."""
    for route in about(world.table, "personal"):
        if not route.is_api:
            for method in route.methods:
                answer = world.ask(route, method, route.path(), world.programs["author"])
                assert answer.status == 403, (route.name, method)


@pytest.mark.parametrize("scopes", ["", "read", "write", "media", "follow"])
def test_a_token_does_only_what_its_scopes_say(world: World, scopes: str) -> None:
    """A read token writes nothing, a media token reads no profile."""
    thing = world.post("public")
    with world.registry["engine"].begin() as connection:
        grants = update(Grant).where(Grant.user_id == world.people["author"].account_id)
        connection.execute(grants.values(scopes=scopes))
    needs = {
        ("GET", "/api/user/profile"): "read",
        ("GET", "/api/meals/today"): "read",
        ("PATCH", "/api/user/profile"): "write",
        ("POST", "/api/meals"): "write",
        ("POST", "/api/users/author/meals"): "write",
        ("PATCH", f"/api/meals/{thing.id}"): "write",
        ("PUT", f"/api/meals/{thing.id}/like"): "write",
        ("DELETE", f"/api/meals/{thing.id}/like"): "write",
        ("DELETE", "/api/user/avatar"): "write",
        ("PUT", "/api/user/avatar"): "write",
        ("POST", "/api/media"): "media",
        ("GET", f"/api/media/{thing.media_id}"): "media",
        ("PATCH", f"/api/media/{thing.media_id}"): "media",
        ("DELETE", f"/api/media/{thing.media_id}"): "media",
        ("PUT", f"/api/meals/{thing.id}"): "write",
        ("DELETE", f"/api/meals/{thing.id}"): "write",
    }
    who = world.programs["author"]
    for (method, path), scope in needs.items():
        body = {"display_name": "Author"} if "profile" in path else {"food": "rice"}
        bodiless = method in ("GET", "DELETE")
        answer = send(world.app, method, path, who) if bodiless else send_json(world.app, method, path, who, body)
        assert (answer.status == 403) == (scope != scopes), (method, path, answer.text)
        if scope != scopes:
            assert answer.json["type"].endswith("/problems/scope_missing")
            assert "insufficient_scope" in answer.header("WWW-Authenticate")
