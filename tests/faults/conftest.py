"""Each test here shows a promise of docs/faults.md, and the run ends with a table of what was promised and what was found.

They take minutes, so they run only when asked for: ``make faults``, or ``pytest -m faults tests/faults``.  With
MEALSHARE_FAULTS_REPORT=FILE the table is also written there, as Markdown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPORT_VARIABLE = "MEALSHARE_FAULTS_REPORT"
HERE = Path(__file__).parent
_WORDS = {"passed": "kept", "failed": "BROKEN", "skipped": "left out", "unfinished": "not finished"}


@dataclass
class Row:
    """One promise: what it says, what came of it."""

    promise: str
    goal: str
    figures: list[str] = field(default_factory=list)
    outcome: str = "unfinished"
    seconds: float = 0.0

    @property
    def measured(self) -> str:
        """The figures, in one sentence."""
        return "; ".join(self.figures) or "nothing"


ROWS = pytest.StashKey[dict[str, Row]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out unless somebody names the marker."""
    mine = [item for item in items if HERE in item.path.parents]
    for item in mine:
        item.add_marker("faults")
    if "faults" not in config.option.markexpr and mine:
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in set(mine)]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``figure("0 of 1,500 lost")``: what stands in the row of the test's promise; more than one may come."""
    return _row(request.node).figures.append


def _row(item: pytest.Item) -> Row:
    rows = item.config.stash.setdefault(ROWS, {})
    marker = item.get_closest_marker("promise")
    assert marker is not None, f"{item.nodeid} says of no promise that it shows it"
    name = marker.args[0]
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "backend" in parameters:
        name += f", {_DATABASES[parameters['backend']]}"
    return rows.setdefault(item.nodeid, Row(name, marker.args[1]))


_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Write down how it ended, also where a fixture failed."""
    report: Any = yield
    row = _row(item)
    row.seconds += report.duration
    if row.outcome != "failed" and (report.when == "call" or report.outcome != "passed"):
        row.outcome = report.outcome
    if os.environ.get(REPORT_VARIABLE):
        # After each test, so that a run that is ended early has left what it found.
        Path(os.environ[REPORT_VARIABLE]).write_text(markdown(list(item.config.stash[ROWS].values())), encoding="utf-8")
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table, on the screen and in the file that was asked for."""
    rows = list(config.stash.get(ROWS, {}).values())
    if not rows:
        return
    terminalreporter.section("promises")
    for row in rows:
        word = _WORDS[row.outcome]
        terminalreporter.write_line(f"{word:8}  {row.promise} ({row.seconds:.0f} s)", bold=row.outcome == "failed")
        terminalreporter.write_line(f"          goal:     {row.goal}")
        terminalreporter.write_line(f"          measured: {row.measured}")


def markdown(rows: list[Row]) -> str:
    """The table as docs/faults.md has it."""
    lines = ["| promise | goal | measured | |", "|---|---|---|---|"]
    lines += [f"| {row.promise} | {row.goal} | {row.measured} | {_WORDS[row.outcome]} |" for row in rows]
    return "\n".join(lines) + "\n"
