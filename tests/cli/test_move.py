"""`mealshare move`: a site goes from one kind of database to the other and back, and nothing is lost or changed."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp

from mealshare import main
from mealshare.core.backup.errors import BackupError
from mealshare.core.backup.move import move_database
from mealshare.core.backup.tables import engine_of
from mealshare.core.db.migrate import downgrade, head_revision
from mealshare.core.db.revision import current_revision
from tests.cli.places import NewPlace, Place
from tests.databases import Backend
from tests.sites import site_settings

OTHER: dict[str, Backend] = {"sqlite": "postgresql", "postgresql": "sqlite"}
DERIVED = frozenset({"meal_words", "person_words"})
#: A row of each awkward kind, as SQL that both databases know.
AWKWARD = (
    "INSERT INTO tags (id, name, display, meals_count, created_at)"
    " VALUES (9223372036854775807, :name, :display, -2147483648, '1999-12-31 23:59:59.999999')"
)
CONTROL = "tab\tline\nreturn\rback\\slash \\N 'quoted' \"twice\" 麻辣\u2028🍜\x7f\x01"


@pytest.fixture(scope="module", autouse=True)
def _both(request: pytest.FixtureRequest) -> None:
    """Moving needs PostgreSQL whichever the direction; this asks for it in the manner of the other tests."""
    from tests.conftest import left_out
    from tests.databases import POSTGRES_LEFT_OUT, postgres_url

    if postgres_url() is None:
        left_out(POSTGRES_LEFT_OUT)


@pytest.fixture
def target(backend: Backend, new_place: NewPlace) -> Place:
    """An empty site on the other kind of database."""
    return new_place(OTHER[backend])


def is_empty(place: Place) -> bool:
    """Whether a database has no rows; its tables may be there."""
    with engine_of(place.url) as engine:
        if current_revision(engine) is None:
            return True
    return not any(table.rows for table in place.sums().values()) and place.sql("SELECT count(*) FROM meal_words") == [
        (0,)
    ]


def answers(place: Place) -> dict[str, Any]:
    """What a visitor gets from the site, which finds Chinese words."""
    application = main({}, **site_settings(place.folder, place.url, "http://localhost"), **{"jobs.engine": "worker"})
    app = TestApp(application)
    try:
        feed = app.get("/api/meals?limit=100").json
        person = feed[0]["user"]["username"]
        # Two characters of a dish: what no index by whole words or by three characters finds.
        chinese = re.findall("[\u4e00-\u9fff]{2}", " ".join(meal["food"] for meal in feed))
        assert chinese
        words = (chinese[0], chinese[-1], "soup", "a", "nothing")
        found = {word: app.get("/api/search", {"q": word, "limit": "50"}).json for word in words}
        assert found[chinese[0]]["meals"]
        return {
            "feed": feed,
            "found": found,
            "person": app.get(f"/api/users/{person}").json,
            "pictures": [app.get(item["url"]).body for meal in feed for item in meal["media"]],
        }
    finally:
        application.registry["engine"].dispose()


class TestARoundTrip:
    def test_everything_is_the_same_there_and_back(
        self, demo: Place, backend: Backend, new_place: NewPlace, target: Place
    ) -> None:
        source = new_place(backend, copy_of=demo)
        source.sql(AWKWARD, name="awkward", display=CONTROL)
        said = source.done("move", "--to-config", target.ini)
        assert said.splitlines()[0] == f"Copied {len(demo.media())} files; 0 were there already."
        assert f"Moved {sum(table.rows for table in source.sums().values())} rows of " in said
        assert target.sums() == source.sums() != demo.sums()
        assert target.media() == source.media()
        assert target.sql("SELECT display FROM tags WHERE name = 'awkward'") == [(CONTROL,)]
        for table in DERIVED:
            assert target.sql(f"SELECT count(*) FROM {table}") == source.sql(f"SELECT count(*) FROM {table}")
        target.done("db", "check")
        back = new_place(backend)
        target.done(
            "move", "--to", back.url, "--from-media", target.folder / "media", "--to-media", back.folder / "media"
        )
        assert back.sums() == source.sums()
        assert back.media() == source.media()
        # The bytes, too: JSON is not written anew, and instants look as they did.
        for column in ("tag_names", "created_at", "eaten_on", "sensitive"):
            assert back.sql(f"SELECT {column} FROM posts ORDER BY id") == source.sql(
                f"SELECT {column} FROM posts ORDER BY id"
            )

    def test_the_site_lives_on_the_target(self, demo: Place, target: Place) -> None:
        demo.done("move", "--to-config", target.ini, "-q")
        there = answers(target)
        assert there == answers(demo)
        assert there["pictures"]


class TestALivingSource:
    def test_what_is_written_meanwhile_is_told_and_left_out(
        self, demo: Place, backend: Backend, new_place: NewPlace, target: Place
    ) -> None:
        source, told = new_place(backend, copy_of=demo), []

        def tell(line: str) -> None:
            told.append(line)
            if line.startswith("accounts: "):
                # The tables behind this one are yet to be read.
                source.sql(AWKWARD, name="late", display="late")
                source.sql("DELETE FROM likes")

        before = source.sums()
        moved = move_database(source.url, target.url, DERIVED, lambda connection: None, tell)
        assert set(moved.changed) == {"tags", "likes"}
        assert target.sums() == before
        assert "somebody wrote to the source meanwhile; looking at what" in told

    def test_a_quiet_source_is_not_accused(self, demo: Place, target: Place) -> None:
        assert move_database(demo.url, target.url, DERIVED, lambda connection: None, lambda line: None).changed == ()

    def test_the_command_ends_with_another_status(
        self, demo: Place, backend: Backend, new_place: NewPlace, target: Place
    ) -> None:
        source, stop = new_place(backend, copy_of=demo), threading.Event()

        def write() -> None:
            while not stop.wait(0.005):
                source.sql("UPDATE tags SET meals_count = meals_count + 1")

        thread = threading.Thread(target=write)
        thread.start()
        try:
            result = source.run("move", "--to", target.url)
        finally:
            stop.set()
            thread.join()
        assert result.exit_code == 3, result.output
        assert "Somebody wrote to the source meanwhile (tags), and that is not in the target." in result.stderr


class TestWhatCannotBeMoved:
    """The target stays empty."""

    def test_to_a_target_with_rows(self, demo: Place, backend: Backend, new_place: NewPlace) -> None:
        taken = new_place(backend, copy_of=demo)
        assert "is not empty (rows: " in demo.refused("move", "--to", taken.url)
        assert taken.sums() == demo.sums()

    def test_to_itself(self, demo: Place) -> None:
        assert demo.refused("move", "--to", demo.url) == "the source and the target are the same database"

    def test_from_an_older_schema(self, demo: Place, backend: Backend, new_place: NewPlace, target: Place) -> None:
        old = new_place(backend, copy_of=demo)
        downgrade(old.url, "0002")
        said = old.refused("move", "--to", target.url)
        assert said == (
            f"the source cannot be moved: the database is at 0002, not at {head_revision()}: run `mealshare db upgrade`"
        )
        assert is_empty(target)

    def test_from_nowhere(self, target: Place, tmp_path: Path) -> None:
        place = Place(tmp_path / "none", f"sqlite:///{tmp_path}/none/site.sqlite")
        assert place.refused("move", "--to", target.url) == f"there is no database {tmp_path}/none/site.sqlite"
        assert not (tmp_path / "none" / "site.sqlite").exists()

    def test_nowhere(self, demo: Place) -> None:
        assert demo.refused("move") == "where to? Give --to URL or --to-config FILE"
        assert "is not an SQLAlchemy database URL" in demo.refused("move", "--to", "secret:nonsense")
        assert "secret" not in demo.refused("move", "--to", "secret:nonsense")

    @pytest.mark.parametrize("last", [True, False])
    def test_rows_that_do_not_fit(
        self, demo: Place, backend: Backend, new_place: NewPlace, target: Place, last: bool
    ) -> None:
        if backend != "sqlite":
            pytest.skip("PostgreSQL has no such rows")
        source = new_place(backend, copy_of=demo)
        if last:
            source.sql("UPDATE wants SET post_id = 5, id = 5 WHERE id = (SELECT min(id) FROM wants)")
            source.sql(
                "INSERT INTO wants (id, post_id, account_id, created_at)"
                " SELECT 7, 77, min(id), '2026-01-01 00:00:00.000000' FROM accounts"
            )
            expected = "violates foreign key constraint"
        else:
            source.sql(
                "UPDATE accounts SET display_name = :long WHERE id = (SELECT min(id) FROM accounts)", long="x" * 101
            )
            expected = "PostgreSQL does not take the rows of accounts: value too long"
        assert expected in source.refused("move", "--to", target.url)
        assert is_empty(target)

    def test_a_row_that_names_one_that_is_not_there(self, demo: Place, backend: Backend, new_place: NewPlace) -> None:
        if backend != "sqlite":
            pytest.skip("PostgreSQL has no such rows")
        source, other = new_place(backend, copy_of=demo), new_place(backend)
        source.sql("UPDATE likes SET post_id = 5 WHERE id = (SELECT min(id) FROM likes)")
        assert source.refused("move", "--to", other.url) == (
            "rows of likes name rows that are not there; nothing was kept in the target"
        )
        assert is_empty(other)

    def test_a_target_that_changes_what_it_is_given(self, demo: Place, backend: Backend, target: Place) -> None:
        target.done("db", "upgrade")
        for statement in TRIGGERS[OTHER[backend]]:
            target.sql(statement)
        assert demo.refused("move", "--to", target.url) == (
            "the rows of places are not the same in the target; nothing was kept there"
        )
        assert is_empty(target)

    def test_what_fails_while_the_words_are_indexed(self, demo: Place, target: Place) -> None:
        def fail(connection: Any) -> None:
            raise BackupError("no")

        with pytest.raises(BackupError, match="no"):
            move_database(demo.url, target.url, DERIVED, fail, lambda line: None)
        assert is_empty(target)
        # And can be done again.
        demo.done("move", "--to", target.url)
        assert target.sums() == demo.sums()


#: A database that makes something else of one value.
TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER change AFTER INSERT ON places BEGIN UPDATE places SET city = 'x' WHERE id = new.id; END",
    ),
    "postgresql": (
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.city = 'x'; RETURN new; END $$",
        "CREATE TRIGGER change BEFORE INSERT ON places FOR EACH ROW EXECUTE FUNCTION change()",
    ),
}


class TestPictures:
    @pytest.fixture
    def other(self, demo: Place, backend: Backend, new_place: NewPlace) -> Place:
        return new_place(backend)

    def move(self, demo: Place, other: Place) -> str:
        return demo.done("move", "--media-only", "--to-media", other.folder / "media")

    def test_alone_and_again(self, demo: Place, other: Place) -> None:
        count = len(demo.media())
        assert self.move(demo, other) == f"Copied {count} files; 0 were there already.\n"
        assert other.media() == demo.media()
        gone = sorted(other.media())[0]
        other.storage.delete(gone)
        assert self.move(demo, other) == f"Copied 1 files; {count - 1} were there already.\n"
        assert other.media() == demo.media()
        assert is_empty(other)

    def test_another_file_of_that_name_is_not_touched(self, demo: Place, other: Place) -> None:
        key = sorted(demo.media())[0]
        other.storage.put(key, b"mine", "image/webp")
        said = demo.refused("move", "--media-only", "--to-media", other.folder / "media")
        assert said == f"another file is in the storage as {key}; it was not touched"
        with other.storage.open(key) as file:
            assert file.read() == b"mine"

    @pytest.mark.parametrize("where", [["--to-config"], ["--no-media", "--to-config"]])
    def test_they_may_stay(self, demo: Place, target: Place, where: list[str]) -> None:
        if len(where) == 1:
            # The same folder for both sites.
            text = target.ini.read_text(encoding="utf-8")
            target.ini.write_text(
                text.replace(str(target.folder / "media"), str(demo.folder / "media")), encoding="utf-8"
            )
        said = demo.done("move", *where, target.ini)
        assert "Copied" not in said
        assert target.sums() == demo.sums()

    def test_options_that_make_no_sense(self, demo: Place, target: Place, tmp_path: Path) -> None:
        assert demo.refused("move", "--to", target.url, "--from-media", tmp_path) == "--from-media needs --to-media"
        assert "where are the pictures to go?" in demo.refused("move", "--media-only")
        assert (
            demo.refused("move", "--to", target.url, "--to-config", target.ini) == "give --to or --to-config, not both"
        )
        said = demo.refused("move", "--media-only", "--from-media", tmp_path / "no", "--to-media", tmp_path / "new")
        assert said == f"there is no folder {tmp_path}/no"


def test_the_new_configuration_wins_over_the_environment_of_the_old_one(
    demo: Place, target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEALSHARE_DB__URL", demo.url)
    demo.done("move", "--to-config", target.ini, "--no-media")
    monkeypatch.delenv("MEALSHARE_DB__URL")
    assert target.sums() == demo.sums()
