from __future__ import annotations

import io
import json
import logging
import logging.config
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound, HTTPNotFound, HTTPServiceUnavailable
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import RetryableException
from webtest import TestApp

from mealshare.core import log as log_module
from mealshare.core.log import JsonFormatter, TextFormatter, escape, request_context, request_id

NASTY = "a\r\nFORGED 2026 \x1b[31m\x00\u2028b\x85"


def record(event: str = "thing.done", *, error: bool = False, **extra: Any) -> logging.LogRecord:
    info = None
    if error:
        try:
            int(NASTY)
        except ValueError:
            info = sys.exc_info()
    made = logging.getLogger("test").makeRecord("test", logging.INFO, "f", 1, event, (), info, extra=extra)
    made.created, made.msecs = 1_772_366_400.123, 123
    return made


def test_text_shows_event_fields_and_utc() -> None:
    line = TextFormatter().format(record(meal=7, note='say "hi"', empty=None))
    assert line == '2026-03-01T12:00:00.123Z INFO    - test thing.done meal=7 note="say \\"hi\\"" empty=-'


def test_text_stays_on_one_line_whatever_it_holds() -> None:
    line = TextFormatter().format(record(NASTY, note=NASTY, **{"k\ny": 1}))
    assert len(line.splitlines()) == 1
    assert "\\r\\n" in line
    assert "\x1b" not in line
    assert "\x00" not in line


def test_a_traceback_cannot_pass_for_an_entry() -> None:
    entry = record(error=True)
    # Another handler has formatted it before and left its text behind.
    logging.Formatter().format(entry)
    first, *rest = TextFormatter().format(entry).splitlines()
    assert "thing.done" in first
    assert any("ValueError" in line for line in rest)
    assert all(line.startswith("  | ") for line in rest)


def test_json_is_one_object_a_line() -> None:
    with request_context("abc"):
        text = JsonFormatter().format(record(NASTY, error=True, meal=7, level="mine", path=Path("x")))
    assert len(text.splitlines()) == 1
    entry = json.loads(text)
    assert entry["time"] == "2026-03-01T12:00:00.123Z"
    assert entry["event"] == NASTY
    assert entry["request_id"] == "abc"
    assert entry["meal"] == 7
    assert (entry["level"], entry["field.level"]) == ("info", "mine")
    assert entry["path"] == "x"
    assert "ValueError" in entry["traceback"]


@pytest.mark.parametrize("value", [2**70, "\udc80", {1: {2**80}}])
def test_json_never_loses_an_entry_over_a_value(value: object) -> None:
    entry = json.loads(JsonFormatter().format(record(value=value)))
    assert entry["event"].strip("'") == "thing.done"
    assert "value" in entry


def test_escape_leaves_words_of_every_language_alone() -> None:
    assert escape("麻婆豆腐 crème ☕ \\n") == "麻婆豆腐 crème ☕ \\n"


def test_the_request_id_ends_with_its_block() -> None:
    assert request_id() is None
    with request_context("outer"):
        with request_context("inner"):
            assert request_id() == "inner"
        assert request_id() == "outer"
    assert request_id() is None


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.root
    kept, level = root.handlers[:], root.level
    formatters = [handler.formatter for handler in kept]
    disabled = {name: getattr(item, "disabled", False) for name, item in root.manager.loggerDict.items()}
    yield root
    root.handlers[:] = kept
    root.setLevel(level)
    for handler, formatter in zip(kept, formatters, strict=True):
        handler.setFormatter(formatter)
    for name, was in disabled.items():
        item = root.manager.loggerDict[name]
        if isinstance(item, logging.Logger):
            item.disabled = was


@pytest.mark.parametrize(("name", "marker"), [("JsonFormatter", '"event":"hello"'), ("TextFormatter", "root hello")])
def test_an_ini_file_can_name_the_formatters(
    name: str, marker: str, tmp_path: Path, root_logger: logging.Logger
) -> None:
    ini = tmp_path / "log.ini"
    ini.write_text(
        "[loggers]\nkeys = root\n[handlers]\nkeys = file\n[formatters]\nkeys = ours\n"
        "[logger_root]\nlevel = INFO\nhandlers = file\n"
        f"[handler_file]\nclass = FileHandler\nargs = ({str(tmp_path / 'out.log')!r},)\nformatter = ours\n"
        f"[formatter_ours]\nclass = mealshare.core.log.{name}\n"
    )
    logging.config.fileConfig(ini, disable_existing_loggers=False)
    logging.info("hello")
    for handler in logging.root.handlers:
        handler.close()
    assert marker in (tmp_path / "out.log").read_text()


@pytest.mark.parametrize(("format", "expected"), [("json", JsonFormatter), ("text", TextFormatter)])
def test_the_setting_makes_plain_handlers_safe(format: str, expected: type, root_logger: logging.Logger) -> None:
    plain, bare = logging.StreamHandler(io.StringIO()), logging.StreamHandler(io.StringIO())
    plain.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root_logger.addHandler(plain)
    root_logger.addHandler(bare)
    make_app(lambda request: Response("x"), {"log.format": format})
    assert type(plain.formatter) is expected
    assert type(bare.formatter) is expected
    assert "INFO" in plain.format(record()) or "info" in plain.format(record())


# The tween, in a whole application.


def make_app(
    view: Callable[[Request], Response],
    settings: dict[str, str] | None = None,
    setup: Callable[[Configurator], None] | None = None,
) -> TestApp:
    with Configurator(settings={"retry.attempts": "3"} | (settings or {})) as config:
        config.include("mealshare.core.settings")
        config.include("mealshare.core.log")
        config.include("pyramid_retry")
        config.add_route("any", "/*rest")
        config.add_view(view, route_name="any")
        if setup:
            setup(config)
    return TestApp(config.make_wsgi_app())


class Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    logger, keeper = logging.getLogger("mealshare"), Keeper()
    level = logger.level
    logger.addHandler(keeper)
    logger.setLevel(logging.DEBUG)
    yield keeper.records
    logger.removeHandler(keeper)
    logger.setLevel(level)


def test_one_line_a_request(lines: list[logging.LogRecord]) -> None:
    def view(request: Request) -> Response:
        request.environ["mealshare.user"] = 42
        logging.getLogger("mealshare.x").info("inside", extra={"id_inside": request_id()})
        return Response("hello")

    answer = make_app(view).get("/%E9%BA%BB%E5%A9%86?token=s3cret", extra_environ={"REMOTE_ADDR": "192.0.2.9"})
    inside, line = lines
    assert line.getMessage() == "http.request"
    assert line.levelname == "INFO"
    fields = {name: getattr(line, name) for name in ("method", "path", "status", "remote", "user", "bytes")}
    assert fields == {
        "method": "GET", "path": "/麻婆", "status": 200, "remote": "192.0.2.9", "user": 42, "bytes": 5,
    }  # fmt: skip
    assert 0 <= line.ms < 5000
    assert "s3cret" not in str(line.__dict__)
    assert answer.headers["X-Request-Id"] == inside.id_inside
    assert request_id() is None


def test_a_secret_in_the_path_is_not_written(lines: list[logging.LogRecord]) -> None:
    token = "a8f3-_Zk" * 5 + "abc"
    make_app(lambda request: Response("x")).get(f"/reset/{token}/go")
    assert lines[0].path == "/reset/***/go"


@pytest.mark.parametrize("given", ["abc", "A.b_c-9", "x" * 64])
def test_a_plain_request_id_is_kept(given: str) -> None:
    def view(request: Request) -> Response:
        return Response(request.environ["mealshare.request_id"])

    answer = make_app(view).get("/", headers={"X-Request-Id": given})
    assert answer.text == given
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a;b", "é", "<script>", "a/b"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    answer = make_app(lambda request: Response("x")).get("/", headers={"X-Request-Id": given})
    assert len(answer.headers["X-Request-Id"]) == 32


def test_bytes_that_are_no_text_are_shown_escaped(lines: list[logging.LogRecord]) -> None:
    make_app(lambda request: Response("x")).get("/%FF%FE", status="*")
    assert lines[-1].path == "/\\xff\\xfe"


def test_health_is_written_for_debugging_only(lines: list[logging.LogRecord]) -> None:
    make_app(lambda request: Response("x")).get("/health/live")
    assert [line.levelname for line in lines] == ["DEBUG"]


def test_request_lines_can_be_off_but_failures_are_written(lines: list[logging.LogRecord]) -> None:
    def view(request: Request) -> Response:
        if request.path == "/bad":
            raise ZeroDivisionError
        return Response("x")

    app = make_app(view, {"log.requests": "false"})
    app.get("/good")
    assert lines == []
    app.get("/bad", status=500)
    assert [line.getMessage() for line in lines] == ["http.request_failed"]


def test_an_exception_becomes_a_bare_500_and_one_traceback(lines: list[logging.LogRecord]) -> None:
    def view(request: Request) -> Response:
        raise RuntimeError("the password is hunter2")

    answer = make_app(view).get("/x", status=500)
    assert "hunter2" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"]
    assert answer.content_type == "text/plain"
    assert [(line.getMessage(), line.status, line.exc_info is not None) for line in lines] == [
        ("http.request_failed", 500, True)
    ]


def test_an_exception_that_a_view_answered_is_logged_once_too(lines: list[logging.LogRecord]) -> None:
    def view(request: Request) -> Response:
        raise RuntimeError

    def answer(error: Exception, request: Request) -> Response:
        return Response("sorry", status=500)

    assert make_app(view, setup=lambda config: config.add_exception_view(answer)).get("/", status=500).text == "sorry"
    assert [line.getMessage() for line in lines] == ["http.request_failed"]
    assert lines[0].exc_info


@pytest.mark.parametrize(
    ("error", "status"), [(HTTPNotFound, 404), (HTTPServiceUnavailable, 503), (lambda: HTTPFound("/"), 302)]
)
def test_a_raised_answer_is_no_failure(
    error: Callable[[], Exception], status: int, lines: list[logging.LogRecord]
) -> None:
    def view(request: Request) -> Response:
        raise error()

    make_app(view).get("/", status=status)
    assert [(line.getMessage(), line.status, line.exc_info) for line in lines] == [("http.request", status, None)]


def test_attempts_that_are_tried_again_share_the_id_and_are_not_written(lines: list[logging.LogRecord]) -> None:
    seen: list[str | None] = []

    def view(request: Request) -> Response:
        seen.append(request_id())
        if len(seen) < 3:
            raise RetryableException
        return Response("third time lucky")

    answer = make_app(view).get("/")
    assert len(seen) == 3
    assert set(seen) == {answer.headers["X-Request-Id"]}
    assert [line.getMessage() for line in lines if line.levelno >= logging.INFO] == ["http.request"]


def test_the_last_attempt_that_fails_is_written(lines: list[logging.LogRecord]) -> None:
    def view(request: Request) -> Response:
        raise RetryableException

    make_app(view).get("/", status=500)
    failed = [line for line in lines if line.levelno >= logging.INFO]
    assert [line.getMessage() for line in failed] == [log_module.REQUEST_FAILED]
