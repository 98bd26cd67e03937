"""One application, four servers: whatever serves it, a person and a program can do what they do."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from bs4 import BeautifulSoup

from tests.people import PASSWORD, draw
from tests.served_sites import SERVERS, Process, served_site

ORIGIN = "https://app.example.org"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def token_of(page: httpx.Response) -> str:
    """The token of the page's forms."""
    field = BeautifulSoup(page.text, "html.parser").find("input", {"name": "csrf_token"})
    assert field is not None
    return str(field["value"])


def filled(page: httpx.Response, field: str, **values: str) -> dict[str, str | list[str]]:
    """What a browser sends for the form that has ``field``, with some values of its own; files are left out."""
    soup = BeautifulSoup(page.text, "html.parser")
    form = next(form for form in soup.find_all("form") if form.find(attrs={"name": field}))
    sent: dict[str, str | list[str]] = {}
    for item in form.select("input[name], textarea[name], select[name]"):
        kind, name = item.get("type", ""), str(item["name"])
        if kind in ("file", "submit") or (kind in ("radio", "checkbox") and not item.has_attr("checked")):
            continue
        chosen = item.select_one("option[selected]") or item.select_one("option") if item.name == "select" else item
        sent[name] = str(chosen.get("value", "")) if chosen is not None else ""
    return sent | values


def test_the_same_site_whatever_serves_it(server: str, database_url: str, tmp_path: Path) -> None:
    """One test for all of it: starting a site takes longer than asking it."""
    with served_site(server, tmp_path, database_url, cors__origins=ORIGIN) as site:
        with httpx.Client(base_url=site.url, timeout=30) as client:
            pages(client)
            a_person(client)
            a_program(client)
            another_origin(client)
        a_stream(site)
        who_asks(site)
        assert site.end() == 0, site.log
        assert site.members() == [], "something is left of it"
        assert "Traceback" not in site.log, site.log


def pages(client: httpx.Client) -> None:
    front = client.get("/")
    assert (front.status_code, front.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    missing = client.get("/nothing/here")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")
    assert client.get("/health/ready").json()["status"] == "ok"
    assert len(missing.headers["X-Request-Id"]) == 32


def a_person(client: httpx.Client) -> None:
    """Registers, signs in, and posts a meal with a picture, all with forms."""
    mei = {"username": "mei", "email": "mei@example.org", "password": PASSWORD}
    assert client.post("/api/users", json=mei).status_code == 201
    form = {"csrf_token": token_of(client.get("/login")), "login": "mei", "password": PASSWORD}
    assert client.post("/login", data=form).status_code == 303
    page = client.get("/new")
    assert page.status_code == 200
    posted = client.post(
        "/new", data=filled(page, "food", food="noodles"), files={"photo": ("noodles.jpg", draw(), "image/jpeg")}
    )
    assert posted.status_code == 303, posted.text
    address = posted.headers["Location"]
    source = ""
    deadline = time.monotonic() + 60
    while not source:
        assert time.monotonic() < deadline, "the job that makes the picture did not run"
        picture = BeautifulSoup(client.get(address).text, "html.parser").select_one("main img[src^='/media/']")
        source = str(picture["src"]) if picture is not None else ""
        time.sleep(0.1)
    file = client.get(source)
    assert (file.status_code, file.headers["Content-Type"], file.content[:4]) == (200, "image/webp", b"RIFF")
    form = {"csrf_token": token_of(client.get("/"))}
    assert client.post("/logout", data=form).status_code == 303


def a_program(client: httpx.Client) -> None:
    client.cookies.clear()
    tokens = client.post("/api/login", json={"username": "mei", "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    sent = client.post("/api/media", files={"file": ("a.png", draw("png"), "image/png")}, headers=headers)
    assert sent.status_code in (201, 202), sent.text
    meal = {"food": "rice", "media": [{"id": sent.json()["id"]}]}
    made = client.post("/api/meals", json=meal, headers=headers)
    assert made.status_code == 201, made.text
    assert [item["food"] for item in client.get("/api/feed/public").json()] == ["rice", "noodles"]
    gone = client.request("DELETE", f"/api/meals/{made.json()['id']}", headers=headers)
    assert (gone.status_code, gone.content) == (204, b"")


def another_origin(client: httpx.Client) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = client.options("/api/meals", headers=asked)
    assert preflight.status_code in (200, 204)
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert client.get("/api/feed/public", headers={"Origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN


def a_stream(site: Process) -> None:
    """Ours keeps it open; any other ends it, with the request to come again."""
    with httpx.stream("GET", f"{site.url}/api/feed/stream", timeout=5) as stream:
        assert stream.status_code == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        if site.server == "waitress":
            assert "retry: " in next(stream.iter_text())
        else:
            assert "retry: " in stream.read().decode()


def who_asks(site: Process) -> None:
    """Nobody is believed to be somebody else's proxy unless a setting names them."""
    forwarded = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    answer = httpx.get(f"{site.url}/settings/profile", headers=forwarded)
    assert answer.status_code == 303
    assert "evil.example" not in answer.headers["Location"]
    assert "198.51.100.7" not in site.log
