"""Streams of new meals: who hears what, when a stream ends, and that nothing is lost or told twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, delete, update
from webob import Request
from webtest import TestApp

from mealshare import main
from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.core.ids import new_id
from mealshare.core.lines import HAND_OVER, LASTING
from mealshare.core.security.identity import Role
from mealshare.core.security.tokens import hash_token, new_personal_token
from mealshare.features.accounts.models import Account, PersonalToken, Session, User
from mealshare.features.accounts.service import set_role
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import Post
from mealshare.features.meals.schemas import MealInput
from mealshare.features.social.service import BlockService, MuteService
from mealshare.features.streams import queries
from mealshare.features.streams.cursor import Cursor, id_before
from mealshare.features.streams.hub import Hub
from mealshare.features.streams.vocabulary import Feed
from tests.functional.home_feeds import Site
from tests.functional.streams import Heard, events_in, last_id_in, listen, poll, wait_until
from tests.people import add_user, bearer, sign_in
from tests.plans import FIRST_MEAL, ME, MIDDLE, plans_of, problems_of
from tests.sites import site_settings

PUBLIC_PEOPLE = ("visitor", "stranger", "follower", "muter", "blocked", "allergic", "author")


@pytest.fixture
def hub(registry: Any) -> Iterator[Hub]:
    """The hub of the application, which looks often and has no thread left afterwards."""
    hub: Hub = registry["streams"]
    settings = hub._settings
    hub._settings = replace(settings, poll_seconds=0.05)
    yield hub
    hub.stop()
    hub._listeners.clear()
    hub._settings = settings


@pytest.fixture
def site(wsgi_app: Any, registry: Any, hub: Hub, make_user: Any, token: Any, run_jobs: Any) -> Site:
    return Site(wsgi_app, registry, make_user, token, run_jobs)


def hears(site: Site, name: str, feed: str = "public", **options: Any) -> Heard:
    headers = options.pop("headers", {}) | ({} if name == "visitor" else site.headers(name))
    return listen(site.app, f"?feed={feed}", headers=headers, **options)


def post_late(site: Site, name: str, food: str, seconds: float) -> int:
    """A meal whose transaction commits now, ``seconds`` after its id was made."""
    meal = MealInput.model_validate_json(orjson.dumps({"food": food}))
    with site.registry["open_work"]() as work:
        service = make_meal_service(work, site.registry)
        return int(service.post(site[name], meal, at=clock.now() - timedelta(seconds=seconds)).id)


def test_how_a_stream_begins(site: Site, registry: Any) -> None:
    heard = hears(site, "visitor", headers={"Origin": "http://localhost"})
    headers = heard.answer.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Origin" in headers["Vary"]
    assert {"ETag", "Content-Encoding"}.isdisjoint(headers)
    retry, id, comment = heard.text.split("\n")[:3]
    assert 2000 <= int(retry.removeprefix("retry: ")) <= 5000
    assert Cursor.parse(id.removeprefix("id: ")).known == []
    assert comment == ":"
    # The server has to have room for them.
    assert registry[LASTING] == 500
    assert site.app.head("/api/feed/stream").headers["Content-Type"] == "text/event-stream"
    assert len(registry["streams"]) == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?feed=home", 401, "login_required"),
        ("?feed=everything", 400, "bad_parameter"),
        ("?last_event_id=soup", 400, "bad_parameter"),
        (f"?last_event_id={'1' * 5000}", 400, "bad_parameter"),
        ("?limit=5", 400, "unknown_parameter"),
    ],
)
def test_what_is_refused(site: Site, query: str, status: int, code: str) -> None:
    heard = listen(site.app, query, status=status, headers={"Accept": "text/event-stream"})
    assert heard.answer.json["type"].endswith(f"/problems/{code}")


def test_everybody_hears_what_they_may_see_and_nothing_else(site: Site) -> None:
    """Of public streams and of home streams, by what the people are to the author."""
    site.follow("follower>author", "muter>author", "allergic>author", jobs=False)
    with site.registry["open_work"]() as work:
        BlockService(work).block(site["author"], site["blocked"])
        MuteService(work).mute(site["muter"], site["author"])
    preferences = {"avoid": ["peanuts"], "diets": [], "mode": "hide"}
    site.app.put_json("/api/preferences", preferences, headers=site.headers("allergic"))
    for name in PUBLIC_PEOPLE[1:]:
        site.follow(f"{name}>herald", jobs=False)
    streams = {(name, "public"): hears(site, name) for name in PUBLIC_PEOPLE}
    streams |= {(name, "home"): hears(site, name, "home") for name in PUBLIC_PEOPLE[1:]}

    site.post("author", "public")
    site.post("author", "peanuts", allergens={"contains": ["peanuts"], "free_from": []})
    for visibility in ("unlisted", "followers", "only_me"):
        site.post("author", visibility, visibility)
    site.post("herald", "end")
    for key, heard in streams.items():
        wait_until(lambda heard=heard: "end" in heard.foods, f"the end for {key}")

    everybody, home = {"public", "peanuts"}, {"public", "peanuts", "unlisted", "followers"}
    public = dict.fromkeys(("visitor", "stranger", "follower", "author"), everybody)
    public |= {"allergic": {"public"}, "muter": set(), "blocked": set()}
    at_home = {"follower": home, "author": {*home, "only_me"}, "allergic": home - {"peanuts"}}
    at_home |= {"stranger": set(), "muter": set(), "blocked": set()}
    for (name, feed), heard in streams.items():
        assert set(heard.foods) - {"end"} == (public if feed == "public" else at_home)[name], (name, feed)
        assert len(heard.foods) == len(set(heard.foods))
    # The author is told that they wrote it, and nobody else is; otherwise it is what the lists have.
    own = next(event["data"] for event in streams["author", "public"].events)
    assert own["viewer"]["own"] is True
    listed = site.app.get("/api/feed/public", headers=site.headers("stranger")).json[-1]
    assert next(event["data"] for event in streams["stranger", "public"].events) == listed


def test_what_was_missed_is_the_same_as_what_would_have_been_heard(site: Site) -> None:
    """With a cursor, from a server that keeps connections and from one that does not, before the fan-out and after."""
    site.follow("follower>author", jobs=False)
    first = site.post("author", "first")
    for food, visibility in (
        ("followers", "followers"),
        ("unlisted", "unlisted"),
        ("only_me", "only_me"),
        ("last", "public"),
    ):
        site.post("author", food, visibility)
    expected = {
        ("visitor", "public"): ["last"], ("follower", "public"): ["last"],
        ("follower", "home"): ["followers", "unlisted", "last"], ("author", "home"): ["followers", "unlisted", "only_me", "last"],
    }  # fmt: skip
    for _ in range(2):
        for (name, feed), foods in expected.items():
            headers = {} if name == "visitor" else site.headers(name)
            polled = poll(site.app, f"?feed={feed}&last_event_id={first}", headers=headers)
            assert [event["data"]["food"] for event in polled] == foods, (name, feed)
            heard = hears(site, name, feed, headers={"Last-Event-ID": str(first)})
            assert heard.foods == foods, (name, feed)
            # Going on from the last of them there is nothing, and from the middle there is the rest.
            for event, left in ((polled[-1], []), (polled[0], foods[1:])):
                query = f"?feed={feed}&last_event_id={event['id']}"
                assert [one["data"]["food"] for one in poll(site.app, query, headers=headers)] == left
        site.jobs()
    # A header that another site's stream left behind says nothing; it begins now.
    assert hears(site, "visitor", headers={"Last-Event-ID": "what?"}).foods == []


def test_nothing_is_told_twice_and_what_comes_to_light_late_is_told(site: Site) -> None:
    """Ids are older than commits: a smaller id may come after a larger one, also while nobody is connected."""
    heard = hears(site, "visitor", headers={"Last-Event-ID": str(id_before(20))})
    site.post("ann", "one")
    wait_until(lambda: heard.foods == ["one"])
    post_late(site, "ann", "late", 5)
    wait_until(lambda: heard.foods == ["one", "late"])
    heard.close()
    post_late(site, "ann", "later", 3)
    site.post("ann", "two")
    again = hears(site, "visitor", headers={"Last-Event-ID": last_id_in(heard.whole)})
    # What was missed comes in the order of the ids; the hub, which hears of both just now, does not repeat them.
    site.post("ann", "three")
    wait_until(lambda: "three" in again.foods)
    assert sorted(again.foods) == ["later", "three", "two"]
    # Too late is too late: after a minute it is no news.
    post_late(site, "ann", "yesterday", 90)
    site.post("ann", "four")
    wait_until(lambda: "four" in again.foods)
    assert "yesterday" not in again.foods


def test_what_is_told_while_the_past_is_looked_up_comes_after_it_and_once(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.post("ann", "first")
    site.post("ann", "missed")
    other = hears(site, "visitor")
    looked_up = queries.missed_since

    def slowly(connection: Connection, *arguments: Any) -> Any:
        site.post("ann", "before")
        missed = looked_up(connection, *arguments)
        site.post("ann", "after")
        wait_until(lambda: {"before", "after"} <= set(other.foods))
        return missed

    monkeypatch.setattr("mealshare.features.streams.api.missed_since", slowly)
    heard = hears(site, "visitor", headers={"Last-Event-ID": str(first)})
    assert heard.foods == ["missed", "before", "after"]


def test_whoever_was_away_too_long_is_told_to_read_the_feed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_MISSED", 5)
    first = site.post("ann", "first")
    site.follow("bob>ann")
    for number in range(queries.MOST_MISSED + 1):
        site.post("ann", f"{number}")
    site.jobs()
    for feed, headers in (("public", {}), ("home", site.headers("bob"))):
        events = poll(site.app, f"?feed={feed}&last_event_id={first}", headers=headers)
        *meals, reset = events
        assert [event["data"]["food"] for event in meals] == [f"{number}" for number in range(queries.MOST_MISSED)]
        assert reset["event"] == "reset"
        assert poll(site.app, f"?feed={feed}&last_event_id={reset['id']}", headers=headers) == []
        (last,) = poll(site.app, f"?feed={feed}&last_event_id={meals[-1]['id']}", headers=headers)
        assert last["data"]["food"] == f"{queries.MOST_MISSED}"


def sign_out(site: Site, app: TestApp, headers: dict[str, str]) -> None:
    site.app.post("/api/logout", headers=headers)


def end_session(site: Site, app: TestApp, headers: dict[str, str]) -> None:
    with site.registry["engine"].begin() as connection:
        connection.execute(delete(Session).where(Session.user_id == site["ann"]))


def suspend(site: Site, app: TestApp, headers: dict[str, str]) -> None:
    with site.registry["engine"].begin() as connection:
        connection.execute(update(Account).where(Account.id == site["ann"]).values(suspended_at=clock.now()))


def change_role(site: Site, app: TestApp, headers: dict[str, str]) -> None:
    with site.registry["open_work"]() as work:
        set_role(work, "http://localhost", "ann", Role.MODERATOR)


def void_tokens(site: Site, app: TestApp, headers: dict[str, str]) -> None:
    """As a new password does."""
    with site.registry["engine"].begin() as connection:
        connection.execute(update(User).where(User.id == site["ann"]).values(generation=User.generation + 1))


def take_token_back(site: Site, app: TestApp, headers: dict[str, str]) -> None:
    with site.registry["engine"].begin() as connection:
        connection.execute(delete(PersonalToken).where(PersonalToken.user_id == site["ann"]))


@pytest.mark.parametrize(
    ("way", "action"),
    [
        ("bearer", sign_out), ("bearer", suspend), ("bearer", change_role), ("bearer", void_tokens), ("browser", end_session), ("browser", suspend),
        ("personal", take_token_back), ("personal", suspend),
    ],
)  # fmt: skip
def test_a_stream_ends_with_the_sign_in_behind_it(
    site: Site, new_app: Callable[[], TestApp], way: str, action: Callable[..., None]
) -> None:
    app, headers = new_app(), {}
    ann = site["ann"]
    if way == "browser":
        sign_in(app, site.people["ann"])
    else:
        headers = site.headers("ann")
    if way == "personal":
        headers = {"Authorization": f"Bearer {personal_token(site, ann)}"}
    heard, others = listen(app, "?feed=home", headers=headers), [hears(site, "bob", "home"), hears(site, "visitor")]
    assert heard.answer.status_int == 200
    action(site, app, headers)
    wait_until(lambda: heard.ended, "the end")
    assert heard.reason == "signed_out"
    site.post("bob", "soup")
    wait_until(lambda: all(one.foods == ["soup"] for one in others))
    assert heard.foods == []


def personal_token(site: Site, account_id: int) -> str:
    """A personal token that reads, without its page."""
    secret = new_personal_token()
    with site.registry["engine"].begin() as connection:
        connection.execute(
            PersonalToken.__table__.insert().values(
                id=new_id(), user_id=account_id, name="listener", token_hash=hash_token(secret), scopes="read",
                created_at=clock.now(), expires_at=None,
            )
        )  # fmt: skip
    return secret


def test_a_stream_ends_when_its_token_expires_and_when_it_has_lasted_long_enough(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.registry["access_tokens"], "access_seconds", 1)
    heard = hears(site, "ann", "home")
    wait_until(lambda: heard.ended)
    assert heard.reason == "token_expired"
    hub._settings = replace(hub._settings, seconds=1)
    heard = hears(site, "visitor")
    wait_until(lambda: heard.ended)
    assert heard.reason == "time"


def test_silence_is_broken_by_words_that_say_where_one_stands(site: Site, hub: Hub) -> None:
    hub._settings = replace(hub._settings, heartbeat_seconds=1)
    heard = hears(site, "visitor")
    wait_until(lambda: heard.whole.count("\n:\n") == 3)
    assert heard.events == []
    assert poll(site.app, f"?last_event_id={last_id_in(heard.whole)}") == []
    site.post("ann", "soup")
    assert [event["data"]["food"] for event in poll(site.app, f"?last_event_id={last_id_in(heard.whole)}")] == ["soup"]


def test_how_many_may_listen(site: Site, hub: Hub) -> None:
    hub._settings = replace(hub._settings, per_account=2, per_address=3, listeners=6)

    def refused(name: str, status: int, code: str, **options: Any) -> None:
        answer = hears(site, name, status=status, **options).answer
        assert answer.json["type"].endswith(f"/problems/{code}")
        assert int(answer.headers["Retry-After"]) > 0

    here, there = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}
    own = [hears(site, "ann", extra_environ=here) for _ in range(2)]
    refused("ann", 429, "too_many_streams", extra_environ=there)
    visitors = [hears(site, "visitor", extra_environ=here) for _ in range(3)]
    refused("visitor", 429, "too_many_streams", extra_environ=here)
    # A school has one address: those who are signed in count by themselves.
    hears(site, "bob", extra_environ=here)
    refused("visitor", 503, "streams_full", extra_environ=there)
    own[0].close()
    visitors[0].close()
    hears(site, "ann")
    hears(site, "visitor", extra_environ=there)
    assert len(hub) == 6


def test_a_place_is_free_again_whatever_becomes_of_the_request(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past cannot be read; the client goes before the beginning was sent; the connection never arrives."""
    with monkeypatch.context() as patched:
        patched.setattr("mealshare.features.streams.api.missed_since", lambda *_: 1 / 0)
        hears(site, "visitor", headers={"Last-Event-ID": "1"}, status=500)
    assert len(hub) == 0
    response = site.app.app(_environ(), lambda *_: None)
    response.close()
    assert len(hub) == 0
    monkeypatch.setattr("mealshare.features.streams.hub.ARRIVAL_SECONDS", 0.1)
    hears(site, "visitor", arrives=False)
    wait_until(lambda: len(hub) == 0)


