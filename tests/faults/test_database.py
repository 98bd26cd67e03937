"""PostgreSQL is restarted, stopped and killed under load; four upgrades at once of an empty database, on both."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from mealshare.core.db.migrate import head_revision, upgrade
from mealshare.core.db.revision import current_revision
from tests.databases import Backend, new_database
from tests.faults.diners import PEOPLE, registry_of, settings_for
from tests.hammer import hammering, token, wait_for_good
from tests.people import add_user
from tests.postgres_cluster import Cluster, own_cluster
from tests.sites import running_site, site_settings, write_ini

#: Seconds within which all is well again, and for which it is away.
BACK, AWAY = 10.0, 3.0
AT_ONCE = 4


def restart_fast(cluster: Cluster) -> None:
    cluster.restart()


def stop_for_a_while(cluster: Cluster) -> None:
    cluster.stop()
    time.sleep(AWAY)
    cluster.start()


def crash(cluster: Cluster) -> None:
    cluster.kill()
    cluster.start()


@pytest.mark.promise(
    "PostgreSQL restarted, stopped for 3 s, killed",
    "only success or 503 + Retry-After; back within 10 s; 0 writes lost",
)
def test_a_database_that_goes_and_comes(
    need_postgres_server: None, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    with own_cluster() as cluster:
        cluster.run("CREATE DATABASE site")
        url = cluster.url("site")
        upgrade(url)
        with registry_of(settings_for(tmp_path, url)) as registry:
            for number in range(PEOPLE):
                add_user(registry, f"person{number}")
        with running_site(tmp_path, url) as site:
            people = [token(site, f"person{number}") for number in range(PEOPLE)]
            with hammering(site, people) as seen:
                latest = 0.0
                for trouble in (restart_fast, stop_for_a_while, crash) * 2:
                    time.sleep(0.5)
                    trouble(cluster)
                    latest = max(latest, wait_for_good(seen, time.monotonic(), BACK))
        lost = set(seen.posted) - {row[0] for row in cluster.run("SELECT food FROM posts", "site")}
        assert seen.wrong == []
        assert seen.count(503) > 0, "nobody noticed anything: the test is none"
        assert not lost
        figure(
            f"6 times: {sum(seen.answers.values()):,} answers, {seen.count(503):,} of them 503 with Retry-After and 0 other"
            f" errors; good answers {latest:.1f} s after its return at the latest; 0 of {len(seen.posted)} meals lost"
        )


def _schema(url: str) -> list[str]:
    """The statements that make the schema, or the columns of all tables."""
    engine = create_engine(url)
    question = (
        "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY 1"
        if engine.dialect.name == "sqlite"
        else "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable) FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1"
    )
    with engine.connect() as connection:
        rows = [row[0] for row in connection.exec_driver_sql(question)]
        assert len(connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()) == 1
    assert current_revision(engine) == head_revision()
    engine.dispose()
    return rows


@pytest.mark.promise("four `mealshare db upgrade` at once", "all succeed; the schema is right, once")
def test_upgrades_at_once(backend: Backend, migrated: str, tmp_path: Path, figure: Callable[[str], None]) -> None:
    with new_database(backend, tmp_path) as url:
        ini = tmp_path / "site.ini"
        write_ini(ini, site_settings(tmp_path, url, "http://localhost"), 1)
        command = [sys.executable, "-W", "ignore", "-c", "from mealshare.cli import main; main()", "-c", str(ini)]
        running = [
            subprocess.Popen([*command, "db", "upgrade"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(AT_ONCE)
        ]
        said = [process.communicate(timeout=180)[0] for process in running]
        assert [process.returncode for process in running] == [0] * AT_ONCE, "\n".join(said)
        assert _schema(url) == _schema(migrated)
        figure(f"{AT_ONCE} of {AT_ONCE} succeed, one schema")
