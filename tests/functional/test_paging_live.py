"""Pages of a list while others add to it and take from it: none twice, none left out, in either direction and order.

The lists are those that the API declares (``paged``); a new one has to be put into ``LISTS``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router

from mealshare.api import SortedQuery
from mealshare.api.view import OPERATIONS, Operation
from mealshare.features.accounts.models import Account
from mealshare.features.social.service import BlockService, FollowService, MuteService
from tests.functional.hostile_requests import Answer, Somebody, browser_of, send, send_json

LINK = re.compile(r'<http://localhost([^>]*)>; rel="(\w+)"')
#: What is there before anybody looks, and how many stand on a page.
BEFORE, LIMIT = 10, 2
MEAL = {"food": "soup", "tags": ["onlyhere"], "place": {"name": "Here"}}

#: Where the site of the tests is.
HERE = "http://localhost"


@dataclass
class Live:
    """A list that changes: how an element is added (gives its key) and removed, and how an answer names it."""

    path: str
    who: Somebody
    add: Callable[[], str]
    remove: Callable[[str], object]
    keys: Callable[[Any], list[str]]


class Site:
    """A site on which every list can be filled by its author, a fan of theirs, and a crowd."""

    def __init__(self, app: Router, make_user: Any, token: Any, web: Any) -> None:
        self.app = app
        self.author, self.fan, self.locked = (make_user(name) for name in ("author", "fan", "locked"))
        self.programs = {
            user.username: Somebody(authorization=token(web, user)["Authorization"])
            for user in (self.author, self.fan, self.locked)
        }
        with self.work() as work:
            work.session.get(Account, self.locked.account_id).locked = True
        self.crowd = self._crowd()

    def _crowd(self) -> dict[str, int]:
        """People who never sign in, by name."""
        names = [f"person{number:02}" for number in range(40)]
        with self.work() as work:
            people = [
                Account(username=name, display_name=name, uri=f"{HERE}/users/{name}", url=f"{HERE}/@{name}")
                for name in names
            ]
            work.session.add_all(people)
            work.session.flush()
            return {account.username: account.id for account in people}

    def work(self) -> Any:
        """A unit of work."""
        return self.app.registry["open_work"]()

    def call(self, method: str, path: str, value: Any = None, who: str = "author") -> Any:
        """What somebody is answered."""
        if value is None:
            answer = send(self.app, method, path, self.programs[who])
        else:
            answer = send_json(self.app, method, path, self.programs[who], value)
        assert answer.status < 300, answer.text
        return answer.json if answer.body else None

    def post(self, who: str = "author") -> str:
        """A new meal."""
        return str(self.call("POST", "/api/meals", MEAL, who)["id"])

    def meals(self, path: str, keys: Callable[[Any], list[str]] | None = None) -> Live:
        """A list of everybody's meals."""
        return Live(
            path, self.programs["author"], self.post, lambda id: self.call("DELETE", f"/api/meals/{id}"), keys or ids
        )

    def made(self, path: str, body: Any, item: str, path_of_list: str | None = None) -> Live:
        """A list of what is posted to ``path`` and deleted at ``item``."""
        return Live(
            path_of_list or path,
            self.programs["author"],
            lambda: str(self.call("POST", path, body)["id"]),
            lambda id: self.call("DELETE", f"{item}/{id}"),
            ids,
        )

    def people(
        self, path: str, act: Callable[[Any, int], Any], undo: Callable[[Any, int], Any], who: str = "author"
    ) -> Live:
        """A list of people; nobody comes back who has been taken out."""
        free = list(self.crowd)

        def run(what: Callable[[Any, int], Any], name: str) -> str:
            with self.work() as work:
                what(work, self.crowd[name])
            return name

        return Live(
            path,
            self.programs[who],
            lambda: run(act, free.pop()),
            lambda name: run(undo, name),
            lambda page: [item.get("user", item)["username"] for item in page],
        )

    def want(self) -> str:
        """A new meal, on the author's want list."""
        id = self.post("fan")
        self.call("PUT", f"/api/meals/{id}/want")
        return id

    def like(self) -> str:
        """A new meal of the author's that the fan likes."""
        id = self.post()
        self.call("PUT", f"/api/meals/{id}/like", who="fan")
        return id

    def device(self) -> str:
        """A browser in which the author signs in."""
        browser_of(self.app.registry, self.author.account_id)
        return str(self.call("GET", "/api/devices?limit=1")[0]["id"])


def ids(page: Any) -> list[str]:
    """The elements of a list."""
    return [item["id"] for item in page]


def comments(site: Site) -> Live:
    """The comments on a meal."""
    meal = site.post()
    return site.made(f"/api/meals/{meal}/comments", {"note": "yes"}, "/api/comments")


def eaten_too(site: Site) -> Live:
    """Who ate a meal too."""
    meal = site.post("fan")
    return site.made(f"/api/meals/{meal}/ate-too", {}, "/api/meals")


