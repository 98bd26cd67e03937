"""`mealshare doctor`: each thing is broken on purpose, found, mended, and found no more."""

from __future__ import annotations

import json
import os
import secrets
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, pool, text

from mealshare.core.doctor.counters import mend, wrong
from mealshare.core.ids import SEQUENCE_BITS
from mealshare.core.jobs.models import JobState
from mealshare.features.reactions.doctor import COUNTERS as LIKES
from tests.cli.places import NewPlace, Place
from tests.databases import Backend


@pytest.fixture
def place(demo: Place, backend: Backend, new_place: NewPlace) -> Place:
    """A copy of the site with demo data, in which files are as closed as they should be."""
    place = new_place(backend, copy_of=demo)
    place.ini.chmod(0o600)
    for file in place.folder.glob("*.sqlite*"):
        file.chmod(0o600)
    # What the demo data has left to do is done, and its periodic jobs are there.
    place.done("jobs", "run")
    return place


def engine_of(place: Place) -> Engine:
    return create_engine(place.url, poolclass=pool.NullPool)


def change(place: Place, *statements: str, **values: Any) -> None:
    """Do it to the database."""
    engine = engine_of(place)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def ask(place: Place, *options: str) -> dict[str, Any]:
    """What the doctor says, by check."""
    result = place.run("doctor", "--json", *options)
    found = {report["check"]: report for report in json.loads(result.stdout)}
    assert result.exit_code == int(any(report["status"] == "error" for report in found.values())), result.output
    return found


def assert_mended(place: Place, check: str, words: str) -> None:
    """The check finds it, mends it and then finds nothing."""
    before = ask(place)[check]
    assert before["status"] in ("error", "warning"), before
    assert words in " ".join(finding["message"] for finding in before["findings"]), before
    after = ask(place, "--repair")[check]
    assert (after["status"], after["findings"]) == ("ok", []), after
    assert after["repaired"] >= 1, after
    assert ask(place)[check] == {"check": check, "status": "ok", "findings": [], "repaired": 0}


def test_a_site_that_is_well(place: Place) -> None:
    found = ask(place)
    unwell = {name: report for name, report in found.items() if report["status"] != "ok"}
    # Everybody knows the secrets of a test; at localhost that is no error.
    assert set(unwell) == {"settings"}, unwell
    assert found["settings"]["status"] == "warning"
    shown = place.done("doctor")
    assert "[ ok ] like counts" in shown
    assert "0 wrong" in shown


@pytest.mark.parametrize(
    ("check", "statement", "words"),
    [
        ("like counts", "UPDATE posts SET likes_count = likes_count + 3 WHERE deleted_at IS NULL", "posts.likes_count"),
        ("comment counts", "UPDATE posts SET comments_count = 77 WHERE kind = 'meal' AND deleted_at IS NULL", "posts.comments"),
        ("meal counts", "UPDATE accounts SET meals_count = meals_count - 1", "accounts.meals_count"),
        ("meal counts", "UPDATE posts SET ate_too_count = 5 WHERE kind = 'meal' AND deleted_at IS NULL", "ate_too_count"),
        ("meal counts", "UPDATE tags SET meals_count = 99", "tags.meals_count"),
        ("follower counts", "UPDATE accounts SET followers_count = followers_count + 1", "followers_count"),
        ("follower counts", "UPDATE accounts SET following_count = 1000", "following_count"),
    ],
)  # fmt: skip
def test_wrong_counters(place: Place, check: str, statement: str, words: str) -> None:
    engine = engine_of(place)
    columns = "id, likes_count, comments_count, ate_too_count"
    with engine.connect() as connection:
        posts = connection.execute(text(f"SELECT {columns} FROM posts ORDER BY id")).all()
        people = connection.execute(
            text("SELECT id, meals_count, followers_count, following_count FROM accounts ORDER BY id")
        ).all()
        tags = connection.execute(text("SELECT id, meals_count FROM tags ORDER BY id")).all()
    change(place, statement)
    assert_mended(place, check, words)
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT {columns} FROM posts ORDER BY id")).all() == posts
        after = connection.execute(
            text("SELECT id, meals_count, followers_count, following_count FROM accounts ORDER BY id")
        )
        assert after.all() == people
        assert connection.execute(text("SELECT id, meals_count FROM tags ORDER BY id")).all() == tags


