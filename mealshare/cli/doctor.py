"""`mealshare doctor`: is all as it should be, and what can be mended?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from pyramid.registry import Registry

from mealshare.cli.errors import one_line
from mealshare.cli.site import Site, pass_site
from mealshare.core.doctor import Finding, Report, examine
from mealshare.core.doctor.places import CONFIG_FILE
from mealshare.wsgi import server_section


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended, and look again.")
@click.option("--json", "as_json", is_flag=True, help="Tell it to a program.")
@pass_site
def doctor(site: Site, repair: bool, as_json: bool) -> None:
    """Look at settings, database, counters, files, jobs, services and the machine; 1 if something is wrong.

    The site may go on meanwhile.
    """
    reports = _reports(site, repair=repair)
    if as_json:
        click.echo(json.dumps([_as_json(report) for report in reports], indent=2))
    else:
        for report in reports:
            _show(report)
        _sum_up(reports, repair=repair)
    if any(report.failed for report in reports):
        raise SystemExit(1)


def _reports(site: Site, *, repair: bool) -> list[Report]:
    try:
        registry = _registry(site)
    except Exception as error:
        message = one_line(error)
        if message is None:
            raise
        return [Report("settings", (Finding(message),))]
    return list(examine(registry, repair=repair))


def _registry(site: Site) -> Registry:
    """The application, whatever its database; with what is known of the ini file."""
    registry = site.registry_without_database
    registry[CONFIG_FILE] = Path(site.file).resolve()
    registry["server_given"] = server_section(site.file)
    return registry


def _show(report: Report) -> None:
    mended = f", {report.repaired} repaired" if report.repaired else ""
    if report.skipped:
        click.echo(f"[ -- ] {report.name}: left out, because of the database")
    elif not report.findings:
        click.echo(f"[ ok ] {report.name}{mended}")
    for finding in report.findings:
        word = "FAIL" if finding.level == "error" else "warn"
        click.echo(f"[{word}] {report.name}{mended}: {finding.message}")


def _sum_up(reports: Sequence[Report], *, repair: bool) -> None:
    findings = [finding for report in reports for finding in report.findings]
    wrong = sum(finding.level == "error" for finding in findings)
    click.echo(f"{len(reports)} checks: {wrong} wrong, {len(findings) - wrong} to think about.")
    if not repair and any(report.findings and report.repairable for report in reports):
        click.echo("`mealshare doctor --repair` mends what can be mended.")


def _as_json(report: Report) -> dict[str, object]:
    status = "skipped" if report.skipped else "error" if report.failed else "warning" if report.findings else "ok"
    return {
        "check": report.name,
        "status": status,
        "findings": [{"level": str(finding.level), "message": finding.message} for finding in report.findings],
        "repaired": report.repaired,
    }
