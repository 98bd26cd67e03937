"""What people write is shown as they wrote it and never becomes a script: stored in every field, read on every page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router

from mealshare.core.text import clean_text
from tests.functional.hostile import XSS
from tests.functional.hostile_pages import check_page
from tests.functional.hostile_requests import Somebody, browser_of, multipart, send, send_json, urlencoded

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def mei(wsgi_app: Router, registry: Any, make_user: Callable[..., SimpleNamespace], token: Any, app: Any) -> Any:
    """Somebody who writes such things."""
    person = make_user("mei")
    person.program = Somebody(authorization=token(app, person)["Authorization"])
    person.browser = browser_of(registry, person.account_id)
    return person


def cleaned(text: str, multiline: bool = False) -> str:
    """How a text field keeps what was typed (normalised, without controls and spaces at its ends)."""
    return clean_text(text, multiline=multiline)


def squashed(text: str) -> str:
    """Without any white space: pages wrap and indent."""
    return re.sub(r"\s+", "", text)


def pages(app: Router, who: Somebody, meal_id: str) -> Iterator[tuple[str, str]]:
    """Every page on which the meal and its author show."""
    # The lists show a visitor the same cards; taking each page apart costs most of the time of these tests.
    own = ("/", "/@mei", f"/@mei/{meal_id}/edit", f"/@mei/{meal_id}/delete", "/settings/profile") if who.cookies else ()
    for path in (f"/@mei/{meal_id}", *own):
        answer = send(app, "GET", path, who)
        assert answer.status == 200, (path, answer.status)
        yield path, answer.text


def test_the_corpus_is_large_enough() -> None:
    """Sixty at least, all of them different."""
    assert len(set(XSS)) == len(XSS) >= 60


def test_words_in_every_field_of_a_meal(wsgi_app: Router, mei: Any, picture: Any, run_jobs: Any, registry: Any) -> None:
    """Food, note, place, city, alt text, content warning: all payloads at once, each unaltered where it is shown."""
    body, kind = multipart([("file", "a.png", picture("png", size=(8, 8)))])
    media_id = send(wsgi_app, "POST", "/api/media", mei.program, body=body, content_type=kind).json["id"]
    run_jobs(registry)
    meal_id = send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "x", "media": [{"id": media_id}]}).json[
        "id"
    ]
    for payload in XSS:
        try:
            line = cleaned(payload)
        except ValueError:
            line = cleaned(payload.replace("\t", " "))
        words = {
            "food": line[:140], "note": line, "spoiler_text": line if XSS.index(payload) % 2 else "", "place": {"name": line[:200], "city": line[:100]},
            "media": [{"id": media_id, "description": line}],
        }  # fmt: skip
        answer = send_json(wsgi_app, "PUT", f"/api/meals/{meal_id}", mei.program, words)
        assert answer.status == 200, (payload, answer.text)
        meal = answer.json
        assert (meal["food"], meal["note"], meal["media"][0]["description"]) == (line[:140], line, line)
        assert meal["place"]["name"] == line[:200]
        check_page(meal["note_html"], payload)
        for who in (mei.browser, Somebody()):
            for path, html in pages(wsgi_app, who, meal_id):
                page = check_page(html, f"{path} {payload}")
                if path == f"/@mei/{meal_id}":
                    shown = squashed(page.get_text())
                    assert squashed(line[:140]) in shown, (path, payload)
                    assert squashed(line) in squashed(page.select_one(".meal__note").get_text()), payload
                    assert any(squashed(str(image.get("alt", ""))) == squashed(line) for image in page.find_all("img"))
                if path.endswith("/edit"):
                    assert page.find(id="food").get_text() == line[:140]
                    assert page.find(id="place")["value"] == line[:200]
                    assert page.find(id="note").get_text() == line


def test_words_about_a_person(wsgi_app: Router, mei: Any) -> None:
    """Display name and bio, on every page that shows them: one's own meals, the menu, the letters of the avatar."""
    meal_id = send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "rice"}).json["id"]
    stored = 0
    for payload in XSS:
        body = {"display_name": payload.replace("\t", " ")[:50], "bio": payload.replace("\t", " ")[:500]}
        answer = send_json(wsgi_app, "PATCH", "/api/user/profile", mei.program, body)
        if answer.status == 422:
            answer = send_json(wsgi_app, "PATCH", "/api/user/profile", mei.program, {"bio": body["bio"]})
        else:
            stored += 1
        assert answer.status == 200, answer.text
        check_page(answer.json["bio_html"], payload)
        for path, html in pages(wsgi_app, mei.browser, meal_id):
            page = check_page(html, f"{path} {payload}")
            if path == "/@mei":
                assert squashed(cleaned(body["bio"])) in squashed(page.get_text()), payload
    assert stored > 30


