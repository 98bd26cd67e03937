"""The browsable API on the small application: who gets a page, what it is made of, and what must stay JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from webtest import TestApp

from mealshare.api.browse import address_pattern, prefers_html, wants_page
from mealshare.api.browse_forms import Body, Described, Field, curl, fitted, prose
from mealshare.api.browse_json import Link, json_page
from mealshare.core.security.headers import HTML_CSP
from tests.core.api.conftest import ORIGIN, Make

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
BROWSER = {"Accept": FIREFOX}


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (FIREFOX, True),
        (CHROME, True),
        ("text/html", True),
        ("text/html ; Q=1.0", True),
        ("application/xhtml+xml", True),
        ("text/html, */*", True),  # jQuery's "html", older browsers: HTML is named, JSON is not.
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("application/json;q=0.4, text/html;q=0.5", True),
        ("", False),
        ("*/*", False),  # curl, fetch, EventSource's polyfills
        ("application/json, text/plain, */*", False),  # axios
        ("application/json, text/javascript, */*; q=0.01", False),  # jQuery's "json"
        ("text/event-stream", False),
        ("application/json, text/html", False),  # Wanted as much, and both named.
        ("text/html, application/json", False),
        ("text/html, application/problem+json", False),
        ("text/html;q=0.4, application/json;q=0.5", False),
        ("text/html;q=0.4, */*;q=0.5", False),
        ("text/html;q=0", False),
        ("text/html;q=x, */*;q=0.1", False),
        ("text/html;q=2, */*", False),
        ("text/*", False),
        ("text/htmlx", False),
        ("application/html", False),
        (",;=/html", False),
    ],
)
def test_who_prefers_a_page(accept: str, page: bool) -> None:
    assert wants_page({"PATH_INFO": "/api/things", "REQUEST_METHOD": "GET", "HTTP_ACCEPT": accept}) is page


#: Requests that have nothing to read, or that a page would tell too much.
FOR_PROGRAMS = (
    ("/api/things", "GET", {"Origin": ORIGIN}),
    ("/api/things", "GET", {"Origin": "https://evil.example"}),
    ("/api/things", "GET", {"HX-Request": "true"}),
    ("/api/things", "GET", {"Accept": "*/*"}),
    ("/api/things", "GET", {"Accept": "application/json"}),
    ("/api/things", "POST", {}),
    ("/api/nowhere", "POST", {}),
    ("/api/thing/7", "PATCH", {}),
    ("/openapi.json", "GET", {}),
)


def test_what_stays_json_for_everybody(app: TestApp) -> None:
    for path, method, headers in FOR_PROGRAMS:
        answer = app.request(path, method=method, headers=BROWSER | headers, expect_errors=True)
        assert answer.content_type in ("application/json", "application/problem+json"), (path, method, headers)
        assert "Accept" in [part.strip() for part in answer.headers["Vary"].split(",")], (path, method, headers)


def test_what_is_no_json_goes_out_as_it_is(app: TestApp) -> None:
    for kind in ("found", "accepted"):
        plain = app.get(f"/api/odd/{kind}", expect_errors=True)
        browsed = app.get(f"/api/odd/{kind}", headers=BROWSER, expect_errors=True)
        assert (browsed.status, browsed.headers.get("Location")) == (plain.status, plain.headers.get("Location"))
        assert "pre class" not in browsed.text


def shown(answer: Any) -> BeautifulSoup:
    assert answer.content_type == "text/html"
    return BeautifulSoup(answer.text, "html.parser")


#: Addresses of the small application, and what they answer.
ANSWERED = {
    "/api/things?limit=3": 200,
    "/api/things/7": 200,
    "/api/guarded": 401,
    "/api/things/404": 404,
    "/api/nowhere": 404,
    "/api/photos": 405,
    "/api/things?colour=red": 400,
    "/api/odd/internal": 500,
}


def test_the_page_is_the_answer_that_programs_get(app: TestApp) -> None:
    for path, status in ANSWERED.items():
        program, page = app.get(path, expect_errors=True), app.get(path, headers=BROWSER, expect_errors=True)
        soup = shown(page)
        assert (program.status_int, page.status) == (status, program.status), path
        pre = soup.select_one("pre.json")
        assert pre is not None, path
        assert without_id(json.loads(pre.get_text())) == without_id(program.json), path
        for name in ("Allow", "Link", "Vary", "WWW-Authenticate", "X-RateLimit-Limit"):
            assert page.headers.get(name) == program.headers.get(name), (path, name)
        assert page.headers["Cache-Control"] == "private, no-store"
        assert page.headers["Content-Security-Policy"] == HTML_CSP
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "ETag" not in page.headers
        assert program.status in soup.get_text()


def without_id(document: Any) -> Any:
    return (
        {name: value for name, value in document.items() if name != "request_id"}
        if isinstance(document, dict)
        else document
    )


def test_a_stored_json_does_not_become_the_page(app: TestApp) -> None:
    """Chromium sends the tag of the JSON that it has stored for the address, and would show that JSON on a 304."""
    etag = app.get("/api/things").headers["ETag"]
    assert app.get("/api/things", headers={"If-None-Match": etag}).status_int == 304
    for tag in (etag, "*"):
        assert app.get("/api/things", headers=BROWSER | {"If-None-Match": tag}).status_int == 200


def test_the_page_offers_what_the_document_has(app: TestApp) -> None:
    soup = shown(app.get("/api/things?tag=a&tag=b&fresh=true", headers=BROWSER))
    assert soup.h1 is not None and soup.h1.get_text() == "List things"
    assert [link["href"] for link in soup.select(".pager a")] == [
        "/api/things?tag=a&tag=b&fresh=true&min_id=9",
        "/api/things?tag=a&tag=b&fresh=true&max_id=5",
    ]
    form = soup.select_one("form.parameters")
    assert form is not None and form["method"] == "get"
    names = {str(field["name"]) for field in form.select("[name]")}
    assert {"max_id", "min_id", "limit", "skip", "q", "tag", "on", "fresh"} <= names
    assert form.select_one("[name=fresh] option[selected]").get_text() == "true"
    assert form.select_one("[name=on]")["type"] == "date"
    assert form.select_one("[name=limit]")["max"] == "100"
    [trial] = soup.select("form[data-try]")
    assert (trial["data-method"], trial["data-path"], trial["data-type"]) == ("POST", "/api/things", "application/json")
    assert "name" in json.loads(trial.select_one("textarea").get_text())
    assert "name" not in trial.attrs and "action" not in trial.attrs
    # A visitor has no session that a token would protect.
    assert "csrf_token" not in str(soup)
    assert soup.select_one('a[href="/login?next=%2Fapi%2Fthings%3Ftag%3Da%26tag%3Db%26fresh%3Dtrue"]') is not None


def test_an_upload_is_a_form_with_a_file(app: TestApp) -> None:
    soup = shown(app.get("/api/photos", headers=BROWSER, status=405))
    fields = {str(field["data-part"]): str(field["type"]) for field in soup.select("[data-part]")}
    assert fields == {"file": "file", "alt": "text", "size": "text"}
    assert "-F file=@photo.jpg" in soup.get_text()


def test_a_change_starts_from_what_there_is(app: TestApp) -> None:
    soup = shown(app.get("/api/things/7", headers=BROWSER))
    [editor] = soup.select("form[data-method=PATCH] textarea")
    assert json.loads(editor.get_text()) == {"name": "soup"}
    etag = app.get("/api/things/7").headers["ETag"]
    assert [field["value"] for field in soup.select("[data-header=If-Match]")] == [etag, etag]


def test_what_was_left_empty_in_the_form_is_left_out(app: TestApp) -> None:
    moved = app.get("/api/things?max_id=&q=tea%26rice&tag=&limit=5&on", headers=BROWSER)
    assert (moved.status_int, urlsplit(moved.headers["Location"])[2:4]) == (
        303,
        ("/api/things", "q=tea%26rice&limit=5"),
    )
    assert moved.headers["Cache-Control"] == "private, no-store"
    assert app.get("/api/things?q=&tag=", headers=BROWSER).headers["Location"].endswith("/api/things")
    # A program is told of its mistake.
    assert app.get("/api/things?max_id=", status=400).json["errors"][0]["parameter"] == "max_id"


def test_from_the_page_to_the_json(app: TestApp) -> None:
    soup = shown(app.get("/api/things?q=%C3%A9", headers=BROWSER))
    [raw] = [str(link["href"]) for link in soup.select("a") if link.get_text() == "JSON"]
    assert raw == "/api/things?q=%C3%A9&format=json"
    answer = app.get(raw, headers=BROWSER)
    assert (answer.content_type, answer.json) == ("application/json", app.get("/api/things?q=%C3%A9").json)
    assert "format" not in answer.headers["Link"]
    # It exists on the page alone.
    problem = app.get("/api/things?format=json", status=400).json
    assert problem["errors"][0] == {"parameter": "format", "code": "unknown", "detail": "There is no such field."}


def test_a_second_attempt_is_json_as_the_first_was(app: TestApp) -> None:
    """The attempts share their environment, and the first one takes the parameter out of it."""
    assert app.get("/api/odd/retried?format=json", headers=BROWSER).json == {"a": 2}
    assert shown(app.get("/api/odd/retried", headers=BROWSER)).select_one("pre.json") is not None


def test_head_has_the_headers_of_the_page(app: TestApp) -> None:
    head = app.head("/api/things", headers=BROWSER)
    assert (head.content_type, head.body) == ("text/html", b"")
    assert int(head.headers["Content-Length"]) > 1000


def test_it_can_be_switched_off(make: Make) -> None:
    app = make(**{"api.browsable": "false"})
    assert app.get("/api/things", headers=BROWSER).content_type == "application/json"


def test_the_style_and_the_script_of_the_page_are_there(app: TestApp) -> None:
    soup = shown(app.get("/api/things", headers=BROWSER))
    folder = Path(__file__).resolve().parents[3] / "mealshare/web"
    files = [str(item["href"]) for item in soup.select("link[href]")] + [
        str(item["src"]) for item in soup.select("[src]")
    ]
    assert len(files) > 5
    assert [file for file in files if not (folder / file.lstrip("/")).is_file()] == []


#: What must neither end the text that it stands in, nor turn the line around, nor become an address that runs.
HOSTILE = ["</pre><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202e\u2028'&amp;", "javascript:alert(1)", "https://x.example/\"onmouseover=\"alert(1)", "https://x.example/<script>"]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_json_is_text(text: str) -> None:
    document = {
        text: text,
        "list": [text, {text: [text]}],
        "url": text,
        "number": -1.5e300,
        "words": [True, False, None],
        "empty": [[], {}, ""],
    }
    html = json_page(json.dumps(document).encode(), lambda address, owner, name: Link(address, outside=True))
    soup = BeautifulSoup(str(html), "html.parser")
    assert json.loads(soup.get_text()) == document
    assert {tag.name for tag in soup.find_all(True)} <= {"span", "a"}
    for tag in soup.find_all(True):
        assert set(tag.attrs) <= {"class", "href", "rel"}
    assert [link for link in soup.find_all("a") if not str(link["href"]).startswith(("http://", "https://"))] == []


def test_an_endless_answer_is_shown_plainly() -> None:
    body = json.dumps(["<b>" * 200_000]).encode()
    assert str(json_page(body, lambda *_about: None)).startswith("[\n  &#34;&lt;b&gt;")


def test_whose_address_it_is_decides_where_it_leads() -> None:
    asked = []

    def linker(address: str, owner: Any, name: str) -> Link | None:
        asked.append((address, owner.get("id"), name))
        return None

    comment = {"id": 1, "url": "http://a/c", "user": {"id": 2, "url": "http://a/u"}}
    json_page(json.dumps({"comment": comment, "list": [{"id": 3, "url": "http://a/l"}]}).encode(), linker)
    assert asked == [("http://a/c", 1, "comment"), ("http://a/u", 2, "user"), ("http://a/l", 3, "list")]


def test_only_what_may_be_written_is_offered() -> None:
    shape = {"food": None, "tags": [None], "place": {"name": None}, "media": [{"id": None}], "gone": None}
    answer = {
        "id": "1", "food": "tea", "tags": [{"name": "a", "url": "x"}], "place": {"name": "b", "url": "y"},
        "media": [{"id": "7", "url": "z"}], "likes_count": 3,
    }  # fmt: skip
    assert fitted(shape, answer) == {"food": "tea", "tags": ["a"], "place": {"name": "b"}, "media": [{"id": "7"}]}
    assert fitted(shape, {"food": None, "tags": "odd", "place": [], "media": None}) == {"food": None, "media": None}


def test_the_command_is_what_a_shell_understands() -> None:
    body = Body("application/json", example={})
    described = Described("PATCH", "", "", "", False, (), (Field("If-Match"),), body)
    text = '{"food": "it\'s $(rm -rf /) `id` \\"hot\\""}'
    command = curl(described, "https://meals.example/api/x?a='b'", text, '"1-2"')
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}; ACCESS='$ACCESS'; {command}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\0")[:-1] == [
        "-X", "PATCH", "https://meals.example/api/x?a='b'", "-H", "Authorization: Bearer $ACCESS",
        "-H", 'If-Match: "1-2"', "-H", "Content-Type: application/json", "-d", text,
    ]  # fmt: skip


def test_descriptions_are_escaped() -> None:
    html = prose("One `a<b` <i>two</i>\nthree\n\n- `x`\n- y\n\nodd ` quote")
    assert (
        html
        == "<p>One <code>a&lt;b</code> &lt;i&gt;two&lt;/i&gt; three</p><ul><li><code>x</code></li><li>y</li></ul><p>odd ` quote</p>"
    )


def test_addresses_of_pages() -> None:
    assert address_pattern("/@{username}/{id:[0-9]+}").fullmatch("/@mei/123") is not None
    assert address_pattern("/@{username}").fullmatch("/@mei/123") is None
    assert address_pattern("/@{username}").fullmatch("/@mei?x") is None
    assert address_pattern("/places/{name:.+}").fullmatch("/places/a/b%20c") is not None


def test_a_long_header_is_not_remembered(app: TestApp) -> None:
    prefers_html.cache_clear()
    environ = {"PATH_INFO": "/api/x", "REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/html" + "," * 10_000}
    assert wants_page(environ)
    assert prefers_html.cache_info().currsize == 1
    assert prefers_html.cache_parameters()["maxsize"] == 256