def _environ() -> dict[str, Any]:
    return Request.blank("/api/feed/stream", environ={HAND_OVER: lambda _: None}).environ


def test_who_reads_too_slowly_is_cut_off(site: Site, hub: Hub) -> None:
    slow, quick = hears(site, "visitor"), hears(site, "visitor")
    slow.backlog = hub._settings.buffer_bytes + 1
    wait_until(lambda: slow.ended)
    site.post("ann", "soup")
    wait_until(lambda: quick.foods == ["soup"])


def test_what_a_look_costs(site: Site, hub: Hub) -> None:
    """One statement when there is nothing new; then one for all visitors, and one for each person."""
    for name in ("ann", "bob"):
        site.headers(name)
    streams = [hears(site, "visitor", extra_environ={"REMOTE_ADDR": f"192.0.2.{number}"}) for number in range(20)]
    hub.stop()

    def cost() -> int:
        with record_statements() as statements:
            hub._tick()
        return len(statements)

    assert cost() == 1
    site.post("ann", "soup")
    assert cost() == 2
    streams += [hears(site, name, feed) for name in ("ann", "bob") for feed in ("public", "home")]
    streams += [hears(site, "bob")]
    hub.stop()
    # Whether the tokens of both still count is one more.
    assert cost() == 2
    site.post("ann", "rice")
    assert cost() == 2 + 1 + 4
    assert all("rice" in heard.foods for heard in streams[:23])
    with record_statements() as statements:
        hears(site, "visitor")
    # What is there already is not new.
    assert len(statements) == 1


