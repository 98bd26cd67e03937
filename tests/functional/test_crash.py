"""A few crashes in the middle of what people do; `make faults` has many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crashes import kill_those_that_serve, kill_those_that_work

pytestmark = pytest.mark.stress


def test_a_process_that_serves_is_killed(database_url: str, tmp_path: Path) -> None:
    said = kill_those_that_serve(tmp_path, database_url, 3, 240)
    assert said.startswith("3 kills in ")


def test_a_worker_is_killed(database_url: str, tmp_path: Path) -> None:
    assert kill_those_that_work(tmp_path, database_url, 3).startswith("3 kills in ")
