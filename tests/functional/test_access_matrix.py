"""Who gets what: every address with every method, for every kind of viewer and every visibility.

What one may not see must answer exactly as if it had never been: the same status, headers and bytes.  So each answer
for a hidden thing is compared with the answer of the very same address after its rows are gone.  The matrix
(`tests/functional/matrix.py`) is made from the route table; an address that it does not know fails the first test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import insert, select, update

from mealshare.api.view import OPERATIONS
from mealshare.core.ids import new_id
from mealshare.core.security.doors import all_doors
from mealshare.core.security.tokens import hash_token, new_personal_token
from mealshare.features.accounts.models import Grant, PersonalToken, User
from tests.functional.hostile_requests import METHODS, Answer, Somebody, route_table, send, send_json, urlencoded
from tests.functional.matrix import (
    BEHIND_A_BLOCK,
    FORM,
    HIDDEN,
    KINDS,
    SEEN,
    SEEN_BY,
    VIEWERS,
    World,
    about,
    kind_of,
    make_world,
)

THINGS = ("meal", "comment", "picture", "own picture", "tag", "place")


@pytest.fixture
def world(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any, run_jobs: Any, picture: Any
) -> World:  # fmt: skip
    """People of each kind, signed in both ways."""
    return make_world(wsgi_app, registry, make_user, token, app, run_jobs, picture)


@contextmanager
def unchanged(world: World) -> Iterator[None]:
    """Nothing about posts, pictures and likes changes inside the block."""
    before = world.rows()
    yield
    assert world.rows() == before


def test_the_matrix_knows_every_route(registry: Any) -> None:
    """A route that is new, renamed or gone has to be thought about here."""
    names = {"static" if route.is_static else route.name for route in route_table(registry).values()}
    assert names == set(KINDS)


@pytest.mark.parametrize(("visibility", "viewer"), HIDDEN)
def test_hidden_is_exactly_like_missing(world: World, visibility: str, viewer: str) -> None:
    """Every method of every address of a hidden thing, compared with nothing being there; and none has an effect."""
    thing = world.post(visibility)
    # A tag and a place of a public meal are everybody's: that the author is behind a block changes nothing of that.
    kinds = THINGS[:4] if viewer in BEHIND_A_BLOCK and visibility == "public" else THINGS
    routes = about(world.table, *kinds)

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


@pytest.mark.parametrize("viewer", sorted(BEHIND_A_BLOCK))
def test_a_person_behind_a_block_is_like_nobody(world: World, viewer: str) -> None:
    """Both sides of a block get for each address of the other what they would get for a name that nobody has."""
    world.post("public")
    routes = about(world.table, "person", "own person")
    for route in routes:
        for method in METHODS:
            for who in world.faces(viewer):
                with unchanged(world):
                    found, missing = (
                        world.ask(route, method, world.fill(route, username=name), who) for name in ("author", "nobody")
                    )
                assert without_names(found) == without_names(missing), (route.name, method)
                assert found.status in (404, 405), (route.name, method, found.status)


def without_names(answer: Answer) -> Any:
    """The comparable answer, without the name that was asked for."""
    status, headers, words = answer.comparable()
    return status, [pair for pair in headers if pair[0] != "content-length"], re.sub("author|nobody", "X", words)


#: Each list in which a meal could show, with what is asked of it.
QUERIES = {
    "api.meals": ("", "?tag=onlyhere", "?place=Secret%20Kitchen", "?photo=true", "?limit=1", "?skip=0", "?min_id=1", "?q=unmistakable"),
    "api.user.meals": ("", "?q=unmistakable", "?photo=true"), "api.feed.public": ("", "?q=dump", "?tag=onlyhere"),
    "search": ("?q=unmistakable", "?q=onlyhere", "?q=secret"), "api.search": ("?q=unmistakable", "?q=onlyhere", "?q=secret"),
    "api.places": ("?q=secret",), "explore": ("", "?photo=true"), "api.tags": ("",),
    "oembed": ("?url=http%3A%2F%2Flocalhost%2F%40author",),
    "api.user.diary": ("?from=2026-11-01&to=2026-11-30",), "api.user.calendar": ("?year=2026",),
    "home": ("",), "api.notifications": ("", "?type=mention"),
    "api.feed.stream": ("?last_event_id=1", "?last_event_id=1&feed=home"),
}  # fmt: skip
#: What draws anew each time.
DRAWN = {"random", "api.meals.random"}


@pytest.mark.parametrize("visibility", ["public", "followers", "only_me", "deleted"])
def test_no_list_and_no_count_knows_of_a_hidden_meal(world: World, visibility: str) -> None:
    """What those who may not see a meal read before it was posted and after it is the same, to the byte."""
    author = world.programs["author"]
    send_json(world.app, "POST", "/api/meals", author, {"food": "soup", "tags": ["soup"], "place": {"name": "Home"}})
    world.run_jobs(world.registry)
    viewers = [viewer for viewer in VIEWERS if viewer not in SEEN_BY[visibility]]
    kinds = ["list", "own list", "open"] + ([] if visibility == "public" else ["person", "document"])
    routes = [
        route for route in about(world.table, *kinds) if "GET" in route.methods and route.name not in {"docs", *DRAWN}
    ]
    if visibility == "public":
        # A count of everybody's meals, which one sees without an account as well.
        routes = [
            route for route in routes if route.name not in ("api.tags", "explore", "search", "api.search", "api.places")
        ]

    def answers() -> dict[tuple[str, str, int], Any]:
        return {
            (path, viewer, number): without_clock(send(world.app, "GET", path, who))
            for route in routes
            for path in [world.fill(route) + query for query in QUERIES.get(route.name, ("",))]
            for viewer in viewers
            # The stranger acts upon the meal below.
            if not (viewer == "stranger" and kind_of(route) == "own list" and route.name in ("want", "api.want"))
            for number, who in enumerate(world.faces(viewer))
        }

    before = answers()
    world.post(visibility)
    after = answers()
    assert before.keys() == after.keys()
    for key, answer in after.items():
        assert answer == before[key], key


def without_clock(answer: Answer) -> Any:
    """The comparable answer without words for how long ago something was, and without the moment it was made at.

    And without the seconds after which a stream may be asked again, which are drawn.
    """
    status, headers, words = answer.comparable()
    kept = [pair for pair in headers if pair[0] not in ("etag", "last-modified", "content-length")]
    words = re.sub(r"(<time[^>]*>)[^<]*(</time>)|^retry: \d+$", r"\1\2", words, flags=re.MULTILINE)
    return status, kept, words


def test_what_is_hidden_is_never_drawn(world: World) -> None:
    """A draw among everything one may see never gives what one may not."""
    for visibility in ("unlisted", "followers", "only_me", "deleted"):
        world.post(visibility)
    for viewer in sorted(set(VIEWERS) - {"author", "follower", "stranger"}):
        assert send(world.app, "GET", "/api/meals/random", world.programs[viewer]).status == 404, viewer
        assert "unmistakable" not in send(world.app, "GET", "/random", world.browsers[viewer]).text


#: What each viewer gets for a thing that they see: (anonymous, another person, author, moderator or admin), by both faces.
EXPECTED = {
    ("meal", "GET"): (200, 200, 200, 200),
    ("meal.uri", "GET"): (303, 303, 303, 303),
    ("meal.edit", "GET"): (303, 403, 200, 403),
    ("meal.edit", "POST"): (303, 403, 303, 403),
    ("meal.delete", "GET"): (303, 403, 200, 200),
    ("meal.like", "POST"): (303, 303, 303, 303),
    ("meal.want", "POST"): (303, 303, 303, 303),
    ("meal.ate_too", "GET"): (200, 200, 200, 200),
    ("meal.comments", "GET"): (303, 303, 303, 303),
    ("meal.comments", "POST"): (303, 303, 303, 303),
    ("meal.comments.close", "POST"): (303, 403, 303, 403),
    ("api.meal", "GET"): (200, 200, 200, 200),
    ("api.meal.like", "PUT"): (401, 204, 204, 204),
    ("api.meal.like", "DELETE"): (401, 204, 204, 204),
    ("api.meal.want", "PUT"): (401, 204, 204, 204),
    ("api.meal.want", "DELETE"): (401, 204, 204, 204),
    ("api.meal.ate_too", "GET"): (200, 200, 200, 200),
    ("api.meal.ate_too", "POST"): (401, 201, 201, 201),
    ("api.meal.comments", "GET"): (200, 200, 200, 200),
    # The author has just closed the comments.
    ("api.meal.comments", "POST"): (401, 201, 409, 201),
    ("comment.like", "POST"): (303, 303, 303, 303),
    ("api.comment", "GET"): (200, 200, 200, 200),
    ("api.comment.like", "PUT"): (401, 204, 204, 204),
    ("api.comment.like", "DELETE"): (401, 204, 204, 204),
    ("api.comment", "PATCH"): (401, 403, 403, 403),
    ("api.meal", "PUT"): (401, 403, 200, 403),
    ("api.meal", "PATCH"): (401, 403, 200, 403),
    ("media.file", "GET"): (200, 200, 200, 200),
    ("api.media.item", "GET"): (404, 404, 200, 404),
    ("api.media.item", "PATCH"): (404, 404, 200, 404),
    ("tag", "GET"): (200, 200, 200, 200),
    ("api.feed.tag", "GET"): (200, 200, 200, 200),
    ("place", "GET"): (200, 200, 200, 200),
    ("api.feed.place", "GET"): (200, 200, 200, 200),
    # Last, because nothing is left afterwards.
    ("api.comment", "DELETE"): (401, 403, 204, 204),
    ("api.media.item", "DELETE"): (404, 404, 204, 404),
    ("meal.delete", "POST"): (303, 403, 303, 303),
    ("api.meal", "DELETE"): (401, 403, 204, 204),
}
#: What does away with the meal, its picture or the comment, or with what these bodies do not name.
GONE_AFTERWARDS = {
    ("meal.delete", "POST"), ("api.meal", "DELETE"), ("api.media.item", "DELETE"), ("meal.edit", "POST"), ("api.meal", "PUT"),
    ("api.comment", "DELETE"),
}  # fmt: skip
#: Whose comment it is: the stranger may do more with it than other people.
OWN_COMMENT = {("api.comment", "PATCH"): 200, ("api.comment", "DELETE"): 204}


def expected_of(key: tuple[str, str], viewer: str) -> int:
    """The status that the matrix promises the viewer."""
    if viewer == "stranger" and key in OWN_COMMENT:
        return OWN_COMMENT[key]
    column = {"anonymous": 0, "author": 2, "moderator": 3, "admin": 3}.get(viewer, 1)
    return EXPECTED[key][column]


def test_the_expectations_cover_every_method_of_every_thing(registry: Any) -> None:
    """No method of an address about a thing goes without an expectation."""
    table = route_table(registry)
    wanted = {(route.name, method) for route in about(table, *THINGS) for method in route.methods - {"HEAD", "OPTIONS"}}
    assert wanted == set(EXPECTED)


@pytest.mark.parametrize(("visibility", "viewer"), SEEN)
def test_what_one_may_do_with_what_one_sees(world: World, visibility: str, viewer: str) -> None:
    """Every method of every address of a visible thing; a method that it does not know is 405 and says which it does."""
    for number, who in enumerate(world.faces(viewer)):
        thing = world.post(visibility)
        for name, method in EXPECTED:
            route, expected = world.table[name], expected_of((name, method), viewer)
            answer = world.ask(route, method, world.path(route, thing), who)
            assert answer.status == expected, (name, method, number, answer.text[:300])
            if expected in (401, 403, 404):
                assert b"unmistakable" not in answer.body
            if expected == 303 and viewer == "anonymous" and method != "GET":
                assert answer.header("Location").startswith("http://localhost/login?next="), (name, method)
            if (name, method) in GONE_AFTERWARDS and expected < 400:
                thing = world.post(visibility)
        for route in about(world.table, *(kind for kind in THINGS if kind != "own picture")):
            for method in set(METHODS) - route.methods - ({"OPTIONS"} if route.is_api else set()):
                answer = world.ask(route, method, world.path(route, thing), who)
                assert answer.status == 405, (route.name, method)
                assert set(answer.header("Allow").split(", ")) - {"OPTIONS"} == route.methods - {"OPTIONS"}


def listed_by(world: World, path: str, viewer: str) -> bool:
    """Whether the meal shows at the address for this viewer."""
    face = world.programs if path.startswith("/api/") else world.browsers
    answer = send(world.app, "GET", path, face[viewer])
    assert answer.status == 200, (path, viewer, answer.status)
    # A page of results repeats what was looked for.
    return "unmistakable dumplings" in answer.text


@pytest.mark.parametrize("visibility", ["public", "unlisted", "followers", "only_me"])
def test_it_is_listed_where_it_belongs(world: World, visibility: str) -> None:
    """The other half of hiding: it is not lost to those who see it."""
    world.post(visibility)
    public, follower_sees = visibility == "public", visibility in ("public", "unlisted", "followers")
    own = ("/api/users/author/meals", "/@author", "/api/feed/home", "/home", "/api/meals/today")
    for path in own:
        assert listed_by(world, path, "author"), path
    for path in ("/", "/api/meals", "/api/feed/public", "/explore"):
        for viewer in ("author", "follower", "stranger"):
            assert listed_by(world, path, viewer) == public, (path, viewer)
    for path in ("/api/feed/home", "/home", "/api/users/author/meals", "/@author"):
        assert listed_by(world, path, "follower") == follower_sees, path
    for path in ("/api/search?q=unmistakable", "/search?q=unmistakable", "/api/meals?q=unmistakable"):
        found_by_search = path.startswith("/api/meals")
        assert listed_by(world, path, "author") or found_by_search, path
        assert listed_by(world, path, "stranger") == public, path
    for path in ("/api/want", "/want"):
        assert listed_by(world, path, "stranger") == (visibility in ("public", "unlisted")), path
    assert listed_by(world, "/feed.atom", "author") == public
    assert listed_by(world, "/@author/feed.json", "author") == public


def test_personal_addresses_are_closed_to_visitors(world: World) -> None:
    """Every method of every personal address: a page leads to the login, the API says 401."""
    for route in about(world.table, "personal", "own list"):
        for method in route.methods - {"OPTIONS"}:
            for who in world.faces("anonymous"):
                answer = world.ask(route, method, world.fill(route), who)
                if route.is_api:
                    assert answer.status == 401, (route.name, method)
                    assert answer.header("WWW-Authenticate").startswith("Bearer")
                else:
                    assert (answer.status, "/login?next=" in answer.header("Location")) == (303, True), (
                        route.name,
                        method,
                    )


def test_settings_are_not_for_tokens(world: World) -> None:
    """A token that leaks cannot change the password or end sessions: those pages take a browser's session only."""
    for route in about(world.table, "personal"):
        if not route.is_api and route.name.startswith(("settings", "avatar")):
            for method in route.methods:
                answer = world.ask(route, method, world.fill(route), world.programs["author"])
                assert answer.status == 403, (route.name, method)


