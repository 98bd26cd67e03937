"""Processes that serve and processes that work are killed again and again: nothing that was acknowledged suffers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.crashes import kill_those_that_serve, kill_those_that_work

KILLS, WRITES = 20, 1_500


@pytest.mark.promise(
    "kill -9 of a process that serves", "20 kills in 1,500 writes: 0 lost, doubled, torn; 0 orphan files"
)
def test_those_that_serve(database_url: str, tmp_path: Path, figure: Callable[[str], None]) -> None:
    figure(kill_those_that_serve(tmp_path, database_url, KILLS, WRITES))


@pytest.mark.promise("kill -9 of a worker", "20 kills while jobs run: every effect once, nothing waits for ever")
def test_those_that_work(database_url: str, tmp_path: Path, figure: Callable[[str], None]) -> None:
    figure(kill_those_that_work(tmp_path, database_url, KILLS))
