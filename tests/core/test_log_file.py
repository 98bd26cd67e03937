"""The log file: rotated by size and by time, by several processes at once and by somebody else, without losing a line."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mealshare.core.log_file import DAY, SharedFileHandler

WRITER = """
import logging, sys
from mealshare.core.log_file import SharedFileHandler
handler = SharedFileHandler(sys.argv[1], 2000, 500)
log = logging.getLogger("writer")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(handler)
for number in range(400):
    log.info("%s-%d %s", sys.argv[2], number, "x" * 40)
"""


@pytest.fixture
def opened() -> Iterator[Callable[..., logging.Logger]]:
    """``opened(file, ...)``: a logger that writes to the file."""
    handlers: list[SharedFileHandler] = []
    logger = logging.Logger("test")

    def make(file: Path, *about: int) -> logging.Logger:
        handlers.append(SharedFileHandler(str(file), *about))
        logger.handlers[:] = handlers[-1:]
        return logger

    yield make
    for handler in handlers:
        handler.close()


def names(folder: Path) -> list[str]:
    """The files in the folder."""
    return sorted(file.name for file in folder.iterdir())


def test_it_begins_anew_when_it_is_full_and_keeps_so_many(
    tmp_path: Path, opened: Callable[..., logging.Logger]
) -> None:
    file = tmp_path / "log" / "site.log"
    logger = opened(file, 100, 2)
    for number in range(10):
        logger.info("%02d %s", number, "x" * 40)
    assert names(file.parent) == ["site.log", "site.log.1", "site.log.2"]
    assert [(file.parent / name).read_text()[:2] for name in names(file.parent)] == ["08", "06", "04"]
    assert all(item.stat().st_size <= 100 for item in file.parent.iterdir())
    assert all(not stat.S_IMODE(item.stat().st_mode) & stat.S_IRWXO for item in file.parent.iterdir())


def test_it_begins_anew_with_the_first_entry_of_a_day(tmp_path: Path, opened: Callable[..., logging.Logger]) -> None:
    file = tmp_path / "site.log"
    logger = opened(file)
    logger.info("today")
    logger.info("today too")
    assert names(tmp_path) == ["site.log"]
    os.utime(file, (time.time() - DAY,) * 2)
    logger.info("tomorrow")
    assert file.read_text() == "tomorrow\n"
    assert (tmp_path / "site.log.1").read_text() == "today\ntoday too\n"


def test_a_file_that_logrotate_has_moved_is_opened_anew(tmp_path: Path, opened: Callable[..., logging.Logger]) -> None:
    file = tmp_path / "site.log"
    logger = opened(file, 0, 9, 0)
    logger.info("before")
    file.rename(tmp_path / "moved")
    logger.info("after")
    assert (tmp_path / "moved").read_text() == "before\n"
    assert file.read_text() == "after\n"


def test_no_line_is_lost_between_processes(tmp_path: Path) -> None:
    file = tmp_path / "site.log"
    command = [sys.executable, "-W", "ignore", "-c", WRITER, str(file)]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b", "c")]
    assert [writer.wait(100) for writer in writers] == [0, 0, 0]
    lines = [line.split()[0] for item in tmp_path.iterdir() for line in item.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name}-{number}" for name in "abc" for number in range(400))
    assert len(names(tmp_path)) > 20


def test_production_ini_rotates_with_it() -> None:
    text = (Path(__file__).parents[2] / "production.ini").read_text(encoding="utf-8")
    assert "class = mealshare.core.log_file.SharedFileHandler" in text
