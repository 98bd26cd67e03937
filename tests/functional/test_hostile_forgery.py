"""Forged requests: other people's things by id, members that nobody may set, forms of other sites, foreign addresses."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from email import policy
from email.parser import BytesParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import select, text
from webtest import TestApp

from mealshare.core.db import Base
from mealshare.core.log import JsonFormatter, TextFormatter
from mealshare.features.accounts.models import Session, User
from tests.functional.hostile_requests import (
    Somebody,
    browser_of,
    multipart,
    route_table,
    send,
    send_json,
    urlencoded,
    visitor,
)

FORM = "application/x-www-form-urlencoded"
BASE = "http://localhost"


@pytest.fixture
def people(
    wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any
) -> SimpleNamespace:
    """The one who is attacked and the one who attacks, each in a browser and in a program."""
    found = SimpleNamespace(app=wsgi_app, registry=registry)
    for name in ("mei", "eve"):
        person = make_user(name)
        person.browser = browser_of(registry, person.account_id)
        person.program = Somebody(authorization=token(app, person)["Authorization"])
        setattr(found, name, person)
    return found


def everything(registry: Any) -> dict[str, Any]:
    """All rows of all tables but those of sessions and jobs, which reading may write."""
    with registry["engine"].connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            for table in Base.metadata.sorted_tables
            if table.name not in ("jobs", "upload_baskets")
        }


# -- Members that nobody may set


@pytest.mark.parametrize(
    "member",
    [
        "role", "id", "account_id", "user_id", "likes_count", "comments_count", "version", "created_at", "edited_at", "deleted_at",
        "uri", "url", "note_html", "kind", "username", "suspended_at", "generation", "password_hash", "viewer", "storage_key", "post_id",
        "in_reply_to_id", "root_id", "inspired_by_id", "eaten_on", "tag_names", "__class__", "is_admin", "scopes", "email_verified",
    ],
)  # fmt: skip
def test_no_member_is_taken_that_is_not_offered(people: SimpleNamespace, member: str) -> None:
    """Over JSON it is an error with its name; nothing is written."""
    program = people.mei.program
    meal_id = send_json(people.app, "POST", "/api/meals", program, {"food": "rice"}).json["id"]
    before = everything(people.registry)
    good = {"username": "newcomer", "email": "new@example.org", "password": "sesame noodles tonight"}
    requests = [
        ("POST", "/api/meals", {"food": "x"}), ("PUT", f"/api/meals/{meal_id}", {"food": "x"}), ("PATCH", f"/api/meals/{meal_id}", {"food": "x"}),
        ("POST", "/api/users/mei/meals", {"food": "x"}), ("PATCH", "/api/user/profile", {"display_name": "M"}), ("POST", "/api/users", good),
        ("POST", "/api/meals", {"food": "x", "place": {"name": "a", member: "1"}}), ("POST", "/api/meals", {"food": "x", "allergens": {member: []}}),
    ]  # fmt: skip
    for method, path, body in requests:
        if member in body:
            continue
        sent = body if any(isinstance(value, dict) for value in body.values()) else body | {member: "1"}
        answer = send_json(people.app, method, path, program if path != "/api/users" else Somebody(), sent)
        assert answer.status == 422, (method, path, answer.text)
        assert any(error["pointer"].endswith(f"/{member}") for error in answer.json["errors"])
    assert everything(people.registry) == before


def test_forms_cannot_set_them_either(people: SimpleNamespace) -> None:
    """A form field that is none of the form's is not looked at: no admin is made, no count, no other author."""
    extra = [("role", "admin"), ("account_id", str(people.eve.account_id)), ("id", "1"), ("likes_count", "99"), ("generation", "7"),
             ("created_at", "1999-01-01"), ("user_id", "1"), ("is_admin", "1"), ("suspended_at", ""), ("email", "eve@evil.example"), ("username", "root")]  # fmt: skip
    form = [("display_name", "Mei"), ("bio", ""), ("locale", "en"), ("time_zone", "UTC"), *extra]
    assert (
        send(
            people.app, "POST", "/settings/profile", people.mei.browser, body=urlencoded(form), content_type=FORM
        ).status
        == 303
    )
    posted = send(
        people.app, "POST", "/new", people.mei.browser, body=urlencoded([("food", "rice"), *extra]), content_type=FORM
    )
    meal = send(people.app, "GET", "/api/meals/" + posted.header("Location").rsplit("/", 1)[1]).json
    assert (meal["user"]["username"], meal["likes_count"], meal["version"]) == ("mei", 0, 1)
    new = [("username", "newcomer"), ("email", "new@example.org"), ("password", "sesame noodles tonight"), *extra[:1]]
    assert send(people.app, "POST", "/register", visitor(), body=urlencoded(new), content_type=FORM).status == 303
    with people.registry["engine"].connect() as connection:
        assert set(connection.scalars(select(User.role))) == {"user"}
        assert set(connection.scalars(select(User.generation))) <= {0, 1}
        assert connection.scalar(select(User.email).where(User.id == people.mei.account_id)) == "mei@example.org"


