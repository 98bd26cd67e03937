"""What `mealshare doctor` looks at: checks that each concern adds for itself.

::

    config.add_check("likes", find_wrong_counts, repair=mend_counts)

A check takes the registry and gives what it found, nothing if all is well; it changes nothing.  A repair takes the
registry, mends what its check finds in transactions that keep nobody waiting, and gives how much that was.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.core.settings import setting


class Level(StrEnum):
    """How bad it is: an error is wrong now, a warning will be or is unwise."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, in a sentence for the host."""

    message: str
    level: Level = Level.ERROR


@dataclass(frozen=True)
class DoctorSettings:
    """When the doctor worries."""

    free_megabytes: int = setting(
        500, "Free megabytes below which a disk counts as nearly full for `mealshare doctor`.", minimum=0
    )
    late_minutes: int = setting(30, "Minutes for which a due job may have waited before it counts as late.", minimum=1)


Check = Callable[[Registry], Iterable[Finding]]
Repair = Callable[[Registry], int]


@dataclass(frozen=True)
class Named:
    """A check with its name; ``alone``: it asks the database nothing."""

    name: str
    check: Check
    repair: Repair | None
    alone: bool


@dataclass(frozen=True)
class Report:
    """What became of one check: what it found (after a repair: what is left), and how much was repaired."""

    name: str
    findings: tuple[Finding, ...]
    repaired: int = 0
    #: It could not be done, because the database is away or not at the right revision.
    skipped: bool = False
    repairable: bool = False

    @property
    def failed(self) -> bool:
        """Whether something is wrong now."""
        return any(finding.level == Level.ERROR for finding in self.findings)


def examine(registry: Registry, *, repair: bool = False) -> Iterator[Report]:
    """Do all checks, those without the database first; with ``repair`` mend what can be, and look again."""
    checks: list[Named] = sorted(registry["doctor"], key=lambda named: not named.alone)
    usable = True
    for named in checks:
        if not (usable or named.alone):
            yield Report(named.name, (), skipped=True)
            continue
        report = _examine(registry, named, repair=repair)
        if named.name == DATABASE and report.failed:
            usable = False
        yield report


#: The check on which all that need the database depend.
DATABASE = "database"


def _examine(registry: Registry, named: Named, *, repair: bool) -> Report:
    findings, repaired = _look(registry, named), 0
    if repair and findings and named.repair is not None:
        try:
            repaired = named.repair(registry)
        except Exception as error:
            # Another repair may still succeed, and this one is to be told of.
            return Report(named.name, (*findings, Finding(f"the repair failed: {_words(error)}")), repairable=True)
        findings = _look(registry, named)
    return Report(named.name, findings, repaired, repairable=named.repair is not None)


def _look(registry: Registry, named: Named) -> tuple[Finding, ...]:
    try:
        return tuple(named.check(registry))
    except Exception as error:
        # Whatever a client library raises; a check that cannot be done is itself a finding.
        return (Finding(f"the check failed: {_words(error)}"),)


def _words(error: Exception) -> str:
    """The first line; that of a database's error is the driver's, without the statement."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _add_check(
    config: Configurator, name: str, check: Check, repair: Repair | None = None, *, alone: bool = False
) -> None:
    """Directive ``config.add_check(name, check, repair=None, alone=False)``; ``alone``: it needs no database.

    ValueError for a name in use.
    """
    checks: list[Named] = config.registry["doctor"]
    if any(named.name == name for named in checks):
        raise ValueError(f"there is a check {name} already")
    checks.append(Named(name, check, repair, alone))


def includeme(config: Configurator) -> None:
    """Add ``config.add_check`` and the checks of the plumbing."""
    config.declare_settings(DoctorSettings, prefix="doctor")
    config.registry["doctor"] = []
    config.add_directive("add_check", _add_check, action_wrap=False)
    for name in ("settings", "files", "disk", DATABASE, "services", "clock", "jobs"):
        repair = _lazily(name, "repair") if name in ("files", "jobs") else None
        config.add_check(name, _lazily(name, "check"), repair, alone=name not in ("clock", "jobs"))


def _lazily(module: str, name: str) -> Callable[[Registry], Any]:
    """The function ``name`` of the module of this package, which is only imported when somebody asks the doctor."""

    def call(registry: Registry) -> Any:
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)(registry)

    return call
