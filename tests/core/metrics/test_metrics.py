"""Metrics: what they count, for whom, and that nobody can make them grow without end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from mealshare import main
from mealshare.core.jobs.models import Job, JobState
from mealshare.core.jobs.worker import run_one
from mealshare.core.metrics.settings import MetricsSettings, allowed_networks, is_among
from mealshare.core.settings import BootError, Secret, SettingsError
from tests.sites import RunningSite, free_port, running_site, site_settings, write_ini

_LINE = re.compile(r"^(mealshare_\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
#: Seconds in which samples, which are taken every five, must have been taken.
SOON = 30


def figures(body: str) -> dict[tuple[str, str], float]:
    """Each sample by its name and labels."""
    return {(name, labels): float(value) for name, labels, value in _LINE.findall(body)}


def total(found: dict[tuple[str, str], float], name: str, *labels: str) -> float:
    """The sum of the samples of that name that have all the labels."""
    return sum(
        value for (known, given), value in found.items() if known == name and all(one in given for one in labels)
    )


def get(url: str, **headers: str) -> tuple[int, str]:
    """The status and the body of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def measured(database_url: str, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A site that counts, in this process; ``ask()`` gives its figures."""
    settings = site_settings(tmp_path, database_url, "http://localhost") | {
        "metrics.enabled": "true", "ratelimit.enabled": "true", "ratelimit.api": "3/5 minutes",
        "jobs.engine": "worker",
    }  # fmt: skip
    application = main({}, **settings)
    app = TestApp(application, extra_environ={"REMOTE_ADDR": "127.0.0.1"}, lint=False)

    def ask() -> dict[tuple[str, str], float]:
        return figures(app.get("/metrics").text)

    yield SimpleNamespace(app=app, registry=application.registry, ask=ask)
    application.registry["engine"].dispose()


def test_requests_statements_and_times_are_counted_by_route(measured: SimpleNamespace) -> None:
    for _ in range(3):
        measured.app.get("/")
    measured.app.get("/@nobody", status=404)
    found = measured.ask()
    fronts = [key for key in found if key[0] == "mealshare_http_requests_total" and 'status="2xx"' in key[1]]
    assert [found[key] for key in fronts if 'route="front"' in key[1] or 'route="home"' in key[1]] == [3.0], fronts
    assert total(found, "mealshare_http_requests_total", 'status="4xx"', 'method="GET"') == 1
    assert total(found, "mealshare_http_request_seconds_count") == 4
    assert total(found, "mealshare_sql_statements_total") >= 4
    assert total(found, "mealshare_sql_seconds_total") > 0
    assert total(found, "mealshare_info", 'version="') == 1
    assert total(found, "mealshare_database_up") == 1
    assert found["mealshare_db_pool_size", ""] >= 1


def test_a_scan_of_random_addresses_makes_no_labels(measured: SimpleNamespace) -> None:
    measured.app.get("/random/start", status=404)
    before = set(measured.ask())
    for number in range(60):
        measured.app.get(f"/scan/{number}/x{number}.php", status=404)
        measured.app.request(f"/wp-{number}", method=("TRACE", "PROPFIND")[number % 2], expect_errors=True)
        measured.app.get(f"/@somebody{number}", status=404)
    added = {key for key in set(measured.ask()) - before if not key[0].endswith("_bucket")}
    assert len(added) < 15, added
    assert not [key for key in measured.ask() if "scan" in key[1] or "PROPFIND" in key[1] or "somebody" in key[1]]


def test_jobs_are_counted_by_name_and_outcome(measured: SimpleNamespace) -> None:
    registry = measured.registry

    def fail(*_about: Any) -> None:
        raise RuntimeError("on purpose")

    registry["jobs"].handlers |= {"good": lambda *_about: None, "bad": fail}
    with registry["open_work"]() as work:
        for name in ("good", "bad", "bad"):
            work.enqueue(name, {})
        work.session.flush()
        work.session.query(Job).filter(Job.name == "bad").first().attempts = 7
    while run_one(registry):
        pass
    found = measured.ask()
    for name, outcome in (("good", "done"), ("bad", "failed"), ("bad", "dead")):
        assert total(found, "mealshare_jobs_total", f'job="{name}"', f'outcome="{outcome}"') == 1, (name, outcome)
    assert total(found, "mealshare_jobs_present", f'state="{JobState.DEAD.value}"') == 1
    assert total(found, "mealshare_job_seconds_count", 'job="bad"') == 2
    with registry["engine"].begin() as connection:
        connection.execute(
            text("UPDATE jobs SET run_at = :moment WHERE state = 'queued'"), {"moment": _an_hour_ago(registry)}
        )
    assert 3000 < total(measured.ask(), "mealshare_jobs_oldest_due_seconds") < 5000


def _an_hour_ago(registry: Any) -> Any:
    from datetime import UTC, datetime, timedelta

    moment = datetime.now(UTC) - timedelta(hours=1)
    return moment if registry["engine"].dialect.name == "postgresql" else moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def test_caches_and_limits_are_counted(measured: SimpleNamespace) -> None:
    registry = measured.registry
    registry["cache"].set("key", b"value", 60)
    registry["cache"].get("key")
    registry["cache"].get_many(["key", "none"])
    registry["fragments"].put(("a", 1), "piece", 5)
    for key in (("a", 1), ("a", 1), ("b", 1)):
        registry["fragments"].get(key)
    for _ in range(5):
        measured.app.get("/api/feed", expect_errors=True)
    found = measured.ask()
    assert total(found, "mealshare_cache_lookups_total", 'cache="values"', 'result="hit"') >= 2
    assert total(found, "mealshare_cache_lookups_total", 'cache="values"', 'result="miss"') >= 1
    assert total(found, "mealshare_cache_lookups_total", 'cache="fragments"', 'result="hit"') >= 2
    assert total(found, "mealshare_cache_lookups_total", 'cache="fragments"', 'result="miss"') >= 1
    assert total(found, "mealshare_ratelimit_refusals_total", 'limit="api"') == 2


def test_only_the_allowed_may_read(tmp_path: Path, database_url: str) -> None:
    more = {"metrics.enabled": "true", "metrics.token": "sesame", "metrics.allow": "10.0.0.0/8 127.0.0.1"}
    application = main({}, **site_settings(tmp_path, database_url, "http://localhost"), **more)
    app = TestApp(application)
    try:
        for address, header, status in (
            ("127.0.0.1", "Bearer sesame", 200), ("10.1.2.3", "Bearer sesame", 200), ("::ffff:10.1.2.3", "Bearer sesame", 200),
            ("127.0.0.1", "Bearer sesam", 404), ("127.0.0.1", "Basic sesame", 404), ("127.0.0.1", "", 404),
            ("192.0.2.1", "Bearer sesame", 404), ("", "Bearer sesame", 404),
        ):  # fmt: skip
            headers = {"Authorization": header} if header else {}
            answer = app.get("/metrics", headers=headers, extra_environ={"REMOTE_ADDR": address}, expect_errors=True)
            assert (answer.status_int == 200) is (status == 200), (address, header)
            assert (
                answer.status_int == app.get("/other", headers=headers, expect_errors=True).status_int or status == 200
            )
            assert ("mealshare_" in answer.text) is (status == 200)
    finally:
        application.registry["engine"].dispose()


def test_addresses_are_networks_and_any_needs_a_token() -> None:
    assert is_among("192.0.2.1", allowed_networks(MetricsSettings(allow=("*",), token=Secret("t"))))
    assert not is_among(None, allowed_networks(MetricsSettings()))
    for wrong in (("*",), ("nonsense",), ("10.0.0.1/8",)):
        with pytest.raises(SettingsError, match=r"metrics\.allow"):
            allowed_networks(MetricsSettings(allow=wrong))


def test_off_it_is_unknown_and_nothing_is_imported(tmp_path: Path, database_url: str) -> None:
    settings = site_settings(tmp_path, database_url, "http://localhost")
    program = f"""
import sys
from mealshare import main
from webtest import TestApp
app = TestApp(main({{}}, **{settings!r}), extra_environ={{"REMOTE_ADDR": "127.0.0.1"}})
app.get("/metrics", status=404)
assert "prometheus_client" not in sys.modules
assert "meter" not in app.app.registry
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=120)