LISTS: dict[str, Callable[[Site], Live]] = {
    "api.meals": lambda site: site.meals("/api/meals"),
    "api.user.meals": lambda site: site.meals("/api/users/author/meals"),
    "api.feed.public": lambda site: site.meals("/api/feed/public"),
    "api.feed.tag": lambda site: site.meals("/api/feed/tags/onlyhere"),
    "api.feed.place": lambda site: site.meals("/api/feed/places/Here"),
    "api.feed.home": lambda site: site.meals("/api/feed/home"),
    "api.search": lambda site: site.meals("/api/search?q=soup", lambda found: ids(found["meals"])),
    "api.want": lambda site: Live(
        "/api/want", site.programs["author"], site.want, lambda id: site.call("DELETE", f"/api/meals/{id}/want"), ids
    ),
    "api.meal.ate_too": eaten_too,
    "api.meal.comments": comments,
    "api.notifications": lambda site: Live(
        "/api/notifications?type=like",
        site.programs["author"],
        site.like,
        lambda id: site.call("DELETE", f"/api/meals/{id}/like", who="fan"),
        lambda page: [item["meal"]["id"] for item in page],
    ),
    "api.user.followers": lambda site: site.people(
        "/api/users/author/followers",
        lambda work, id: FollowService(work).follow(id, site.author.account_id),
        lambda work, id: FollowService(work).unfollow(id, site.author.account_id),
    ),
    "api.user.following": lambda site: site.people(
        "/api/users/author/following",
        lambda work, id: FollowService(work).follow(site.author.account_id, id),
        lambda work, id: FollowService(work).unfollow(site.author.account_id, id),
    ),
    "api.follow_requests": lambda site: site.people(
        "/api/follow-requests",
        lambda work, id: FollowService(work).follow(id, site.locked.account_id),
        lambda work, id: FollowService(work).reject(site.locked.account_id, id),
        "locked",
    ),
    "api.blocks": lambda site: site.people(
        "/api/blocks",
        lambda work, id: BlockService(work).block(site.fan.account_id, id),
        lambda work, id: BlockService(work).unblock(site.fan.account_id, id),
        "fan",
    ),
    "api.mutes": lambda site: site.people(
        "/api/mutes",
        lambda work, id: MuteService(work).mute(site.author.account_id, id, None),
        lambda work, id: MuteService(work).unmute(site.author.account_id, id),
    ),
    "api.tokens": lambda site: site.made(
        "/api/tokens", {"name": "script", "scopes": ["read"], "expires_at": None}, "/api/tokens"
    ),
    "api.devices": lambda site: Live(
        "/api/devices", site.programs["author"], site.device, lambda id: site.call("DELETE", f"/api/devices/{id}"), ids
    ),
}  # fmt: skip


@pytest.fixture
def site(wsgi_app: Router, make_user: Callable[..., SimpleNamespace], token: Any, app: Any) -> Site:
    """A site with nothing posted."""
    return Site(wsgi_app, make_user, token, app)


def paged(registry: Any) -> dict[str, Operation]:
    """The lists of the API, by route."""
    found = [item["introspectable"]["operation"] for item in registry.introspector.get_category(OPERATIONS)]
    return {operation.route_name: operation for operation in found if operation.paged}


def with_query(path: str, more: str) -> str:
    """The address with further parameters."""
    return f"{path}{'&' if '?' in path else '?'}{more}"


