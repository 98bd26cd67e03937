"""Comments over JSON: who sees them, who may change them, and that they are counted exactly."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select
from webtest import TestApp

from mealshare.core.clock import now
from mealshare.features.accounts.models import Account
from mealshare.features.comments.events import CommentDeleted, Commented, CommentEdited
from mealshare.features.comments.models import Comment
from mealshare.features.meals.models import Meal, Mention, Post, PostRevision
from mealshare.features.reactions.models import Like
from mealshare.features.social.models import Block, Follow, Mute
from tests.functional.hostile_requests import Somebody, browser_of, send, send_json

THREADS = 16


@pytest.fixture
def people(app: TestApp, make_user: Any, token: Any) -> SimpleNamespace:
    """Mei, who eats, two who talk about it, and one who keeps the site clean; each with their program."""
    known = {name: make_user(name) for name in ("mei", "ana", "bob")} | {"mod": make_user("mod", role="moderator")}
    for person in known.values():
        person.headers = token(app, person)
    return SimpleNamespace(**known)


@pytest.fixture
def talk(app: TestApp, people: SimpleNamespace) -> Any:
    """``talk.meal(...)``, ``talk.say(person, words, ...)``, ``talk.notes(person)``: as programs do it."""

    def meal(**fields: Any) -> str:
        talk.id = app.post_json("/api/meals", {"food": "soup", **fields}, headers=people.mei.headers).json["id"]
        return talk.id

    def say(person: Any, note: str, answers: Any = None, status: int = 201) -> Any:
        body = {"note": note} | ({} if answers is None else {"in_reply_to_id": answers["id"]})
        return app.post_json(f"/api/meals/{talk.id}/comments", body, headers=person.headers, status=status).json

    def notes(person: Any | None = None, status: int = 200) -> Any:
        headers = {} if person is None else person.headers
        answer = app.get(f"/api/meals/{talk.id}/comments", headers=headers, status=status)
        return [comment["note"] for comment in answer.json] if status == 200 else answer.json

    def count() -> int:
        return int(app.get(f"/api/meals/{talk.id}", headers=people.mei.headers).json["comments_count"])

    talk = SimpleNamespace(id="", meal=meal, say=say, notes=notes, count=count)
    meal()
    return talk


def add(registry: Any, *rows: Any) -> None:
    """Write rows of a feature that this one only reads."""
    with registry["open_work"]() as work:
        work.session.add_all(rows)


def test_a_comment_in_full(app, people, talk):
    response = app.post_json(
        f"/api/meals/{talk.id}/comments", {"note": " Hot? @mei @nobody #spicy\r\n\r\n<b>x</b> "}, headers=people.ana.headers
    )  # fmt: skip
    comment = response.json
    assert response.status_int == 201
    assert response.headers["Location"] == f"http://localhost/api/comments/{comment['id']}"
    assert comment["note"] == " Hot? @mei @nobody #spicy\n\n<b>x</b>"
    assert '<a href="http://localhost/@mei" class="mention"' in comment["note_html"]
    assert "&lt;b&gt;x&lt;/b&gt;" in comment["note_html"]
    assert comment["mentions"] == [{"username": "mei", "url": "http://localhost/@mei"}]
    assert comment["user"]["username"] == "ana"
    assert comment["meal_id"] == talk.id
    assert comment["in_reply_to_id"] is None
    assert comment["uri"] == f"http://localhost/users/ana/posts/{comment['id']}"
    assert comment["url"] == f"http://localhost/@ana/{comment['id']}"
    assert comment["viewer"] == {"liked": False, "own": True, "can_edit": True, "can_delete": True}
    assert comment["edited_at"] is None
    for person, may in ((None, False), (people.bob, False), (people.mei, True), (people.mod, True)):
        seen = app.get(f"/api/comments/{comment['id']}", headers=person.headers if person else {}).json
        assert seen["viewer"] == {"liked": False, "own": False, "can_edit": False, "can_delete": may}
    assert app.get(f"/api/meals/{comment['id']}", status=404)
    assert app.get(f"/api/comments/{talk.id}", status=404)


def test_one_level_of_replies(app, people, talk):
    top = talk.say(people.ana, "first")
    reply = talk.say(people.bob, "second", top)
    below = talk.say(people.mei, "third", reply)
    assert reply["in_reply_to_id"] == below["in_reply_to_id"] == top["id"]
    to_meal = talk.say(people.bob, "fourth", {"id": talk.id})
    assert to_meal["in_reply_to_id"] is None
    assert talk.notes() == ["fourth", "third", "second", "first"]
    assert talk.count() == 4
    old = talk.id
    talk.meal()
    problem = talk.say(people.bob, "elsewhere", top, status=422)
    assert problem["errors"] == [
        {"detail": "There is no such comment on this meal.", "pointer": "#/in_reply_to_id", "code": "no_such_comment"}
    ]
    assert talk.count() == 0
    assert old != talk.id


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "#/note", "missing"),
        ({"note": ""}, "#/note", "missing"),
        ({"note": " \u200b\n "}, "#/note", "missing"),
        ({"note": "x" * 1001}, "#/note", "too_long"),
        ({"note": None}, "#/note", "not_text"),
        ({"note": ["x"]}, "#/note", "not_text"),
        ({"note": "x", "in_reply_to_id": 5}, "#/in_reply_to_id", "bad_id"),
        ({"note": "x", "in_reply_to_id": "99"}, "#/in_reply_to_id", "no_such_comment"),
        ({"note": "x", "visibility": "public"}, "#/visibility", "unknown"),
    ],
)
def test_what_cannot_be_said(app, people, talk, body, pointer, code):
    response = app.post_json(f"/api/meals/{talk.id}/comments", body, headers=people.ana.headers, status=422)
    assert [(error["pointer"], error["code"]) for error in response.json["errors"]] == [(pointer, code)]
    assert talk.notes() == []
    assert talk.count() == 0


def test_seen_by_whoever_sees_the_meal(app, people, talk, registry):
    """The column of the comment says public; the meal decides, and changes its mind."""
    comment = talk.say(people.bob, "yours")
    add(registry, Follow(account_id=people.ana.account_id, target_id=people.mei.account_id, state="accepted"))
    path = f"/api/meals/{talk.id}"
    app.patch_json(path, {"visibility": "followers"}, headers=people.mei.headers)
    for headers, status in ((people.ana.headers, 200), (people.mei.headers, 200), (people.bob.headers, 404), ({}, 404)):
        app.get(f"{path}/comments", headers=headers, status=status)
        app.get(f"/api/comments/{comment['id']}", headers=headers, status=status)
        app.get(f"/@bob/{comment['id']}", headers=headers, status=303 if status == 200 else 404)
        app.get(f"/users/bob/posts/{comment['id']}", headers=headers, status=303 if status == 200 else 404)
    # Not even the one who wrote it may touch what they do not see any more, or say more.
    app.patch_json(f"/api/comments/{comment['id']}", {"note": "x"}, headers=people.bob.headers, status=404)
    app.put(f"/api/comments/{comment['id']}/like", headers=people.bob.headers, status=404)
    app.delete(f"/api/comments/{comment['id']}", headers=people.bob.headers, status=404)
    app.post_json(f"{path}/comments", {"note": "x"}, headers=people.bob.headers, status=404)
    app.patch_json(path, {"visibility": "only_me"}, headers=people.mei.headers)
    app.get(f"/api/comments/{comment['id']}", headers=people.ana.headers, status=404)
    app.patch_json(path, {"visibility": "public"}, headers=people.mei.headers)
    assert app.get(f"/api/comments/{comment['id']}").json["note"] == "yours"


@pytest.mark.parametrize("blocker", ["ana", "bob"])
def test_a_block_hides_both_from_each_other(app, people, talk, registry, blocker):
    top = talk.say(people.ana, "of ana")
    reply = talk.say(people.bob, "of bob", top)
    talk.say(people.mod, "of mod", top)
    ids = {"ana": people.ana.account_id, "bob": people.bob.account_id}
    other = "bob" if blocker == "ana" else "ana"
    add(registry, Block(account_id=ids[blocker], target_id=ids[other]))
    assert talk.notes(people.ana) == ["of mod", "of ana"]
    assert talk.notes(people.bob) == ["of mod", "of bob"]
    assert talk.notes(people.mei) == talk.notes() == ["of mod", "of bob", "of ana"]
    app.get(f"/api/comments/{reply['id']}", headers=people.ana.headers, status=404)
    app.get(f"/api/comments/{top['id']}", headers=people.bob.headers, status=404)
    app.put(f"/api/comments/{top['id']}/like", headers=people.bob.headers, status=404)
    talk.say(people.bob, "again", top, status=422)
    # A block between the eater and a commenter: the meal itself is not there.
    add(registry, Block(account_id=people.mei.account_id, target_id=ids["ana"]))
    app.get(f"/api/meals/{talk.id}/comments", headers=people.ana.headers, status=404)
    talk.say(people.ana, "hello?", status=404)
    assert talk.notes(people.mei) == ["of mod", "of bob"]
    assert "of ana" in talk.notes()


def test_who_is_muted_or_suspended(app, people, talk, registry):
    comment = talk.say(people.ana, "of ana")
    talk.say(people.bob, "of bob")
    add(registry, Mute(account_id=people.mei.account_id, target_id=people.ana.account_id))
    assert talk.notes(people.mei) == ["of bob"]
    assert talk.notes(people.bob) == ["of bob", "of ana"]
    # By its address it is there all the same.
    app.get(f"/api/comments/{comment['id']}", headers=people.mei.headers)
    with registry["open_work"]() as work:
        work.session.get(Account, people.ana.account_id).suspended_at = now()
    assert talk.notes() == talk.notes(people.bob) == ["of bob"]
    app.get(f"/api/comments/{comment['id']}", status=404)


def test_edit(app, people, talk, registry):
    comment = talk.say(people.ana, "good @bob")
    path = f"/api/comments/{comment['id']}"
    etag = app.get(path).headers["ETag"]
    app.get(path, headers={"If-None-Match": etag}, status=304)
    for person, status in ((people.bob, 403), (people.mei, 403), (people.mod, 403)):
        app.patch_json(path, {"note": "x"}, headers=person.headers, status=status)
    app.patch_json(path, {"note": "x"}, status=401)
    headers = people.ana.headers | {"If-Match": etag}
    changed = app.patch_json(path, {"note": "better @mei"}, headers=headers)
    assert (changed.json["note"], changed.json["version"]) == ("better @mei", 2)
    assert changed.json["edited_at"] is not None
    assert changed.headers["ETag"] != etag
    app.patch_json(path, {"note": "late"}, headers=headers, status=412)
    app.delete(path, headers=headers, status=412)
    app.patch_json(path, {}, headers=people.ana.headers)
    assert app.patch_json(path, {"note": None}, headers=people.ana.headers, status=422).json["errors"][0]["code"] == "missing"  # fmt: skip
    with registry["engine"].connect() as connection:
        assert [row.content for row in connection.execute(select(PostRevision))] == [{"note": "good @bob"}]
        assert connection.scalars(select(Mention.account_id)).all() == [people.mei.account_id]


def test_like_a_comment(app, people, talk):
    comment = talk.say(people.ana, "yum")
    path = f"/api/comments/{comment['id']}"
    for _ in range(2):
        app.put(f"{path}/like", headers=people.bob.headers, status=204)
    seen = app.get(path, headers=people.bob.headers)
    assert (seen.json["likes_count"], seen.json["viewer"]["liked"]) == (1, True)
    (listed,) = app.get(f"/api/meals/{talk.id}/comments", headers=people.bob.headers).json
    assert listed == seen.json
    assert app.get(path).json["viewer"]["liked"] is False
    for _ in range(2):
        app.delete(f"{path}/like", headers=people.bob.headers, status=204)
    assert app.get(path).json["likes_count"] == 0
    app.put(f"{path}/like", status=401)


@pytest.mark.parametrize("who", ["ana", "mei", "mod"])
def test_delete(app, people, talk, registry, who):
    comment = talk.say(people.ana, "oops @bob")
    reply = talk.say(people.bob, "what?", comment)
    path = f"/api/comments/{comment['id']}"
    app.put(f"{path}/like", headers=people.bob.headers)
    app.patch_json(path, {"note": "oops, @bob"}, headers=people.ana.headers)
    app.delete(path, headers=people.bob.headers, status=403)
    app.delete(path, status=401)
    app.delete(path, headers=getattr(people, who).headers, status=204)
    app.delete(path, headers=getattr(people, who).headers, status=404)
    app.get(path, status=404)
    assert talk.notes() == ["what?"]
    assert talk.count() == 1
    # The thread stays open for who answers the reply.
    assert talk.say(people.mei, "he said oops", reply)["in_reply_to_id"] == comment["id"]
    talk.say(people.mei, "to nobody", comment, status=422)
    with registry["engine"].connect() as connection:
        row = connection.execute(select(Comment.__table__).where(Post.id == int(comment["id"]))).one()
        assert (row.note, row.note_html, row.likes_count, row.uri) == ("", "", 0, comment["uri"])
        for model in (Like, Mention, PostRevision):
            assert connection.scalar(select(func.count()).select_from(model)) == 0


def test_a_deleted_meal_takes_its_comments_along(app, people, talk, registry):
    comment = talk.say(people.ana, "@bob look")
    talk.say(people.bob, "nice", comment)
    app.put(f"/api/comments/{comment['id']}/like", headers=people.bob.headers)
    other, kept = talk.id, talk.meal()
    talk.say(people.ana, "@bob another")
    app.delete(f"/api/meals/{other}", headers=people.mei.headers, status=204)
    app.get(f"/api/comments/{comment['id']}", headers=people.ana.headers, status=404)
    with registry["engine"].connect() as connection:
        notes = connection.execute(select(Post.note, Post.deleted_at.is_(None)).where(Post.root_id == int(other))).all()
        assert notes == [("", False), ("", False)]
        assert connection.scalars(select(Post.root_id).join(Mention, Mention.post_id == Post.id)).all() == [int(kept)]
        assert connection.scalar(select(func.count()).select_from(Like)) == 0
    assert talk.count() == 1


def test_closed_comments(app, people, talk):
    comment = talk.say(people.ana, "open")
    app.patch_json(f"/api/meals/{talk.id}", {"comments_closed": True}, headers=people.mei.headers)
    for person in (people.bob, people.mei, people.mod):
        problem = talk.say(person, "one more", comment, status=409)
        assert problem["type"] == "http://localhost/problems/comments_closed"
    assert problem["title"] == "The author of this meal wants no more comments."
    # What was said stays, and stays one's own.
    assert talk.notes() == ["open"]
    app.patch_json(f"/api/comments/{comment['id']}", {"note": "still mine"}, headers=people.ana.headers)
    app.put(f"/api/comments/{comment['id']}/like", headers=people.bob.headers)
    app.delete(f"/api/comments/{comment['id']}", headers=people.ana.headers)
    assert talk.count() == 0


def test_what_others_hear_of_it(app, people, talk, registry, monkeypatch):
    heard: list[Any] = []
    handlers = registry["events"].handlers
    for event in (Commented, CommentEdited, CommentDeleted):
        monkeypatch.setitem(handlers, event, [*handlers.get(event, ()), lambda _work, event: heard.append(event)])
    ana, bob, mei = (person.account_id for person in (people.ana, people.bob, people.mei))
    top = talk.say(people.ana, "@bob @mei look")
    reply = talk.say(people.bob, "oh", top)
    meal, first, second = int(talk.id), int(top["id"]), int(reply["id"])
    third = int(talk.say(people.mei, "see", reply)["id"])
    app.patch_json(f"/api/comments/{top['id']}", {"note": "@mod @mei look"}, headers=people.ana.headers)
    app.delete(f"/api/comments/{top['id']}", headers=people.mei.headers)
    assert heard == [
        Commented(first, meal, ana, mei, None, (bob, mei)),
        Commented(second, meal, bob, mei, ana, ()),
        # Who is answered is not who began the thread.
        Commented(third, meal, mei, mei, bob, ()),
        CommentEdited(first, meal, ana, (people.mod.account_id,)),
        CommentDeleted(first, meal, ana),
    ]


def test_pages_and_statements(app, people, talk, registry, count_statements):
    with registry["open_work"]() as work:
        from mealshare.features.comments.service import CommentService

        service = CommentService(work, "http://localhost")
        ids = [service.post(people.ana.account_id, int(talk.id), f"number {number}").id for number in range(100)]
    add(registry, *[Like(post_id=id, account_id=people.bob.account_id) for id in ids])
    path = f"/api/meals/{talk.id}/comments"
    for limit in (1, 20, 100):
        with count_statements() as statements:
            answer = app.get(f"{path}?limit={limit}")
        assert (len(answer.json), len(statements)) == (limit, 2)
        with count_statements() as statements:
            app.get(f"{path}?limit={limit}", headers=people.bob.headers)
        # One more to find out who asks.
        assert len(statements) == 3
    seen: list[str] = []
    page = app.get(f"{path}?limit=30")
    while True:
        seen += [comment["id"] for comment in page.json]
        following = page.headers.get("Link", "").partition('; rel="next"')
        if not following[1]:
            break
        page = app.get(following[0].strip("<>"))
    assert seen == [str(id) for id in reversed(ids)]
    newer = app.get(f"{path}?min_id={seen[-1]}&limit=2").json
    assert [comment["id"] for comment in newer] == [seen[-3], seen[-2]]
    app.get(f"{path}?q=x", status=400)
    with count_statements() as statements:
        app.get(f"/api/comments/{ids[0]}")
    assert len(statements) == 1


def test_tokens_need_the_scope(app, people, talk, registry):
    from mealshare.features.accounts.models import Grant

    comment = talk.say(people.ana, "mine")
    with registry["open_work"]() as work:
        for grant in work.session.scalars(select(Grant)):
            grant.scopes = "read"
    for call, path in (
        (app.post_json, f"/api/meals/{talk.id}/comments"),
        (app.patch_json, f"/api/comments/{comment['id']}"),
    ):
        assert call(path, {"note": "x"}, headers=people.ana.headers, status=403).json["type"].endswith("scope_missing")
    app.put(f"/api/comments/{comment['id']}/like", headers=people.ana.headers, status=403)
    app.delete(f"/api/comments/{comment['id']}", headers=people.ana.headers, status=403)


def test_a_flood_ends(app, people, talk, rate_limits):
    for number in range(60):
        talk.say(people.ana, f"number {number}")
    assert talk.say(people.ana, "one too many", status=429)["type"].endswith("rate_limited")
    talk.say(people.bob, "and I?")
    assert talk.count() == 61


def at_once(calls: list[Callable[[], Any]]) -> Counter[int]:
    """Let all begin at the same moment; gives how often each status came."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        gate.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(answer.status for answer in pool.map(run, calls))


