"""A small application with the real directives, and operations that use all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from webtest import TestApp

from tests.core.api import small

CORE = (
    "mealshare.core.settings",
    "mealshare.core.log",
    "mealshare.core.db",
    "mealshare.core.transactions",
    "mealshare.core.security",
    "mealshare.core.i18n",
    "mealshare.core.messages",
    "mealshare.core.ratelimit",
    "mealshare.api",
)
BASE = "https://meals.example"
ORIGIN = "https://app.example"

Make = Callable[..., TestApp]
Configured = Callable[..., Configurator]


def problem(answer: Any, code: str) -> dict[str, Any]:
    """The problem document of ``answer``, which must be of the kind ``code``."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json
    assert document["type"] == f"{BASE}/problems/{code}"
    assert document["status"] == answer.status_int
    assert document["title"]
    assert document["detail"]
    return document


def configure(url: str, settings: dict[str, Any]) -> Configurator:
    """The small application, not yet made."""
    given = {
        "site.base_url": BASE,
        "site.secret": "a-secret-of-more-than-thirty-two-characters",
        "db.url": url,
        "db.check_revision": "false",
        "cors.origins": f"{ORIGIN} http://localhost:5173",
    }
    config = Configurator(settings=given | settings)
    for name in CORE:
        config.include(name)
    config.include(small)
    return config


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configured]:
    """``configured(**{"cors.origins": ...})``: the configuration, with further settings."""
    # WebOb keeps larger bodies in temporary files, which only the garbage collector closes, with a warning.
    monkeypatch.setattr(Request, "request_body_tempfile_limit", 4 * 1024 * 1024)
    engines = []

    def build(**settings: Any) -> Configurator:
        config = configure(f"sqlite:///{tmp_path}/small.sqlite", settings)
        engines.append(config.registry["engine"])
        return config

    yield build
    for engine in engines:
        engine.dispose()


@pytest.fixture
def make(configured: Configured) -> Make:
    """``make(**{"cors.origins": ...})``: the application with further settings."""
    return lambda **settings: TestApp(configured(**settings).make_wsgi_app())


@pytest.fixture
def app(make: Make) -> TestApp:
    """The application as it comes."""
    return make()
