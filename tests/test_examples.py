"""The programs that others will copy from do what they say, against a running site: the examples, and the samples of
the page for developers, exactly as they are printed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from mealshare.core.db.migrate import upgrade
from mealshare.features.developers.html import PLACEHOLDER, SAMPLES, program
from tests.conftest import left_out
from tests.databases import new_database
from tests.people import draw
from tests.sites import RunningSite, running_site, site_settings

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PASSWORD = 'sesame noodles, it\'s "midnight"'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A fresh site with its worker."""
    folder = tmp_path_factory.mktemp("examples")
    with new_database("sqlite", folder) as url:
        upgrade(url)
        with running_site(folder, url) as running:
            yield running


@pytest.fixture
def somebody(site: RunningSite) -> str:
    """A new username, whose password is `PASSWORD`; somebody else has eaten already."""
    name = f"eater_{uuid.uuid4().hex[:8]}"
    known = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    httpx.post(f"{site.url}/api/users", json=known).raise_for_status()
    return name


@pytest.fixture(scope="module")
def client() -> ModuleType:
    """The module of examples/python, which is no part of the package."""
    sys.path.insert(0, str(EXAMPLES / "python"))
    try:
        import mealshare_client
    finally:
        sys.path.remove(str(EXAMPLES / "python"))
    return mealshare_client


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What the command printed; it must succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ran = subprocess.run(command, cwd=folder, env=environ | environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


# ---- The samples of the page


@pytest.mark.parametrize("language", ["curl", "javascript", "python"])
def test_the_samples_run_as_they_are_printed(
    language: str, site: RunningSite, somebody: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "lunch.jpg").write_bytes(draw())
    text = program(language).replace(PLACEHOLDER, site.url).replace("your_name", somebody)
    quoted = json.dumps(PASSWORD)[1:-1] if language != "curl" else json.dumps(PASSWORD)[1:-1].replace("'", "'\\''")
    text = text.replace("your password", quoted)
    assert SAMPLES["log_in"][0].text in program("curl")
    if language == "curl":
        if shutil.which("bash") is None or shutil.which("curl") is None:
            left_out("the samples in curl: install bash and curl")
        printed = run(["bash", "-euo", "pipefail", "-c", text], tmp_path)
    elif language == "javascript":
        node: str = request.getfixturevalue("node")
        (tmp_path / "sample.mjs").write_text(text, encoding="utf-8")
        printed = run([node, "sample.mjs"], tmp_path)
    else:
        printed = run([sys.executable, "-W", "ignore", "-c", text], tmp_path)
    assert f"{site.url}/@{somebody}/" in printed
    assert "/problems/invalid" in printed and "colour" in printed
    assert "304" in printed
    # What was posted since the first meal, in one answer or in several.
    assert "event: meal" in printed and '"food":"' in printed
    assert "feed" in printed and "204" in printed
    # All three meals, and no second one for any key; the first was deleted at the end.
    meals = httpx.get(f"{site.url}/api/users/{somebody}/meals").json()
    assert [meal["food"] for meal in meals] == ["Sesame noodles", "Tea eggs"]
    assert [len(meal["media"]) for meal in meals] == [1, 0]


# ---- examples/curl


def test_the_walk_through_with_curl(site: RunningSite, somebody: str, tmp_path: Path) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        left_out("examples/curl: install bash and curl")
    (tmp_path / "photo.jpg").write_bytes(draw())
    given = {"SITE": site.url, "NAME": somebody, "PASSWORD": PASSWORD, "PHOTO": "photo.jpg"}
    printed = run([str(EXAMPLES / "curl/walk-through.sh")], tmp_path, **given)
    lines = [line for line in printed.splitlines() if not line.startswith("#")]
    assert lines[:2] == [f"Signed in as {somebody}", "Posted once: yes"]
    assert lines[2].startswith("Read ")
    assert lines[3:6] == ["304", "200", "412"]
    assert lines[7:] == ["422", f"{site.url}/problems/invalid", "204", "204"]
    assert httpx.get(f"{site.url}/api/users/{somebody}/meals").json() == []


# ---- examples/python


def test_the_walk_in_python(site: RunningSite, somebody: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(draw())
    for number in range(3):
        post(site, somebody, food=f"Bowl {number}")
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / "python/walk.py"), site.url, somebody, "photo.jpg"]
    lines = run(command, tmp_path, MEALSHARE_PASSWORD=PASSWORD).splitlines()
    assert lines[0] == f"Signed in as {somebody}"
    assert lines[1].startswith(f"Posted {site.url}/@{somebody}/")
    # The page has two meals, so these come from three.
    assert f"- {somebody} ate Bowl 0" in lines or len([line for line in lines if line.startswith("- ")]) == 5
    assert "Not sent twice: True" in lines
    both = "Dan dan noodles, twice / Hot enough. #noodles The second bowl was even better."
    assert f"Changed after 2 attempts: {both}" in lines
    assert lines[-2:] == ["Refused: invalid ['#/food']", "Deleted: 404"]


