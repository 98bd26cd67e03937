"""Disks that are full: that of the pictures, that of SQLite, that of the log; and room again, without a restart."""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mealshare.core.db.migrate import upgrade
from tests.conftest import left_out
from tests.databases import Backend, new_database
from tests.faults.diners import registry_of, settings_for, unknown_files
from tests.hammer import ask, token
from tests.hosted_site import LOG, Program
from tests.job_processes import wait_until
from tests.people import add_user, draw

TRIES = 12
FULL = (507, 503)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB of its own, of which only root makes one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m", "mealshare-test", str(folder)]
    try:
        done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        left_out(f"a small disk: {error}")
    if done.returncode:
        left_out(f"a small disk: this user may not mount one ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Not a byte more fits."""
    with (disk / "filling").open("ab", buffering=0) as file:
        for size in (65_536, 4096, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass


def empty(disk: Path) -> None:
    (disk / "filling").unlink()


class Person:
    """Somebody who posts."""

    def __init__(self, site: Program) -> None:
        self.site = site
        self.headers = token(site, "mei")
        self.posted: list[str] = []

    def post(self, **more: Any) -> int:
        """Post a meal; the status."""
        food = f"soup {len(self.posted)} {'x' * 50}"
        status, answer, body = ask(self.site, "POST", "/api/meals", {"food": food} | more, self.headers)
        assert status == 201 or (status in FULL and (status == 507 or answer["Retry-After"])), (status, body)
        if status == 201:
            self.posted.append(food)
        return status

    def upload(self) -> tuple[int, Any]:
        """Send a picture; the status and what was said."""
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=60)
        body = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.jpg\r\nContent-Type: image/jpeg\r\n\r\n"
        headers = self.headers | {"Content-Type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/api/media", body + draw(size=(1600, 1200)) + b"\r\n--b--\r\n", headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        assert answer.status in (202, *FULL), said
        return answer.status, said

    def sees(self) -> None:
        """Reading goes on."""
        for path in ("/", "/api/meals", "/api/feed/public"):
            assert ask(self.site, "GET", path)[0] == 200


@contextmanager
def site_of(folder: Path, url: str, log: str = LOG, **more: str) -> Iterator[tuple[Program, Person, Any]]:
    """A site that runs, somebody there, and its registry; it is never started again."""
    upgrade(url)
    settings = settings_for(folder, url, **more)
    with registry_of(settings) as registry:
        add_user(registry, "mei")
        site = Program(folder / "web", settings, "pserve", "site.ini")
        site.ini.write_text(site.ini.read_text().replace(LOG, log))
        site.start()
        try:
            site.wait()
            yield site, Person(site), registry
        finally:
            site.stop()


@pytest.mark.promise(
    "the disk of the pictures is full", "507 or 503, 0 torn files, text meals still work, heals without a restart"
)
def test_no_room_for_pictures(backend: Backend, disk: Path, tmp_path: Path, figure: Callable[[str], None]) -> None:
    with (
        new_database(backend, tmp_path) as url,
        site_of(tmp_path, url, storage__folder=str(disk / "media")) as (site, mei, registry),
    ):
        pictures: dict[str, int] = {}

        def upload() -> int:
            status, said = mei.upload()
            if status == 202:
                pictures[said["id"]] = mei.post(media=[{"id": said["id"]}])
            return status

        assert upload() == 202
        wait_until(lambda: _ready(mei, pictures), "the first picture")
        # One whose variants find no room: its job has to wait for it.
        fill_after = [upload()]
        fill(disk)
        refused = [status for status in (upload() for _ in range(TRIES)) if status in FULL]
        assert len(refused) >= TRIES - 1, "the disk is not full"
        assert [mei.post() for _ in range(TRIES)] == [201] * TRIES
        mei.sees()
        empty(disk)
        assert [upload(), *fill_after] == [202, 202]
        wait_until(lambda: _ready(mei, pictures), "all pictures")
        torn = [file for file in (disk / "media").rglob("*") if file.is_file() and not _opens(file)]
        assert torn == []
        wait_until(lambda: unknown_files(registry) == [], f"files that belong to nothing: {unknown_files(registry)}")
        figure(f"{len(refused)} uploads refused, {TRIES} of {TRIES} text meals posted meanwhile, 0 torn files, healed")


def _ready(mei: Person, pictures: dict[str, int]) -> bool:
    states = [json.loads(ask(mei.site, "GET", f"/api/media/{id}", None, mei.headers)[2])["state"] for id in pictures]
    assert "failed" not in states
    return set(states) == {"ready"}


def _opens(file: Path) -> bool:
    try:
        Image.open(file).load()
    except Exception:
        return False
    return True


@pytest.mark.promise("the disk of SQLite is full", "507 or 503, nothing lost or torn, heals without a restart")
def test_no_room_for_sqlite(disk: Path, tmp_path: Path, figure: Callable[[str], None]) -> None:
    file = disk / "site.sqlite"
    with site_of(tmp_path, f"sqlite:///{file}") as (site, mei, _):
        assert mei.post() == 201
        fill(disk)
        answers = [mei.post(note="x" * 1900) for _ in range(60)]
        refused = [status for status in answers if status in FULL]
        assert len(refused) > TRIES, "the disk is not full"
        mei.sees()
        empty(disk)
        assert mei.post() == 201
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = [row[0] for row in connection.execute("SELECT food FROM posts ORDER BY id")]
        assert found == mei.posted
        assert mei.site.process is not None and mei.site.process.poll() is None
        figure(f"{len(refused)} writes refused, {len(found)} acknowledged and there, the file whole, healed")


@pytest.mark.promise("the disk of the log is full", "nobody notices")
def test_no_room_for_the_log(disk: Path, tmp_path: Path, figure: Callable[[str], None]) -> None:
    handler = f"class = mealshare.core.log_file.SharedFileHandler\nargs = ('{disk / 'site.log'}', 100_000, 3)"
    log = LOG.replace("class = StreamHandler\nargs = (sys.stderr,)", handler)
    with new_database("sqlite", tmp_path) as url, site_of(tmp_path, url, log) as (site, mei, _):
        assert mei.post() == 201
        fill(disk)
        assert [mei.post() for _ in range(3 * TRIES)] == [201] * 3 * TRIES
        mei.sees()
        size = (disk / "site.log").stat().st_size
        empty(disk)
        assert mei.post() == 201
        wait_until(lambda: (disk / "site.log").stat().st_size > size, "the log did not go on")
        figure(f"{3 * TRIES} of {3 * TRIES} meals posted meanwhile; the log goes on when there is room")