# -- Other people's things by id


def test_other_peoples_things_do_not_exist(people: SimpleNamespace, picture: Any) -> None:
    """Pictures, meals, sessions and programs of mei, tried by eve with the right ids: all missing, nothing changed."""
    body, kind = multipart([("file", "a.png", picture("png", size=(8, 8)))])
    media_id = send(people.app, "POST", "/api/media", people.mei.program, body=body, content_type=kind).json["id"]
    meal = send_json(
        people.app, "POST", "/api/meals", people.mei.program, {"food": "rice", "visibility": "only_me"}
    ).json
    page = send(people.app, "GET", "/settings/sessions", people.mei.browser).text
    ids = re.findall(r'name="kind" value="(\w+)">\s*<input type="hidden" name="id" value="(\d+)"', page)
    assert {kind for kind, _ in ids} == {"session", "grant"}
    before = everything(people.registry)
    for kind, id in ids:
        form = urlencoded([("kind", kind), ("id", id)])
        assert (
            send(people.app, "POST", "/settings/sessions/end", people.eve.browser, body=form, content_type=FORM).status
            == 404
        )
    for method, path, value in (
        ("POST", "/api/meals", {"food": "x", "media": [{"id": media_id}]}),
        ("POST", "/api/meals", {"food": "x", "media": [{"id": media_id, "description": "mine"}]}),
    ):
        answer = send_json(people.app, method, path, people.eve.program, value)
        assert (answer.status, answer.json["errors"][0]["code"]) == (422, "media_not_found")
    missing = send_json(people.app, "POST", "/api/meals", people.eve.program, {"food": "x", "media": [{"id": "12345"}]})
    assert missing.json["errors"] == answer.json["errors"]
    form_media = urlencoded([("food", ""), ("media_id", media_id), ("media_alt", "mine")])
    assert send(people.app, "POST", "/new", people.eve.browser, body=form_media, content_type=FORM).status == 422
    for method in ("GET", "PATCH", "DELETE"):
        assert (
            send_json(people.app, method, f"/api/media/{media_id}", people.eve.program, {"description": "x"}).status
            == 404
        )
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (
            send_json(people.app, method, f"/api/meals/{meal['id']}", people.eve.program, {"food": "x"}).status == 404
        )
    assert send_json(people.app, "POST", "/api/users/mei/meals", people.eve.program, {"food": "x"}).status == 403
    assert everything(people.registry) == before


def test_coordinates_of_a_hidden_meal_go_to_nobody(people: SimpleNamespace) -> None:
    """Whoever names a place that a hidden meal names as well gets what they said themselves."""
    home = {"name": "Home", "city": "Xi'an", "country_code": "CN", "latitude": 34.123456, "longitude": 108.654321}
    hidden = send_json(
        people.app, "POST", "/api/meals", people.mei.program, {"food": "a", "visibility": "only_me", "place": home}
    )
    assert hidden.json["place"] == home
    for place in (
        {"name": "Home", "city": "Xi'an", "country_code": "CN", "latitude": None, "longitude": None},
        {"name": "HOME", "city": "xi'an", "country_code": "CN", "latitude": None, "longitude": None},
        home | {"latitude": -1.5, "longitude": 2.5},
    ):
        answer = send_json(people.app, "POST", "/api/meals", people.eve.program, {"food": "b", "place": place})
        assert answer.json["place"] == place
    assert len(send(people.app, "GET", "/api/meals?place=home").json) == 3


