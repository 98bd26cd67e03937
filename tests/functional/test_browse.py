"""The browsable API on the whole site: every address that can be read, hostile words, who sees what, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from pyramid.router import Router

from tests.functional.hostile import XSS
from tests.functional.hostile_pages import check_page
from tests.functional.hostile_requests import (
    PART,
    Answer,
    Somebody,
    browser_of,
    multipart,
    route_table,
    send,
    send_json,
)

HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
#: They stay open.
STREAMS = {"api.feed.stream"}
#: What is drawn anew each time, and what tells of the request itself.
CHANGING = {"api.meals.random"}
SCRIPT = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture
def mei(registry: Any, make_user: Callable[..., SimpleNamespace], app: Any, token: Any) -> SimpleNamespace:
    """Somebody with a browser and a program."""
    person = make_user("mei")
    person.program = Somebody(authorization=token(app, person)["Authorization"])
    person.browser = browser_of(registry, person.account_id)
    return person


@pytest.fixture
def thing(wsgi_app: Router, registry: Any, mei: Any, picture: Any, run_jobs: Any) -> SimpleNamespace:
    """A meal, its picture and a comment, all of it in words that would like to be a script."""
    body, kind = multipart([("file", "a.jpg", picture(size=(40, 30)))])
    media = send(wsgi_app, "POST", "/api/media", mei.program, body=body, content_type=kind).json["id"]
    run_jobs(registry)
    words = {
        "food": SCRIPT, "note": f"{SCRIPT} #script https://x.example/{SCRIPT}", "spoiler_text": SCRIPT,
        "recipe_url": "https://x.example/%22onmouseover=%22alert(1)", "place": {"name": SCRIPT, "city": SCRIPT},
        "media": [{"id": media, "description": SCRIPT}], "tags": ["script"],
    }  # fmt: skip
    meal = send_json(wsgi_app, "POST", "/api/meals", mei.program, words).json["id"]
    comment = send_json(wsgi_app, "POST", f"/api/meals/{meal}/comments", mei.program, {"note": SCRIPT}).json["id"]
    send_json(wsgi_app, "PATCH", "/api/user/profile", mei.program, {"bio": SCRIPT})
    run_jobs(registry)
    return SimpleNamespace(meal=meal, media=media, comment=comment)


def filled(pattern: str, thing: SimpleNamespace) -> str:
    """The address of the thing; of what it does not know, one that leads to nothing."""
    id = thing.media if "/media/" in pattern else thing.comment if "/comments/" in pattern else thing.meal
    known = {"id": id, "username": "mei", "tag": "script", "name": "Home", "follower": "mei"}
    return PART.sub(lambda match: str(known.get(match[1], "1")), pattern)


def json_of(page: BeautifulSoup) -> Any:
    """The JSON that the page shows, without what each request has of its own."""
    pre = page.select_one("section pre.json")
    assert isinstance(pre, Tag)
    return without_own(json.loads(pre.get_text()))


def without_own(document: Any) -> Any:
    return (
        {name: value for name, value in document.items() if name != "request_id"}
        if isinstance(document, dict)
        else document
    )


def ask(app: Router, path: str, who: Somebody, **headers: str) -> tuple[Answer, BeautifulSoup]:
    """The page at the address."""
    answer = send(app, "GET", path, who, headers=HTML | headers)
    assert answer.header("Content-Type").startswith("text/html"), (path, answer.status)
    return answer, check_page(answer.text, path)


def test_every_address_that_can_be_read(wsgi_app: Router, registry: Any, mei: Any, thing: Any) -> None:
    """As somebody signed in and as a visitor: the same status, and the very JSON, whatever is written in it."""
    routes = [route for route in route_table(registry).values() if route.pattern.startswith("/api")]
    assert len(routes) > 50
    shown = 0
    for route in routes:
        if route.name in STREAMS:
            continue
        for who in (mei.browser, Somebody()):
            path = filled(route.pattern, thing)
            program = send(wsgi_app, "GET", path, who)
            page, soup = ask(wsgi_app, path, who)
            assert page.status == program.status, path
            varies = [set(answer.header("Vary").split(", ")) - {"Accept-Encoding"} for answer in (page, program)]
            assert varies[0] == varies[1] >= {"Accept", "Origin", "Cookie", "Authorization"}, path
            assert (page.header("Cache-Control"), page.header("ETag")) == ("private, no-store", ""), path
            if route.name not in CHANGING:
                assert json_of(soup) == without_own(program.json), path
            shown += SCRIPT in json.dumps(program.json, ensure_ascii=False).replace('\\"', '"')
    assert shown > 10


def test_whatever_is_written_stays_text(wsgi_app: Router, mei: Any, thing: Any) -> None:
    """The whole corpus of scripts, in the answer, in the editors and in the commands of the page."""
    for payload in XSS:
        line = " ".join(payload.split())
        changed = send_json(
            wsgi_app, "PATCH", f"/api/meals/{thing.meal}", mei.program, {"food": line[:140], "note": line}
        )
        assert changed.status == 200, (payload, changed.text)
        _, soup = ask(wsgi_app, f"/api/meals/{thing.meal}", mei.browser)
        assert json_of(soup)["note"] == line
        [editor] = soup.select("form[data-method=PUT] textarea")
        assert json.loads(editor.get_text())["note"] == line


def test_the_editors_hold_what_can_be_sent(wsgi_app: Router, mei: Any, thing: Any) -> None:
    """What stands in the editor of a PUT or PATCH, sent as it stands, is accepted and changes nothing."""
    sent = 0
    addresses = (
        f"/api/meals/{thing.meal}", f"/api/comments/{thing.comment}", f"/api/media/{thing.media}", "/api/user/profile",
        "/api/preferences", "/api/notifications/settings",
    )  # fmt: skip
    for path in addresses:
        before = send(wsgi_app, "GET", path, mei.browser).json
        _, soup = ask(wsgi_app, path, mei.browser)
        for form in soup.select("form[data-try]"):
            editor, method = form.select_one("textarea"), str(form["data-method"])
            if editor is None or method not in ("PUT", "PATCH"):
                continue
            sent += 1
            answer = send(
                wsgi_app, method, path, mei.browser, body=editor.get_text().strip().encode(),
                content_type=str(form["data-type"]),
            )  # fmt: skip
            assert answer.status < 300, (method, path, answer.text)
        after = send(wsgi_app, "GET", path, mei.browser).json
        ignored = {"version", "edited_at", "tags"}
        assert {name: value for name, value in after.items() if name not in ignored} == {
            name: value for name, value in before.items() if name not in ignored
        }, path
        assert {tag["name"] for tag in after.get("tags", ())} == {tag["name"] for tag in before.get("tags", ())}
    assert sent >= 7


def test_what_a_new_thing_is_offered_with_can_be_sent(wsgi_app: Router, mei: Any, thing: Any) -> None:
    """The example in the editor of a POST names nothing that whoever tries it has not got: it makes what it shows."""
    for path in ("/api/meals", "/api/users/mei/meals", f"/api/meals/{thing.meal}/comments", "/api/tokens"):
        _, soup = ask(wsgi_app, path, mei.browser)
        [form] = soup.select('form[data-method="POST"]')
        editor = form.select_one("textarea")
        assert editor is not None
        answer = send(
            wsgi_app, "POST", path, mei.browser, body=editor.get_text().strip().encode(),
            content_type=str(form["data-type"]),
        )  # fmt: skip
        assert answer.status == 201, (path, answer.text)


def test_links_stay_in_the_api_where_it_has_the_same(wsgi_app: Router, mei: Any, thing: Any) -> None:
    _, soup = ask(wsgi_app, f"/api/meals/{thing.meal}", mei.browser)
    links = {str(link["href"]) for link in soup.select("pre.json a")}
    assert {f"/api/meals/{thing.meal}", "/api/users/mei", "/api/feed/tags/script"} <= links
    assert any(link.startswith("/media/") for link in links)
    assert "https://x.example/%22onmouseover=%22alert(1)" in links
    [outside] = [link for link in soup.select("pre.json a") if str(link["href"]).startswith("https://x.example")]
    assert outside["rel"] == ["nofollow", "noopener", "noreferrer"]
    for path in (f"/api/comments/{thing.comment}", f"/api/meals/{thing.meal}/comments"):
        _, soup = ask(wsgi_app, path, mei.browser)
        assert f"/api/comments/{thing.comment}" in {str(link["href"]) for link in soup.select("pre.json a")}
    index = {str(link["href"]) for link in ask(wsgi_app, "/api", mei.browser)[1].select("pre.json a")}
    assert {"/api/meals", "/api/search", "/docs"} <= index
    assert [address for address in index if "{" in address] == []
    _, soup = ask(wsgi_app, "/api/nowhere", mei.browser)
    assert [str(link["href"]) for link in soup.select("pre.json a")] == ["/problems/not_found"]
    crumbs = [
        (link.get_text(), str(link["href"]))
        for link in ask(wsgi_app, f"/api/meals/{thing.meal}/comments", mei.browser)[1].select(".crumbs a")
    ]
    assert crumbs == [
        ("/api", "/api"), ("/meals", "/api/meals"), (f"/{thing.meal}", f"/api/meals/{thing.meal}"),
        ("/comments", f"/api/meals/{thing.meal}/comments"),
    ]  # fmt: skip


def test_the_form_token_is_for_the_session_alone(wsgi_app: Router, mei: Any, thing: Any) -> None:
    """A token's page, a visitor's, and what another origin is given hold none."""
    path = f"/api/meals/{thing.meal}"
    _, soup = ask(wsgi_app, path, mei.browser)
    tokens = {str(field["value"]) for field in soup.select("[name=csrf_token]")}
    assert tokens == {mei.browser.csrf}
    for who in (mei.program, Somebody()):
        answer, soup = ask(wsgi_app, path, who)
        assert soup.select("[name=csrf_token]") == []
        assert answer.header("Set-Cookie") == ""
    other = send(wsgi_app, "GET", path, mei.browser, headers=HTML | {"HTTP_ORIGIN": "http://localhost:5173"})
    assert other.header("Content-Type") == "application/json"
    assert mei.browser.csrf not in other.text


def test_what_is_hidden_is_missing_here_too(
    wsgi_app: Router, registry: Any, make_user: Any, mei: Any, thing: Any
) -> None:
    send_json(wsgi_app, "PATCH", f"/api/meals/{thing.meal}", mei.program, {"visibility": "only_me"})
    stranger = browser_of(registry, make_user("stranger").account_id)
    for path in ("/api/meals/{}", "/api/meals/{}/comments", "/api/meals/{}/like"):
        hidden, missing = (
            send(wsgi_app, "GET", path.format(id), stranger, headers=HTML) for id in (thing.meal, "117653444094112991")
        )
        assert hidden.status == missing.status
        alike = [answer.text.replace(thing.meal, "117653444094112991") for answer in (hidden, missing)]
        assert without_request_id(alike[0]) == without_request_id(alike[1])
        assert "alert(1)" not in hidden.text


def without_request_id(html: str) -> str:
    """The page without what differs from one request to the next."""
    soup = BeautifulSoup(html, "html.parser")
    for part in soup.select(".headers__list"):
        part.decompose()
    return "\n".join(line for line in soup.get_text().splitlines() if "request_id" not in line)


def test_the_page_costs_no_statement(wsgi_app: Router, mei: Any, thing: Any, count_statements: Any) -> None:
    for path in ("/api/feed/public", f"/api/meals/{thing.meal}", "/api/nowhere"):
        for who in (mei.browser, Somebody()):
            ask(wsgi_app, path, who)
            with count_statements() as as_json:
                send(wsgi_app, "GET", path, who)
            with count_statements() as as_page:
                ask(wsgi_app, path, who)
            assert len(as_page) == len(as_json), (path, as_page)


def test_a_broken_token_is_told_of_on_the_page(wsgi_app: Router, registry: Any) -> None:
    answer, soup = ask(wsgi_app, "/api/user/profile", Somebody(), HTTP_AUTHORIZATION="Bearer nonsense")
    assert answer.status == 401
    assert "token_malformed" in json_of(soup)["type"]


def test_no_operation_has_a_parameter_of_the_page(wsgi_app: Router, registry: Any) -> None:
    document = send(wsgi_app, "GET", "/openapi.json", Somebody()).json
    named = {
        parameter.get("name")
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", ())
    }
    assert len(named) > 20
    assert "format" not in named


def test_a_limit_that_is_used_up(wsgi_app: Router, rate_limits: Any) -> None:
    for _ in range(300):
        send(wsgi_app, "GET", "/api/instance", Somebody())
    answer, soup = ask(wsgi_app, "/api/instance", Somebody())
    assert (answer.status, json_of(soup)["status"]) == (429, 429)
    assert int(answer.header("Retry-After")) > 0