def test_counted_exactly_by_many_at_once(wsgi_app, registry, people, talk, make_user):
    """Sixteen people comment, answer, edit and delete, two of them the same comment; then the meal goes while they do."""
    everybody = [browser_of(registry, make_user(f"fan{number}").account_id) for number in range(THREADS)]
    mei = Somebody(authorization=people.mei.headers["Authorization"])
    top = talk.say(people.mei, "go")
    path = f"/api/meals/{talk.id}/comments"

    def chat(who: Somebody) -> Callable[[], Any]:
        def run() -> Any:
            for round in range(4):
                answers = {"in_reply_to_id": top["id"]} if round % 2 else {}
                answer = send_json(wsgi_app, "POST", path, who, {"note": f"round {round} @mei", **answers})
                assert answer.status == 201, answer.text
                one = f"/api/comments/{answer.json['id']}"
                assert send_json(wsgi_app, "PATCH", one, who, {"note": "hm"}).status == 200
                if round == 3:
                    assert send(wsgi_app, "DELETE", one, who).status == 204
            return answer

        return run

    def check() -> int:
        with registry["engine"].connect() as connection:
            living = (
                select(func.count()).select_from(Post).where(Post.root_id == int(talk.id), Post.deleted_at.is_(None))
            )
            rows = connection.scalar(living)
            assert rows == connection.scalar(select(Meal.__table__.c.comments_count).where(Post.id == int(talk.id)))
        return int(rows)

    assert at_once([chat(who) for who in everybody]) == {201: THREADS}
    assert check() == 1 + THREADS * 3
    assert talk.count() == 1 + THREADS * 3
    # One comment, deleted by everybody who may at the same time, is one less.
    gone = at_once([lambda: send(wsgi_app, "DELETE", f"/api/comments/{top['id']}", mei)] * THREADS)
    assert gone == {204: 1, 404: THREADS - 1}
    assert check() == THREADS * 3
    late = [lambda who=who: send_json(wsgi_app, "POST", path, who, {"note": "late"}) for who in everybody[1:]]
    over = at_once([*late, lambda: send(wsgi_app, "DELETE", f"/api/meals/{talk.id}", mei)])
    assert over[204] == 1
    assert over[201] + over[404] == THREADS - 1
    assert check() == 0