def test_words_that_are_refused_come_back_harmless(wsgi_app: Router, registry: Any, mei: Any) -> None:
    """Usernames, addresses, tags and links that are none: the form shows them again, and the API names them."""
    visitor_csrf = "visitors-token-of-some-length-0001"
    who = Somebody({"csrf": visitor_csrf}, visitor_csrf)
    for payload in XSS:
        forms = {
            "/register": [
                ("username", payload),
                ("email", payload),
                ("password", payload),
                ("time_zone", payload),
                ("next", payload),
            ],
            "/login": [("login", payload), ("password", "x"), ("next", payload)],
            "/password/forgot": [("email", payload)],
            "/password/reset": [("token", payload), ("new_password", payload), ("again", "x")],
        }
        for path, pairs in forms.items():
            answer = send(wsgi_app, "POST", path, who, body=urlencoded(pairs), content_type=FORM)
            page = check_page(answer.text, f"{path} {payload}")
            fields = {str(field.get("name")): str(field.get("value", "")) for field in page.find_all("input")}
            assert fields.get("password", "") == fields.get("new_password", "") == "", "a password came back"
        compose = [
            ("recipe_url", payload),
            ("tags", payload),
            ("eaten_at", payload),
            ("meal_type", payload),
            ("visibility", payload),
            ("source", payload),
        ]
        answer = send(wsgi_app, "POST", "/new", mei.browser, body=urlencoded(compose), content_type=FORM)
        assert answer.status == 422
        check_page(answer.text, f"/new {payload}")
        answer = send_json(
            wsgi_app, "POST", "/api/meals", mei.program, {payload: 1, "meal_type": payload, "tags": [payload]}
        )
        assert (answer.status, answer.header("Content-Type")) == (422, "application/problem+json")


def test_links_of_recipes(wsgi_app: Router, mei: Any) -> None:
    """Only http and https become links, and what stands in them stays inside the attribute."""
    made = 0
    for payload in (*XSS, "https://example.org/r?q=%22%3E", "http://[::1]/", "https://user:pass@example.org/"):
        for link in (payload, f"https://example.org/{payload}", f"https://{payload}"):
            answer = send_json(wsgi_app, "POST", "/api/meals", mei.program, {"food": "rice", "recipe_url": link})
            if answer.status == 422:
                assert answer.json["errors"][0]["pointer"] == "#/recipe_url"
                continue
            made += 1
            assert answer.status == 201, answer.text
            html = send(wsgi_app, "GET", f"/@mei/{answer.json['id']}").text
            page = check_page(html, link)
            hrefs = [str(anchor["href"]) for anchor in page.select("dl.facts a")]
            assert hrefs == [answer.json["recipe_url"]]
    assert made > 20


def test_a_program_that_calls_itself_a_script(wsgi_app: Router, registry: Any, mei: Any, make_user: Any) -> None:
    """The User-Agent stands in the list of devices: at most in words of ours."""
    for payload in XSS[:40]:
        body = {"username": "mei", "password": mei.password}
        if payload is XSS[0]:
            login = send_json(wsgi_app, "POST", "/api/login", Somebody(), body, HTTP_USER_AGENT=payload)
            assert login.status == 200
        else:
            with registry["engine"].begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE grants SET user_agent = " + ("?" if connection.dialect.name == "sqlite" else "%s"),
                    (payload,),
                )
        answer = send(wsgi_app, "GET", "/settings/sessions", mei.browser)
        assert answer.status == 200
        check_page(answer.text, payload)


def test_a_meal_kept_before_signing_up(wsgi_app: Router) -> None:
    """The basket gives a visitor's words back, as words."""
    csrf = "visitors-token-of-some-length-0001"
    for payload in XSS:
        who = Somebody({"csrf": csrf}, csrf)
        pairs = [("food", payload[:140]), ("note", payload), ("place", payload[:200]), ("spoiler_text", payload)]
        kept = send(wsgi_app, "POST", "/new", who, body=urlencoded(pairs), content_type=FORM)
        if kept.status == 422:
            check_page(kept.text, payload)
            continue
        assert kept.status == 303, kept.text
        cookies = dict(value.split(";")[0].split("=", 1) for name, value in kept.headers if name == "Set-Cookie")
        answer = send(wsgi_app, "GET", "/new", Somebody({"csrf": csrf, "basket": cookies["basket"]}))
        page = check_page(answer.text, payload)
        assert page.find(id="food").get_text() == payload[:140]
