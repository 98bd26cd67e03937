"""`mealshare restore`: an empty site becomes what the other one was, or stays as it is."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from mealshare.core.db.migrate import downgrade, head_revision
from tests.cli.places import NewPlace, Place, unfinished
from tests.databases import Backend


@pytest.fixture(scope="module")
def backed_up(demo: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backup of the demo site; only ever read."""
    file = tmp_path_factory.mktemp("backup") / "site.tar"
    demo.done("backup", file)
    return file


def is_untouched(place: Place) -> bool:
    """Whether a site is as it was made: no rows, no files, nothing left over."""
    rows = sum(table.rows for table in place.sums().values())
    return rows == 0 and not place.media() and not unfinished(place.folder)


def rewritten(file: Path, to: Path, change: Callable[[str, bytes], bytes | None], *more: tarfile.TarInfo) -> Path:
    """A copy of the backup in which each file is what ``change(name, content)`` gives, and is left out for None."""
    with tarfile.open(file) as old, tarfile.open(to, "w") as new:
        for member in (*old, *more):
            known = old.extractfile(member) if member.isreg() and member not in more else None
            data = known.read() if known else b""
            changed = change(member.name, data)
            if changed is not None:
                member.size = len(changed)
                new.addfile(member, io.BytesIO(changed))
    return to


def with_manifest(file: Path, to: Path, **changes: Any) -> Path:
    """A copy of the backup whose manifest says something else."""

    def change(name: str, data: bytes) -> bytes:
        return json.dumps(json.loads(data) | changes).encode() if name == "manifest.json" else data

    return rewritten(file, to, change)


