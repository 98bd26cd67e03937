"""What stands around each view: the request's class, the routes, the events, and the headers of an answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pyramid.config import Configurator
from pyramid.events import BeforeRender, BeforeTraversal, ContextFound, NewRequest, NewResponse
from pyramid.exceptions import URLDecodeError
from pyramid.interfaces import IContextFound, IRequestExtensions, IRequestFactory, IRoutesMapper
from pyramid.request import Request
from pyramid.response import Response
from pyramid.urldispatch import RoutesMapper
from transaction.interfaces import AlreadyInTransaction, NoTransaction

from mealshare.api.query import Query, parse_query
from mealshare.core.answers import header_values, vary_by
from mealshare.core.errors import InputInvalid
from mealshare.core.registry import SiteRegistry
from mealshare.core.routing import RouteIndex
from mealshare.core.security.permissions import CorePermission
from mealshare.core.transactions import LateManager
from tests.core.wiring import Setup, small_router

_PART = re.compile(r"\{([^:{}]+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}|\*(\w+)")


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Callable[[Setup], Any]]:
    """``router(setup)``: an application whose routes and views ``setup`` adds."""
    made = []

    def build(setup: Setup) -> Any:
        made.append(small_router(f"sqlite:///{tmp_path}/small.sqlite", tmp_path, setup))
        return made[-1]

    yield build
    for app in made:
        app.registry["engine"].dispose()


def one_view(view: Callable[[Request], Any]) -> Setup:
    def wire(config: Configurator) -> None:
        config.add_route("it", "/it")
        config.add_view(view, route_name="it", permission=CorePermission.PUBLIC)

    return wire


# Routes.


def addresses(mapper: Any) -> Iterator[str]:
    """Those of every route, with one segment more and one less, and thousands made of their parts."""
    chance = random.Random(7)
    pool = {"", "mei", "@mei", "12", "ü", "%", "a b"}
    for route in mapper.routelist:
        pattern = route.pattern if route.pattern.startswith("/") else "/" + route.pattern
        for filling in ("12", "mei", "2026", "x/y"):
            path = _PART.sub(filling, pattern)
            yield from (path, path + "/", path + "/more", path.rpartition("/")[0], path + "x", path.upper())
            pool.update(path.split("/"))
    known = sorted(pool)
    for _ in range(3000):
        yield "/" + "/".join(chance.choices(known, k=chance.randint(0, 5)))
    yield from ("", "*", "//", "no/slash", "/api//meals", "//api/meals")


def test_the_index_finds_the_routes_that_pyramid_finds(registry: Any) -> None:
    index = registry.getUtility(IRoutesMapper)
    assert isinstance(index, RouteIndex)
    plain = RoutesMapper()
    plain.routelist = index.routelist
    request, found, tried = Request.blank("/"), set(), []
    for path in addresses(index):
        request.environ["PATH_INFO"] = path.encode().decode("latin-1")
        expected = plain(request)
        assert index(request) == expected, path
        tried.append(len(index.candidates(path)))
        found.add(expected["route"].name if expected["route"] else None)
    missed = {route.name for route in index.routelist} - found
    # Only those that others hide, and those that want numbers or letters which are not made here.
    assert len(missed) < len(index.routelist) / 5, missed
    # Without the index each address would try all of them.
    assert sum(tried) / len(tried) < len(index.routelist) / 3
    assert len(index.candidates("/api/meals")) < 20


def test_an_address_that_is_not_utf_8_is_told_and_an_empty_one_is_the_root() -> None:
    index = RouteIndex()
    index.connect("home", "/")
    request = Request.blank("/")
    for name in ("", None):
        request.environ["PATH_INFO"] = name
        assert index(request)["route"].name == "home"
    del request.environ["PATH_INFO"]
    assert index(request)["route"].name == "home"
    request.environ["PATH_INFO"] = "/\xff"
    with pytest.raises(URLDecodeError):
        index(request)


def test_a_line_break_behind_an_address_makes_another_address_of_it(registry: Any) -> None:
    index = registry.getUtility(IRoutesMapper)
    request = Request.blank("/api/meals")
    assert index(request)["route"].name == "api.meals"
    request.environ["PATH_INFO"] = "/api/meals\n"
    assert index(request)["route"] is None


def test_a_route_that_comes_late_or_again_is_found() -> None:
    index = RouteIndex()
    index.connect("one", "/things/{id}")
    request = Request.blank("/things/1")
    assert index(request)["match"] == {"id": "1"}
    index.connect("two", "/others/list")
    request.environ["PATH_INFO"] = "/others/list"
    assert index(request)["route"].name == "two"
    index.connect("one", "/others/{id}")
    request.environ["PATH_INFO"] = "/things/1"
    assert index(request) == {"route": None, "match": None}
    index.connect("static", "/others/static", static=True)
    request.environ["PATH_INFO"] = unquote("/others/st%C3%A4tic").encode().decode("latin-1")
    assert index(request)["match"] == {"id": "stätic"}


# Requests.


def test_all_requests_are_of_one_class_which_has_what_was_added(router: Callable[[Setup], Any]) -> None:
    seen: list[Request] = []

    def view(request: Request) -> Response:
        seen.append(request)
        return Response(request.greeting("you") + str(request.calls) + str(request.calls))

    calls = iter(range(10))

    def wire(config: Configurator) -> None:
        one_view(view)(config)
        config.add_request_method(lambda request, name: f"{request.method} {name} ", "greeting")
        config.add_request_method(lambda request: next(calls), "calls", reify=True)

    app = router(wire)
    bodies = [Request.blank("/it").get_response(app).text for _ in range(2)]
    # A reified property is the request's, not the class's.
    assert bodies == ["GET you 00", "GET you 11"]
    assert type(seen[0]) is type(seen[1]) is app.registry.getUtility(IRequestFactory)
    assert {"conn", "db", "identity", "translate", "greeting"} <= set(dir(type(seen[0])))


def test_what_is_added_after_the_configuration_was_complete_is_there_too(router: Callable[[Setup], Any]) -> None:
    app = router(one_view(lambda request: Response(request.late)))
    with Configurator(registry=app.registry) as config:
        config.add_request_method(lambda request: "late", "late", property=True)
    app.request_extensions = app.registry.getUtility(IRequestExtensions)
    assert Request.blank("/it").get_response(app).text == "late"


@pytest.mark.parametrize(
    ("length", "sent", "read"),
    [("0", b"more", b""), ("4", b"more", b"more"), (None, b"more", b""), ("", b"more", b"")],
)
def test_a_body_is_read_as_long_as_it_says(
    router: Callable[[Setup], Any], length: str | None, sent: bytes, read: bytes
) -> None:
    app = router(one_view(lambda request: Response(request.body + b"|" + request.body)))
    request = Request.blank("/it", body=sent)
    del request.environ["CONTENT_LENGTH"]
    if length is not None:
        request.environ["CONTENT_LENGTH"] = length
    request.environ["webob.is_body_seekable"] = False
    assert request.get_response(app).body == read + b"|" + read


# Events.


def silent(config: Configurator) -> None:
    config.add_subscriber(lambda event: None, BeforeRender)


@pytest.mark.parametrize("event", [ContextFound, IContextFound, NewRequest, BeforeTraversal, NewResponse, None])
def test_the_router_tells_of_events_that_somebody_listens_to(event: Any) -> None:
    told: list[Any] = []

    def made(setup: Setup) -> Any:
        config = Configurator(registry=SiteRegistry("tests"))
        config.setup_registry(settings={})
        config.include("mealshare.core.registry")
        config.add_subscriber(lambda event: told.append("before"), BeforeRender)
        config.add_route("it", "/it")
        config.add_view(lambda request: {}, route_name="it", renderer="json")
        setup(config)
        return config.make_wsgi_app()

    quiet = made(silent)
    assert quiet.registry.has_listeners is False
    Request.blank("/it").get_response(quiet)
    # Whoever listens to something else hears it all the same.
    assert told == ["before"]
    loud = made(lambda config: config.add_subscriber(lambda event: told.append("router"), event))
    assert loud.registry.has_listeners is True
    told.clear()
    Request.blank("/it").get_response(loud)
    assert {"before", "router"} == set(told)
    # One who comes later is heard too.
    with Configurator(registry=quiet.registry) as config:
        config.add_subscriber(lambda event: told.append("late"), event)
    Request.blank("/it").get_response(quiet)
    assert "late" in told


# Transactions.


def test_a_transaction_begins_when_it_is_asked_for() -> None:
    manager = LateManager()
    with pytest.raises(NoTransaction):
        manager.get()
    manager.begin().note("/path")
    with pytest.raises(AlreadyInTransaction):
        manager.begin()
    assert manager.isDoomed() is False
    transaction = manager.get()
    assert manager.get() is transaction
    manager.doom()
    assert manager.isDoomed() is True
    manager.abort()
    with pytest.raises(NoTransaction):
        manager.get()


@pytest.mark.parametrize("end", [LateManager.commit, LateManager.abort])
def test_after_the_end_none_begins(end: Callable[[LateManager], None]) -> None:
    manager = LateManager()
    manager.begin()
    end(manager)
    with pytest.raises(NoTransaction):
        manager.get()
    # Another one may, as with every manager.
    manager.begin()
    assert manager.get() is not None


def test_what_only_reads_has_none(router: Callable[[Setup], Any]) -> None:
    managers: list[LateManager] = []

    def view(request: Request) -> Response:
        managers.append(request.tm)
        if request.method == "POST":
            request.tm.get()
        return Response("read")

    app = router(one_view(view))
    Request.blank("/it").get_response(app)
    assert managers[0]._manager is None
    Request.blank("/it", method="POST", headers={"Authorization": "Bearer x"}).get_response(app)


# Answers.


def test_headers_are_found_in_whatever_case_and_of_several_the_last() -> None:
    assert header_values([("Vary", "A"), ("ETag", '"x"'), ("VARY", "B")]) == {"vary": "B", "etag": '"x"'}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [("Vary", "Accept-Encoding")]),
        ([("Vary", "Origin"), ("X", "y")], [("Vary", "Origin, Accept-Encoding"), ("X", "y")]),
        ([("vary", "Origin"), ("X", "y")], [("X", "y"), ("Vary", "Origin, Accept-Encoding")]),
        ([("Vary", "*")], [("Vary", "*")]),
        ([("Vary", "accept-encoding, Origin")], [("Vary", "accept-encoding, Origin")]),
    ],
)
def test_an_answer_says_what_it_depends_on(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    headers = list(before)
    vary_by(headers, header_values(headers).get("vary"), "Accept-Encoding")
    assert headers == after


# Queries.


class Asked(Query):
    """With a default."""

    limit: int = 20


class Needed(Query):
    """Without one."""

    limit: int


def test_a_query_of_nothing_is_made_once_and_its_error_each_time() -> None:
    assert parse_query("", Asked) is parse_query("", Asked)
    assert parse_query("", Asked).limit == 20
    assert parse_query("limit=3", Asked).limit == 3
    for _ in range(2):
        with pytest.raises(InputInvalid):
            parse_query("", Needed)