# -- Forms of other sites


def unsafe_pages(registry: Any) -> list[Any]:
    """Every route of a page with a method that changes something.

    But for the one that the device itself opens, without a token: test_feeds_share.py asks what it may not do.
    """
    table = route_table(registry).values()
    return [route for route in table if not route.is_api and route.unsafe_methods() and route.name != "share"]


def comment_on(people: SimpleNamespace, meal_id: str) -> str:
    """The id of a new comment."""
    path = f"/api/meals/{meal_id}/comments"
    return str(send_json(people.app, "POST", path, people.mei.program, {"note": "hm"}).json["id"])


def test_no_form_is_taken_without_its_token(people: SimpleNamespace) -> None:
    """Every unsafe page, from the route table: no token, a wrong one, another person's, an old one, another site's."""
    meal = send_json(people.app, "POST", "/api/meals", people.mei.program, {"food": "rice"}).json
    comment = comment_on(people, meal["id"])
    before = everything(people.registry)
    mei, eve, nobody = people.mei.browser, people.eve.browser, visitor()
    routes = unsafe_pages(people.registry)
    assert len(routes) >= 14
    for route in routes:
        path = route.path(username="mei", id=comment if route.name == "comment.like" else meal["id"])
        for who in (mei, nobody):
            attempts: list[tuple[str, dict[str, str]]] = [
                ("", {}), ("x", {}), (who.csrf[:-1], {}), (who.csrf + "x", {}), (eve.csrf, {}), (who.csrf, {"HTTP_ORIGIN": "http://evil.example"}),
                (who.csrf, {"HTTP_ORIGIN": "null"}), (who.csrf, {"HTTP_SEC_FETCH_SITE": "cross-site"}), (who.csrf, {"HTTP_SEC_FETCH_SITE": "same-site"}),
                (nobody.csrf if who is mei else mei.csrf, {}),
            ]  # fmt: skip
            for token, headers in attempts:
                for kind in (FORM, "text/plain", "multipart/form-data; boundary=limit", "application/json"):
                    form = urlencoded(
                        [
                            ("csrf_token", token),
                            ("food", "x"),
                            ("undo", "1"),
                            ("lang", "zh_CN"),
                            ("kind", "session"),
                            ("id", "1"),
                        ]
                    )
                    if kind.startswith("multipart"):
                        form = multipart([("csrf_token", None, token), ("lang", None, "zh_CN")])[0]
                    answer = send(
                        people.app, "POST", path, Somebody(who.cookies), body=form, content_type=kind, headers=headers
                    )
                    assert answer.status == 403, (route.name, token, headers, kind)
    assert everything(people.registry) == before


def test_the_api_takes_no_forged_request_of_a_browser(people: SimpleNamespace, picture: Any) -> None:
    """With a session cookie the API asks for the token as well, and it reads JSON only as JSON."""
    meal = send_json(people.app, "POST", "/api/meals", people.mei.program, {"food": "rice"}).json
    body, kind = multipart([("file", "a.png", picture("png", size=(8, 8)))])
    media = send(people.app, "POST", "/api/media", people.mei.program, body=body, content_type=kind).json
    comment = comment_on(people, meal["id"])
    before = everything(people.registry)
    table = route_table(people.registry)
    for route in table.values():
        if route.is_api:
            for method in route.unsafe_methods():
                ids = {"api.media.item": media["id"], "api.comment": comment, "api.comment.like": comment}
                path = route.path(username="mei", follower="eve", id=ids.get(route.name, meal["id"]))
                for headers in (
                    {},
                    {"HTTP_X_CSRF_TOKEN": people.eve.browser.csrf},
                    {"HTTP_ORIGIN": "http://evil.example"},
                ):
                    cookie = Somebody(people.mei.browser.cookies)
                    answer = send(
                        people.app,
                        method,
                        path,
                        cookie,
                        body=b'{"food": "x"}',
                        content_type="application/json",
                        headers=headers,
                    )
                    assert answer.status == 403, (route.name, method)
                    assert answer.json["type"].endswith("/csrf")
    for kind in ("text/plain", FORM, "", "application/x-json", "text/json"):
        body = b'{"username": "eve", "password": "sesame noodles at midnight"}'
        assert send(people.app, "POST", "/api/login", body=body, content_type=kind).status == 415
    assert everything(people.registry) == before


