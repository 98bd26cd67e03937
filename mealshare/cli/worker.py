"""`mealshare worker` and `mealshare beat`: processes that run jobs beside those that serve."""

from __future__ import annotations

import configparser
import logging
import logging.config
import os
import signal
import sys
import threading
from types import FrameType

import click
from pyramid.registry import Registry

from mealshare.cli.errors import CommandFailed
from mealshare.cli.site import Site, pass_site
from mealshare.core.jobs import JobSettings
from mealshare.core.jobs.worker import work
from mealshare.core.log import TextFormatter
from mealshare.core.serving import start_all, stop_all


@click.command()
@pass_site
def worker(site: Site) -> None:
    """Run jobs until SIGTERM, which lets those that run end.  Several may run, on several machines."""
    settings = site.part(JobSettings, "jobs")
    if settings.engine == "embedded":
        raise CommandFailed("the serving process runs the jobs itself: set jobs.engine = worker (or celery)")
    _set_up_log(site)
    stops = start_all(site.registry, "on_work")
    try:
        if settings.engine == "celery":
            # Celery is large: no other command waits for it.
            from mealshare.core.jobs.celery_worker import run_celery

            sys.exit(run_celery(site.registry))
        _work_the_table(site.registry, settings)
    finally:
        stop_all(stops)


@click.command()
@pass_site
def beat(site: Site) -> None:
    """Tell the broker of periodic jobs and of what nobody told it, until SIGTERM.  For jobs.engine = celery."""
    if site.part(JobSettings, "jobs").engine != "celery":
        raise CommandFailed("only jobs.engine = celery needs it: other workers look after periodic jobs themselves")
    _set_up_log(site)
    from mealshare.core.jobs.celery_beat import run_beat

    run_beat(site.registry)


def _work_the_table(registry: Registry, settings: JobSettings) -> None:
    until = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if until.is_set():
            # Asked twice: at once, without a word to anybody.  What runs here runs again after its lease.
            os._exit(1)
        until.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    work(registry, settings.threads, settings.poll_seconds, until)


def _set_up_log(site: Site) -> None:
    """The log as the ini file has it, for a process that stays; without such sections, to standard error.

    Before the application is made: that is when ``log.format`` is applied.
    """
    parser = configparser.RawConfigParser()
    parser.read(site.file, encoding="utf-8")
    if parser.has_section("loggers"):
        here = {"here": str(site.file.resolve().parent), "__file__": str(site.file.resolve())}
        logging.config.fileConfig(site.file, here, disable_existing_loggers=False)
        return
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mealshare").setLevel(logging.INFO)