def token_with(world: World, scopes: str, *, personal: bool, viewer: str = "author") -> Somebody:
    """A program of the viewer's whose token, of either kind, has these scopes and no others."""
    person, token = world.people[viewer].account_id, new_personal_token()
    with world.registry["engine"].begin() as connection:
        connection.execute(update(Grant).where(Grant.user_id == person).values(scopes=scopes))
        # Nobody can make one without any scope; a change of role may leave one behind.
        row = {"id": new_id(), "user_id": person, "name": "x", "scopes": scopes, "token_hash": hash_token(token)}
        connection.execute(insert(PersonalToken).values(row))
    program = world.programs[viewer]
    return replace(program, authorization=f"Bearer {token}") if personal else program


@pytest.mark.parametrize("personal", [False, True])
@pytest.mark.parametrize("scopes", ["", "read", "write", "media", "follow"])
def test_a_token_does_only_what_its_scopes_say(world: World, scopes: str, personal: bool) -> None:
    """A read token writes nothing, a media token reads no profile."""
    thing = world.post("public")
    meal, comment = f"/api/meals/{thing.id}", f"/api/comments/{thing.comment_id}"
    needs = {
        ("GET", "/api/user/profile"): "read",
        ("GET", "/api/meals/today"): "read",
        ("GET", "/api/meals/suggestions"): "read",
        ("GET", "/api/feed/home"): "read",
        ("GET", "/api/feed/stream?feed=home"): "read",
        ("GET", "/api/want"): "read",
        ("GET", "/api/notifications"): "read",
        ("GET", "/api/notifications/settings"): "read",
        ("GET", "/api/preferences"): "read",
        ("GET", "/api/follow-requests"): "read",
        ("GET", "/api/blocks"): "read",
        ("GET", "/api/mutes"): "read",
        ("PATCH", "/api/user/profile"): "write",
        ("POST", "/api/meals"): "write",
        ("POST", "/api/users/author/meals"): "write",
        ("POST", "/api/meals/visibility"): "write",
        ("POST", f"{meal}/ate-too"): "write",
        ("POST", f"{meal}/comments"): "write",
        ("PUT", f"{meal}/want"): "write",
        ("DELETE", f"{meal}/want"): "write",
        ("PUT", f"{comment}/like"): "write",
        ("DELETE", f"{comment}/like"): "write",
        ("PATCH", meal): "write",
        ("PUT", f"{meal}/like"): "write",
        ("DELETE", f"{meal}/like"): "write",
        ("POST", "/api/notifications/read"): "write",
        ("PUT", "/api/preferences"): "write",
        ("PUT", "/api/notifications/settings"): "write",
        ("PUT", "/api/users/stranger/follow"): "follow",
        ("DELETE", "/api/users/stranger/follow"): "follow",
        ("PUT", "/api/users/stranger/mute"): "follow",
        ("DELETE", "/api/users/stranger/mute"): "follow",
        ("PUT", "/api/users/moderator/block"): "follow",
        ("DELETE", "/api/users/moderator/block"): "follow",
        ("DELETE", "/api/users/author/followers/follower"): "follow",
        ("DELETE", "/api/user/avatar"): "write",
        ("PUT", "/api/user/avatar"): "write",
        ("POST", "/api/media"): "media",
        ("GET", f"/api/media/{thing.media_id}"): "media",
        ("PATCH", f"/api/media/{thing.media_id}"): "media",
        ("DELETE", f"/api/media/{thing.media_id}"): "media",
        ("PUT", meal): "write",
        ("DELETE", comment): "write",
        ("DELETE", meal): "write",
    }
    who = token_with(world, scopes, personal=personal)
    for (method, path), scope in needs.items():
        body = {"display_name": "Author"} if "profile" in path else {"food": "rice"}
        bodiless = method in ("GET", "DELETE")
        answer = send(world.app, method, path, who) if bodiless else send_json(world.app, method, path, who, body)
        assert (answer.status == 403) == (scope != scopes), (method, path, answer.text)
        if scope != scopes:
            assert answer.json["type"].endswith("/problems/scope_missing")
            assert "insufficient_scope" in answer.header("WWW-Authenticate")