def test_nobody_is_logged_in_by_another_site(people: SimpleNamespace) -> None:
    """Login CSRF: without the visitor's own token there is no session, whatever the password."""
    form = [("login", "eve"), ("password", people.eve.password), ("csrf_token", visitor().csrf)]
    for cookies in ({}, {"csrf": "another-visitors-token-0123456789"}, people.mei.browser.cookies):
        answer = send(people.app, "POST", "/login", Somebody(cookies), body=urlencoded(form), content_type=FORM)
        assert answer.status == 403
        assert "session=" not in answer.header("Set-Cookie")


def test_a_sign_in_makes_the_old_form_token_worthless(people: SimpleNamespace) -> None:
    """What a page showed before signing in, or in an earlier session, opens nothing afterwards."""
    other = browser_of(people.registry, people.mei.account_id)
    for token in (visitor().csrf, other.csrf):
        cookies = {**people.mei.browser.cookies, **visitor().cookies}
        answer = send(people.app, "POST", "/new", Somebody(cookies, token), body=b"food=x", content_type=FORM)
        assert answer.status == 403
    # A planted session id is not taken over by the sign-in.
    planted = "p" * 43
    form = urlencoded([("login", "mei"), ("password", people.mei.password)])
    who = Somebody({"session": planted, **visitor().cookies}, visitor().csrf)
    answer = send(people.app, "POST", "/login", who, body=form, content_type=FORM)
    assert answer.status == 303
    assert planted not in answer.header("Set-Cookie")


# -- Foreign addresses


EVIL = (
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example", "http:/evil.example",
    "javascript:alert(1)", "data:text/html,x", "/\t/evil.example", "/\n/evil.example", "/%09/evil.example", "/%2f/evil.example", "/%5cevil.example",
    "/..//evil.example", "/.//evil.example", "//localhost@evil.example", " //evil.example", "\x00//evil.example", "/a\r\nX-Injected: yes",
    "/a%0d%0aX-Injected:%20yes", "/a\r\n\r\n<script>", "http://localhost.evil.example/", "http://localhost@evil.example/", "//evil.example/%2f..", "/é\u2028x",
)  # fmt: skip


@pytest.mark.parametrize("evil", EVIL)
def test_no_form_sends_its_reader_to_another_site(people: SimpleNamespace, evil: str) -> None:
    """``next``, in the address and in the form, wherever it is taken; and no header is added through it."""
    from urllib.parse import quote, urljoin, urlsplit

    meal = send_json(people.app, "POST", "/api/meals", people.mei.program, {"food": "rice"}).json
    query, csrf = f"?next={quote(evil, safe='')}", visitor().csrf
    login = [("login", "mei"), ("password", people.mei.password)]
    answers = [
        send(people.app, "POST", "/login", visitor(), body=urlencoded([*login, ("next", evil)]), content_type=FORM),
        send(people.app, "POST", f"/login{query}", visitor(), body=urlencoded(login), content_type=FORM),
        send(people.app, "GET", f"/login{query}", people.mei.browser),
        send(people.app, "GET", f"/register{query}", people.mei.browser),
        send(
            people.app,
            "POST",
            "/language",
            visitor(),
            body=urlencoded([("lang", "en"), ("next", evil)]),
            content_type=FORM,
        ),
        send(
            people.app,
            "POST",
            f"/@mei/{meal['id']}/like",
            people.mei.browser,
            body=urlencoded([("next", evil)]),
            content_type=FORM,
        ),
    ]
    for answer in answers:
        assert answer.status == 303, answer.text
        target = urlsplit(urljoin(BASE, answer.header("Location").replace("\\", "/")))
        assert (target.scheme, target.netloc) == ("http", "localhost"), answer.header("Location")
        assert not answer.header("X-Injected")
    for path in ("/login", "/register"):
        shown = send(people.app, "GET", f"{path}{query}", visitor()).text
        for hidden in re.findall(r'name="next" value="([^"]*)"', shown):
            assert urlsplit(urljoin(BASE, hidden)).netloc == "localhost"
        assert "evil.example" not in "".join(re.findall(r'href="([^"]*)"', shown)) or evil.startswith("/a")
    assert csrf


