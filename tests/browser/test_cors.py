"""CORS in a real Chromium: pages of other origins ask a running site, and see what the settings promise.

Each script is run by Chromium, by the standard as `tests.cors_rules` has it, and by the promise alone; the three must
agree.  The pages stand on ports of their own: ``localhost`` with another port is another origin of the same site (so
cookies go along), ``127.0.0.1`` is another site.
"""

from __future__ import annotations

import http.client
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page

from mealshare.api.cors import CorsSettings
from mealshare.core.db.migrate import upgrade
from tests.cors_rules import READ_ANYWAY, Promise, Script, fetch, promised
from tests.databases import new_database
from tests.people import draw
from tests.sites import RunningSite, running_site

pytestmark = pytest.mark.browser

PASSWORD = "plum cobbler on a tuesday"
#: Addresses of each kind; a stream begins and is left, a picture is not there.
PATHS = (
    "/api/feed/public",
    "/api/meals/1",
    "/api/nothing",
    "/api/feed/stream",
    "/media/a/b-1600.webp",
    "/openapi.json",
    "/about",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "patch", "PROPFIND")
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Content-Type": "text/plain", "Accept": "application/json"},
    {"Content-Type": "application/json", "X-Request-Id": "from-a-browser"},
    {"Last-Event-ID": "7", "If-Match": '"1"', "Idempotency-Key": "k", "X-CSRF-Token": "t"},
    {"X-Evil": "1"},
)  # fmt: skip
#: Runs scripts one after the other; gives for each the status and the names of the headers it may read, or null.
RUN = """async ([site, scripts]) => {
  const seen = [];
  for (const [path, method, headers, credentials] of scripts) {
    const stop = new AbortController();
    try {
      const mode = credentials ? "include" : "omit";
      const options = {method, headers, credentials: mode, cache: "no-store", redirect: "manual", signal: stop.signal};
      const answer = await fetch(site + path, options);
      seen.push([answer.status, [...answer.headers.keys()].sort()]);
    } catch (error) {
      seen.push(null);
    }
    stop.abort();
  }
  return seen;
}"""


