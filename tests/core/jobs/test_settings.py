"""Which engines a site may have, and what stops it from starting with one that cannot work."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest
from pyramid.config import Configurator

from mealshare.core.jobs import settings as module
from mealshare.core.jobs.broker import TASK
from mealshare.core.jobs.celery_worker import is_readable
from mealshare.core.settings import BootError, SettingsError

AMQP, REDIS = "amqp://guest:s3cret@localhost//", "redis://:s3cret@localhost:6379/1"


def configured(**settings: str) -> Any:
    config = Configurator(settings={f"jobs.{name}": value for name, value in settings.items()})
    config.include("mealshare.core.settings")
    config.include("mealshare.core.jobs")
    return config.registry


@pytest.mark.parametrize(
    ("settings", "threads", "helpers"),
    [
        ({}, 1, []),
        ({"engine": "embedded"}, 1, []),
        ({"engine": "worker"}, 0, []),
        ({"engine": "celery", "broker": AMQP}, 1, ["broker"]),
        ({"engine": "celery", "broker": REDIS}, 1, ["broker"]),
    ],
)
def test_the_serving_process_starts_what_the_engine_needs(
    settings: dict[str, str], threads: int, helpers: list[str]
) -> None:
    registry = configured(**settings)
    assert len(registry.get("on_serve", [])) == threads
    assert list(registry.get("health_helpers", {})) == helpers


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "threads"}, r"jobs\.engine .* 'threads' is not one of embedded, worker, celery"),
        ({"engine": "celery"}, r"jobs\.broker is missing"),
        ({"engine": "celery", "broker": "http://user:s3cret@localhost"}, r"jobs\.broker is wrong: it begins with none"),
        ({"engine": "celery", "broker": AMQP, "prefix": ""}, r"jobs\.prefix is wrong: it is empty"),
        ({"engine": "worker", "threads": "0"}, r"jobs\.threads"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        configured(**settings)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("broker", "library"), [(AMQP, "celery"), (REDIS, "redis")])
def test_a_library_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, broker: str, library: str
) -> None:
    def find(name: str) -> object:
        return None if name == library else importlib.util.find_spec(name)

    monkeypatch.setattr(module, "find_spec", find)
    with pytest.raises(BootError, match=rf"pip install 'mealshare\[{library}\]'"):
        configured(engine="celery", broker=broker)


def test_celery_is_imported_only_where_it_runs() -> None:
    """It is large: the embedded default, and every command that queues nothing, go without."""
    code = (
        "import sys\nfrom pyramid.config import Configurator\n"
        f"config = Configurator(settings={{'jobs.engine': 'celery', 'jobs.broker': '{AMQP}'}})\n"
        "config.include('mealshare.core.settings')\nconfig.include('mealshare.core.jobs')\n"
        "assert not {'celery', 'kombu'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.parametrize(
    ("kind", "headers", "body", "readable"),
    [
        ("application/json", {"task": TASK}, b"[[7], {}, {}]", True),
        ("application/json", {"task": TASK}, '[[7], {}, {"chain": null}]', True),
        ("application/json", {"task": TASK}, memoryview(b"[[7], {}, {}]"), True),
        ("application/x-python-serialize", {"task": TASK}, b"[[7], {}, {}]", False),
        ("application/json", {"task": "other"}, b"[[7], {}, {}]", False),
        ("application/json", {}, b"[[7], {}, {}]", False),
        ("application/json", None, b"[[7], {}, {}]", False),
        ("application/json", {"task": TASK}, b"[[7, 8], {}, {}]", False),
        ("application/json", {"task": TASK}, b'[["7"], {}, {}]', False),
        ("application/json", {"task": TASK}, b"[[true], {}, {}]", False),
        ("application/json", {"task": TASK}, b"[[-7], {}, {}]", False),
        ("application/json", {"task": TASK}, b"[[9223372036854775808], {}, {}]", False),
        ("application/json", {"task": TASK}, b'[[7], {"job_id": 8}, {}]', False),
        ("application/json", {"task": TASK}, b"[" * 100_000, False),
        ("application/json", {"task": TASK}, b"\xff", False),
        ("application/json", {"task": TASK}, None, False),
    ],
)
def test_only_messages_about_a_job_are_read(kind: str, headers: Any, body: Any, readable: bool) -> None:
    assert is_readable(kind, headers, body) is readable