FOREIGN = {
    "HTTP_HOST": "evil.example", "HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_PORT": "1",
    "HTTP_FORWARDED": "host=evil.example", "HTTP_X_HOST": "evil.example", "HTTP_X_ORIGINAL_URL": "/evil", "HTTP_X_REWRITE_URL": "/evil",
    "HTTP_X_FORWARDED_PREFIX": "/evil", "SERVER_NAME": "evil.example",
}  # fmt: skip


#: What of these must not come back.  (Not the four letters alone: Seville is among the time zones.)
FOREIGN_WORDS = re.compile(r"evil\.example|/evil")


def test_a_strange_host_changes_no_link(people: SimpleNamespace, run_jobs: Any, site_folder: Path) -> None:
    """Links in mails, answers and redirects begin with the configured address, whatever the request says of itself."""
    form = urlencoded([("email", "mei@example.org")])
    assert (
        send(people.app, "POST", "/password/forgot", visitor(), body=form, content_type=FORM, headers=FOREIGN).status
        == 200
    )
    run_jobs(people.registry)
    letters = [
        BytesParser(policy=policy.default).parsebytes(file.read_bytes())
        for file in (site_folder / "mail").rglob("*.eml")
    ]
    assert len(letters) == 1
    body = letters[0].get_body().get_content()
    assert f"{BASE}/password/reset?token=" in body
    assert not FOREIGN_WORDS.search(body)
    created = send_json(
        people.app,
        "POST",
        "/api/meals",
        people.mei.program,
        {"food": "rice", "tags": ["a"], "note": "@mei #b"},
        **FOREIGN,
    )
    assert not FOREIGN_WORDS.search(created.text + str(created.headers))
    for path in (
        "/",
        "/@mei",
        "/login",
        "/settings",
        "/api/meals?limit=1",
        "/openapi.json",
        "/users/mei",
        "/api/instance",
        "/nothing",
        "/api/nothing",
    ):
        answer = send(people.app, "GET", path, people.mei.browser if path != "/login" else visitor(), headers=FOREIGN)
        assert not FOREIGN_WORDS.search(answer.text + str(answer.headers)), path


# -- What the log keeps


