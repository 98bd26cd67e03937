"""SQLite's disk is full, or its file may only be read: a clear answer, nothing torn, and it heals without a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from webtest import TestApp

from mealshare import main
from mealshare.core.db.migrate import upgrade
from tests.databases import new_database
from tests.people import add_user, bearer, sign_in
from tests.sites import site_settings


class Squeezed:
    """A site whose database file may not grow, or not be written, whenever the test says so."""

    def __init__(self, folder: Path, url: str) -> None:
        self.file = Path(url.removeprefix("sqlite:///"))
        self.router = main({}, **site_settings(folder, url, "http://localhost") | {"jobs.engine": "worker"})
        self.app = TestApp(self.router)
        self.pragma = ""
        event.listen(self.router.registry["engine"], "checkout", self._checkout)

    def _checkout(self, dbapi_connection: sqlite3.Connection, record: object, proxy: object) -> None:
        if self.pragma:
            dbapi_connection.execute(self.pragma)

    def fill(self) -> None:
        """No page more than there are: SQLite then says what it says on a full disk."""
        self.pragma = "PRAGMA max_page_count = 1"

    def empty(self) -> None:
        """There is room again."""
        self.pragma = "PRAGMA max_page_count = 1000000"

    def protect(self) -> None:
        """Nothing may be written: SQLite then says what it says of a file that is read-only."""
        self.pragma = "PRAGMA query_only = ON"

    def unprotect(self) -> None:
        """Everything may be written again."""
        self.pragma = "PRAGMA query_only = OFF"

    def meals(self) -> list[str]:
        """The foods of all posts, asked past the site; the file must be whole."""
        with closing(sqlite3.connect(self.file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return [row[0] for row in connection.execute("SELECT food FROM posts ORDER BY id")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Squeezed]:
    with new_database("sqlite", tmp_path) as url:
        upgrade(url)
        squeezed = Squeezed(tmp_path, url)
        yield squeezed
        squeezed.router.registry["engine"].dispose()


def test_a_full_disk_and_room_again(site: Squeezed) -> None:
    mei = add_user(site.router.registry, "mei")
    headers = bearer(site.app, mei)
    site.fill()
    long = {"food": "soup", "note": "x" * 1900}
    posted: list[str] = []
    refused = 0
    for number in range(60):
        answer = site.app.post_json("/api/meals", long | {"food": f"soup {number}"}, headers=headers, status="*")
        if answer.status_int == 201:
            # Pages that are there may be filled.
            posted.append(f"soup {number}")
            continue
        assert answer.status_int == 507, answer.text
        assert answer.json["type"].endswith("/problems/storage_full")
        refused += 1
        # Whoever only reads notices nothing.
        assert len(site.app.get("/api/meals?limit=100").json) == len(posted)
        site.app.get("/")
    assert refused > 3
    site.empty()
    site.app.post_json("/api/meals", {"food": "rice"}, headers=headers, status=201)
    assert site.meals() == [*posted, "rice"]


def test_a_file_that_may_only_be_read_and_written_again(site: Squeezed) -> None:
    mei = add_user(site.router.registry, "mei")
    headers = bearer(site.app, mei)
    sign_in(site.app, mei)
    site.protect()
    answer = site.app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=503)
    assert answer.headers["Retry-After"] == "5"
    site.app.get("/home", status=200)
    site.unprotect()
    site.app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
    assert site.meals() == ["soup"]
