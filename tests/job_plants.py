"""A site with one engine of jobs on one database: what it is told, who runs its jobs, and how its broker is left clean."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from sqlalchemy import select

from mealshare import configure
from mealshare.core.db.migrate import upgrade
from mealshare.core.jobs.broker import dead_queue, make_celery, queues
from mealshare.core.jobs.models import Job
from mealshare.core.jobs.settings import JobSettings
from mealshare.core.settings import Secret
from tests.databases import Backend, new_database, rabbitmq_url, redis_url
from tests.job_processes import JobProcess, wait_until
from tests.job_site import included, traces
from tests.sites import free_port, site_settings, write_ini

#: The log of all processes: everything to standard error, as on a server whose journal collects it.
LOG = """
[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = text

[logger_root]
level = INFO
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = text

[formatter_text]
class = mealshare.core.log.TextFormatter
"""


@dataclass(frozen=True)
class Plant:
    """Where jobs are queued (``registry``, in this process) and run (by what `start` starts)."""

    engine: str
    folder: Path
    port: int
    settings: JobSettings
    registry: Any
    begin: Callable[[str, int], JobProcess]
    processes: list[JobProcess] = field(default_factory=list)

    def start(self, kind: str = "", threads: int = 2) -> JobProcess:
        """A process that runs jobs, or one of the other kinds (``serve``, ``beat``)."""
        process = self.begin(kind or ("serve" if self.engine == "embedded" else "worker"), threads)
        self.processes.append(process)
        return process

    def enqueue(self, name: str, payload: dict[str, Any], **more: Any) -> None:
        """Leave a job behind."""
        with self.registry["open_work"]() as work:
            work.enqueue(name, payload, **more)

    def jobs(self, name: str) -> list[Job]:
        """The rows of that name."""
        with self.registry["open_work"]() as work:
            return list(work.session.scalars(select(Job).where(Job.name == name)))

    def ran(self, event: str = "ran") -> list[Any]:
        """The numbers of the jobs that left such a trace, in their order."""
        return [item.get("n") for item in traces(self.folder, event)]

    def wait_for(self, numbers: set[Any], event: str = "ran") -> None:
        """Return when each of those jobs has left such a trace."""
        wait_until(lambda: numbers <= set(self.ran(event)), f"not all of {numbers} {event}")


def broker_of(engine: str) -> str:
    """The address of the broker, or nothing."""
    return {"rabbitmq": rabbitmq_url(), "redis": redis_url()}.get(engine) or ""


@contextmanager
def plant(engine: str, backend: Backend, folder: Path, broker: str | None = None) -> Iterator[Plant]:
    """A site without processes; ``engine`` is that of the setting, or the broker's name for celery."""
    kind = engine if engine in ("embedded", "worker") else "celery"
    jobs = {
        "jobs.engine": kind,
        "jobs.prefix": f"mealshare-test-{secrets.token_hex(6)}",
        "jobs.poll_seconds": "0.1",
        "jobs.broker": broker if broker is not None else broker_of(engine),
    }
    port = free_port()
    with ExitStack() as stack:
        url = stack.enter_context(new_database(backend, folder))
        upgrade(url)
        settings = site_settings(folder, url, "http://localhost") | jobs
        # The key of access tokens belongs to a feature.
        del settings["jwt.secret"]

        def begin(what: str, threads: int) -> JobProcess:
            ini = folder / f"{what}-{threads}.ini"
            write_ini(ini, settings | {"jobs.threads": str(threads)}, port)
            ini.write_text(ini.read_text(encoding="utf-8") + LOG, encoding="utf-8")
            marks = {"serve": "server.listening", "worker": "jobs.worker_started", "beat": "jobs.beat_started"}
            return stack.enter_context(JobProcess(what, folder, ini, marks[what]))

        with included():
            config = configure(settings)
            config.commit()
        stack.callback(config.registry["engine"].dispose)
        parsed = JobSettings(engine=kind, prefix=jobs["jobs.prefix"], broker=Secret(broker_of(engine)))
        stack.callback(clean_broker, parsed)
        yield Plant(engine, folder, port, parsed, config.registry, begin)


@contextmanager
def connected(settings: JobSettings) -> Iterator[Any]:
    """A channel to the broker itself."""
    with make_celery(settings).connection_for_write() as connection:
        yield connection.channel()


def clean_broker(settings: JobSettings) -> None:
    """Leave nothing behind."""
    if urlsplit(settings.broker).scheme == "redis":
        with redis.Redis.from_url(str(settings.broker)) as client:
            for key in list(client.scan_iter(match=f"{settings.prefix}:*", count=1000)):
                client.delete(key)
    elif settings.broker:
        with connected(settings) as channel:
            for queue in [*queues(settings), dead_queue(settings)]:
                queue(channel).delete()
                queue.exchange(channel).delete()
