"""Traces: what a span holds and what it must not, that jobs belong to their request, and that they leave the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import select, text
from webtest import TestApp

from mealshare import main
from mealshare.core.jobs import run_due
from mealshare.core.jobs.models import Job
from mealshare.core.settings import BootError, Secret, SettingsError
from mealshare.core.tracing import TracingSettings
from mealshare.core.tracing.settings import check_settings, parse_headers
from tests.functional.streams import wait_until
from tests.hosted_site import Program
from tests.otlp_collector import own_collector
from tests.people import add_user, bearer
from tests.sites import free_port, running_site, site_settings

#: As of somebody else's request, which was sampled.
STRANGER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SOON = 30


@pytest.fixture
def make_site(database_url: str, tmp_path: Path) -> Iterator[Callable[..., SimpleNamespace]]:
    """``make_site(share="1")``: a site that is traced, in this process; ``spans()`` gives what it told since."""
    with ExitStack() as stack:

        def make(**more: str) -> SimpleNamespace:
            settings = site_settings(tmp_path, database_url, "http://localhost") | {"jobs.engine": "worker"}
            settings |= {"tracing.enabled": "true", "tracing.share": "1"}
            application = main({}, **settings | {f"tracing.{name}": value for name, value in more.items()})
            registry = application.registry
            stack.callback(registry["engine"].dispose)
            exporter = InMemorySpanExporter()
            registry["tracing"].provider.add_span_processor(SimpleSpanProcessor(exporter))

            def spans() -> list[ReadableSpan]:
                found = list(exporter.get_finished_spans())
                exporter.clear()
                return found

            return SimpleNamespace(app=TestApp(application, lint=False), registry=registry, spans=spans)

        yield make


def roots(spans: list[ReadableSpan]) -> list[ReadableSpan]:
    return [span for span in spans if span.kind == SpanKind.SERVER]


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_is_a_span_and_its_statements_are_within(make_site: Callable[..., SimpleNamespace]) -> None:
    site = make_site()
    site.app.get("/api/meals")
    site.spans()
    answer = site.app.get("/api/meals?limit=3")
    statement, request = site.spans()
    assert (request.name, request.kind) == ("GET /api/meals", SpanKind.SERVER)
    assert about(request) == {
        "http.request.method": "GET", "url.scheme": "http", "url.path": "/api/meals", "http.route": "/api/meals",
        "http.response.status_code": 200, "mealshare.request_id": answer.headers["X-Request-Id"],
    }  # fmt: skip
    assert statement.parent == request.context
    told = about(statement)
    assert (statement.name, told["db.operation.name"]) == ("SELECT", "SELECT")
    assert told["db.system.name"] == site.registry["engine"].dialect.name
    assert told["db.query.text"].startswith("SELECT")
    assert request.start_time < statement.start_time < statement.end_time < request.end_time


def test_no_secret_and_no_value_is_told(make_site: Callable[..., SimpleNamespace]) -> None:
    site = make_site()
    secret = "s" * 43
    site.app.get(f"/password/reset/{secret}?next=/private", status="*")
    site.app.get("/api/meals?tag=nobody-may-know", status="*")
    site.app.post_json("/api/login", {"username": "mei", "password": "sesame open"}, status=401)
    spans = site.spans()
    assert len(roots(spans)) == 3
    told = repr([(span.name, about(span)) for span in spans])
    for word in (secret, "private", "nobody-may-know", "sesame", "127.0.0.1"):
        assert word not in told


def test_what_went_wrong(make_site: Callable[..., SimpleNamespace]) -> None:
    site = make_site()
    site.app.get("/nowhere/at/all", status=404)
    site.app.request("/", method="BREW", status="*")
    (unknown, made_up) = roots(site.spans())
    assert (unknown.name, unknown.status.status_code) == ("GET", StatusCode.UNSET)
    assert about(unknown)["http.response.status_code"] == 404
    assert (made_up.name, about(made_up)["http.request.method"]) == ("_OTHER /", "_OTHER")
    with site.registry["engine"].begin() as connection:
        connection.execute(text("ALTER TABLE posts RENAME TO gone"))
    site.spans()
    site.app.get("/api/meals", status=500)
    statement, request = site.spans()
    assert {span.status.status_code for span in (statement, request)} == {StatusCode.ERROR}
    assert about(request)["error.type"] in ("OperationalError", "ProgrammingError")
    assert about(statement)["error.type"] in ("OperationalError", "UndefinedTable")
    assert not statement.events
    assert not request.events


def test_a_job_belongs_to_the_request_that_wanted_it(make_site: Callable[..., SimpleNamespace]) -> None:
    site = make_site()
    mei = add_user(site.registry, "mei")
    headers = bearer(site.app, mei)
    run_due(site.registry)
    site.spans()
    site.app.post_json("/api/meals", {"food": "soup"}, headers=headers)
    (request,) = roots(site.spans())
    with site.registry["open_work"]() as work:
        written = set(
            work.session.scalars(select(Job.traceparent).where(Job.key.not_like("periodic:%") | Job.key.is_(None)))
        )
    assert {value[:-2] for value in written} == {f"00-{request.context.trace_id:032x}-{request.context.span_id:016x}-"}
    assert {int(value[-2:], 16) & 1 for value in written} == {1}
    run_due(site.registry)
    jobs = [span for span in site.spans() if span.kind == SpanKind.CONSUMER and span.parent]
    assert jobs
    for job in jobs:
        assert job.parent.span_id == request.context.span_id
        assert job.name == f"process {about(job)['messaging.destination.name']}"
        assert about(job)["mealshare.request_id"] == about(request)["mealshare.request_id"]


def test_a_job_that_fails(make_site: Callable[..., SimpleNamespace]) -> None:
    site = make_site()

    def fail(*_about: Any) -> None:
        raise RuntimeError("with a secret in its words")

    site.registry["jobs"].handlers["bad"] = fail
    with site.registry["open_work"]() as work:
        work.enqueue("bad", {})
    run_due(site.registry)
    (job,) = [span for span in site.spans() if span.name == "process bad"]
    assert (job.status.status_code, about(job)["error.type"]) == (StatusCode.ERROR, "RuntimeError")
    assert "secret" not in repr(about(job)) + repr(job.status.description) + repr(job.events)


def test_who_decides_what_is_traced(make_site: Callable[..., SimpleNamespace]) -> None:
    none, continuing = make_site(share="0"), make_site(share="0", trust="true")
    given = {"traceparent": STRANGER}
    none.app.get("/api/meals", headers=given)
    assert none.spans() == []
    continuing.app.get("/api/meals")
    assert continuing.spans() == []
    continuing.app.get("/api/meals", headers={"traceparent": "nonsense"})
    assert continuing.spans() == []
    continuing.app.get("/api/meals", headers=given)
    (request,) = roots(continuing.spans())
    assert f"{request.context.trace_id:032x}" in STRANGER


def test_jobs_of_a_request_that_is_not_traced_are_not(make_site: Callable[..., SimpleNamespace]) -> None:
    whole, none = make_site(share="1"), make_site(share="0")
    mei = add_user(none.registry, "mei")
    none.app.post_json("/api/meals", {"food": "soup"}, headers=bearer(none.app, mei))
    run_due(whole.registry)
    names = {about(span)["mealshare.request_id"] for span in whole.spans() if span.kind == SpanKind.CONSUMER}
    assert names <= {""}


def test_spans_of_all_processes_arrive(database_url: str, tmp_path: Path) -> None:
    with own_collector() as collector:
        traced = {"tracing.enabled": "true", "tracing.share": "1", "tracing.endpoint": collector.url}
        traced |= {"tracing.headers": "x-api-key=abc, x-team = kitchen", "tracing.service": "canteen"}
        site = site_settings(tmp_path, database_url, "http://localhost") | {
            "jobs.engine": "worker",
            "jobs.poll_seconds": "0.1",
        }
        web = Program(tmp_path / "web", site | traced, "pserve", "site.ini")
        worker = Program(tmp_path / "worker", site | traced, "mealshare", "-c", "site.ini", "worker")
        try:
            for program in (web, worker):
                program.start()
            web.wait()
            known = {"username": "mei", "password": "correct horse battery"}
            made = httpx.post(f"{web.url}/api/users", json=known | {"email": "mei@example.org"})
            assert made.status_code == 201, made.text
            token = httpx.post(f"{web.url}/api/login", json=known).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "the-meal"}
            assert httpx.post(f"{web.url}/api/meals", json={"food": "soup"}, headers=headers).status_code == 201
            wait_until(lambda: "the-meal" in worker.log, "a job", SOON)
        finally:
            # What has not been sent yet is sent at the end.
            web.stop()
            worker.stop()
        found = collector.spans()
        assert {service for service, _ in found} == {"canteen"}
        (request,) = [span for _, span in found if span.name == "POST /api/meals"]
        jobs = [span for _, span in found if span.name.startswith("process ") and span.trace_id == request.trace_id]
        assert jobs
        assert {job.parent_span_id for job in jobs} == {request.span_id}
        assert all(headers["x-api-key"] == "abc" and headers["x-team"] == "kitchen" for headers in collector.headers)


def test_a_collector_that_is_away_costs_nothing_but_its_spans(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}/v1/traces"
    url = f"sqlite:///{tmp_path}/site.sqlite"
    subprocess.run(
        [sys.executable, "-c", f"from mealshare.core.db.migrate import upgrade; upgrade({url!r})"], check=True
    )
    with running_site(tmp_path, url, tracing__enabled="true", tracing__share="1", tracing__endpoint=away) as site:
        for _ in range(20):
            assert httpx.get(f"{site.url}/api/meals").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"endpoint": "collector:4318"}, "endpoint"),
        ({"endpoint": "http://"}, "endpoint"),
        ({"share": 1.5}, "share"),
        ({"share": -0.1}, "share"),
        ({"service": ""}, "service"),
        ({"headers": Secret("abc")}, "headers"),
        ({"headers": Secret("=abc")}, "headers"),
        ({"headers": Secret("x=a\r\nb")}, "headers"),
    ],
)
def test_wrong_settings(wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(SettingsError, match=rf"tracing\.{what} is wrong") as caught:
        check_settings(TracingSettings(**wrong))
    assert "abc" not in str(caught.value)


def test_headers() -> None:
    assert parse_headers(TracingSettings(headers=Secret("a=b=c,, d = e "))) == {"a": "b=c", "d": "e"}


def test_off_means_that_nothing_is_imported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/site.sqlite"
    settings = site_settings(tmp_path, url, "http://localhost") | {"db.check_revision": "false"}
    program = f"""
import sys
from mealshare import main
main({{}}, **{settings!r})
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_on_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mealshare.core.tracing.tracer", None)
    url = f"sqlite:///{tmp_path}/site.sqlite"
    settings = site_settings(tmp_path, url, "http://localhost") | {"db.check_revision": "false"}
    with pytest.raises(BootError, match=r"mealshare\[opentelemetry\]"):
        main({}, **settings, **{"tracing.enabled": "true"})
