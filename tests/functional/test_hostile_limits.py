"""Limits hold for those who guess, sign up, upload or ask too much; and they tell nobody who has an account."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router

from mealshare.core.ratelimit import Limit
from tests.functional.hostile_requests import (
    Answer,
    Somebody,
    browser_of,
    multipart,
    send,
    send_json,
    urlencoded,
    visitor,
)

FORM = "application/x-www-form-urlencoded"
pytestmark = pytest.mark.usefixtures("rate_limits")


@pytest.fixture
def mei(wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace]) -> Any:
    """Somebody whose password is guessed."""
    person = make_user("mei")
    person.browser = browser_of(registry, person.account_id)
    return person


def guess(app: Router, name: str, address: str, face: str = "api", **headers: str) -> Answer:
    """A wrong password for ``name``, over JSON or with the form."""
    sent = {"REMOTE_ADDR": address, **headers}
    if face == "api":
        return send_json(
            app, "POST", "/api/login", Somebody(), {"username": name, "password": "a wrong password"}, **sent
        )
    form = urlencoded([("login", name), ("password", "a wrong password")])
    return send(app, "POST", "/login", visitor(), body=form, content_type=FORM, headers=sent)


@pytest.mark.parametrize("face", ["api", "page"])
def test_guessing_one_password(wsgi_app: Router, mei: Any, face: str) -> None:
    """Ten guesses an account and address; then even the right one has to wait, and somebody elsewhere does not."""
    wrong = 401 if face == "api" else 422
    for spelling in ("mei", "MEI", " mei ", "@mei", "mei", "Mei", "mEi", "mei", "mei", "mei"):
        assert guess(wsgi_app, spelling, "192.0.2.1", face).status == wrong
    for forwarded in ("203.0.113.1", "203.0.113.2"):
        answer = guess(
            wsgi_app,
            "mei",
            "192.0.2.1",
            face,
            HTTP_X_FORWARDED_FOR=forwarded,
            HTTP_X_REAL_IP=forwarded,
            HTTP_FORWARDED=f"for={forwarded}",
        )
        assert answer.status == 429
        assert 0 < int(answer.header("Retry-After")) <= 300
    right = {"username": "mei", "password": mei.password}
    assert send_json(wsgi_app, "POST", "/api/login", Somebody(), right, REMOTE_ADDR="192.0.2.1").status == 429
    assert send_json(wsgi_app, "POST", "/api/login", Somebody(), right, REMOTE_ADDR="192.0.2.2").status == 200


def test_guessing_many_passwords(wsgi_app: Router, mei: Any) -> None:
    """Thirty guesses an address, whatever the names; both faces count together; an IPv6 subscriber is one address."""
    for number in range(30):
        address = f"2001:db8:1:2::{number:x}" if number % 2 else f"2001:db8:1:2:ffff:{number:x}::1"
        assert guess(wsgi_app, f"nobody{number}", address, "api" if number % 3 else "page").status in (401, 422)
    assert guess(wsgi_app, "another", "2001:db8:1:2:abcd::9").status == 429
    assert guess(wsgi_app, "another", "2001:db8:1:3::9").status == 401


def test_an_ipv4_address_in_the_clothes_of_ipv6(wsgi_app: Router, mei: Any) -> None:
    """It is the same client."""
    for number in range(10):
        assert guess(wsgi_app, "mei", "198.51.100.5" if number % 2 else "::ffff:198.51.100.5").status == 401
    assert guess(wsgi_app, "mei", "198.51.100.5").status == guess(wsgi_app, "mei", "::ffff:198.51.100.5").status == 429


def faceless(answer: Answer, name: str) -> Any:
    """The answer without the name that was asked for."""
    status, headers, text = answer.comparable()
    kept = [(key, value) for key, value in headers if key not in ("content-length", "retry-after")]
    return status, kept, re.sub(r"\d+ seconds?", "", text.replace(name, "NAME"))


def test_nobody_learns_who_has_an_account(wsgi_app: Router, mei: Any) -> None:
    """Log-in and reset answer alike for a name that exists and one that does not, before and beyond the limit."""
    for attempt in range(11):
        for face in ("api", "page"):
            known = guess(wsgi_app, "mei", f"192.0.2.{10 + (face == 'api')}", face)
            unknown = guess(wsgi_app, "neo", f"192.0.2.{20 + (face == 'api')}", face)
            assert faceless(known, "mei") == faceless(unknown, "neo"), (attempt, face)
    for attempt in range(6):
        answers = []
        for name in ("mei", "neo"):
            form = urlencoded([("email", f"{name}@example.org")])
            headers = {"REMOTE_ADDR": f"192.0.2.{30 + attempt}"}
            answers.append(
                faceless(
                    send(
                        wsgi_app, "POST", "/password/forgot", visitor(), body=form, content_type=FORM, headers=headers
                    ),
                    name,
                )
            )
        assert answers[0] == answers[1]
        assert answers[0][0] == (200 if attempt < 5 else 429)


def test_a_suspended_account_is_told_only_with_its_password(wsgi_app: Router, registry: Any, mei: Any) -> None:
    """Otherwise the answer would tell that it exists."""
    with registry["engine"].begin() as connection:
        connection.exec_driver_sql(
            "UPDATE accounts SET suspended_at = '2026-01-01 00:00:00+00:00'"
            if connection.dialect.name != "sqlite"
            else "UPDATE accounts SET suspended_at = '2026-01-01 00:00:00.000000'"
        )
    known, unknown = guess(wsgi_app, "mei", "192.0.2.1"), guess(wsgi_app, "neo", "192.0.2.2")
    assert faceless(known, "mei") == faceless(unknown, "neo")
    right = send_json(wsgi_app, "POST", "/api/login", Somebody(), {"username": "mei", "password": mei.password})
    assert (right.status, right.json["type"].rsplit("/", 1)[1]) == (403, "account_suspended")
    assert send(wsgi_app, "GET", "/api/users/mei").status == send(wsgi_app, "GET", "/@mei").status == 404


def test_reset_mails(wsgi_app: Router, registry: Any, mei: Any, run_jobs: Any, site_folder: Path) -> None:
    """Five a day to one address, from wherever they are asked for and however it is spelled."""
    for number in range(9):
        email = "mei@example.org" if number % 2 else "MEI@Example.ORG"
        headers = {"REMOTE_ADDR": f"192.0.2.{number}"}
        answer = send(
            wsgi_app,
            "POST",
            "/password/forgot",
            visitor(),
            body=urlencoded([("email", email)]),
            content_type=FORM,
            headers=headers,
        )
        assert answer.status == (200 if number < 5 else 429)
    run_jobs(registry)
    assert len(list((site_folder / "mail").rglob("*.eml"))) == 5


def test_signing_up(wsgi_app: Router, registry: Any) -> None:
    """Five accounts an address in half an hour, both faces together; a refused form uses nothing up."""
    headers = {"REMOTE_ADDR": "2001:db8:9::1"}
    for number in range(5):
        body = {"username": f"fresh{number}", "email": f"{number}@example.org", "password": "sesame noodles tonight"}
        assert send_json(wsgi_app, "POST", "/api/users", Somebody(), body | {"email": "none"}, **headers).status == 422
        if number % 2:
            assert send_json(wsgi_app, "POST", "/api/users", Somebody(), body, **headers).status == 201
        else:
            form = urlencoded(list(body.items()))
            assert (
                send(wsgi_app, "POST", "/register", visitor(), body=form, content_type=FORM, headers=headers).status
                == 303
            )
    body = {"username": "sixth", "email": "6@example.org", "password": "sesame noodles tonight"}
    refused = send_json(wsgi_app, "POST", "/api/users", Somebody(), body, REMOTE_ADDR="2001:db8:9::ffff")
    assert (refused.status, refused.header("X-RateLimit-Limit"), refused.header("X-RateLimit-Remaining")) == (
        429,
        "5",
        "0",
    )
    form_answer = send(
        wsgi_app,
        "POST",
        "/register",
        visitor(),
        body=urlencoded(list(body.items())),
        content_type=FORM,
        headers=headers,
    )
    assert form_answer.status == 429
    assert send_json(wsgi_app, "POST", "/api/users", Somebody(), body, REMOTE_ADDR="2001:db8:a::1").status == 201


def test_uploads(wsgi_app: Router, registry: Any, mei: Any, picture: Any) -> None:
    """Thirty pictures an account in half an hour, by either face, from wherever; another account is not held up."""
    small = picture("png", size=(8, 8))
    body, kind = multipart([("file", "a.png", small)])
    forms, form_kind = multipart([("food", None, "x"), *[("photo", "a.png", small)] * 4])
    for number in range(6):
        headers = {"REMOTE_ADDR": f"192.0.2.{number}"}
        assert (
            send(wsgi_app, "POST", "/api/media", mei.browser, body=body, content_type=kind, headers=headers).status
            == 202
        )
        assert (
            send(wsgi_app, "POST", "/new", mei.browser, body=forms, content_type=form_kind, headers=headers).status
            == 303
        )
    assert send(wsgi_app, "POST", "/api/media", mei.browser, body=body, content_type=kind).status == 429
    refused = send(wsgi_app, "POST", "/new", mei.browser, body=forms, content_type=form_kind)
    assert refused.status == 422
    avatar, avatar_kind = multipart([("avatar", "a.png", small)])
    send(wsgi_app, "POST", "/settings/avatar", mei.browser, body=avatar, content_type=avatar_kind)
    assert send(wsgi_app, "GET", "/api/users/mei").json["avatar_url"] is None
    # A meal of words alone goes on.
    assert (
        send(wsgi_app, "POST", "/new", mei.browser, body=urlencoded([("food", "x")]), content_type=FORM).status == 303
    )


def test_the_api(wsgi_app: Router, mei: Any) -> None:
    """Three hundred requests in five minutes, errors and bad tokens included, and the headers count down."""
    remaining = []
    for number in range(300):
        path = ("/api/meals", "/api/nothing", "/api/meals/0", "/api/meals?nope=1", "/api/user/profile")[number % 5]
        who = Somebody(authorization="Bearer a.b.c") if number % 7 == 0 else Somebody()
        answer = send(wsgi_app, "GET", path, who, headers={"REMOTE_ADDR": f"2001:db8:7:7::{number:x}"})
        assert answer.status != 429
        remaining.append(int(answer.header("X-RateLimit-Remaining")))
    assert remaining == list(range(299, -1, -1))
    for path in ("/api/meals", "/api/nothing", "/api/user/profile"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = send(wsgi_app, method, path, headers={"REMOTE_ADDR": "2001:db8:7:7::1"})
            assert answer.status == 429 or method == "OPTIONS", (path, method)
    # One who is signed in has a count of their own, from the same address.
    assert send(wsgi_app, "GET", "/api/meals", mei.browser, headers={"REMOTE_ADDR": "2001:db8:7:7::1"}).status == 200
    # Pages are no API.
    assert send(wsgi_app, "GET", "/", headers={"REMOTE_ADDR": "2001:db8:7:7::1"}).status == 200


def test_changing_the_password_is_guessing_too(wsgi_app: Router, mei: Any) -> None:
    """A stolen session cannot try out the current password for ever."""
    seen = set()
    for _ in range(12):
        form = urlencoded(
            [
                ("current_password", "a wrong password"),
                ("new_password", "a new one for mei"),
                ("again", "a new one for mei"),
            ]
        )
        seen.add(send(wsgi_app, "POST", "/settings/password", mei.browser, body=form, content_type=FORM).status)
    assert seen == {422, 429}


@pytest.fixture
def narrow(rate_limits: Any) -> Any:
    """The limiter, with limits that a test uses up in a moment."""
    before = dict(rate_limits.limits)
    narrow = {"api": 60, "write": 6, "search": 4, "batch": 2, "stream": 2, "address": 40}
    rate_limits.limits |= {name: Limit(amount, 300) for name, amount in narrow.items()}
    yield rate_limits
    rate_limits.limits |= before


def test_both_faces_write_under_one_limit(
    wsgi_app: Router, registry: Any, mei: Any, make_user: Callable[..., SimpleNamespace], narrow: Any
) -> None:
    """What somebody changes over the API and with forms counts together; reading goes on, and so does getting out."""
    meal = send_json(wsgi_app, "POST", "/api/meals", mei.browser, {"food": "noodles"})
    assert meal.status == 201
    assert meal.header("RateLimit-Policy") == '"api";q=60;w=300, "write";q=6;w=300, "address";q=40;w=300'
    assert (meal.header("X-RateLimit-Limit"), meal.header("X-RateLimit-Remaining")) == ("6", "5")
    api, page = f"/api/meals/{meal.json['id']}/like", f"/@mei/{meal.json['id']}/like"
    for number in range(5):
        if number % 2:
            assert send(wsgi_app, "PUT", api, mei.browser).status == 204
        else:
            assert send(wsgi_app, "POST", page, mei.browser, body=b"", content_type=FORM).status == 303
    refused = send(wsgi_app, "PUT", api, mei.browser)
    assert (refused.status, refused.header("X-RateLimit-Limit"), refused.header("X-RateLimit-Remaining")) == (
        429,
        "6",
        "0",
    )
    assert re.search(r'"api";r=\d+;t=\d+, "write";r=0;t=\d+, "address";r=\d+', refused.header("RateLimit"))
    assert 0 < int(refused.header("Retry-After")) <= 300
    form = send(wsgi_app, "POST", page, mei.browser, body=b"", content_type=FORM)
    assert form.status == 429
    assert 0 < int(form.header("Retry-After")) <= 300
    # A forged form is told so, and not that its owner has written much.
    assert send(wsgi_app, "POST", page, Somebody(mei.browser.cookies, "forged"), content_type=FORM).status == 403
    assert send(wsgi_app, "GET", "/api/meals", mei.browser).status == 200
    assert send(wsgi_app, "GET", "/", mei.browser).status == 200
    somebody = make_user("neo")
    assert send(wsgi_app, "PUT", api, browser_of(registry, somebody.account_id)).status == 204
    # Whoever has stolen a session must not be able to keep its owner from ending it.
    end = send(wsgi_app, "POST", "/settings/sessions/end-others", mei.browser, body=b"", content_type=FORM)
    assert end.status == 303
    assert send(wsgi_app, "POST", "/logout", mei.browser, body=b"", content_type=FORM).status == 303


def test_searching_batches_and_streams_have_limits_of_their_own(wsgi_app: Router, mei: Any, narrow: Any) -> None:
    """Completing, searching and the page of it count together; a batch for itself and for what is in it."""
    for path in ("/api/search?q=a", "/search?q=a", "/api/users?q=a", "/api/places?q=a"):
        assert send(wsgi_app, "GET", path, mei.browser).status == 200
    for path in ("/api/search?q=a", "/search?q=a", "/api/users?q=a", "/api/places?q=a"):
        assert send(wsgi_app, "GET", path, mei.browser).status == 429
    assert send(wsgi_app, "GET", "/api/search?q=a").status == 200, "a visitor has a limit of their own"
    one = {"requests": [{"id": str(number), "method": "GET", "path": "/api/instance"} for number in range(3)]}
    before = narrow.peek("api", f"account:{mei.account_id}").remaining
    statuses = [send_json(wsgi_app, "POST", "/api/batch", mei.browser, one).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert before - narrow.peek("api", f"account:{mei.account_id}").remaining == 2 * (1 + 3)
    streams = [send(wsgi_app, "GET", "/api/feed/stream", mei.browser) for _ in range(3)]
    assert [answer.status for answer in streams] == [200, 200, 429]
    assert '"stream";r=0' in streams[-1].header("RateLimit")


def test_many_accounts_behind_one_address(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], narrow: Any
) -> None:
    """Each account has its own limit, and all of one address have one together, over both faces."""
    crowd = [browser_of(registry, make_user(f"bot{number}").account_id) for number in range(5)]
    headers = {"REMOTE_ADDR": "2001:db8:5:5::1"}
    for number in range(40):
        answer = send(wsgi_app, "GET", "/api/instance", crowd[number % 5], headers=headers)
        assert answer.status == 200
    assert (answer.header("X-RateLimit-Limit"), answer.header("X-RateLimit-Remaining")) == ("40", "0")
    for who in crowd:
        assert send(wsgi_app, "GET", "/api/instance", who, headers=headers).status == 429
        form = urlencoded([("food", "x")])
        assert send(wsgi_app, "POST", "/new", who, body=form, content_type=FORM, headers=headers).status == 429
        assert send(wsgi_app, "GET", "/api/instance", who).status == 200, "somewhere else they are themselves"
    assert send(wsgi_app, "GET", "/api/instance", headers=headers).status == 200, "a visitor there is another client"