def test_a_counter_is_mended_while_somebody_likes(registry: Any, make_user: Any, backend: Backend) -> None:
    """A like whose row is written and not yet committed is neither lost nor counted twice."""
    from mealshare.features.meals.models import Meal
    from mealshare.features.reactions.service import LikeService

    author, fan = make_user("author"), make_user("fan")
    with registry["open_work"]() as work:
        work.session.add(meal := Meal(account_id=author.account_id, uri="u", url="u", food="Soup", likes_count=40))
        work.session.flush()
        meal_id = meal.id
    began, results = threading.Event(), []

    def like() -> None:
        with registry["open_work"]() as work:
            LikeService(work).like(fan.account_id, meal_id)
            work.session.flush()
            began.set()
            time.sleep(0.5)

    liker = threading.Thread(target=like)
    liker.start()
    assert began.wait(20)
    results.append(mend(registry, LIKES[0]))
    liker.join()
    assert results == [1]
    assert wrong(registry, LIKES[0]) == []
    with registry["engine"].connect() as connection:
        assert connection.scalar(text("SELECT likes_count FROM posts")) == 1


def test_files_without_a_picture_and_pictures_without_a_file(place: Place) -> None:
    orphan = "media/" + "ab" * 16 + "-400.webp"
    place.storage.put(orphan, b"nothing", "image/webp")
    file = place.storage.path(orphan)
    assert file is not None
    assert ask(place)["pictures"]["status"] == "ok", "it may belong to a transaction that has not ended"
    os.utime(file, (time.time() - 9000,) * 2)
    assert_mended(place, "pictures", "1 files belong to nothing")
    assert not place.storage.exists(orphan)
    engine = engine_of(place)
    with engine.connect() as connection:
        key = connection.scalar(text("SELECT storage_key FROM media WHERE state = 'ready' ORDER BY id LIMIT 1"))
    place.storage.delete(f"media/{key}-1600.webp")
    report = ask(place, "--repair")["pictures"]
    assert report["status"] == "error"
    assert f"1 files are missing: media/{key}-1600.webp" in report["findings"][0]["message"]


def test_jobs_that_are_dead_late_stuck_or_missing(place: Place) -> None:
    row = (
        "INSERT INTO jobs (id, name, payload, state, priority, attempts, run_at, leased_until, created_at) "
        "VALUES (:id, :name, '{}', :state, 1, 1, :old, :lease, :old)"
    )
    old = "2020-01-01 00:00:00.000000"
    change(place, row, id=1, name="media.process", state=JobState.DEAD.value, old=old, lease=None)
    report = ask(place)["jobs"]
    assert "1 x media.process failed too often" in report["findings"][0]["message"], report
    # Its periodic jobs were missing as well: no worker has run here yet.
    report = ask(place, "--repair")["jobs"]
    assert (report["status"], report["repaired"] > 1) == ("ok", True), report
    change(place, "DELETE FROM jobs WHERE id = 1")
    change(place, row, id=2, name="media.process", state=JobState.RUNNING.value, old=old, lease=old)
    assert_mended(place, "jobs", "1 jobs run no more")
    change(place, "UPDATE jobs SET run_at = :old WHERE id = 2", old=old)
    assert "1 jobs have waited" in ask(place, "--repair")["jobs"]["findings"][0]["message"]
    change(place, "DELETE FROM jobs WHERE id = 2")
    change(place, row, id=3, name="of.another.version", state="queued", old="2099-01-01 00:00:00.000000", lease=None)
    assert "of.another.version" in ask(place)["jobs"]["findings"][0]["message"]
    change(place, "DELETE FROM jobs WHERE id = 3 OR name = 'media.sweep'")
    assert_mended(place, "jobs", "periodic jobs are not in the table: media.sweep")