@dataclass
class Walk:
    """A walk through a list, and what becomes of the list meanwhile."""

    site: Site
    live: Live
    #: All keys in the order in which they came to be.
    order: list[str]

    def page(self, path: str) -> tuple[list[str], dict[str, str]]:
        """The keys on a page, and the addresses of its neighbours."""
        answer: Answer = send(self.site.app, "GET", path, self.live.who)
        assert answer.status == 200, answer.text
        return self.live.keys(answer.json), {relation: link for link, relation in LINK.findall(answer.header("Link"))}

    def everything(self) -> list[str]:
        """The whole list as it is now."""
        return self.page(with_query(self.live.path, "limit=100"))[0]

    def go(self, path: str, relation: str) -> str:
        """Follow the links to the end, check what was seen, and give the address of the last page."""
        forward = relation == "next"
        seen: list[str] = []
        before, gone = set(self.everything()), set[str]()
        steps = [self._add, self._remove_seen, self._remove_unseen, self._add]
        address: str | None = path
        last = path
        while address is not None:
            keys, links = self.page(address)
            assert len(keys) <= LIMIT
            assert "limit=2" in address
            seen = seen + keys if forward else keys + seen
            last, address = address, links.get(relation)
            if steps:
                gone |= steps.pop(0)(seen, forward)
        assert not steps, "the list is too short for the test"
        assert len(seen) == len(set(seen)), f"twice: {seen}"
        start = before if path == self.first else before & self._beyond(seen, forward)
        assert start - gone <= set(seen), f"left out: {start - gone - set(seen)}"
        ages = [self.order.index(key) for key in seen]
        assert ages in (sorted(ages), sorted(ages, reverse=True))
        assert set(seen) <= set(self.order)
        return last

    @property
    def first(self) -> str:
        """The address of the first page."""
        return with_query(self.live.path, f"limit={LIMIT}")

    def _beyond(self, seen: list[str], forward: bool) -> set[str]:
        """What lies on the way from the page where the walk began."""
        ages = [self.order.index(key) for key in seen]
        newest_first = len(ages) < 2 or ages[0] > ages[-1]
        end = seen[0] if forward else seen[-1]
        at = self.order.index(end)
        older = newest_first is forward
        return set(self.order[: at + 1] if older else self.order[at:])

    def _add(self, _seen: list[str], _forward: bool) -> set[str]:
        self.order.append(self.live.add())
        return set()

    def _remove_seen(self, seen: list[str], forward: bool) -> set[str]:
        """Also the one behind which the next page begins."""
        return self._remove(seen[-1] if forward else seen[0])

    def _remove_unseen(self, seen: list[str], _forward: bool) -> set[str]:
        ahead = [key for key in self.everything() if key not in seen and key != self.order[-1]]
        return self._remove(ahead[len(ahead) // 2]) if ahead else set()

    def _remove(self, key: str) -> set[str]:
        self.live.remove(key)
        return {key}


def test_pages_while_others_add_and_remove(site: Site, registry: Any) -> None:
    lists = paged(registry)
    assert set(lists) == set(LISTS)
    for name, make in LISTS.items():
        live = make(site)
        walk = Walk(site, live, [])
        # What is there already, such as the sign-in that asks.
        walk.order += reversed(walk.everything())
        query = lists[name].query
        for sort in ["", *(["sort=created_at"] if query is not None and issubclass(query, SortedQuery) else [])]:
            while len(walk.everything()) < BEFORE:
                walk.order.append(live.add())
            asked = Walk(
                site, Live(**{**vars(live), "path": with_query(live.path, sort) if sort else live.path}), walk.order
            )
            try:
                end = asked.go(asked.first, "next")
                asked.go(end, "prev")
            except AssertionError as error:
                raise AssertionError(f"{name} {sort}: {error}") from error
            newest = [key for key in reversed(walk.order) if key in asked.everything()]
            assert asked.everything() == (newest[::-1] if sort == "sort=created_at" else newest), (name, sort)
            if sort:
                assert walk.everything() == walk.page(with_query(live.path, "limit=100&sort=-created_at"))[0], name
            _skipping(asked)


def _skipping(walk: Walk) -> None:
    """At rest, ``skip`` leads to the pages to which the links lead."""
    keys, links = walk.page(walk.first)
    skipped, _ = walk.page(with_query(walk.first, f"skip={len(keys)}"))
    assert walk.page(links["next"])[0] == skipped
    assert walk.page(with_query(walk.first, "skip=10000"))[0] == []


BAD = {
    "limit": ("0", "101", "-1", "x", "", "1.5"), "skip": ("-1", "10001", "x"), "max_id": ("0", "x", "-1", "9" * 20),
    "min_id": ("x", "01"), "sort": ("id", "created_at,id", "-eaten_at", "", "CREATED_AT"),
}  # fmt: skip


def test_bounds(site: Site, registry: Any) -> None:
    """What is out of bounds is told by its name, and nothing is guessed."""
    for name, operation in paged(registry).items():
        live = LISTS[name](site)
        is_sorted = operation.query is not None and issubclass(operation.query, SortedQuery)
        for parameter, values in BAD.items():
            for value in values:
                answer = send(site.app, "GET", with_query(live.path, f"{parameter}={value}"), live.who)
                code = "unknown_parameter" if parameter == "sort" and not is_sorted else "bad_parameter"
                assert answer.status == 400, (name, parameter, value)
                assert answer.json["type"].endswith(f"/{code}"), (name, parameter, value)
                assert [error["parameter"] for error in answer.json["errors"]] == [parameter], (name, value)
        assert send(site.app, "GET", with_query(live.path, "limit=100&skip=10000"), live.who).status == 200, name


def test_pages_while_threads_write(site: Site) -> None:
    """Without any order between the writers and the reader: what was there all the time is on exactly one page."""
    kept = [site.post() for _ in range(20)]
    done, failures = threading.Event(), list[BaseException]()

    def write(who: str) -> None:
        try:
            while not done.is_set():
                site.call("DELETE", f"/api/meals/{site.post(who)}", who=who)
        except BaseException as error:  # Told by the test, which this thread cannot fail.
            failures.append(error)

    writers = [threading.Thread(target=write, args=(who,)) for who in ("author", "fan")]
    for writer in writers:
        writer.start()
    try:
        for path in ("/api/meals", "/api/feed/home"):
            walk = Walk(site, site.meals(path), kept)
            seen, address, last = list[str](), walk.first, ""
            while address:
                keys, links = walk.page(address)
                seen, last, address = seen + keys, address, links.get("next", "")
            assert [key for key in seen if key in kept] == kept[::-1]
            assert len(seen) == len(set(seen))
            back, address = list[str](), last
            while address and kept[-1] not in back:
                keys, links = walk.page(address)
                back, address = keys + back, links.get("prev", "")
            assert [key for key in back if key in kept] == kept[::-1]
            assert len(back) == len(set(back))
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert failures == []
