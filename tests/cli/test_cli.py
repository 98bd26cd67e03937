"""The `mealshare` command, as an administrator uses it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from openapi_spec_validator import validate
from sqlalchemy import create_engine, inspect, pool, text

from mealshare.cli import main
from mealshare.cli.documents import as_json, as_markdown, declared_by_the_application, reference_document
from mealshare.core.db.migrate import downgrade, head_revision
from mealshare.core.security.passwords import verify_password
from mealshare.core.storage import LocalStorage, StorageFull
from mealshare.features.media.files import AVATARS, variant_file
from tests.databases import Backend, new_database
from tests.people import PASSWORD
from tests.sites import free_port, running_site, site_settings, write_ini

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """``run("db", "current")`` in an empty folder, with no configuration in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEALSHARE_CONFIG", raising=False)

    def command(*arguments: str | Path, given: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)

    return command


def configured(folder: Path, url: str) -> SimpleNamespace:
    """A site on the migrated database at ``url``: ``run("user", ...)``, ``rows("SELECT ...")``, ``storage``, ``url``."""
    ini = folder / "site.ini"
    write_ini(ini, site_settings(folder, url, "http://localhost"), free_port())

    def rows(query: str) -> list[Any]:
        engine = create_engine(url, poolclass=pool.NullPool)
        with engine.begin() as connection:
            result = connection.execute(text(query))
            return list(result) if result.returns_rows else []

    def run(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(main, ["-c", str(ini), *arguments], input=given)

    return SimpleNamespace(run=run, rows=rows, url=url, storage=LocalStorage(folder / "media"))


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> SimpleNamespace:
    """An empty site."""
    return configured(tmp_path, database_url)


@pytest.fixture(scope="module")
def seeded(backend: Backend, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A site with demo data, to be looked at only; ``output`` is what the command said."""
    folder = tmp_path_factory.mktemp("seeded")
    with new_database(backend, folder, copy_of=migrated) as url:
        made = configured(folder, url)
        result = made.run("seed", "--meals", "100")
        assert result.exit_code == 0, result.output
        made.output = result.output
        yield made


def failed(result: Result) -> str:
    """The one line in which a command says why it failed."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


class TestConfiguration:
    def test_without_one_the_command_says_what_to_do(self, run: Command) -> None:
        assert failed(run("db", "current")) == (
            "there is no mealshare.ini: run `mealshare init`, or name a configuration with -c FILE"
        )

    def test_development_ini_in_the_folder_comes_first(self, run: Command, tmp_path: Path) -> None:
        for name in ("mealshare.ini", "development.ini"):
            write_ini(
                tmp_path / name, site_settings(tmp_path, f"sqlite:///{tmp_path}/{name}.sqlite", "http://localhost"), 1
            )
        assert run("db", "upgrade").exit_code == 0
        assert (tmp_path / "development.ini.sqlite").exists()
        assert not (tmp_path / "mealshare.ini.sqlite").exists()

    def test_the_environment_names_the_file(
        self, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEALSHARE_CONFIG", str(tmp_path / "elsewhere.ini"))
        assert "elsewhere.ini" in failed(run("db", "current"))
        assert "nearer.ini" in failed(run("-c", "nearer.ini", "db", "current"))

    def test_the_environment_wins_over_the_file(
        self, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_ini(
            tmp_path / "mealshare.ini", site_settings(tmp_path, f"sqlite:///{tmp_path}/a.sqlite", "http://localhost"), 1
        )
        monkeypatch.setenv("MEALSHARE_DB__URL", f"sqlite:///{tmp_path}/b.sqlite")
        assert run("db", "upgrade").exit_code == 0
        assert [path.name for path in tmp_path.glob("*.sqlite")] == ["b.sqlite"]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("meals.per_day = 4", "unknown setting: meals.per_day"),
            ("media.per_post = many", "the setting media.per_post is wrong: 'many' is not a number"),
            ("site.secret = short", "the setting site.secret is wrong"),
            ("db.url = sqlite", "db.url is wrong"),
        ],
    )
    def test_a_wrong_setting_is_one_line_with_its_name(
        self, run: Command, tmp_path: Path, line: str, words: str
    ) -> None:
        name, _, value = line.partition(" = ")
        settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/a.sqlite", "http://localhost")
        write_ini(tmp_path / "mealshare.ini", settings, 1)
        assert run("db", "upgrade").exit_code == 0
        write_ini(tmp_path / "mealshare.ini", settings | {name: value}, 1)
        assert words in failed(run("db", "upgrade") if name == "db.url" else run("jobs", "list"))

    def test_a_file_that_is_none_is_one_line(self, run: Command, tmp_path: Path) -> None:
        (tmp_path / "mealshare.ini").write_text("not an ini file\n", encoding="utf-8")
        assert "mealshare.ini cannot be read" in failed(run("db", "current"))


class TestInit:
    def test_the_file_has_secrets_and_is_for_its_owner_alone(self, run: Command, tmp_path: Path) -> None:
        result = run("init", "--base-url", "https://meals.example.org/")
        assert result.exit_code == 0, result.output
        file = tmp_path / "mealshare.ini"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        content = file.read_text(encoding="utf-8")
        assert "site.base_url = https://meals.example.org\n" in content
        secrets = re.findall(r"^(?:site|jwt)\.secret = (\S+)$", content, re.MULTILINE)
        assert len(set(secrets)) == 2
        assert all(len(secret) >= 64 for secret in secrets)

    def test_two_files_share_no_secret(self, run: Command, tmp_path: Path) -> None:
        found = []
        for name in ("a.ini", "b.ini"):
            run("init", "--file", name)
            found += re.findall(r"secret = (\S+)$", (tmp_path / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert len(set(found)) == 4

    def test_a_file_that_is_there_stays(self, run: Command, tmp_path: Path) -> None:
        (tmp_path / "mealshare.ini").write_text("mine\n", encoding="utf-8")
        assert failed(run("init")) == "mealshare.ini is there already; it was not touched"
        assert (tmp_path / "mealshare.ini").read_text(encoding="utf-8") == "mine\n"

    def test_a_folder_that_is_not_there_is_one_line(self, run: Command) -> None:
        assert (
            failed(run("init", "--file", "nowhere/mealshare.ini")) == "nowhere/mealshare.ini: No such file or directory"
        )

    @pytest.mark.parametrize("url", ["meals.example.org", "ftp://meals.example.org", "https://", "https://a.example/b"])
    def test_what_is_no_address_of_a_site_is_refused(self, run: Command, tmp_path: Path, url: str) -> None:
        assert "is not an address" in failed(run("init", "--base-url", url))
        assert list(tmp_path.iterdir()) == []

    def test_the_site_listens_where_its_address_says(self, run: Command, tmp_path: Path) -> None:
        run("init", "--file", "here.ini", "--base-url", "http://localhost:8080")
        run("init", "--file", "there.ini", "--base-url", "https://meals.example.org:8080")
        assert "listen = 127.0.0.1:8080\n" in (tmp_path / "here.ini").read_text(encoding="utf-8")
        assert "listen = 127.0.0.1:6543\n" in (tmp_path / "there.ini").read_text(encoding="utf-8")

    def test_the_three_commands_of_the_readme_make_a_site(self, run: Command, tmp_path: Path) -> None:
        port = free_port()
        assert run("init", "--base-url", f"http://localhost:{port}").exit_code == 0
        assert run("-c", "mealshare.ini", "db", "upgrade").exit_code == 0
        command = [sys.executable, "-W", "ignore", "-m", "pyramid.scripts.pserve", "mealshare.ini"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert process.stdout is not None
            before = []
            for line in process.stdout:
                before.append(line)
                if line.startswith(b"Listening on"):
                    break
            assert process.poll() is None, before
            with urllib.request.urlopen(f"http://localhost:{port}/", timeout=30) as page:
                assert "Nobody has eaten yet, you must all be starving!" in page.read().decode()
        finally:
            process.terminate()
            process.communicate(timeout=30)
        assert process.returncode == 0


class TestDatabase:
    def test_up_and_down(self, site: SimpleNamespace) -> None:
        head = head_revision()
        assert site.run("db", "downgrade", "base").output.startswith("The database is at revision none")
        assert "mealshare db upgrade" in site.run("db", "current").output
        assert "mealshare db upgrade" in failed(site.run("db", "check"))
        assert site.run("db", "upgrade").output == f"The database is at revision {head} (the newest).\n"
        assert site.run("db", "check").exit_code == 0
        engine = create_engine(site.url, poolclass=pool.NullPool)
        assert "posts" in inspect(engine).get_table_names()

    def test_a_revision_that_does_not_exist_is_one_line(self, site: SimpleNamespace) -> None:
        assert "nonsense" in failed(site.run("db", "upgrade", "nonsense"))

    def test_other_commands_want_the_newest_revision(self, site: SimpleNamespace) -> None:
        downgrade(site.url, "base")
        assert "run `mealshare db upgrade`" in failed(site.run("jobs", "list"))

    def test_the_folder_of_a_sqlite_file_is_made(self, run: Command, tmp_path: Path) -> None:
        settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/deep/er/a.sqlite", "http://localhost")
        write_ini(tmp_path / "mealshare.ini", settings, 1)
        assert run("db", "upgrade").exit_code == 0
        assert (tmp_path / "deep" / "er" / "a.sqlite").exists()

    def test_a_server_that_is_away_is_one_line(self, run: Command, tmp_path: Path) -> None:
        url = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
        write_ini(tmp_path / "mealshare.ini", site_settings(tmp_path, url, "http://localhost"), 1)
        assert "the database says: " in failed(run("db", "upgrade"))


class TestUsers:
    def test_a_password_is_made_up_and_works(self, site: SimpleNamespace) -> None:
        result = site.run(
            "user", "create", "mei_lin", "mei@example.org", "--role", "admin", "--time-zone", "Asia/Shanghai"
        )
        assert result.exit_code == 0, result.output
        password = re.search(r"^Password: (\S{20,})$", result.output, re.MULTILINE)
        assert password is not None
        (row,) = site.rows("SELECT email, role, time_zone, password_hash FROM users")
        assert tuple(row[:3]) == ("mei@example.org", "admin", "Asia/Shanghai")
        assert verify_password(row.password_hash, password[1])

    def test_a_password_can_come_from_elsewhere_and_is_not_shown(self, site: SimpleNamespace) -> None:
        result = site.run("user", "create", "mei_lin", "mei@example.org", "--password-stdin", given=f"{PASSWORD}\n")
        assert result.output == "Made mei_lin (user).\n"
        ((hashed,),) = site.rows("SELECT password_hash FROM users")
        assert verify_password(hashed, PASSWORD)

    def test_everything_that_is_wrong_is_said_in_one_line(self, site: SimpleNamespace) -> None:
        words = failed(site.run("user", "create", "a b", "nowhere", "--password-stdin", given="short\n"))
        assert [part.partition(":")[0] for part in words.split("; ")] == ["username", "email", "password"]
        assert "${" not in words
        assert site.rows("SELECT id FROM accounts") == []

    def test_a_name_that_is_taken_is_refused(self, site: SimpleNamespace) -> None:
        assert site.run("user", "create", "mei_lin", "mei@example.org").exit_code == 0
        assert failed(site.run("user", "create", "MEI_LIN", "other@example.org")).startswith("username: ")
        assert failed(site.run("user", "create", "other", "MEI@example.org")).startswith("email: ")
        assert len(site.rows("SELECT id FROM accounts")) == 1

    def test_promoting_ends_what_was_signed_in(self, site: SimpleNamespace) -> None:
        site.run("user", "create", "mei_lin", "mei@example.org")
        assert site.run("user", "promote", "Mei_Lin", "moderator").output == "Mei_Lin is moderator now.\n"
        assert [tuple(row) for row in site.rows("SELECT role, generation FROM users")] == [("moderator", 2)]

    def test_nobody_can_be_promoted_who_is_not_there(self, site: SimpleNamespace) -> None:
        assert failed(site.run("user", "promote", "nobody", "admin")) == "there is nobody called nobody"

    def test_a_guest_is_nobody_with_an_account(self, site: SimpleNamespace) -> None:
        assert site.run("user", "create", "mei_lin", "mei@example.org", "--role", "guest").exit_code == 2


class TestSeed:
    def test_the_site_is_complete(self, seeded: SimpleNamespace) -> None:
        password = re.search(r"^Demo people: log in as ada / (\S+)$", seeded.output, re.MULTILINE)
        assert password is not None
        people = seeded.rows("SELECT a.username, u.password_hash, u.role FROM accounts a JOIN users u ON u.id = a.id")
        assert len(people) == 40
        assert ("ada", "admin") in {(row.username, row.role) for row in people}
        assert verify_password(people[0].password_hash, password[1])
        assert len({row.password_hash for row in people}) == 1
        meals = seeded.rows("SELECT id, created_at, eaten_at FROM posts WHERE kind = 'meal' ORDER BY id")
        own = seeded.rows("SELECT count(*) FROM posts WHERE kind = 'meal' AND inspired_by_id IS NULL")
        assert own[0][0] == 100
        assert len(meals) > 100
        assert all(str(meal.eaten_at) <= str(meal.created_at) for meal in meals)
        # Ids follow the time at which the meals were posted: lists are ordered by them.
        assert [meal.id for meal in sorted(meals, key=lambda meal: str(meal.created_at))] == [meal.id for meal in meals]

    def test_every_picture_is_ready_and_its_files_are_there(self, seeded: SimpleNamespace) -> None:
        pictures = seeded.rows("SELECT storage_key, state, post_id, width, height, blurhash FROM media")
        assert len(pictures) > 20
        for picture in pictures:
            assert picture.state == "ready"
            assert picture.post_id is not None
            assert picture.width
            assert picture.height
            assert picture.blurhash
            assert all(seeded.storage.exists(variant_file(picture.storage_key, edge)) for edge in (400, 1600))
        avatars = seeded.rows("SELECT avatar_key FROM accounts WHERE avatar_key IS NOT NULL")
        assert len(avatars) == len(list(seeded.storage.keys(AVATARS))) > 10
        assert len(list(seeded.storage.keys())) == 2 * len(pictures) + len(avatars)
        assert seeded.rows("SELECT id FROM jobs") == []

    def test_the_people_do_something_with_each_other(self, seeded: SimpleNamespace) -> None:
        for what, least in (
            ("follows WHERE state = 'accepted'", 200), ("wants", 50), ("posts WHERE kind = 'comment'", 40), ("notifications", 300),
            ("timeline_entries", 500), ("notifications WHERE read_at IS NULL", 1),
        ):  # fmt: skip
            assert seeded.rows(f"SELECT count(*) FROM {what}")[0][0] >= least, what
        for column, rows in (
            ("followers_count", "follows f WHERE f.target_id = a.id"), ("following_count", "follows f WHERE f.account_id = a.id"),
        ):  # fmt: skip
            assert seeded.rows(f"SELECT a.id FROM accounts a WHERE a.{column} <> (SELECT count(*) FROM {rows})") == []
        for column, rows in (
            ("comments_count", "posts c WHERE c.root_id = p.id AND c.deleted_at IS NULL"),
            ("ate_too_count", "posts c WHERE c.inspired_by_id = p.id AND c.visibility IN ('public', 'unlisted')"),
        ):
            wrong = f"SELECT p.id FROM posts p WHERE p.kind = 'meal' AND p.{column} <> (SELECT count(*) FROM {rows})"
            assert seeded.rows(wrong) == []

    def test_counts_are_exact_and_edits_are_kept(self, seeded: SimpleNamespace) -> None:
        wrong = "SELECT p.id FROM posts p WHERE p.likes_count <> (SELECT count(*) FROM likes l WHERE l.post_id = p.id)"
        assert seeded.rows(wrong) == []
        assert seeded.rows("SELECT count(*) FROM likes")[0][0] > 100
        edited = seeded.rows("SELECT id FROM posts WHERE edited_at IS NOT NULL ORDER BY id")
        assert edited
        assert edited == seeded.rows("SELECT post_id FROM post_revisions ORDER BY post_id")

    def test_its_pages_open_and_show_pictures(self, seeded: SimpleNamespace, tmp_path: Path) -> None:
        with running_site(tmp_path, seeded.url, storage__folder=str(seeded.storage.folder)) as served:
            for path in ("/", "/@ada", "/api/feed/public", "/health/ready"):
                with urllib.request.urlopen(f"{served.url}{path}", timeout=60) as page:
                    assert page.read()
            with urllib.request.urlopen(f"{served.url}/", timeout=60) as page:
                picture = re.search(r'src="(?:http://[^/"]+)?(/media/[^"]+)"', page.read().decode())
            assert picture is not None
            with urllib.request.urlopen(f"{served.url}{picture[1]}", timeout=60) as file:
                assert file.headers["Content-Type"] == "image/webp"

    def test_a_site_with_people_is_left_alone(self, site: SimpleNamespace) -> None:
        site.run("user", "create", "mei_lin", "mei@example.org")
        assert failed(site.run("seed")) == "there are people here already: demo data is for an empty site"
        result = site.run("seed", "--if-empty")
        assert result.exit_code == 0
        assert "no demo data" in result.output
        assert len(site.rows("SELECT id FROM accounts")) == 1

    @pytest.mark.parametrize("people", ["1", "2", "5"])
    def test_a_small_site(self, site: SimpleNamespace, people: str) -> None:
        result = site.run("seed", "--people", people, "--meals", "8")
        assert result.exit_code == 0, result.output
        assert len(site.rows("SELECT id FROM accounts")) == int(people)

    def test_a_failure_leaves_nothing_behind(self, site: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
        stored, put = [], LocalStorage.put

        def full(self: LocalStorage, key: str, data: bytes, content_type: str) -> None:
            stored.append(key)
            if len(stored) > 8:
                raise StorageFull("no space left on the device")
            put(self, key, data, content_type)

        monkeypatch.setattr(LocalStorage, "put", full)
        assert "no space left" in failed(site.run("seed", "--people", "4", "--meals", "30")).lower()
        assert site.rows("SELECT id FROM accounts") == []
        assert list(site.storage.keys()) == []


class TestJobs:
    def job(self, site: SimpleNamespace, state: str, error: str = "NULL") -> None:
        """A job that deletes no file, in that state."""
        site.rows(
            "INSERT INTO jobs (id, name, payload, state, attempts, run_at, created_at, last_error) VALUES "
            f"(7, 'media.delete_files', '{json.dumps({'keys': []})}', '{state}', 3, '2024-01-02 03:04:05', "
            f"'2024-01-02 03:04:05', {error})".replace(":", "\\:")
        )

    def test_nothing_waits_at_first(self, site: SimpleNamespace) -> None:
        assert site.run("jobs", "list").output == "No job waits.\n"
        assert site.run("jobs", "dead").output == "No job is dead.\n"
        assert site.run("jobs", "run").output == "0 jobs ran.\n"

    def test_what_waits_is_shown_and_run(self, site: SimpleNamespace) -> None:
        self.job(site, "queued")
        assert "7  queued  2024-01-02T03:04:05Z  media.delete_files  attempts=3" in site.run("jobs", "list").output
        assert site.run("jobs", "run").output == "1 job ran.\n"
        assert site.rows("SELECT id FROM jobs") == []

    def test_a_dead_job_is_shown_with_its_error_and_can_run_again(self, site: SimpleNamespace) -> None:
        self.job(site, "dead", "'Traceback\nOSError: the disk is gone'")
        assert site.run("jobs", "list").output == "No job waits.\n"
        assert site.run("jobs", "dead").output.endswith("attempts=3  OSError: the disk is gone\n")
        assert site.run("jobs", "run").output == "0 jobs ran.\n"
        assert site.run("jobs", "retry", "7").output == "The job 7 waits again.\n"
        assert site.run("jobs", "run").output == "1 job ran.\n"

    def test_all_dead_jobs_can_run_again(self, site: SimpleNamespace) -> None:
        assert site.run("jobs", "retry", "--all").output == "0 jobs wait again.\n"
        self.job(site, "dead")
        assert site.run("jobs", "retry", "--all").output == "1 job waits again.\n"
        assert site.run("jobs", "run").output == "1 job ran.\n"
        for arguments in ((), ("7", "--all")):
            assert "Name one job, or say --all." in site.run("jobs", "retry", *arguments).output

    def test_a_job_is_shown_with_its_traceback(self, site: SimpleNamespace) -> None:
        self.job(site, "dead", "'Traceback\n  line 1\nOSError: the disk is gone'")
        output = site.run("jobs", "show", "7").output
        for line in ("id:           7", "state:        dead", "priority:     normal", 'payload:      {"keys": []}'):
            assert f"{line}\n" in output
        assert output.endswith("\n\nTraceback\n  line 1\nOSError: the disk is gone\n")
        assert "there is no job 8" in failed(site.run("jobs", "show", "8"))
        assert failed(site.run("jobs", "show", "x")) == "x is not the id of a job"

    def test_processes_that_the_engine_does_not_have_say_so(self, site: SimpleNamespace) -> None:
        assert "jobs.engine = worker" in failed(site.run("worker"))
        assert "jobs.engine = celery" in failed(site.run("beat"))

    @pytest.mark.parametrize("number", ["8", "x", "99999999999999999999999"])
    def test_only_a_dead_job_can_be_retried(self, site: SimpleNamespace, number: str) -> None:
        self.job(site, "queued")
        assert number in failed(site.run("jobs", "retry", number))
        assert failed(site.run("jobs", "retry", "7")) == "there is no dead job 7"


class TestMedia:
    def test_the_sweep_tells_what_it_removed(self, site: SimpleNamespace) -> None:
        site.run("user", "create", "mei_lin", "mei@example.org")
        ((owner,),) = site.rows("SELECT id FROM accounts")
        site.rows(
            "INSERT INTO media (id, account_id, position, description, state, storage_key, created_at) "
            f"VALUES (5, {owner}, 0, '', 'ready', '{'a' * 32}', '2024-01-02')"
        )
        assert site.run("media", "sweep").output.startswith("Removed 1 pictures, 0 baskets, ")
        assert site.rows("SELECT id FROM media") == []
        assert site.run("media", "sweep").output.startswith("Removed 0 pictures, ")


class TestDocuments:
    def test_the_openapi_document_is_valid_and_needs_no_database(self, run: Command, tmp_path: Path) -> None:
        settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/none.sqlite", "https://meals.example.org")
        write_ini(tmp_path / "mealshare.ini", settings, 1)
        result = run("openapi")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        validate(document)
        assert document["servers"][0]["url"] == "https://meals.example.org"
        assert not (tmp_path / "none.sqlite").exists()

    def test_the_reference_needs_no_configuration(self, run: Command) -> None:
        result = run("openapi", "--reference")
        assert result.exit_code == 0, result.output
        assert result.stdout == as_json(reference_document())

    def test_the_page_of_settings_is_up_to_date(self, run: Command) -> None:
        printed = run("settings", "--markdown").stdout
        page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
        assert printed == page, "make docs"

    def test_every_setting_is_on_the_page_with_its_words(self) -> None:
        declared = declared_by_the_application()
        page = as_markdown(declared)
        assert len(declared) > 40
        assert {"site.base_url", "db.url", "server.listen", "media.max_bytes"} <= {item.name for item in declared}
        for item in declared:
            assert f"| `{item.name}`<br>`{item.environment}` |" in page
            assert item.help, item.name

    def test_the_settings_as_an_ini_file(self, run: Command) -> None:
        printed = run("settings").stdout
        assert "\nmedia.per_post = 4\n" in printed
        assert "\nsite.registration = open\n" in printed

    def test_help_lists_every_command(self, run: Command) -> None:
        output = run("--help").output
        for name in ("init", "db", "user", "seed", "jobs", "worker", "beat", "media", "openapi", "settings"):
            assert re.search(rf"^  {name} ", output, re.MULTILINE), name


class TestFilesOfTheProject:
    @pytest.mark.parametrize("name", ["development.ini", "production.ini"])
    def test_the_ini_files_have_only_settings_that_exist(
        self, run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
    ) -> None:
        for key, value in site_settings(
            tmp_path, f"sqlite:///{tmp_path}/a.sqlite", "https://meals.example.org"
        ).items():
            monkeypatch.setenv("MEALSHARE_" + key.replace(".", "__").upper(), value)
        assert run("-c", ROOT / name, "db", "upgrade").exit_code == 0
        result = run("-c", ROOT / name, "jobs", "list")
        assert result.exit_code == 0, result.output

    def test_production_ini_serves_and_logs_into_its_file(self, run: Command, tmp_path: Path) -> None:
        (tmp_path / "var" / "log").mkdir(parents=True)
        (tmp_path / "production.ini").write_bytes((ROOT / "production.ini").read_bytes())
        port = free_port()
        settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/a.sqlite", f"http://localhost:{port}")
        settings |= {"server.listen": f"127.0.0.1:{port}"}
        environ = {"MEALSHARE_" + key.replace(".", "__").upper(): value for key, value in settings.items()}
        write_ini(tmp_path / "mealshare.ini", settings, port)
        assert run("db", "upgrade").exit_code == 0
        command = [sys.executable, "-W", "ignore", "-m", "pyramid.scripts.pserve", "production.ini"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            assert process.stdout is not None
            assert any(line.startswith(b"Listening on") for line in process.stdout)
            for path in ("/health/ready", "/about"):
                with urllib.request.urlopen(f"http://localhost:{port}{path}", timeout=30) as answer:
                    assert answer.status == 200
        finally:
            process.terminate()
            process.communicate(timeout=30)
        assert "/about" in (tmp_path / "var" / "log" / "mealshare.log").read_text(encoding="utf-8")