class TestAnEmptySite:
    def test_becomes_what_the_other_one_was(
        self, demo: Place, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place = new_place(backend)
        said = place.done("restore", backed_up)
        assert said.startswith("Restored: ")
        assert place.sums() == demo.sums()
        assert place.media() == demo.media() != {}
        place.done("db", "check")
        for table in ("meal_words", "person_words"):
            assert place.sql(f"SELECT count(*) FROM {table}") == demo.sql(f"SELECT count(*) FROM {table}")
        assert not unfinished(place.folder)

    def test_may_be_without_tables_or_without_a_file(
        self, demo: Place, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place = new_place(backend)
        place.done("db", "upgrade")
        place.done("restore", backed_up, "-q")
        assert place.sums() == demo.sums()
        if backend == "sqlite":
            place = Place(place.folder / "new", f"sqlite:///{place.folder}/new/var/site.sqlite")
            place.done("restore", backed_up)
            assert place.sums() == demo.sums()

    def test_may_have_done_its_first_jobs(
        self, demo: Place, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place = new_place(backend)
        place.done("db", "upgrade")
        place.done("jobs", "run")
        place.done("restore", backed_up)
        assert place.sums() == demo.sums()

    def test_takes_a_compressed_one_without_pictures(
        self, demo: Place, backend: Backend, new_place: NewPlace, tmp_path: Path
    ) -> None:
        demo.done("backup", tmp_path / "site.tar.gz", "--no-media")
        place = new_place(backend)
        place.storage.put("media/mine.webp", b"mine", "image/webp")
        place.done("restore", tmp_path / "site.tar.gz")
        assert place.sums() == demo.sums()
        assert set(place.media()) == {"media/mine.webp"}

    def test_is_brought_up_to_date(self, demo: Place, backend: Backend, new_place: NewPlace, tmp_path: Path) -> None:
        old = new_place(backend, copy_of=demo)
        downgrade(old.url, "0002")
        old.done("backup", tmp_path / "old.tar", "--no-media")
        place = new_place(backend)
        place.done("db", "upgrade")
        place.done("restore", tmp_path / "old.tar")
        assert place.sql("SELECT version_num FROM alembic_version") == [(head_revision(),)]
        assert place.sums()["posts"] == demo.sums()["posts"]

    def test_goes_on_where_it_was_interrupted(
        self, demo: Place, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place = new_place(backend)
        for key in list(demo.media())[::2]:
            with demo.storage.open(key) as file:
                place.storage.put(key, file.read(), "image/webp")
        place.done("restore", backed_up)
        assert (place.sums(), place.media()) == (demo.sums(), demo.media())


class TestASiteThatIsInUse:
    def test_one_with_rows_is_refused(
        self, demo: Place, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place = new_place(backend, copy_of=demo)
        place.sql("DELETE FROM likes")
        before = place.sums()
        said = place.refused("restore", backed_up)
        assert "is not empty (rows: 4 in accounts, " in said
        assert "nothing was changed" in said
        assert (place.sums(), place.media()) == (before, demo.media())

    def test_one_with_other_pictures_is_refused(self, backed_up: Path, backend: Backend, new_place: NewPlace) -> None:
        place = new_place(backend)
        place.done("db", "upgrade")
        place.storage.put("media/mine.webp", b"mine", "image/webp")
        said = place.refused("restore", backed_up)
        assert said.startswith("the storage is not empty: 1 files are not in the backup, media/mine.webp among them")
        assert set(place.media()) == {"media/mine.webp"}
        assert sum(table.rows for table in place.sums().values()) == 0

    def test_one_with_another_picture_of_that_name_is_refused(
        self, demo: Place, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place, key = new_place(backend), next(iter(demo.media()))
        place.storage.put(key, b"mine", "image/webp")
        assert f"another file is in the storage as {key}" in place.refused("restore", backed_up)
        with place.storage.open(key) as file:
            assert file.read() == b"mine"

    def test_one_that_somebody_has_open_is_refused(
        self, backed_up: Path, backend: Backend, new_place: NewPlace
    ) -> None:
        place = new_place(backend)
        place.done("db", "upgrade")
        if backend == "sqlite":
            with closing(sqlite3.connect(str(make_url(place.url).database))) as open_:
                open_.execute("PRAGMA journal_mode=WAL")
                open_.execute("SELECT count(*) FROM posts").fetchall()
                said = place.refused("restore", backed_up)
        else:
            import psycopg

            with psycopg.connect(place.url.replace("+psycopg", "")):
                said = place.refused("restore", backed_up)
        assert said.endswith("stop the site first")
        assert is_untouched(place)

    def test_what_is_left_of_an_older_database_is_not_mixed_in(
        self, demo: Place, backed_up: Path, backend: Backend
    ) -> None:
        if backend != "sqlite":
            pytest.skip("on SQLite only")
        place = Place(backed_up.parent / "left", f"sqlite:///{backed_up.parent}/left/site.sqlite")
        (place.folder / "site.sqlite-wal").write_bytes(b"old")
        said = place.refused("restore", backed_up)
        assert "site.sqlite-wal is left of an older database" in said
        assert not (place.folder / "site.sqlite").exists()
        assert not place.media()


class TestAFileThatIsNotWhole:
    """Nothing is touched."""

    @pytest.fixture
    def empty(self, backend: Backend, new_place: NewPlace) -> Place:
        place = new_place(backend)
        place.done("db", "upgrade")
        return place

    def refused(self, place: Place, file: Path) -> str:
        """Why the file was refused, by both commands; and nothing was done."""
        said = place.refused("restore", file)
        assert place.refused("restore", "--check", file) == said
        assert str(file) in said
        assert is_untouched(place)
        return said

    def test_cut_off(self, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        data, file = backed_up.read_bytes(), tmp_path / "cut.tar"
        # The end of a tar is nothing but zeros: what stands before it is what counts.
        end = len(data.rstrip(b"\0"))
        for length in (0, 100, 512, end // 3, end // 2, end // 2 // 512 * 512, end - 2_000, end - 1):
            file.write_bytes(data[:length])
            said = self.refused(empty, file)
            assert "cannot be restored: " in said or "is damaged, cut off, or no backup at all" in said, length

    def test_cut_off_and_compressed(self, demo: Place, empty: Place, tmp_path: Path) -> None:
        demo.done("backup", tmp_path / "site.tar.gz", "--no-media")
        data, file = (tmp_path / "site.tar.gz").read_bytes(), tmp_path / "cut.tar.gz"
        for length in (10, len(data) // 2, len(data) - 9):
            file.write_bytes(data[:length])
            assert "is damaged, cut off, or no backup at all" in self.refused(empty, file)

    def test_no_backup_at_all(self, empty: Place, tmp_path: Path) -> None:
        file = tmp_path / "site.tar"
        file.write_text("This is not a backup.")
        assert "is damaged, cut off, or no backup at all" in self.refused(empty, file)
        with tarfile.open(file, "w") as archive:
            archive.add(empty.ini, "manifest.json")
        assert "its manifest.json is damaged" in self.refused(empty, file)
        with tarfile.open(file, "w") as archive:
            archive.add(empty.ini, "somebody.ini")
        assert "there is something in it that no backup holds: 'somebody.ini'" in self.refused(empty, file)
        assert empty.refused("restore", tmp_path / "none.tar") == f"{tmp_path}/none.tar: No such file or directory"

    @pytest.mark.parametrize("part", ["database.", "files/", "manifest.json"])
    def test_a_single_changed_byte(self, backed_up: Path, empty: Place, tmp_path: Path, part: str) -> None:
        def change(name: str, data: bytes) -> bytes:
            if not name.startswith(part):
                return data
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]

        self.refused(empty, rewritten(backed_up, tmp_path / "changed.tar", change))

    def test_a_file_too_few(self, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        with tarfile.open(backed_up) as archive:
            gone = archive.getnames()[3]
        file = rewritten(backed_up, tmp_path / "few.tar", lambda name, data: None if name == gone else data)
        assert f"{gone} is missing in it" in self.refused(empty, file)

    def test_a_file_too_many(self, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        more = tarfile.TarInfo("files/media/more.webp")
        file = rewritten(backed_up, tmp_path / "many.tar", lambda name, data: data, more)
        assert "files/media/more.webp is in it, but not in its manifest.json" in self.refused(empty, file)

    @pytest.mark.parametrize(
        "name",
        [
            "../evil",
            "/tmp/evil",
            "files/../../evil",
            "files//evil",
            "files/.evil",
            "files/a/../b",
            "database.sqlite/x",
            "",
        ],
    )
    def test_a_path_that_leads_elsewhere(self, backed_up: Path, empty: Place, tmp_path: Path, name: str) -> None:
        file = rewritten(backed_up, tmp_path / "evil.tar", lambda _, data: data, tarfile.TarInfo(name))
        assert "there is something in it that no backup holds" in self.refused(empty, file)
        assert not list(tmp_path.rglob("evil"))

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
    def test_something_else_than_a_file(self, backed_up: Path, empty: Place, tmp_path: Path, kind: bytes) -> None:
        link = tarfile.TarInfo("files/media/link.webp")
        link.type, link.linkname = kind, "/etc/passwd"
        file = rewritten(backed_up, tmp_path / "evil.tar", lambda _, data: data, link)
        assert "there is something in it that no backup holds" in self.refused(empty, file)

    def test_the_same_name_twice(self, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        twice = tarfile.TarInfo("manifest.json")
        self.refused(empty, rewritten(backed_up, tmp_path / "twice.tar", lambda _, data: data, twice))

    def test_of_a_newer_version(self, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        file = with_manifest(backed_up, tmp_path / "newer.tar", revision="9999", version="7.0")
        said = empty.refused("restore", file)
        assert said.startswith("the backup was made by MealShare 7.0 and has schema 9999, which this version (")
        assert empty.refused("restore", "--check", file) == said
        assert is_untouched(empty)

    def test_of_a_newer_format(self, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        file = with_manifest(backed_up, tmp_path / "newer.tar", format_version=2)
        assert "it has format 2, and this version reads format 1" in self.refused(empty, file)

    def test_with_other_counts(self, demo: Place, backed_up: Path, empty: Place, tmp_path: Path) -> None:
        tables = {name: table.rows for name, table in demo.sums().items()}
        with tarfile.open(backed_up) as archive:
            known = json.load(archive.extractfile("manifest.json"))["tables"]
        file = with_manifest(backed_up, tmp_path / "counts.tar", tables=known | {"likes": 1})
        said = empty.refused("restore", file)
        assert said.endswith(f"than its manifest says (likes: {tables['likes']} instead of 1)")
        assert is_untouched(empty)
        empty.done("db", "check")

    def test_of_the_other_kind_of_database(
        self, backed_up: Path, backend: Backend, empty: Place, tmp_path: Path
    ) -> None:
        other = "postgresql" if backend == "sqlite" else "sqlite"
        names = {"sqlite": "database.sqlite", "postgresql": "database.dump"}

        def change(name: str, data: bytes) -> bytes:
            if name != "manifest.json":
                return data
            manifest = json.loads(data)
            manifest["database"] = other
            manifest["files"][names[other]] = manifest["files"].pop(names[backend])
            return json.dumps(manifest).encode()

        file = rewritten(backed_up, tmp_path / "other.tar", change)
        with tarfile.open(file) as old, tarfile.open(tmp_path / "renamed.tar", "w") as new:
            for member in old:
                data = old.extractfile(member)
                member.name = names[other] if member.name == names[backend] else member.name
                new.addfile(member, data)
        assert "carry that over with `mealshare move`" in empty.refused("restore", tmp_path / "renamed.tar")
        assert is_untouched(empty)


def test_a_full_disk_changes_nothing(backed_up: Path, backend: Backend, new_place: NewPlace) -> None:
    place = new_place(backend)
    place.done("db", "upgrade")
    process = place.start("restore", backed_up, before="ulimit -f 50")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in error
    assert is_untouched(place)


def test_a_dump_that_does_not_load_changes_nothing(
    backed_up: Path, backend: Backend, new_place: NewPlace, tmp_path: Path
) -> None:
    if backend != "postgresql":
        pytest.skip("on PostgreSQL only")
    # A program that fails after its work, so that the pictures are there already.
    (tmp_path / "pg_restore").write_text("#!/bin/sh\necho 'pg_restore: error: no' >&2\nexit 1\n")
    (tmp_path / "pg_restore").chmod(0o755)
    for upgraded in (False, True):
        place = new_place(backend)
        if upgraded:
            place.done("db", "upgrade")
        else:
            downgrade(place.url, "base")
        assert place.refused("restore", backed_up, "--pg-bin", tmp_path) == "pg_restore: error: no"
        assert not place.media()
        if upgraded:
            place.done("db", "check")
            assert is_untouched(place)
        place.done("restore", backed_up)
