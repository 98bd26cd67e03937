"""`mealshare jobs`: what the site still has to do, and what it could not do."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from sqlalchemy import select

from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.dates import rfc3339
from mealshare.core.ids import parse_id
from mealshare.core.jobs import run_due
from mealshare.core.jobs.models import Job, JobState, Priority
from mealshare.core.jobs.queue import retry_jobs


@click.group()
def jobs() -> None:
    """Look at the jobs, and run them."""


@jobs.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many to show.")
@pass_site
def list_jobs(site: Site, limit: int) -> None:
    """Show the jobs that wait or run, the next one first."""
    _show(_read(site, (JobState.QUEUED, JobState.RUNNING), limit), "No job waits.")


@jobs.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many to show.")
@pass_site
def dead(site: Site, limit: int) -> None:
    """Show the jobs that failed too often, with the last line of their error."""
    found = _read(site, (JobState.DEAD,), limit)
    _show(found, "No job is dead.")


@jobs.command()
@pass_site
def run(site: Site) -> None:
    """Run every job that is due now, one after the other."""
    count = run_due(site.registry)
    click.echo(f"{count} {'job' if count == 1 else 'jobs'} ran.")


@jobs.command()
@click.argument("job_id", metavar="ID", required=False)
@click.option("--all", "every", is_flag=True, help="Every dead job.")
@pass_site
def retry(site: Site, job_id: str | None, every: bool) -> None:
    """Let the dead job ID, or with --all every dead job, run again, as if for the first time."""
    if (job_id is None) is not every:
        raise click.UsageError("Name one job, or say --all.")
    number = None if job_id is None else _number(job_id)
    with site.registry["open_work"]() as work:
        count = retry_jobs(work.session, number)
    if job_id is None:
        click.echo(f"{count} {'job waits' if count == 1 else 'jobs wait'} again.")
        return
    if not count:
        raise CommandFailed(f"there is no dead job {job_id}")
    click.echo(f"The job {job_id} waits again.")


@jobs.command()
@click.argument("job_id", metavar="ID")
@pass_site
def show(site: Site, job_id: str) -> None:
    """Show all of the job ID: what it is to do, how often it was tried, and the traceback of the last error."""
    with site.registry["open_work"]() as work:
        job = work.session.get(Job, _number(job_id))
    if job is None:
        raise CommandFailed(f"there is no job {job_id}: one that is done leaves nothing behind")
    times = {"created": job.created_at, "run_at": job.run_at, "leased_until": job.leased_until}
    times["published_at"] = job.published_at
    lines = {"id": job.id, "name": job.name, "state": job.state, "priority": Priority(job.priority).name.lower()}
    lines |= {"attempts": job.attempts, "key": job.key or "-", "request_id": job.request_id or "-"}
    lines |= {name: "-" if moment is None else rfc3339(moment) for name, moment in times.items()}
    for name, value in lines.items():
        click.echo(f"{name + ':':<14}{value}")
    click.echo(f"payload:      {json.dumps(job.payload, ensure_ascii=False)}")
    if job.last_error:
        click.echo(f"\n{job.last_error.rstrip()}")


def _number(job_id: str) -> int:
    try:
        return parse_id(job_id)
    except ValueError:
        raise CommandFailed(f"{job_id} is not the id of a job") from None


def _read(site: Site, states: Sequence[JobState], limit: int) -> Sequence[Job]:
    with site.registry["open_work"]() as work:
        return work.session.scalars(
            select(Job).where(Job.state.in_(states)).order_by(Job.run_at, Job.id).limit(limit)
        ).all()


def _show(found: Sequence[Job], nothing: str) -> None:
    if not found:
        click.echo(nothing)
    for job in found:
        error = (job.last_error or "").strip().splitlines()
        click.echo(
            f"{job.id}  {job.state}  {rfc3339(job.run_at)}  {job.name}  attempts={job.attempts}"
            + (f"  {error[-1]}" if error else "")
        )
