"""Following, blocking and muting over JSON."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core.clock import now
from mealshare.features.accounts.models import Account, Grant
from mealshare.features.social.events import Blocked, Followed, FollowRequested, Muted, Unblocked, Unfollowed, Unmuted
from mealshare.features.social.jobs import sweep
from mealshare.features.social.models import Block, Follow, Mute

HAPPENED = (FollowRequested, Followed, Unfollowed, Blocked, Unblocked, Muted, Unmuted)


class Person(SimpleNamespace):
    """Somebody with a program."""

    def ask(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """The answer to a request, as JSON (None: there is none)."""
        answer = self.app.request(
            path,
            method=method,
            headers=self.headers,
            status=status,
            **({} if body is None else {"body": body.encode(), "content_type": "application/json"}),
        )
        return answer.json if answer.body else None

    def sees(self, path: str) -> list[str]:
        """The names in a list of people."""
        return [(item.get("user") or item)["username"] for item in self.ask("GET", path)]


@pytest.fixture
def people(app, make_user, token):
    """``people("mei", "bob")``: that many, each with a program."""

    def make(*names: str) -> list[Person]:
        found = []
        for name in names:
            user = make_user(name)
            found.append(Person(app=app, headers=token(app, user), **vars(user)))
        return found

    return make


@pytest.fixture
def happened(registry, monkeypatch):
    """What is published while the test runs, in order."""
    seen: list[object] = []
    bus = registry["events"]
    for event in HAPPENED:
        monkeypatch.setitem(bus.handlers, event, [*bus.handlers[event], lambda _work, event: seen.append(event)])
    return seen


def counts(app: Any, name: str) -> tuple[int, int]:
    person = app.get(f"/api/users/{name}").json
    return person["followers_count"], person["following_count"]


def test_follow_and_unfollow(app, people, happened):
    mei, bob = people("mei", "bob")
    relation = mei.ask("PUT", "/api/users/BOB/follow")
    assert relation == {
        "own": False, "following": True, "requested": False, "followed_by": False, "requested_by": False,
        "muting": False,
    }  # fmt: skip
    assert mei.ask("PUT", "/api/users/bob/follow") == relation == mei.ask("GET", "/api/users/bob")["viewer"]
    assert bob.ask("GET", "/api/users/mei")["viewer"]["followed_by"] is True
    assert (counts(app, "bob"), counts(app, "mei")) == ((1, 0), (0, 1))
    (listed,) = app.get("/api/users/bob/followers").json
    assert (listed["username"], listed["viewer"]["following"]) == ("mei", False)
    assert mei.sees("/api/users/mei/following") == ["bob"]
    for _ in range(2):
        mei.ask("DELETE", "/api/users/bob/follow", 204)
    assert (counts(app, "bob"), counts(app, "mei")) == ((0, 0), (0, 0))
    ids = mei.account_id, bob.account_id
    assert happened == [Followed(*ids), Unfollowed(*ids)]


def test_nobody_follows_blocks_or_mutes_oneself(app, people):
    (mei,) = people("mei")
    for what in ("follow", "block", "mute"):
        assert mei.ask("PUT", f"/api/users/mei/{what}", 409)["type"].endswith("/problems/oneself")
        mei.ask("DELETE", f"/api/users/mei/{what}", 204)
        mei.ask("PUT", f"/api/users/nobody/{what}", 404)
    assert counts(app, "mei") == (0, 0)


def test_a_locked_account_is_asked(app, people, happened):
    mei, bob = people("mei", "bob")
    assert bob.ask("PATCH", "/api/user/profile", body='{"locked": true}')["locked"] is True
    meal = bob.ask("POST", "/api/meals", 201, '{"food": "rice", "visibility": "followers"}')["id"]
    relation = mei.ask("PUT", "/api/users/bob/follow")
    assert (relation["following"], relation["requested"]) == (False, True)
    assert mei.ask("PUT", "/api/users/bob/follow") == relation
    assert (counts(app, "bob"), bob.sees("/api/users/bob/followers")) == ((0, 0), [])
    mei.ask("GET", f"/api/meals/{meal}", 404)
    assert bob.sees("/api/follow-requests") == ["mei"]
    assert bob.ask("GET", "/api/users/mei")["viewer"]["requested_by"] is True
    # Taken back, and asked again.
    mei.ask("DELETE", "/api/users/bob/follow", 204)
    assert bob.sees("/api/follow-requests") == []
    mei.ask("PUT", "/api/users/bob/follow")
    for _ in range(2):
        bob.ask("DELETE", "/api/follow-requests/mei", 204)
    bob.ask("POST", "/api/follow-requests/mei", 404)
    mei.ask("PUT", "/api/users/bob/follow")
    for _ in range(2):
        bob.ask("POST", "/api/follow-requests/mei", 204)
    assert (counts(app, "bob"), counts(app, "mei")) == ((1, 0), (0, 1))
    assert (bob.sees("/api/follow-requests"), bob.sees("/api/users/bob/followers")) == ([], ["mei"])
    mei.ask("GET", f"/api/meals/{meal}")
    # Rejecting is of requests only; removing is of followers, and of one's own.
    bob.ask("DELETE", "/api/follow-requests/mei", 204)
    mei.ask("DELETE", "/api/users/bob/followers/mei", 403)
    assert counts(app, "bob") == (1, 0)
    for _ in range(2):
        bob.ask("DELETE", "/api/users/bob/followers/mei", 204)
    assert (counts(app, "bob"), counts(app, "mei")) == ((0, 0), (0, 0))
    mei.ask("GET", f"/api/meals/{meal}", 404)
    ids = mei.account_id, bob.account_id
    asked, refused = FollowRequested(*ids), Unfollowed(*ids, requested=True)
    assert happened == [asked, refused, asked, refused, asked, Followed(*ids, requested=True), Unfollowed(*ids)]


def test_requests_wait_when_the_account_is_unlocked(app, people):
    mei, bob, eve = people("mei", "bob", "eve")
    bob.ask("PATCH", "/api/user/profile", body='{"locked": true}')
    mei.ask("PUT", "/api/users/bob/follow")
    eve.ask("PUT", "/api/users/bob/follow")
    assert bob.ask("PATCH", "/api/user/profile", body='{"locked": null}')["locked"] is False
    assert (bob.sees("/api/follow-requests"), counts(app, "bob")) == (["eve", "mei"], (0, 0))
    # Removing followers leaves those alone who only ask; asking again is following now.
    bob.ask("DELETE", "/api/users/bob/followers/mei", 204)
    assert mei.ask("PUT", "/api/users/bob/follow")["following"] is True
    assert (bob.sees("/api/follow-requests"), counts(app, "bob")) == (["eve"], (1, 0))


def test_a_block_hides_both_from_each_other(app, people, happened):
    mei, bob, eve = people("mei", "bob", "eve")
    for one, other in ((mei, "bob"), (bob, "mei"), (eve, "mei"), (mei, "eve"), (bob, "eve"), (eve, "bob")):
        one.ask("PUT", f"/api/users/{other}/follow")
    meals = {
        who.username: who.ask("POST", "/api/meals", 201, '{"food": "rice", "tags": ["rice"]}') for who in (mei, bob)
    }
    happened.clear()
    for _ in range(2):
        mei.ask("PUT", "/api/users/bob/block", 204)
    between = (Unfollowed(mei.account_id, bob.account_id), Unfollowed(bob.account_id, mei.account_id))
    assert sorted(map(repr, happened[:2])) == sorted(map(repr, between))
    assert happened[2:] == [Blocked(mei.account_id, bob.account_id)]
    assert [counts(app, name) for name in ("mei", "bob", "eve")] == [(1, 1), (1, 1), (2, 2)]
    for me, other in ((mei, "bob"), (bob, "mei")):
        for path in (
            f"/api/users/{other}",
            f"/api/users/{other}/followers",
            f"/api/users/{other}/following",
            f"/api/users/{other}/meals",
        ):
            me.ask("GET", path, 404)
        for what in ("follow", "mute"):
            me.ask("PUT", f"/api/users/{other}/{what}", 404)
            me.ask("DELETE", f"/api/users/{other}/{what}", 404)
        me.ask("POST", f"/api/follow-requests/{other}", 404)
        me.ask("DELETE", f"/api/users/{me.username}/followers/{other}", 404)
        me.ask("GET", f"/api/meals/{meals[other]['id']}", 404)
        for path in ("/api/meals", "/api/feed/public", "/api/feed/tags/rice"):
            assert [meal["user"]["username"] for meal in me.ask("GET", path)] == [me.username], path
        # Neither is in the lists of a third person, while that person and everybody else see both.
        assert me.sees("/api/users/eve/followers") == me.sees("/api/users/eve/following") == [me.username]
    assert len(eve.sees("/api/users/eve/followers")) == len(app.get("/api/users/eve/following").json) == 2
    # Who has blocked can take it back; who is blocked is not even told that there is something to take back.
    bob.ask("DELETE", "/api/users/mei/block", 404)
    bob.ask("PUT", "/api/users/mei/block", 404)
    assert (mei.sees("/api/blocks"), bob.sees("/api/blocks")) == (["bob"], [])
    for _ in range(2):
        mei.ask("DELETE", "/api/users/bob/block", 204)
    assert happened[-1] == Unblocked(mei.account_id, bob.account_id)
    assert bob.ask("GET", "/api/users/mei")["viewer"]["following"] is False
    assert counts(app, "bob") == (1, 1)


def test_a_request_does_not_survive_a_block(app, people, happened):
    mei, bob = people("mei", "bob")
    bob.ask("PATCH", "/api/user/profile", body='{"locked": true}')
    mei.ask("PUT", "/api/users/bob/follow")
    bob.ask("PUT", "/api/users/mei/block", 204)
    ids = mei.account_id, bob.account_id
    assert happened == [FollowRequested(*ids), Unfollowed(*ids, requested=True), Blocked(*reversed(ids))]
    bob.ask("DELETE", "/api/users/mei/block", 204)
    assert (bob.sees("/api/follow-requests"), counts(app, "bob"), counts(app, "mei")) == ([], (0, 0), (0, 0))


def test_both_may_block_each_other(app, people):
    """The one who blocks later had been looking at the page already; each takes back only their own."""
    mei, bob = people("mei", "bob")
    mei.ask("PUT", "/api/users/bob/block", 204)
    with app.app.registry["open_work"]() as work:
        work.session.add(Block(account_id=bob.account_id, target_id=mei.account_id))
    assert (mei.sees("/api/blocks"), bob.sees("/api/blocks")) == (["bob"], ["mei"])
    mei.ask("DELETE", "/api/users/bob/block", 204)
    mei.ask("GET", "/api/users/bob", 404)
    mei.ask("DELETE", "/api/users/bob/block", 404)
    bob.ask("DELETE", "/api/users/mei/block", 204)
    mei.ask("GET", "/api/users/bob")


def test_mute(app, people, happened):
    mei, bob = people("mei", "bob")
    meal = bob.ask("POST", "/api/meals", 201, '{"food": "rice"}')
    for _ in range(2):
        mei.ask("PUT", "/api/users/bob/mute", 204)
    assert mei.ask("GET", "/api/users/bob")["viewer"]["muting"] is True
    assert bob.ask("GET", "/api/users/mei")["viewer"] == {
        "own": False, "following": False, "requested": False, "followed_by": False, "requested_by": False,
        "muting": False,
    }  # fmt: skip
    assert mei.ask("GET", "/api/meals") == []
    assert [len(mei.ask("GET", path)) for path in ("/api/users/bob/meals", "/api/mutes")] == [1, 1]
    mei.ask("GET", f"/api/meals/{meal['id']}")
    assert mei.ask("GET", "/api/mutes")[0]["until"] is None
    for _ in range(2):
        mei.ask("DELETE", "/api/users/bob/mute", 204)
    assert len(mei.ask("GET", "/api/meals")) == 1
    ids = mei.account_id, bob.account_id
    assert happened == [Muted(*ids), Unmuted(*ids)]


def test_a_mute_may_end(app, people, registry, work, happened):
    mei, bob = people("mei", "bob")
    bob.ask("POST", "/api/meals", 201, '{"food": "rice"}')
    mei.ask("PUT", "/api/users/bob/mute", 204, '{"duration": 3600}')
    (muted,) = mei.ask("GET", "/api/mutes")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", muted["until"])
    until = (now() + timedelta(days=2)).isoformat()
    mei.ask("PUT", "/api/users/bob/mute", 204, f'{{"until": "{until}"}}')
    assert mei.ask("GET", "/api/mutes")[0]["until"] > muted["until"]
    assert mei.ask("GET", "/api/meals") == []
    with work() as unit:
        unit.session.execute(update(Mute).values(until=now() - timedelta(seconds=2)))
    # It has ended, although its row is still there; muting again is a new mute.
    assert (len(mei.ask("GET", "/api/meals")), mei.ask("GET", "/api/mutes")) == (1, [])
    assert mei.ask("GET", "/api/users/bob")["viewer"]["muting"] is False
    mei.ask("PUT", "/api/users/bob/mute", 204, "{}")
    assert happened == [Muted(mei.account_id, bob.account_id)] * 2
    sweep(registry, {})
    assert mei.sees("/api/mutes") == ["bob"]
    with work() as unit:
        unit.session.execute(update(Mute).values(until=now() - timedelta(seconds=2)))
    sweep(registry, {})
    with work() as unit:
        assert unit.session.scalar(select(func.count()).select_from(Mute)) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"duration": 0}', "too_small"),
        ('{"duration": 31622401}', "too_big"),
        ('{"duration": 60, "until": "2999-01-01T00:00:00Z"}', "mute_end_range"),
        ('{"until": "2020-01-01T00:00:00Z"}', "mute_end_range"),
        ('{"until": "2027-01-01T00:00:00"}', "bad_datetime"),
        ('{"ends": 60}', "unknown"),
    ],
)
def test_the_end_of_a_mute_is_bounded(people, body, code):
    mei, _bob = people("mei", "bob")
    assert mei.ask("PUT", "/api/users/bob/mute", 422, body)["errors"][0]["code"] == code


def test_either_end_of_a_mute(people):
    mei, _bob = people("mei", "bob")
    until = (now() + timedelta(days=1)).isoformat()
    problem = mei.ask("PUT", "/api/users/bob/mute", 422, f'{{"duration": 60, "until": "{until}"}}')
    assert problem["errors"][0]["code"] == "one_mute_end"


def test_what_a_token_and_a_visitor_may(app, people, work):
    mei, bob = people("mei", "bob")
    for method, path in (
        ("PUT", "/api/users/bob/follow"), ("DELETE", "/api/users/bob/block"), ("PUT", "/api/users/bob/mute"),
        ("GET", "/api/follow-requests"), ("POST", "/api/follow-requests/bob"), ("GET", "/api/blocks"),
        ("GET", "/api/mutes"), ("DELETE", "/api/users/mei/followers/bob"),
    ):  # fmt: skip
        app.request(path, method=method, status=401)
    with work() as unit:
        unit.session.execute(update(Grant).values(scopes="read"))
    for method, path in (
        ("PUT", "/api/users/bob/follow"),
        ("PUT", "/api/users/bob/block"),
        ("PUT", "/api/users/bob/mute"),
        ("POST", "/api/follow-requests/bob"),
    ):
        assert mei.ask(method, path, 403)["type"].endswith("scope_missing")
    assert mei.ask("GET", "/api/blocks") == []


def test_suspended_people_are_in_no_list(app, people, work):
    mei, bob = people("mei", "bob")
    bob.ask("PATCH", "/api/user/profile", body='{"locked": true}')
    mei.ask("PUT", "/api/users/bob/follow")
    bob.ask("PUT", "/api/users/mei/follow")
    bob.ask("PUT", "/api/users/mei/mute", 204)
    with work() as unit:
        unit.session.execute(update(Account).where(Account.id == mei.account_id).values(suspended_at=now()))
    assert bob.sees("/api/follow-requests") == bob.sees("/api/users/bob/following") == bob.sees("/api/mutes") == []
    bob.ask("POST", "/api/follow-requests/mei", 404)


def test_lists_are_paged(app, people, work, make_user):
    (mei,) = people("mei")
    fans = [make_user(f"fan{number}") for number in range(5)]
    with work() as unit:
        for fan in fans:
            unit.session.add(Follow(account_id=fan.account_id, target_id=mei.account_id, state="accepted"))
            unit.session.flush()
    first = app.get("/api/users/mei/followers?limit=2")
    assert [item["username"] for item in first.json] == ["fan4", "fan3"]
    links = re.findall(r'<http://localhost([^>]*)>; rel="(\w+)"', first.headers["Link"])
    assert [name for _path, name in links] == ["next"]
    second = app.get(links[0][0])
    assert [item["username"] for item in second.json] == ["fan2", "fan1"]
    previous = {
        name: path for path, name in re.findall(r'<http://localhost([^>]*)>; rel="(\w+)"', second.headers["Link"])
    }
    assert app.get(previous["prev"]).json == first.json
    assert [item["username"] for item in app.get("/api/users/mei/followers?skip=4").json] == ["fan0"]
    app.get("/api/users/mei/followers?before=1", status=400)