def test_a_database_that_is_away_loses_nothing(site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, other = hears(site, "visitor"), hears(site, "ann", "home")
    asked: list[Feed] = []
    seen_among = queries.seen_among

    def sometimes(connection: Connection, feed: Feed, *arguments: Any) -> Any:
        asked.append(feed)
        if len(asked) in (1, 3):
            raise OSError("away")
        return seen_among(connection, feed, *arguments)

    monkeypatch.setattr("mealshare.features.streams.hub.seen_among", sometimes)
    site.post("ann", "soup")
    wait_until(lambda: heard.foods == ["soup"] and other.foods == ["soup"])
    site.post("ann", "rice")
    wait_until(lambda: heard.foods == ["soup", "rice"] and other.foods == ["soup", "rice"])


@pytest.mark.parametrize("feed", list(Feed))
@pytest.mark.parametrize("viewer", [ANONYMOUS, ME])
def test_new_meals_are_found_by_their_ids(large_site: Connection, feed: Feed, viewer: int) -> None:
    with plans_of(large_site) as plans:
        queries.ids_above(large_site, MIDDLE + 9_900)
        queries.seen_among(large_site, feed, list(range(FIRST_MEAL, FIRST_MEAL + 20)), viewer)
        queries.missed_since(large_site, Feed.PUBLIC, Cursor(MIDDLE), viewer)
    assert [problems_of(plan) for plan in plans] == [[]] * 3, plans


def test_with_a_pool_of_one(database_url: str, tmp_path: Path) -> None:
    """No listener holds a connection, and neither does the hub between two looks."""
    one = {"db.pool_size": "1", "db.pool_overflow": "0", "db.pool_timeout": "5", "jobs.engine": "worker"}
    application = main({}, **site_settings(tmp_path, database_url, "http://localhost"), **one)
    app = TestApp(application)
    headers = bearer(app, add_user(application.registry, "mei"))
    first = app.post_json("/api/meals", {"food": "first"}, headers=headers).json["id"]
    streams = [listen(app, f"?feed={feed}", headers=headers) for feed in ("public", "home")]
    streams += [listen(app, f"?last_event_id={first}") for _ in range(3)]
    app.post_json("/api/meals", {"food": "soup"}, headers=headers)
    wait_until(lambda: all(heard.foods == ["soup"] for heard in streams))
    application.registry["streams"].stop()
    application.registry["engine"].dispose()


def test_an_event_is_one_line_whatever_people_write(site: Site) -> None:
    heard = hears(site, "visitor")
    words = "a\nb\u2028c\rd" + "\u0085"
    site.app.post_json("/api/meals", {"food": "soup", "note": words, "spoiler_text": "x"}, headers=site.headers("ann"))
    wait_until(lambda: heard.foods == ["soup"])
    block = next(block for block in heard.whole.split("\n\n") if "data: " in block)
    assert block.count("\n") == 2 and "\r" not in block
    assert json.loads(block.partition("data: ")[2])["note"].startswith("a\nb")
    assert events_in(heard.whole)[0]["event"] == "meal"


def test_it_is_about_meals_only(site: Site) -> None:
    """Comments are posts as well, and are no news here."""
    heard = hears(site, "visitor")
    meal = site.post("ann", "soup")
    site.app.post_json(f"/api/meals/{meal}/comments", {"note": "Enjoy"}, headers=site.headers("bob"))
    with site.registry["engine"].begin() as connection:
        assert connection.scalar(Post.__table__.select().where(Post.kind == "comment").with_only_columns(Post.id))
    site.post("ann", "rice")
    wait_until(lambda: heard.foods == ["soup", "rice"])