def test_ids_that_are_still_to_come(place: Place) -> None:
    future = (int(time.time() * 1000) + 3_600_000) << SEQUENCE_BITS
    change(
        place,
        "UPDATE tags SET id = :id WHERE id = (SELECT max(id) FROM tags WHERE id NOT IN (SELECT tag_id FROM post_tags))",
        id=future,
    )
    change(
        place,
        "INSERT INTO tags (id, name, display, meals_count, created_at) VALUES (:id, 'zz', 'zz', 0, '2020-01-01 00:00:00.000000')",
        id=future + 1,
    )
    report = ask(place)["clock"]
    assert report["status"] == "error"
    assert "the newest id of tags" in report["findings"][0]["message"]


def test_files_that_everybody_can_read(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place.ini.chmod(0o644)
    assert_mended(place, "files", "place.ini (the configuration)")
    assert stat.S_IMODE(place.ini.stat().st_mode) == 0o640
    secret = tmp_path / "secret"
    secret.write_text(secrets.token_urlsafe(48))
    secret.chmod(0o604)
    monkeypatch.setenv("MEALSHARE_JWT__SECRET_FILE", str(secret))
    assert_mended(place, "files", f"{secret} (MEALSHARE_JWT__SECRET_FILE)")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    (place.folder / "media").chmod(0o777)
    assert_mended(place, "files", "storage.folder")


@pytest.mark.parametrize(
    ("setting", "value", "check", "words"),
    [
        ("SITE__BASE_URL", "https://meals.example.org", "server", "believes no proxy"),
        ("SITE__BASE_URL", "http://meals.example.org", "settings", "site.base_url is http"),
        ("SITE__BASE_URL", "https://meals.example.org", "settings", "ratelimit.enabled is false"),
        ("JWT__SECRET", "tests-only-AlsoKnownToEverybody-0123456789-zyxwvutsrq", "settings", "are the same"),
        ("DOCTOR__FREE_MEGABYTES", "999999999", "disk", "MB are free"),
        ("MAIL__HOST", "127.0.0.1", "services", "mail server 127.0.0.1 cannot be reached"),
    ],
)
def test_settings_that_contradict_and_services_that_are_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, check: str, words: str
) -> None:
    monkeypatch.setenv("MEALSHARE_MAIL__PORT", "1")
    assert words not in json.dumps(ask(place)[check])
    monkeypatch.setenv(f"MEALSHARE_{setting}", value)
    assert words in json.dumps(ask(place)[check])


def test_a_redis_that_is_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEALSHARE_CACHE__BACKEND", "redis")
    monkeypatch.setenv("MEALSHARE_CACHE__URL", "redis://127.0.0.1:1/0")
    report = ask(place)["services"]
    assert report["status"] == "error"
    assert "cache cannot be reached" in report["findings"][0]["message"]


def test_a_database_that_is_not_what_it_should_be(place: Place) -> None:
    change(place, "UPDATE alembic_version SET version_num = '0001'")
    found = ask(place)
    assert "run `mealshare db upgrade`" in found["database"]["findings"][0]["message"]
    assert found["like counts"]["status"] == "skipped"
    assert found["disk"]["status"] == "ok"


def test_a_setting_that_cannot_be_read_is_told_as_the_rest(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEALSHARE_DB__POOL_SIZE", "many")
    assert "db.pool_size" in ask(place)["settings"]["findings"][0]["message"]


def test_damage_and_connections(place: Place, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "postgresql":
        monkeypatch.setenv("MEALSHARE_DB__POOL_SIZE", "100000")
        assert "max_connections" in ask(place)["database"]["findings"][0]["message"]
        return
    change(place, "PRAGMA foreign_keys = OFF", "INSERT INTO post_tags (tag_id, post_id) VALUES (1, 2)")
    assert "post_tags names a row of" in ask(place)["database"]["findings"][0]["message"]
    file = Path(place.url.removeprefix("sqlite:///"))
    change(place, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(file.read_bytes())
    data[8192:12288] = b"\xff" * 4096
    file.write_bytes(data)
    assert ask(place)["database"]["status"] == "error"