#: Operations that ask for no scope although they are not everybody's, and why.
UNSCOPED = {
    # Every token may end itself, and nothing else, with it.
    ("api.logout", "POST"),
}
OWN_SCOPES = frozenset({"read", "write", "follow", "media"})


def operations(registry: Any) -> dict[tuple[str, str], str]:
    """Every operation of the API, documented or not, with its permission."""
    entries = registry.introspector.get_category(OPERATIONS)
    found = [entry["introspectable"]["operation"] for entry in entries]
    return {(one.route_name, one.request_method): str(one.permission) for one in found}


def test_every_operation_asks_for_a_scope_or_says_why(registry: Any) -> None:
    """What is neither everybody's nor under a scope could be done by the narrowest token there is."""
    book = registry["rules"]
    closed = {key: rule for key, rule in operations(registry).items() if not book.is_public(rule)}
    assert {key for key, rule in closed.items() if book.scope_of(rule) is None} == UNSCOPED
    assert {book.scope_of(rule) for rule in closed.values()} - {None} <= OWN_SCOPES
    for (route, method), door in all_doors(registry).items():
        # Two views that ask for different things would let the weaker one decide.
        assert len(door.scopes) <= 1, (route, method)
        if door.permission in ("signed_in", "nobody"):
            assert (route, method) in UNSCOPED, (route, method)


