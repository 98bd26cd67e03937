"""`mealshare doctor` and what the site talks to: a database that is not as it should be, a broker and a bucket that are away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from mealshare.core.doctor import database
from tests.cli.places import NewPlace, Place
from tests.databases import Backend
from tests.redis_server import own_redis
from tests.s3_server import own_s3


@pytest.fixture
def place(demo: Place, backend: Backend, new_place: NewPlace) -> Place:
    """A copy of the site with demo data."""
    return new_place(backend, copy_of=demo)


def ask(place: Place, check: str) -> dict[str, Any]:
    """What the doctor says of one thing."""
    result = place.run("doctor", "--json")
    reports = {report["check"]: report for report in json.loads(result.stdout)}
    assert result.exit_code == int(any(report["status"] == "error" for report in reports.values())), result.output
    return reports[check]


def words(report: dict[str, Any]) -> str:
    return " ".join(finding["message"] for finding in report["findings"])


ON_POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@ON_POSTGRESQL
def test_a_postgresql_that_is_too_old(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(place, "database")["findings"] == []
    monkeypatch.setattr(database, "OLDEST_POSTGRESQL", 99)
    report = ask(place, "database")
    assert report["status"] == "error"
    assert "is too old: use 99 or newer" in words(report)


@ON_POSTGRESQL
def test_a_time_zone_that_something_between_sets(place: Place) -> None:
    def set_zone(connection: Any, record: Any) -> None:
        """As a pooler does that gives out its own connections."""
        with connection.cursor() as cursor:
            cursor.execute("SET timezone = 'Asia/Shanghai'")
        connection.commit()

    event.listen(Engine, "connect", set_zone)
    try:
        report = ask(place, "database")
    finally:
        event.remove(Engine, "connect", set_zone)
    assert report["status"] == "error"
    assert "the connection's time zone is Asia/Shanghai, not UTC" in words(report)
    assert ask(place, "database")["status"] == "ok"


@ON_SQLITE
def test_a_broker_that_goes_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, need_redis_server: None
) -> None:
    with own_redis(tmp_path) as broker:
        monkeypatch.setenv("MEALSHARE_JOBS__ENGINE", "celery")
        monkeypatch.setenv("MEALSHARE_JOBS__BROKER", broker.url)
        assert "broker" not in words(ask(place, "services"))
        broker.kill()
        assert "broker cannot be reached" in words(ask(place, "services"))
    monkeypatch.setenv("MEALSHARE_JOBS__BROKER", "amqp://meals:hunter2hunter2@127.0.0.1:1//")
    report = ask(place, "services")
    assert "broker cannot be reached" in words(report)
    assert "hunter2" not in json.dumps(report)


@ON_SQLITE
def test_a_bucket_that_goes_away(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with own_s3(tmp_path) as server:
        for name, value in server.settings().items():
            monkeypatch.setenv(f"MEALSHARE_{name.upper()}", value)
        assert ask(place, "services")["status"] == "ok"
        # Nothing was brought there, and that is told too.
        assert "files are missing" in words(ask(place, "pictures"))
        server.kill()
        monkeypatch.setenv("MEALSHARE_STORAGE__TIMEOUT", "2")
        report = ask(place, "services")
        assert report["status"] == "error"
        assert "storage cannot be reached" in words(report)
        assert ask(place, "pictures")["status"] == "error"
