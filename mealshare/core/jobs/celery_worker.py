"""The Celery worker: it is told of a job by a message, claims its row and runs it as every other worker does.

Jobs run in threads, not in forked processes.  Most of their time they wait for the database, a mail server or a storage,
and decoding a picture lets other threads run; but locks, connection pools and clients do not survive a fork that happens
while another thread holds them, and here the relay and the leases are such threads.  For more processors one starts more
workers.  What a thread cannot do is outlive its process: a job that kills it takes the others along, and all of them run
again after their lease.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from typing import Any

from celery import signals
from celery.exceptions import Reject
from celery.worker.consumer import Consumer
from pyramid.registry import Registry

from mealshare.core.jobs.broker import TASK, BrokerPublisher, dead_queue, is_redis, make_celery
from mealshare.core.jobs.relay import Relay
from mealshare.core.jobs.settings import JobSettings
from mealshare.core.jobs.worker import DRAINED, STARTED, run_told
from mealshare.core.settings import settings_of

#: Seconds until a message goes back to the broker when the database could not be asked for its job.
DATABASE_PAUSE = 5.0
#: Celery looks whether it is to end when its loop comes round, and an idle loop sleeps until its next timer, for 10 seconds.
ROUND_SECONDS = 0.5

UNREADABLE = "jobs.message_unreadable"
POSTPONED = "jobs.message_postponed"

log = logging.getLogger(__name__)


def run_celery(registry: Registry) -> int:
    """Work until SIGTERM or SIGINT, which lets the running jobs end; gives the exit code.

    SIGQUIT ends it at once; what ran runs again after its lease.
    """
    settings = settings_of(registry, JobSettings)
    app = make_celery(settings)
    ended = threading.Event()

    @app.task(name=TASK)
    def run(job_id: int) -> None:
        try:
            done = run_told(registry, job_id, ended)
        except Exception as error:
            # The job itself never raises; so its row could not be asked for, and the message must not be lost.
            log.warning(POSTPONED, exc_info=error, extra={"job_id": job_id})
            ended.wait(DATABASE_PAUSE)
            raise Reject("the database does not answer", requeue=True) from error
        if not done:
            raise Reject("this worker ends", requeue=True)

    # Celery would set up the log of the whole process; ours stands in the ini file, and has a line for each job.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    signals.setup_logging.connect(_leave_the_log, weak=False)
    signals.worker_shutting_down.connect(lambda **_: ended.set(), weak=False)
    stop_relay = Relay(registry, BrokerPublisher(settings), settings.poll_seconds).start()
    worker = app.Worker(
        hostname=f"{settings.prefix}-{os.getpid()}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=settings.threads,
        consumer_cls=lambda *args, **options: _strict_consumer(settings, *args, **options),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel="INFO",
    )
    log.info(STARTED, extra={"threads": settings.threads})
    try:
        worker.start()
    finally:
        stop_relay()
    log.info(DRAINED)
    return int(worker.exitcode or 0)


def _leave_the_log(**_: Any) -> None:
    """A receiver of this signal is enough: Celery then leaves logging alone."""


def _nothing() -> None:
    """What the timer does."""


def _strict_consumer(settings: JobSettings, *args: Any, **options: Any) -> Any:
    """Celery's consumer, which rejects every message that is not exactly one of ours.

    Celery itself acknowledges some of them, so that they are gone, and loses the place of others among those that it
    runs at once.
    """
    consumer = Consumer(*args, **options)
    make_handler = consumer.create_task_handler

    def create_task_handler(*more: Any, **options: Any) -> Any:
        # Called once for each connection, which has timers of its own, before its first message.
        consumer.timer.call_repeatedly(ROUND_SECONDS, _nothing)
        if not is_redis(settings):
            dead_queue(settings)(consumer.connection.default_channel).declare()
        handle = make_handler(*more, **options)

        def on_message(message: Any) -> None:
            if is_readable(message.content_type, message.headers, message.body):
                handle(message)
                return
            log.error(UNREADABLE, extra={"content_type": message.content_type, "bytes": len(message.body or b"")})
            message.reject()

        return on_message

    consumer.create_task_handler = create_task_handler
    return consumer


def is_readable(content_type: object, headers: object, body: object) -> bool:
    """Whether a message is one about a job: JSON, of our name, whose only argument is an id."""
    if content_type != "application/json" or not isinstance(headers, dict) or headers.get("task") != TASK:
        return False
    try:
        content = json.loads(bytes(body) if isinstance(body, memoryview) else body)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        return False
    match content:
        case [[int(job_id)], {}, {}]:
            return not isinstance(job_id, bool) and 0 < job_id < 2**63 and not content[1]
    return False