def post(site: RunningSite, name: str, **meal: Any) -> Any:
    """Post a meal by plain requests."""
    tokens = httpx.post(f"{site.url}/api/login", json={"username": name, "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return httpx.post(f"{site.url}/api/meals", json=meal, headers=headers).raise_for_status().json()


def run_out(site: RunningSite, token: str) -> str:
    """The access token as the site will have signed it an hour ago."""
    secret = site_settings(site.folder, site.database_url, site.url)["jwt.secret"]
    claims = jwt.decode(token, options={"verify_signature": False})
    early = {name: claims[name] - 3600 for name in ("iat", "nbf", "exp")}
    header = jwt.get_unverified_header(token)
    return jwt.encode(claims | early, secret, algorithm=header["alg"], headers=header)


def test_many_threads_refresh_once(site: RunningSite, somebody: str, client: ModuleType) -> None:
    kept: list[Any] = []
    with client.MealShare(site.url, keep=kept.append) as api:
        api.login(somebody, PASSWORD)
        tokens = kept[0]
        old = tokens | {"access_token": run_out(site, tokens["access_token"])}
        refused = httpx.get(f"{site.url}/api/user/profile", headers={"Authorization": f"Bearer {old['access_token']}"})
        assert refused.json()["type"].endswith("/token_expired")
    kept.clear()
    with client.MealShare(site.url, old, keep=kept.append) as api, ThreadPoolExecutor(6) as threads:
        meals = list(threads.map(lambda number: api.post_meal({"food": f"Bowl {number}"}), range(6)))
        assert len(kept) == 1
        assert len({meal["id"] for meal in meals}) == 6
        api.logout()
    # Whoever has logged out is told so, and asked to log in again.
    with client.MealShare(site.url, kept[0]) as api, pytest.raises(client.ProblemError) as refusal:
        api.post_meal({"food": "Nothing"})
    assert (refusal.value.status, refusal.value.code) == (401, "token_revoked")


@contextmanager
def losing_answers(site: RunningSite, lose: Callable[[str, str], bool]) -> Iterator[str]:
    """The site behind a line on which the answers get lost for which ``lose(method, path)`` is true; gives its address."""
    target = urlsplit(site.url)

    class Line(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            """One request, and its answer or none."""
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            connection = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.close_connection = True
            if lose(self.command, self.path):
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Line, f"do_{method}", Line.pass_on)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_lost_answer_posts_no_second_meal(site: RunningSite, somebody: str, client: ModuleType) -> None:
    lost: list[str] = []

    def first_of(method: str, path: str) -> bool:
        if method == "POST" and path == "/api/meals" and len(lost) < 2:
            lost.append(path)
            return True
        return False

    with losing_answers(site, first_of) as line, client.MealShare(line) as api:
        api.login(somebody, PASSWORD)
        meal = api.post_meal({"food": "Soup, once"})
    assert len(lost) == 2
    listed = httpx.get(f"{site.url}/api/users/{somebody}/meals").json()
    assert [one["id"] for one in listed] == [meal["id"]]


def test_new_meals_come_and_missed_ones_too(site: RunningSite, somebody: str, client: ModuleType) -> None:
    with client.MealShare(site.url) as api:
        api.login(somebody, PASSWORD)
        first = api.post_meal({"food": "Before"})
        api.post_meal({"food": "Missed"})
        events = api.stream(last_event_id=first["id"])
        event_id, missed = next(events)
        assert missed["food"] == "Missed"
        post(site, somebody, food="Live")
        assert next(events)[1]["food"] == "Live"
        events.close()
        again = api.stream(last_event_id=event_id)
        assert next(again)[1]["food"] == "Live"
        again.close()


def test_a_picture_is_waited_for(site: RunningSite, somebody: str, client: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(draw(size=(80, 60)))
    (tmp_path / "bad.jpg").write_bytes(draw(size=(80, 60))[:400])
    with client.MealShare(site.url) as api:
        api.login(somebody, PASSWORD)
        photo = api.upload(tmp_path / "good.jpg", "A bowl.", wait=60)
        assert (photo["state"], photo["description"]) == ("ready", "A bowl.")
        with pytest.raises((client.ProblemError, ValueError)):
            api.upload(tmp_path / "bad.jpg", "Half a bowl.", wait=60)