def test_no_secret_reaches_the_log(
    app: TestApp, people: SimpleNamespace, caplog: pytest.LogCaptureFixture, run_jobs: Any, site_folder: Path
) -> None:
    """Passwords, tokens and cookies of a whole flow, right and wrong ones, stand in no record in no format."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)
    secrets = ["sesame noodles secretly 1", "sesame noodles secretly 2", people.mei.password]
    register = {"username": "nina", "email": "nina@example.org", "password": secrets[0]}
    assert send_json(people.app, "POST", "/api/users", Somebody(), register).status == 201
    assert send_json(people.app, "POST", "/api/users", Somebody(), register | {"email": 7}).status == 422
    tokens = send_json(people.app, "POST", "/api/login", Somebody(), {"username": "nina", "password": secrets[0]}).json
    assert (
        send_json(people.app, "POST", "/api/login", Somebody(), {"username": "nina", "password": secrets[1]}).status
        == 401
    )
    refreshed = send_json(
        people.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": tokens["refresh_token"]}
    ).json
    secrets += [tokens["access_token"], tokens["refresh_token"], refreshed["access_token"], refreshed["refresh_token"]]
    nina = Somebody(authorization=f"Bearer {refreshed['access_token']}")
    assert send(people.app, "GET", "/api/user/profile", nina).status == 200
    send(people.app, "GET", "/api/user/profile", Somebody(authorization=nina.authorization[:-4] + "AAAA"))
    secrets.append(nina.authorization[7:-4])
    send(
        people.app,
        "POST",
        "/password/forgot",
        visitor(),
        body=urlencoded([("email", "nina@example.org")]),
        content_type=FORM,
    )
    run_jobs(people.registry)
    mail = "".join(file.read_text() for file in (site_folder / "mail").rglob("*.eml"))
    reset = re.findall(r"token=(?:3D)?([\w-]{20,})", mail.replace("=\n", ""))[0]
    secrets += [reset, people.mei.browser.cookies["session"], people.mei.browser.csrf]
    send(people.app, "GET", f"/password/reset?token={reset}", visitor())
    form = urlencoded([("token", reset), ("new_password", secrets[1]), ("again", secrets[1])])
    assert send(people.app, "POST", "/password/reset", visitor(), body=form, content_type=FORM).status == 303
    login = urlencoded([("login", "nina"), ("password", secrets[1])])
    answer = send(people.app, "POST", "/login", visitor(), body=login, content_type=FORM)
    secrets.append(answer.header("Set-Cookie").split("session=")[1].split(";")[0])
    with pytest.MonkeyPatch.context() as broken:
        # An error whose traceback is logged, with all of it at hand.
        broken.setitem(people.registry, "csrf", None)
        send(people.app, "POST", "/login", visitor(), body=login, content_type=FORM)
    assert any(record.exc_info for record in caplog.records)
    for formatter in (TextFormatter(), JsonFormatter()):
        for record in caplog.records:
            line = formatter.format(record)
            for secret in secrets:
                assert secret not in line, (record.name, record.getMessage())


def test_no_line_of_the_log_is_written_by_a_stranger(people: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    """Line ends in paths, methods, ids of requests and names of programs stay inside their field."""
    caplog.set_level(logging.INFO)
    forged = "\r\n2026-01-01T00:00:00.000Z INFO - mealshare http.request method=GET status=200\u2028\x85\x1b[2J"
    wire = "".join(f"%{byte:02x}" for byte in forged.encode())
    headers = {
        "HTTP_X_REQUEST_ID": forged,
        "HTTP_USER_AGENT": forged,
        "HTTP_REFERER": forged,
        "HTTP_COOKIE": forged,
        "HTTP_X_FORWARDED_FOR": forged,
    }
    latin = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    for path in (
        f"/{wire}",
        f"/@mei/{wire}",
        f"/tags/{wire}",
        f"/api/meals/{wire}",
        f"/?q={wire}",
        f"/static/{wire}",
        f"/problems/{wire}",
    ):
        for method in ("GET", "GET\r\nX", "POST"):
            send(people.app, method, path, headers=latin)
    assert len([record for record in caplog.records if record.getMessage() == "http.request"]) >= 21
    for formatter in (TextFormatter(), JsonFormatter()):
        for record in caplog.records:
            line = formatter.format(record).split("\n  | ")[0]
            assert not re.search("[\r\n\x1b\x85\u2028]", line), line


def test_sessions_end_where_they_should(people: SimpleNamespace) -> None:
    """A password change and a log-out end what they say, at once; the others' sessions go on."""
    second = browser_of(people.registry, people.mei.account_id)
    form = urlencoded(
        [
            ("current_password", people.mei.password),
            ("new_password", "sesame noodles tomorrow"),
            ("again", "sesame noodles tomorrow"),
        ]
    )
    changed = send(people.app, "POST", "/settings/password", people.mei.browser, body=form, content_type=FORM)
    assert changed.status == 303
    for who in (second, people.mei.browser, people.mei.program):
        assert send(people.app, "GET", "/api/user/profile", who).status == 401
    assert send(people.app, "GET", "/api/user/profile", people.eve.program).status == 200
    with people.registry["engine"].connect() as connection:
        assert connection.scalar(select(Session.user_id).where(Session.user_id == people.mei.account_id)) is not None
        assert connection.execute(text("SELECT count(*) FROM sessions")).scalar() == 2