class _BarePage(BaseHTTPRequestHandler):
    """A page with nothing in it, for scripts to run on."""

    def do_GET(self) -> None:
        body = b"<!doctype html><html lang=en><title>Elsewhere</title><link rel=icon href=data:,>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Web:
    """Other sites, and ours as two hosts have set it up."""

    allowed: str
    elsewhere: str
    refused: str
    site: RunningSite
    open_site: RunningSite

    def promise(self, site: RunningSite) -> Promise:
        """What the settings of the site mean."""
        usual = CorsSettings()
        mine = frozenset({self.allowed, self.elsewhere})
        lists = frozenset(usual.methods), frozenset(usual.headers), frozenset(map(str.lower, usual.expose_headers))
        if site is self.open_site:
            return Promise(frozenset(), *lists, allow_all=True)
        return Promise(mine, *lists, credentials=True)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with ExitStack() as stack:
        ports = []
        for _ in range(2):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _BarePage))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            ports.append(server.server_address[1])
        allowed, elsewhere = f"http://localhost:{ports[0]}", f"http://127.0.0.1:{ports[0]}"
        sites = []
        for settings in (
            {"cors__origins": f"{allowed} {elsewhere}", "cors__credentials": "true"},
            {"cors__allow_all": "true"},
        ):
            folder = tmp_path_factory.mktemp("cors")
            url = stack.enter_context(new_database("sqlite", folder))
            upgrade(url)
            sites.append(stack.enter_context(running_site(folder, url, **settings)))
        yield Web(allowed, elsewhere, f"http://localhost:{ports[1]}", sites[0], sites[1])


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of somebody; not watched, because refusals are complaints in its console."""
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(30_000)
    yield context
    context.close()


def ask_of(site: RunningSite) -> Callable[[str, str, dict[str, str]], tuple[int, dict[str, str]]]:
    """Asks the site as the browser does, but without being one."""

    def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", int(site.url.rpartition(":")[2]), timeout=30)
        usual = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br, zstd", "Accept-Language": "en-GB"}
        connection.request(method, path, headers=usual | headers)
        answer = connection.getresponse()
        found = {name.lower(): ", ".join(answer.headers.get_all(name, [])) for name in answer.headers}
        connection.close()
        return answer.status, found

    return ask


def sandboxed(page: Page) -> Frame:
    """A frame in the page whose origin is opaque: it calls itself ``null``."""
    page.evaluate("""() => new Promise(done => {
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts";
      frame.srcdoc = "<p>Nobody</p>";
      frame.onload = done;
      document.body.append(frame);
    })""")
    frame = page.frames[-1]
    assert frame.evaluate("self.origin") == "null"
    return frame


@pytest.mark.parametrize("host", ["site", "open_site"])
def test_chromium_sees_what_the_settings_promise(web: Web, context: BrowserContext, host: str) -> None:
    """Origins x methods x headers x credentials x addresses."""
    site: RunningSite = getattr(web, host)
    promise, ask = web.promise(site), ask_of(site)
    page = context.new_page()
    asked = 0
    for origin in (web.allowed, web.elsewhere, web.refused, "null"):
        # The sandboxed frame stands in a page that is allowed; that must not help it.
        page.goto(web.allowed if origin == "null" else origin)
        where: Page | Frame = sandboxed(page) if origin == "null" else page
        scripts = [
            (path, Script(origin, method, headers, credentials))
            for path, method, headers, credentials in product(PATHS, METHODS, HEADERS, (False, True))
            # All headers at one address of each kind, all methods everywhere.
            if path in ("/api/feed/public", "/about") or headers is HEADERS[len(path) % 4]
        ]
        rows = [[path, one.method, one.headers, one.credentials] for path, one in scripts]
        results = where.evaluate(RUN, [site.url, rows])
        assert len(results) == len(scripts)
        for (path, script), result in zip(scripts, results, strict=True):
            # A page of ours is for nobody else's scripts.
            wanted = promised(promise, script, shared=path != "/about")
            standard = fetch(script, path, ask)
            assert (result is not None) is (standard.status is not None) is wanted, (script, path, result)
            if result is not None:
                status, names = result
                assert status == standard.status, (script, path)
                assert set(names) == standard.names, (script, path)
                assert set(names) <= promise.exposed | READ_ANYWAY
        asked += len(scripts)
    assert asked > 500


def test_a_program_on_another_origin_does_everything(web: Web, context: BrowserContext) -> None:
    """Registers, signs in with a token, posts, changes, sees a conflict, deletes; and reads each header it needs."""
    page = context.new_page()
    page.goto(web.allowed)
    steps = page.evaluate(
        """async ([site, password]) => {
      const json = {"Content-Type": "application/json"};
      const ask = async (method, path, headers, body) => {
        const answer = await fetch(site + path, {method, headers, body: body && JSON.stringify(body)});
        const read = Object.fromEntries(answer.headers);
        const text = await answer.text();
        return {status: answer.status, headers: read, body: text ? JSON.parse(text) : null};
      };
      const steps = {};
      const who = {username: "afar", email: "afar@example.org", password};
      steps.registered = await ask("POST", "/api/users", json, who);
      steps.signed = await ask("POST", "/api/login", json, {username: "afar", password});
      const mine = {...json, Authorization: `Bearer ${steps.signed.body.access_token}`};
      steps.posted = await ask("POST", "/api/meals", {...mine, "Idempotency-Key": "once"}, {food: "Soup"});
      steps.again = await ask("POST", "/api/meals", {...mine, "Idempotency-Key": "once"}, {food: "Soup"});
      await ask("POST", "/api/meals", mine, {food: "Bread"});
      const path = new URL(steps.posted.headers.location).pathname;
      steps.read = await ask("GET", path, mine);
      steps.patched = await ask("PATCH", path, {...mine, "Content-Type": "application/merge-patch+json",
        "If-Match": steps.read.headers.etag}, {food: "Stew"});
      steps.conflict = await ask("PUT", path, {...mine, "If-Match": steps.read.headers.etag}, {food: "Late"});
      steps.list = await ask("GET", "/api/meals?limit=1", {});
      steps.wrong = await ask("PUT", "/api/meals", mine, {});
      steps.stranger = await ask("GET", "/api/user/profile", {Authorization: "Bearer a.b.c"});
      steps.deleted = await ask("DELETE", path, mine);
      return steps;
    }""",
        [web.site.url, PASSWORD],
    )
    statuses = {name: step["status"] for name, step in steps.items()}
    assert statuses == {
        "registered": 201, "signed": 200, "posted": 201, "again": 201, "read": 200, "patched": 200, "conflict": 412,
        "list": 200, "wrong": 405, "stranger": 401, "deleted": 204,
    }  # fmt: skip
    headers = {name: step["headers"] for name, step in steps.items()}
    assert headers["again"]["idempotency-replayed"] == "true"
    assert 'rel="next"' in headers["list"]["link"]
    assert headers["read"]["etag"] != headers["patched"]["etag"]
    assert "GET" in headers["wrong"]["allow"]
    assert "Bearer" in headers["stranger"]["www-authenticate"]
    for name, told in headers.items():
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy",
                "x-request-id"} <= set(told), name  # fmt: skip
        assert "set-cookie" not in told


def test_cookies_of_a_listed_origin(web: Web, context: BrowserContext) -> None:
    """With them it reads as whoever is signed in, and changes nothing: that takes a page of the site itself.  Others get
    nothing at all."""
    page = context.new_page()
    register(web.site, "cookie_person")
    page.goto(f"{web.site.url}/login")
    page.get_by_label("Username or e-mail").fill("cookie_person")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button").first.click()
    page.wait_for_url(lambda url: "/login" not in url)
    read = """async ([site, credentials]) => {
      try { return (await fetch(site + "/api/user/profile", {credentials})).status } catch { return null }
    }"""
    change = """async (site) => {
      try {
        const options = {method: "PATCH", credentials: "include", body: '{"bio":"x"}',
          headers: {"Content-Type": "application/merge-patch+json", "X-CSRF-Token": "guessed"}};
        return (await fetch(site + "/api/user/profile", options)).status
      } catch { return null }
    }"""
    # Another site's page has the site's cookies in no request (SameSite), whatever is allowed to it.
    for origin, with_cookies, without, changed in (
        (web.allowed, 200, 401, 403), (web.elsewhere, 401, 401, None), (web.refused, None, None, None),
    ):  # fmt: skip
        page.goto(origin)
        assert page.evaluate(read, [web.site.url, "include"]) == with_cookies, origin
        assert page.evaluate(read, [web.site.url, "omit"]) == without, origin
        if changed is not None or with_cookies is None:
            assert page.evaluate(change, web.site.url) == changed, origin
    page.goto(web.allowed)
    frame = sandboxed(page)
    assert [frame.evaluate(read, [web.site.url, mode]) for mode in ("include", "omit")] == [None, None]


def test_streams_and_pictures(web: Web, context: BrowserContext) -> None:
    """An EventSource connects, and a picture may be drawn from, where the origin is listed; elsewhere neither."""
    avatar = register(web.site, "drawn_person", avatar=True)
    listen = """(address) => new Promise(done => {
      const source = new EventSource(address, {withCredentials: true});
      source.onopen = () => { source.close(); done("open") };
      source.onerror = () => { source.close(); done("error") };
    })"""
    show = """([address, mode]) => new Promise(done => {
      const image = new Image();
      if (mode) image.crossOrigin = mode;
      image.onload = () => done(image.naturalWidth > 0);
      image.onerror = () => done(false);
      image.src = address + "?" + Math.random();
    })"""
    page = context.new_page()
    for origin, listed in ((web.allowed, True), (web.elsewhere, True), (web.refused, False)):
        page.goto(origin)
        assert page.evaluate(listen, f"{web.site.url}/api/feed/stream") == ("open" if listed else "error"), origin
        for mode in ("anonymous", "use-credentials"):
            assert page.evaluate(show, [avatar, mode]) is listed, (origin, mode)


def register(site: RunningSite, username: str, *, avatar: bool = False) -> str:
    """Make somebody over the API; gives the address of their avatar."""

    def send(method: str, path: str, body: bytes, kind: str, token: str = "") -> Any:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(site.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    who = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    send("POST", "/api/users", json.dumps(who).encode(), "application/json")
    if not avatar:
        return ""
    login = json.dumps({"username": username, "password": PASSWORD}).encode()
    token = send("POST", "/api/login", login, "application/json")["access_token"]
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + draw("png") + b"\r\n--x--\r\n"
    )
    address: str = send("PUT", "/api/user/avatar", form, "multipart/form-data; boundary=x", token)["avatar_url"]
    return address