@pytest.mark.parametrize("personal", [False, True])
def test_each_scope_opens_its_operations_and_no_other_does(world: World, personal: bool) -> None:
    """With all scopes but its own an operation is 403 whatever it is about; with its own alone it goes on from there."""
    book, table = world.registry["rules"], world.table
    by_scope: dict[str, list[tuple[str, str]]] = {}
    for key, rule in operations(world.registry).items():
        if (scope := book.scope_of(rule)) is not None:
            by_scope.setdefault(scope, []).append(key)
    assert by_scope.keys() == OWN_SCOPES
    denied: set[tuple[str, str]] = set()
    for scope, keys in by_scope.items():
        for scopes in (OWN_SCOPES - {scope}, {scope}):
            who = token_with(world, " ".join(scopes), personal=personal)
            for name, method in keys:
                # Things that are not there, and bodies that are none: only the scope decides.
                answer = send(world.app, method, world.fill(table[name], id="1", username="nobody"), who)
                kind = answer.json["type"].rpartition("/")[2] if answer.status >= 400 else ""
                if scope not in scopes:
                    assert (answer.status, kind) == (403, "scope_missing"), (name, method, scopes)
                    assert 'error="insufficient_scope"' in answer.header("WWW-Authenticate")
                else:
                    assert kind != "scope_missing", (name, method, scopes)
                    assert answer.status not in (401, 500), (name, method, answer.text)
                if kind == "no_personal_token":
                    denied.add((name, method))
    # What makes and ends ways into the account is for those who signed in.
    assert {name for name, _method in denied} == (PERSONAL_NOWHERE if personal else set())


