"""What the tests stand on: real databases, the whole application, people who act.

A test that asks for any of ``registry``, ``app``, ``work`` or ``make_user`` runs once on SQLite and once on PostgreSQL
and finds an empty site; what it writes is committed.  ``tests/databases.py`` says how to include PostgreSQL.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy import Connection, Engine, text
from webob.request import BaseRequest
from webtest import TestApp

from mealshare import main
from mealshare.core.db import Base, DatabaseSettings, make_engine, read_engine, record_statements
from mealshare.core.db.migrate import upgrade
from mealshare.core.jobs import run_due
from mealshare.core.settings import Secret
from tests import plans
from tests.conformance import Conforming
from tests.databases import (
    POSTGRES_LEFT_OUT,
    RABBITMQ_LEFT_OUT,
    REDIS_LEFT_OUT,
    REDIS_SERVER_LEFT_OUT,
    Backend,
    new_database,
    postgres_url,
    rabbitmq_url,
    redis_url,
    services_required,
)
from tests.nginx_server import NGINX_LEFT_OUT
from tests.nodejs import NODE_LEFT_OUT, find_node
from tests.people import add_user, bearer, draw, sign_in
from tests.postgres_cluster import SERVER_LEFT_OUT, find_programs
from tests.sites import RunningSite, running_site, site_settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_LEFT_OUT = "browser: install Chromium (Debian: apt-get install chromium) to include it"


def left_out(reason: str) -> None:
    """Skip the test, or fail it where nothing may be left out."""
    if services_required():
        pytest.fail(f"left out, although MEALSHARE_TEST_REQUIRE_SERVICES=1: {reason}")
    pytest.skip(reason)


def find_chromium() -> str | None:
    """Where Chromium is on this machine."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A name that can be sent between the processes that share the tests: halves of surrogate pairs cannot."""
    if isinstance(val, str) and any("\ud800" <= char <= "\udfff" for char in val):
        return ascii(val)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """The same for what a test has logged."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line what did not run, so that a green run is not taken for more than it is."""
    missing = [] if postgres_url() is not None else [POSTGRES_LEFT_OUT]
    missing += [] if redis_url() is not None else [REDIS_LEFT_OUT]
    missing += [] if rabbitmq_url() is not None else [RABBITMQ_LEFT_OUT]
    missing += [] if find_programs() is not None else [SERVER_LEFT_OUT]
    missing += [] if shutil.which("redis-server") is not None else [REDIS_SERVER_LEFT_OUT]
    missing += [] if shutil.which("nginx") is not None else [NGINX_LEFT_OUT]
    missing += [] if find_chromium() is not None else [BROWSER_LEFT_OUT]
    missing += [] if find_node() is not None else [NODE_LEFT_OUT]
    for reason in missing:
        terminalreporter.write_line(f"LEFT OUT {reason}", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    """A setting in the environment of whoever runs the tests must not change what they test."""
    for name in [name for name in os.environ if name.startswith("MEALSHARE_") and "__" in name]:
        del os.environ[name]


#: As Python has it before anybody sets up a log.
ROOT_LEVEL = logging.getLogger().level


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command sets up logging for a process of its own; where one runs in this process, no other test must notice."""
    root = logging.getLogger()
    root.setLevel(ROOT_LEVEL)
    yield
    root.setLevel(ROOT_LEVEL)
    for handler in list(root.handlers):
        # Those of pytest are of classes of its own.
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def _bodies_in_memory() -> None:
    """WebOb leaves it to the garbage collector to close the file of a large body, and warnings are errors here."""
    BaseRequest.request_body_tempfile_limit = 2**30


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """The database of this run of the test."""
    if request.param == "postgresql" and postgres_url() is None:
        left_out(POSTGRES_LEFT_OUT)
    return request.param


@pytest.fixture(scope="session")
def migrated(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a migrated, empty database; only ever copied."""
    with new_database(backend, tmp_path_factory.mktemp("migrated")) as url:
        upgrade(url)
        yield url


@pytest.fixture
def database_url(backend: Backend, migrated: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database of this test alone."""
    with new_database(backend, tmp_path, copy_of=migrated) as url:
        yield url


@pytest.fixture(scope="session")
def site_folder(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the application of the tests keeps its files: ``media`` and ``mail``."""
    return tmp_path_factory.mktemp(f"site-{backend}")


@pytest.fixture(scope="session")
def wsgi_app(backend: Backend, migrated: str, site_folder: Path) -> Iterator[Router]:
    """The whole application, once for all tests on one database; it runs jobs only when a test says so."""
    with new_database(backend, site_folder, copy_of=migrated) as url:
        settings = site_settings(site_folder, url, "http://localhost") | {"jobs.engine": "worker"}
        application = main({}, **settings)
        yield Conforming(application)
        application.registry["engine"].dispose()


@pytest.fixture(scope="session")
def large_database(backend: Backend, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The large site of `tests.plans`, made once for all tests on one database; nobody may write to it."""
    with new_database(backend, tmp_path_factory.mktemp("large"), copy_of=migrated) as url:
        engine = make_engine(DatabaseSettings(url=Secret(url)))
        plans.fill(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def large_site(large_database: Engine) -> Iterator[Connection]:
    """A reading connection to the large site of `tests.plans`: for plans, which mean little on a small one."""
    with read_engine(large_database).connect() as connection:
        plans.expect_quick_disk(connection)
        yield connection


@pytest.fixture
def registry(wsgi_app: Router, site_folder: Path) -> Any:
    """The registry of the application, whose database, caches and folders have just been emptied."""
    registry = wsgi_app.registry
    with registry["engine"].begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
        for name in ("meal_words", "person_words"):
            connection.execute(text(f"DELETE FROM {name}"))
    registry["cache"].clear()
    registry["fragments"].clear()
    registry["ratelimit"].reset()
    registry.pop("draining", None)
    for folder in ("media", "mail"):
        for item in (site_folder / folder).glob("*"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
    return registry


@pytest.fixture
def app(wsgi_app: Router, registry: Any) -> TestApp:
    """A visitor with a cookie jar, at an empty site."""
    return TestApp(wsgi_app)


@pytest.fixture
def new_app(wsgi_app: Router, registry: Any) -> Callable[[], TestApp]:
    """Another visitor with a cookie jar of their own, at each call."""
    return lambda: TestApp(wsgi_app)


@pytest.fixture
def work(registry: Any) -> Callable[[], Any]:
    """``with work() as unit:`` is a unit of work that commits at its end."""
    return registry["open_work"]


@pytest.fixture
def make_user(registry: Any) -> Callable[..., SimpleNamespace]:
    """``make_user(username, role=..., email=..., password=..., locale=..., time_zone=..., display_name=...)``."""
    return partial(add_user, registry)


@pytest.fixture
def login() -> Callable[[TestApp, Any], None]:
    """``login(app, user)``: with the form, as a person does."""
    return sign_in


@pytest.fixture
def token() -> Callable[[TestApp, Any], dict[str, str]]:
    """``token(app, user)``: over the API; gives the headers to send."""
    return bearer


@pytest.fixture
def run_jobs() -> Callable[[Any], int]:
    """``run_jobs(registry)``: all that are due; gives how many ran."""
    return run_due


@pytest.fixture
def rate_limits(registry: Any) -> Iterator[Any]:
    """The limits hold in this test, as by default on a real site; gives the limiter."""
    limiter = registry["ratelimit"]
    limiter.enabled = True
    yield limiter
    limiter.enabled = False


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """``picture(kind="jpeg", size=(800, 600))``: a picture file."""
    return draw


@pytest.fixture
def count_statements() -> Callable[[], Any]:
    """``with count_statements() as statements:`` collects the SQL that this thread runs, requests of ``app`` included."""
    return record_statements


@pytest.fixture(scope="session")
def need_postgres_server() -> None:
    """`tests.postgres_cluster` can start one."""
    if find_programs() is None:
        left_out(SERVER_LEFT_OUT)


@pytest.fixture(scope="session")
def need_redis_server() -> None:
    """`tests.redis_server` can start one."""
    if shutil.which("redis-server") is None:
        left_out(REDIS_SERVER_LEFT_OUT)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A `tests.s3_server.OwnS3` for all tests: each makes a bucket of its own and leaves the server as it was."""
    # Here, because the library takes half a second, and most tests have no use for it.
    from tests.s3_server import own_s3

    with own_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def need_nginx() -> None:
    """`tests.nginx_server` can start one."""
    if shutil.which("nginx") is None:
        left_out(NGINX_LEFT_OUT)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is."""
    path = find_chromium()
    if path is None:
        left_out(BROWSER_LEFT_OUT)
    return path or ""


@pytest.fixture(scope="session")
def node() -> str:
    """Where Node.js is; `tests.nodejs.npm_ci` installs what a folder needs."""
    path = find_node()
    if path is None:
        left_out(NODE_LEFT_OUT)
    return path or ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A site on SQLite in a process of its own, with its worker; one for all tests of a module."""
    folder = tmp_path_factory.mktemp("server")
    with new_database("sqlite", folder) as url:
        upgrade(url)
        with running_site(folder, url) as site:
            yield site


@pytest.fixture
def start_server(database_url: str, tmp_path: Path) -> Callable[..., Any]:
    """``with start_server(section__key=value) as site:`` is a site for this test alone, on either database."""

    def start(**settings: str) -> Any:
        return running_site(tmp_path, database_url, **settings)

    return start