def test_a_folder_that_cannot_be_written_to_stops_the_boot(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "file").write_text("")
    more = {"metrics.enabled": "true", "metrics.folder": str(tmp_path / "file" / "folder")}
    with pytest.raises(BootError, match=r"metrics\.folder"):
        main({}, **site_settings(tmp_path, database_url, "http://localhost"), **more)


def front_pages(site: RunningSite) -> float:
    """How many requests the site says that all processes together have had at their front page."""
    status, body = get(f"{site.url}/metrics")
    assert status == 200, body
    return total(figures(body), "mealshare_http_requests_total", 'route="health.live"')


def test_processes_count_together_and_what_the_dead_counted_stays(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    more = {"metrics__enabled": "true", "metrics__folder": str(folder), "jobs__engine": "worker"}
    with running_site(places[0], database_url, **more) as one:
        with running_site(places[1], database_url, **more) as two:
            before = front_pages(one)
            for site, count in ((one, 3), (two, 4)):
                for _ in range(count):
                    get(f"{site.url}/health/live")
            assert front_pages(one) == front_pages(two) == before + 7
            assert total(figures(get(f"{one.url}/metrics")[1]), "mealshare_db_pool_size") == 2 * _pool(one, folder)
        # The second one is gone: what it counted stays, its gauges and files go.
        assert front_pages(one) == before + 7
        assert total(figures(get(f"{one.url}/metrics")[1]), "mealshare_db_pool_size") == _pool(one, folder)
        assert not list(folder.glob(f"*_{two.process.pid}.db"))
        _run_a_worker(tmp_path, database_url, folder, one)


def _pool(site: RunningSite, folder: Path) -> float:
    """What one process alone says."""
    from prometheus_client.mmap_dict import MmapedDict

    file = folder / f"gauge_livesum_{site.process.pid}.db"
    values = {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(file))}
    return next(value for key, value in values.items() if "mealshare_db_pool_size" in key)


def _run_a_worker(tmp_path: Path, database_url: str, folder: Path, site: RunningSite) -> None:
    """What a worker does in a process of its own is told by the process that serves."""
    settings = site_settings(tmp_path, database_url, site.url) | {
        "metrics.enabled": "true", "metrics.folder": str(folder), "jobs.engine": "worker", "jobs.poll_seconds": "0.2",
    }  # fmt: skip
    ini = tmp_path / "worker.ini"
    write_ini(ini, settings, free_port())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
    command = [str(Path(sys.executable).parent / "mealshare"), "-c", str(ini), "worker"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + SOON
        # Periodic jobs are due at once.
        while not total(figures(get(f"{site.url}/metrics")[1]), "mealshare_jobs_total", 'outcome="done"'):
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.3)
    finally:
        process.terminate()
        process.wait(30)
