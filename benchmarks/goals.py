"""Holds results against `goals.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("goals.toml")


@dataclass(frozen=True)
class Goal:
    """A goal of `goals.toml`, and the figure of a run; None if it was not measured."""

    number: int
    text: str
    figure: str
    at_most: float | None = None
    at_least: float | None = None
    unit: str = "x"
    value: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is; None if it was not measured."""
        if self.value is None:
            return None
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.at_least is not None and self.value >= self.at_least

    @property
    def wanted(self) -> str:
        """The goal in short."""
        sign, limit = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        return f"{sign} {_words(limit or 0, self.unit)}"

    @property
    def found(self) -> str:
        """The figure in short."""
        return "not measured" if self.value is None else _words(self.value, self.unit)

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "met", False: "MISSED", None: "—"}[self.met]


def _words(value: float, unit: str) -> str:
    if unit == "KiB":
        return f"{value / 1024:.0f} MiB"
    if unit == "statements":
        return f"{value:g}"
    return f"{value:.3g}{'' if unit == 'x' else ' '}{unit}"


def value_of(results: Mapping[str, Any], figure: str) -> float | None:
    """The figure that ``figure`` names in ``results``, or None where it is not."""
    parts = [_at(results, part.split("|")) for part in figure.split(" : ")]
    if any(part is None for part in parts):
        return None
    if len(parts) == 1:
        return parts[0]
    return parts[0] / parts[1] if parts[1] else None  # type: ignore[operator]


def _at(results: Any, names: Sequence[str]) -> float | None:
    for name in names:
        if not isinstance(results, Mapping):
            return None
        if name in ("largest", "smallest") and results:
            sizes = sorted(results, key=int)
            name = sizes[-1] if name == "largest" else sizes[0]
        if name not in results:
            return None
        results = results[name]
    return float(results)


def judge(results: Mapping[str, Any]) -> list[Goal]:
    """All goals with their figures."""
    given = tomllib.loads(FILE.read_text(encoding="utf-8"))["goals"]
    return [Goal(**goal, value=value_of(results, goal["figure"])) for goal in given]


def as_table(goals: Sequence[Goal]) -> str:
    """The goals for people."""
    width = max(len(goal.text) for goal in goals)
    return "\n".join(
        f"{goal.number}  {goal.text:{width}}  {goal.wanted:>12}  {goal.found:>14}  {goal.verdict}" for goal in goals
    )