PERSONAL_NOWHERE = {"api.tokens", "api.tokens.item", "api.devices", "api.device", "api.user.password"}
#: Where what a visitor gets differs from one request to the next, or from one moment to the next.
UNSTEADY = {*DRAWN, "health.ready"}


@pytest.mark.parametrize(
    ("visibility", "viewer", "personal"),
    [
        ("public", "author", False),
        ("followers", "follower", True),
        ("only_me", "author", False),
        ("only_me", "author", True),
    ],
)
def test_a_token_without_read_sees_what_a_visitor_sees(
    world: World, visibility: str, viewer: str, personal: bool
) -> None:
    """At every address that can be read: a token for pictures is no way to its owner's private meals.

    Neither by content nor by a difference between hidden and missing; and what is under a scope says so before it looks.
    """
    thing, doors = world.post(visibility), all_doors(world.registry)
    who = token_with(world, "write follow media", personal=personal, viewer=viewer)
    for route in world.table.values():
        if "GET" not in route.methods or route.is_static or route.name in UNSTEADY:
            continue
        door = doors[route.name, "GET"]
        for path in [world.path(route, thing) + query for query in QUERIES.get(route.name, ("",))]:
            answer = send(world.app, "GET", path, who)
            if door.public:
                visitors = send(world.app, "GET", path, world.programs["anonymous"])
                if visitors.status == 401:
                    # One address, several permissions: for some of them a visitor has to sign in.
                    assert answer.json["type"].endswith("/scope_missing"), path
                else:
                    assert without_clock(answer) == without_clock(visitors), path
            elif door.scopes == {"media"}:
                assert answer.status == (200 if viewer == "author" else 404), path
            else:
                assert answer.status == 403, path
                assert b"unmistakable" not in answer.body
            assert send(world.app, "HEAD", path, who).status == answer.status, path


@pytest.mark.parametrize("personal", [False, True])
def test_a_token_without_write_changes_nothing_by_pages_that_are_everybodys(world: World, personal: bool) -> None:
    """Posting is for visitors too, whose meal waits for them to sign up: to a token that may not write, it is just that."""
    before = world.rows()
    form = urlencoded([("food", "posted without leave"), ("lang", "zh_CN")])
    for scopes in ("read follow media", "write"):
        who = token_with(world, scopes, personal=personal)
        answers = [send(world.app, "POST", path, who, body=form, content_type=FORM) for path in ("/new", "/language")]
        with world.registry["engine"].connect() as connection:
            author = world.people["author"].account_id
            locale = connection.scalar(select(User.locale).where(User.id == author))
        if scopes == "write":
            assert answers[0].header("Location").startswith("http://localhost/@author/")
            assert (world.rows() != before, locale) == (True, "zh_CN")
        else:
            assert answers[0].header("Location") == "http://localhost/register"
            assert (world.rows() == before, locale) == (True, None)
