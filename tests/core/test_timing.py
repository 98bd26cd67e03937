"""Server-Timing: told in development, to scripts of other sites too, and not installed otherwise."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ITweens
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router
from sqlalchemy import event, text

from mealshare.core import timing
from mealshare.core.db import fetch
from mealshare.core.errors import NotFound
from mealshare.core.security.permissions import CorePermission
from tests.functional.hostile_requests import send

ORIGIN = "https://app.example"
CORE = ("settings", "log", "db", "timing", "transactions", "security", "i18n", "messages", "ratelimit")


def read(request: Request) -> Response:
    """Two statements and a nap."""
    for number in (1, 2):
        fetch(request.conn, text(f"SELECT {number}"))
    time.sleep(0.02)
    return Response(json_body=[])


def fail(request: Request) -> Response:
    """One statement, in the transaction, and an error."""
    request.db.execute(text("SELECT 1"))
    raise NotFound


def make(tmp_path: Path, **settings: str) -> Router:
    """An application with CORS."""
    given = {
        "site.base_url": "http://localhost", "site.secret": "s" * 32, "db.url": f"sqlite:///{tmp_path}/db.sqlite",
        "db.check_revision": "false", "cors.origins": ORIGIN,
    }  # fmt: skip
    config = Configurator(settings=given | {name.replace("__", "."): value for name, value in settings.items()})
    for name in CORE:
        config.include(f"mealshare.core.{name}")
    config.include("mealshare.api")
    for view in (read, fail):
        config.add_route(view.__name__, f"/api/{view.__name__}")
        config.add_view(view, route_name=view.__name__, permission=CorePermission.PUBLIC)
    return config.make_wsgi_app()


@pytest.fixture
def timed(tmp_path: Path) -> Any:
    """The application with the setting on."""
    app = make(tmp_path, timing__enabled="true")
    yield app
    app.registry["engine"].dispose()


def durations(header: str) -> dict[str, float]:
    """Milliseconds by name."""
    return {name: float(value) for name, value in re.findall(r"(\w+)(?:;desc=\"\d+\")?;dur=([0-9.]+)", header)}


def test_told(timed: Router) -> None:
    header = send(timed, "GET", "/api/read").header("Server-Timing")
    assert re.fullmatch(r'total;dur=[\d.]+, sql;desc="2";dur=[\d.]+, view;dur=[\d.]+', header)
    spent = durations(header)
    assert spent["total"] >= spent["view"] >= 20 > spent["sql"] > 0
    # Each request counts its own.
    assert 'desc="2"' in send(timed, "GET", "/api/read").header("Server-Timing")
    assert 'desc="1"' in send(timed, "GET", "/api/fail").header("Server-Timing")
    assert 'desc="0"' in send(timed, "GET", "/nothing").header("Server-Timing")


def test_told_to_scripts_that_may_read_the_answer(timed: Router) -> None:
    granted = send(timed, "GET", "/api/read", headers={"HTTP_ORIGIN": ORIGIN})
    assert granted.header("Timing-Allow-Origin") == ORIGIN
    assert granted.header("Access-Control-Expose-Headers").endswith(", Server-Timing")
    for stranger in ({}, {"HTTP_ORIGIN": "https://evil.example"}):
        refused = send(timed, "GET", "/api/read", headers=stranger)
        assert (refused.header("Timing-Allow-Origin"), refused.header("Access-Control-Expose-Headers")) == ("", "")


def test_off_nothing_of_it_is_there(tmp_path: Path) -> None:
    app = make(tmp_path)
    got = send(app, "GET", "/api/read", headers={"HTTP_ORIGIN": ORIGIN})
    assert (got.header("Server-Timing"), got.header("Timing-Allow-Origin")) == ("", "")
    assert "Server-Timing" not in got.header("Access-Control-Expose-Headers")
    tweens = [name for name, _ in app.registry.getUtility(ITweens).implicit()]
    assert "mealshare.core.timing.timing_tween_factory" not in tweens
    engine = app.registry["engine"]
    assert not event.contains(engine, "after_cursor_execute", timing._statement_ends)
    engine.dispose()
