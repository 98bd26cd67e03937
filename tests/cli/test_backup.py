"""`mealshare backup`: of a site that goes on serving, whole or not at all, and without secrets."""

from __future__ import annotations

import json
import os
import signal
import stat
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from mealshare.core.backup import sqlite
from mealshare.core.backup.make import Wanted, make_backup
from mealshare.core.storage import LocalStorage
from tests.cli.places import NewPlace, Place, unfinished
from tests.databases import Backend


def silent(line: str) -> None:
    """Nobody listens."""


def manifest_of(file: Path) -> dict[str, Any]:
    with tarfile.open(file) as archive:
        return json.load(archive.extractfile("manifest.json"))


class TestTheFile:
    def test_it_holds_all_and_says_what_it_holds(self, demo: Place, tmp_path: Path) -> None:
        said = demo.done("backup", tmp_path / "site.tar")
        manifest, media = manifest_of(tmp_path / "site.tar"), demo.media()
        assert manifest["tables"]["posts"] == demo.sql("SELECT count(*) FROM posts")[0][0] > 12
        assert {f"files/{key}" for key in media} <= set(manifest["files"])
        assert all(manifest["files"][f"files/{key}"]["sha256"] == sha256 for key, sha256 in media.items())
        assert manifest["revision"] == demo.sql("SELECT version_num FROM alembic_version")[0][0]
        rows = sum(manifest["tables"].values())
        assert said.startswith(f"Wrote {tmp_path / 'site.tar'}: {rows} rows and {len(media)} files, ")

    def test_it_is_its_owners_alone_and_holds_no_secret(self, demo: Place, tmp_path: Path) -> None:
        file = tmp_path / "site.tar"
        demo.done("backup", file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"tests-only-" not in file.read_bytes()

    def test_a_compressed_one_is_smaller(self, demo: Place, tmp_path: Path) -> None:
        demo.done("backup", tmp_path / "a.tar", "--no-media")
        demo.done("backup", tmp_path / "b.tar.gz", "--no-media")
        assert (tmp_path / "b.tar.gz").stat().st_size < (tmp_path / "a.tar").stat().st_size
        assert (tmp_path / "b.tar.gz").read_bytes()[:2] == b"\x1f\x8b"
        assert not [name for name in manifest_of(tmp_path / "b.tar.gz")["files"] if name.startswith("files/")]

    def test_it_is_never_written_over_another(self, demo: Place, tmp_path: Path) -> None:
        (tmp_path / "site.tar").write_text("mine")
        assert demo.refused("backup", tmp_path / "site.tar").endswith("is there already; it was not touched")
        assert (tmp_path / "site.tar").read_text() == "mine"
        assert not unfinished(tmp_path)

    def test_quiet_says_nothing(self, demo: Place, tmp_path: Path) -> None:
        result = demo.run("backup", "-q", tmp_path / "site.tar")
        assert (result.exit_code, result.output) == (0, "")


class TestAFolder:
    def test_keep_removes_the_older_ones_of_this_site_only(self, demo: Place, tmp_path: Path) -> None:
        others = ["mealshare-other.example-20200101T000000Z.tar", "notes.txt", "mealshare-localhost-20200101.tar"]
        ours = [f"mealshare-localhost-2020010{day}T000000Z.tar{end}" for day, end in ((1, ""), (2, ".gz"), (3, ""))]
        for name in (*others, *ours):
            (tmp_path / name).touch()
        demo.done("backup", tmp_path, "--keep", "2", "--no-media")
        left = {file.name for file in tmp_path.iterdir()}
        assert {*others, ours[2]} < left
        assert len(left) == len(others) + 2

    def test_nothing_is_removed_when_it_fails(self, new_place: NewPlace, tmp_path: Path) -> None:
        (tmp_path / "mealshare-localhost-20200101T000000Z.tar").touch()
        (tmp_path / "mealshare-localhost-20200102T000000Z.tar").touch()
        place = Place(tmp_path / "none", f"sqlite:///{tmp_path}/none.sqlite")
        assert place.refused("backup", tmp_path, "--keep", "1") == f"there is no database {tmp_path}/none.sqlite"
        assert len(list(tmp_path.glob("*.tar"))) == 2

    def test_one_that_is_not_there_is_said(self, demo: Place, tmp_path: Path) -> None:
        assert demo.refused("backup", tmp_path / "no" / "site.tar") == f"there is no folder {tmp_path}/no"
        assert "--keep needs one" in demo.refused("backup", tmp_path / "no", "--keep", "3")


def test_a_database_without_tables_is_refused(backend: Backend, new_place: NewPlace, tmp_path: Path) -> None:
    place = new_place(backend)
    if backend == "sqlite":
        Path(str(make_url(place.url).database)).touch()
    assert "has no tables yet" in place.refused("backup", tmp_path / "site.tar")


def test_a_storage_that_lost_its_files_is_noticed(demo: Place, tmp_path: Path) -> None:
    elsewhere = Place(tmp_path / "elsewhere", demo.url)
    result = elsewhere.run("backup", tmp_path / "site.tar")
    assert result.exit_code == 0
    assert "Warning: the database knows pictures, but the storage has no files" in result.stderr


# ---- While others write


def test_a_sqlite_backup_is_of_one_moment_and_ends_while_others_write(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/busy.sqlite"
    writer = sqlite.sqlite3.connect(tmp_path / "busy.sqlite", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE meals (id INTEGER PRIMARY KEY, food BLOB)")
    # 60 MB: several steps.
    writer.executemany("INSERT INTO meals (food) VALUES (?)", ((bytes(60_000),) for _ in range(1_000)))
    steps: list[str] = []

    def write(line: str) -> None:
        steps.append(line)
        if len(steps) < 20:
            writer.execute("INSERT INTO meals (food) VALUES ('late')")
            writer.execute("UPDATE meals SET food = 'changed' WHERE id IN (1, 999)")

    sqlite.copy_database(url, tmp_path / "copy.sqlite", lambda: write("begun"), write)
    assert 3 <= len(steps) < 20
    copy = sqlite.sqlite3.connect(tmp_path / "copy.sqlite")
    assert copy.execute("SELECT count(*), max(length(food)), min(length(food)) FROM meals").fetchone() == (
        1_000, 60_000, 60_000,
    )  # fmt: skip
    assert writer.execute("SELECT count(*) FROM meals").fetchone() == (1_000 + len(steps),)
    copy.close()
    writer.close()
    assert sorted(file.name for file in tmp_path.glob("copy*")) == ["copy.sqlite"]


@pytest.fixture
def busy(demo: Place, backend: Backend, new_place: NewPlace) -> Iterator[Place]:
    """A copy of the demo site in which somebody writes a tag after the other, and deletes others."""
    place, stop = new_place(backend, copy_of=demo), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            place.sql(
                "INSERT INTO tags (id, name, display, meals_count, created_at)"
                " VALUES (:id, :name, '', 0, '2026-01-01 00:00:00.000000')",
                id=number,
                name=f"busy{number}",
            )
            place.sql("DELETE FROM tags WHERE id = :id", id=number - 7)

    thread = threading.Thread(target=write)
    thread.start()
    yield place
    stop.set()
    thread.join()
    assert place.sql("SELECT max(id) FROM tags WHERE id < 1000000")[0][0] > 10


def test_counts_and_rows_are_of_the_same_moment(
    busy: Place, backend: Backend, new_place: NewPlace, tmp_path: Path
) -> None:
    for number in range(3):
        busy.done("backup", tmp_path / f"{number}.tar", "--no-media")
        # Restoring compares the rows with the counts of the manifest.
        empty = new_place(backend)
        empty.done("restore", tmp_path / f"{number}.tar")
        assert empty.sums()["posts"] == busy.sums()["posts"]


class Vanishing(LocalStorage):
    """A storage in which every third file is deleted between being named and being read."""

    def keys(self, prefix: str = "", **known: Any) -> Iterator[str]:
        for number, key in enumerate(sorted(super().keys(prefix, **known))):
            if number % 3 == 0:
                self.delete(key)
            yield key


def test_pictures_that_are_deleted_meanwhile_are_left_out(
    demo: Place, backend: Backend, new_place: NewPlace, tmp_path: Path
) -> None:
    place = new_place(backend, copy_of=demo)
    told: list[str] = []
    wanted = Wanted(place.url, Vanishing(place.folder / "media"), "0", "http://localhost")
    made = make_backup(wanted, tmp_path / "site.tar", told.append)
    assert set(made.media_files) == set(place.media())
    assert 0 < len(made.media_files) < len(demo.media())
    assert told[-1] == f"files: {len(demo.media()) - len(made.media_files)} were deleted meanwhile"


def test_a_picture_that_is_being_prepared_is_there_although_its_original_goes(
    demo: Place, backend: Backend, new_place: NewPlace, tmp_path: Path
) -> None:
    place = new_place(backend, copy_of=demo)
    for name in ("before", "between"):
        place.storage.put(f"originals/{name}", b"as it was uploaded", "image/jpeg")

    class Prepared(LocalStorage):
        """A storage from which a job takes both originals as soon as each was copied once."""

        def open(self, key: str) -> Any:
            file = super().open(key)
            if key.startswith("originals/"):
                self.delete(key)
            return file

    wanted = Wanted(place.url, Prepared(place.folder / "media"), "0", "http://localhost", fleeting="originals/")
    made = make_backup(wanted, tmp_path / "site.tar", silent)
    assert {"originals/before", "originals/between"} < set(made.media_files)


def test_originals_are_copied_before_and_just_after_the_moment_of_the_rows(demo: Place, tmp_path: Path) -> None:
    looked: list[str] = []

    class Watched(LocalStorage):
        """A storage that tells what is asked of it."""

        def keys(self, prefix: str = "", **known: Any) -> Iterator[str]:
            looked.append(prefix)
            return super().keys(prefix, **known)

    wanted = Wanted(demo.url, Watched(demo.folder / "media"), "0", "http://localhost", fleeting="originals/")
    make_backup(wanted, tmp_path / "site.tar", lambda line: looked.append(line.partition(":")[0]))
    # SQLite tells of its steps only where there are several; pg_dump always comes after the moment.
    assert [what for what in looked if what != "database"] == ["originals/", "originals/", ""]
    assert "database" not in looked[:2]


# ---- What goes wrong


def test_a_full_disk_is_said_and_leaves_nothing(demo: Place, tmp_path: Path) -> None:
    # The largest file that a process may write: in the middle of the database, or of the archive.
    demo.done("backup", tmp_path / "site.tar")
    whole = (tmp_path / "site.tar").stat().st_size // 1024
    for number, kilobytes in enumerate((40 if whole < 1_000 else 100, whole - 30)):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = demo.start("backup", folder, before=f"ulimit -f {kilobytes}")
        out, error = process.communicate(timeout=120)
        assert (process.returncode, out) == (1, ""), error
        assert f"there is no room left in {folder}" in error.splitlines()[-1]
        assert "Traceback" not in error
        assert list(folder.iterdir()) == []


def test_what_is_killed_leaves_no_half_file(demo: Place, backend: Backend, new_place: NewPlace, tmp_path: Path) -> None:
    place, folder = new_place(backend, copy_of=demo), tmp_path / "backups"
    folder.mkdir()
    # A file that nobody writes to: whoever reads it waits for ever, with the archive half written.
    stuck = place.storage._place("media/stuck.webp")
    stuck.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(stuck)
    process = place.start("backup", folder / "site.tar")
    deadline = time.monotonic() + 60
    while not list(folder.glob(".mealshare-unfinished-*/archive")) and time.monotonic() < deadline:
        time.sleep(0.05)
    # Another one works beside it, and leaves its files alone.
    demo.done("backup", folder / "other.tar", "--no-media")
    for left in unfinished(folder):
        os.utime(left, (1, 1))
    demo.done("backup", folder / "third.tar", "--no-media")
    assert len(unfinished(folder)) == 1
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (folder / "site.tar").exists()
    assert len(unfinished(folder)) == 1
    # The next one clears up.
    os.utime(unfinished(folder)[0], (1, 1))
    demo.done("backup", folder / "site.tar", "--no-media")
    assert sorted(file.name for file in folder.iterdir()) == ["other.tar", "site.tar", "third.tar"]


class TestPgDump:
    """PostgreSQL's own program."""

    @pytest.fixture(autouse=True)
    def _only_there(self, backend: Backend) -> None:
        if backend != "postgresql":
            pytest.skip("on PostgreSQL only")

    def test_one_that_is_missing_is_said(self, demo: Place, tmp_path: Path) -> None:
        said = demo.refused("backup", tmp_path / "site.tar", "--pg-bin", tmp_path)
        assert said.startswith(f"pg_dump is not in {tmp_path}: install PostgreSQL's client programs")
        assert list(tmp_path.iterdir()) == []

    def test_what_it_says_is_passed_on(self, demo: Place, tmp_path: Path) -> None:
        (tmp_path / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump: error: aborting' >&2\nexit 1\n")
        (tmp_path / "pg_dump").chmod(0o755)
        assert demo.refused("backup", tmp_path / "site.tar", "--pg-bin", tmp_path) == "pg_dump: error: aborting"
        assert not (tmp_path / "site.tar").exists()

    def test_the_password_is_not_among_its_arguments(self, demo: Place, tmp_path: Path) -> None:
        program = tmp_path / "pg_dump"
        program.write_text(
            f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho "$PGPASSWORD" > {tmp_path}/password\nexit 1\n'
        )
        program.chmod(0o755)
        # The server of the tests trusts everybody, so any password will do.
        url = make_url(demo.url).set(password="p@ss wo'rd").render_as_string(hide_password=False)
        place = Place(tmp_path / "place", url)
        place.refused("backup", tmp_path / "site.tar", "--pg-bin", tmp_path)
        assert (tmp_path / "password").read_text().strip() == "p@ss wo'rd"
        assert "wo'rd" not in (tmp_path / "arguments").read_text()
        assert "dbname=" in (tmp_path / "arguments").read_text()
