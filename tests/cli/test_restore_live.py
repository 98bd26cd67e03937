"""A real site is backed up while somebody posts, another is made of the backup, and the same people go on there."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner

from mealshare.cli import main
from tests.cli.places import NewPlace, Place
from tests.databases import Backend
from tests.people import PASSWORD, draw
from tests.sites import running_site

#: What people know the site by, on whatever port it listens: tokens name it.
SAME_ADDRESS = {"site__base_url": "http://localhost"}


def register(place: Place) -> None:
    arguments = ["-c", str(place.ini), "user", "create", "mei", "mei@example.org", "--password-stdin"]
    result = CliRunner().invoke(main, arguments, input=PASSWORD)
    assert result.exit_code == 0, result.output


def sign_in(browser: httpx.Client) -> None:
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/login").text)
    assert csrf is not None
    answer = browser.post("/login", data={"csrf_token": csrf[1], "login": "mei", "password": PASSWORD})
    assert answer.status_code == 303, answer.text


def post(browser: httpx.Client, program: dict[str, str], food: str) -> dict[str, Any]:
    """Post a meal with a picture."""
    files = {"file": ("lunch.jpg", draw(), "image/jpeg")}
    photo = browser.post("/api/media", files=files, headers=program).json()
    answer = browser.post("/api/meals", json={"food": food, "media": [{"id": photo["id"]}]}, headers=program)
    assert answer.status_code == 201, answer.text
    return answer.json()


def pictures(browser: httpx.Client, meal: str, program: dict[str, str]) -> list[bytes]:
    """Both variants of the picture of a meal, as soon as they are there."""
    for _ in range(300):
        answer = browser.get(f"/api/meals/{meal}", headers=program)
        assert answer.status_code == 200, answer.text
        media = answer.json()["media"][0]
        if media["state"] != "processing":
            break
        time.sleep(0.1)
    assert media["state"] == "ready", media
    answers = [browser.get(re.sub("^http://[^/]+", "", media[name])) for name in ("url", "preview_url")]
    assert [answer.headers["content-type"] for answer in answers] == ["image/webp"] * 2
    return [answer.content for answer in answers]


def test_people_are_still_signed_in_and_find_their_pictures(
    database_url: str, backend: Backend, new_place: NewPlace, tmp_path: Path
) -> None:
    old = Place(tmp_path / "old", database_url)
    register(old)
    stop, posted = threading.Event(), []
    with (
        running_site(old.folder, database_url, **SAME_ADDRESS) as site,
        httpx.Client(base_url=site.url, timeout=60) as browser,
    ):
        login = browser.post("/api/login", json={"username": "mei", "password": PASSWORD}).json()
        program = {"Authorization": f"Bearer {login['access_token']}"}
        sign_in(browser)
        meal = post(browser, program, "麻辣香锅")["id"]
        shown = pictures(browser, meal, program)

        def go_on() -> None:
            with httpx.Client(base_url=site.url, timeout=60) as another:
                while not stop.is_set():
                    posted.append(post(another, program, "noodles")["id"])

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            while not posted:
                time.sleep(0.05)
            old.done("backup", tmp_path / "site.tar")
        finally:
            stop.set()
            thread.join()
        later = post(browser, program, "afterwards")["id"]
        cookies = dict(browser.cookies)
    new = new_place(backend)
    new.done("restore", tmp_path / "site.tar")
    counts = new.sql("SELECT meals_count, (SELECT count(*) FROM posts WHERE kind = 'meal') FROM accounts")
    assert counts[0][0] == counts[0][1] >= 2
    # Each picture is there, ready or as it was uploaded.
    files = new.media()
    for key, state in new.sql("SELECT storage_key, state FROM media"):
        assert state in ("ready", "processing")
        assert f"media/{key}-400.webp" in files if state == "ready" else f"originals/{key}" in files
    with running_site(new.folder, new.url, **SAME_ADDRESS) as site:
        with httpx.Client(base_url=site.url, cookies=cookies, timeout=60) as browser:
            # The old cookie, the old token, the meal with its pictures, the words.
            assert browser.get("/settings/profile").status_code == 200
            assert pictures(browser, meal, program) == shown
            assert browser.get(f"/api/meals/{later}", headers=program).status_code == 404
            assert meal in json.dumps(browser.get("/api/search", params={"q": "麻辣"}).json())
            # What was posted while the backup was made is there or not, and nothing between.
            known = [browser.get(f"/api/meals/{one}", headers=program).status_code for one in posted]
            assert known == sorted(known)
            assert set(known) <= {200, 404}
        with httpx.Client(base_url=site.url, timeout=60) as browser:
            # The old password.
            assert browser.get("/settings/profile").status_code != 200
            sign_in(browser)
            assert browser.get("/settings/profile").status_code == 200
