"""The broker as Celery knows it: the queues, the message about a job, and what sends it.

Names of queues are ``<prefix>.high``, ``.normal`` and ``.low``.  On RabbitMQ a message that no worker can read goes to
``<prefix>.dead``, where somebody can look at it; Redis has no such thing, and there it is only told in the log.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from kombu import Exchange, Queue

from mealshare.core.jobs.leases import LEASE
from mealshare.core.jobs.models import Priority
from mealshare.core.jobs.outbox import Notice
from mealshare.core.jobs.settings import JobSettings

#: The only kind of message; its only argument is the id of a row of the job table.
TASK = "mealshare.job"
#: Seconds to wait for the broker while connecting, and for each message.
TIMEOUT = 5.0
#: Seconds after which Redis gives a message of a silent worker to another.  Much longer than the lease: an earlier one
#: finds the job leased and does nothing.
VISIBILITY = max(3600, int(LEASE.total_seconds()) * 10)
#: Unreadable messages that are kept; then the oldest go.
DEAD_KEPT = 10_000


def is_redis(settings: JobSettings) -> bool:
    """Whether the broker is Redis."""
    return not settings.broker.startswith("amqp")


def _address(settings: JobSettings) -> str:
    """The address as kombu writes it, which has words of its own for a Redis on a socket."""
    parts = urlsplit(settings.broker)
    if parts.scheme != "unix":
        return str(settings.broker)
    number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={number}"


def queue_name(settings: JobSettings, priority: Priority) -> str:
    """The queue of the jobs of that priority."""
    return f"{settings.prefix}.{priority.name.lower()}"


def queues(settings: JobSettings) -> list[Queue]:
    """All queues, the most urgent first."""
    exchange = Exchange(settings.prefix, type="direct", durable=True)
    arguments = None if is_redis(settings) else {"x-dead-letter-exchange": f"{settings.prefix}.dead"}
    names = [queue_name(settings, priority) for priority in Priority]
    return [Queue(name, exchange, routing_key=name, durable=True, queue_arguments=arguments) for name in names]


def dead_queue(settings: JobSettings) -> Queue:
    """Where RabbitMQ puts what no worker could read."""
    name = f"{settings.prefix}.dead"
    exchange = Exchange(name, type="fanout", durable=True)
    return Queue(name, exchange, durable=True, queue_arguments={"x-max-length": DEAD_KEPT})


def make_celery(settings: JobSettings) -> Celery:
    """The Celery application.  It knows nothing of MealShare: a worker adds what runs a job."""
    app = Celery("mealshare", set_as_current=False)
    redis_options = {
        "visibility_timeout": VISIBILITY,
        # Several sites may share one Redis.
        "global_keyprefix": f"{settings.prefix}:",
        "queue_order_strategy": "priority",
    }
    app.conf.update(
        # All three, or variables of Celery's own in the environment would count more.
        broker_url=_address(settings),
        broker_read_url=_address(settings),
        broker_write_url=_address(settings),
        broker_transport_options=redis_options if is_redis(settings) else {},
        broker_connection_timeout=TIMEOUT,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_queues=queues(settings),
        task_default_queue=queue_name(settings, Priority.NORMAL),
        task_default_exchange=settings.prefix,
        task_create_missing_queues=False,
        # Nothing but JSON is read, and nobody asks for results: what becomes of a job stands in its row.
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


class BrokerPublisher:
    """Sends messages over one connection; for one thread."""

    def __init__(self, settings: JobSettings, timeout: float = TIMEOUT) -> None:
        self._settings = settings
        self._timeout = timeout
        self._app = make_celery(settings)
        self._connection: Any = None
        self._producer: Any = None

    def connect(self) -> None:
        """Connect and declare the queues, unless that has been done.  Raises what kombu raises, after a bounded time."""
        if self._producer is not None:
            return
        self._connection = self._app.connection_for_write(
            # Nobody would answer the broker's heartbeats between two messages.
            heartbeat=0,
            connect_timeout=self._timeout,
            transport_options=self._options(),
        )
        self._connection.connect()
        channel = self._connection.channel()
        for queue in queues(self._settings):
            queue(channel).declare()
        if not is_redis(self._settings):
            dead_queue(self._settings)(channel).declare()
        self._producer = self._app.amqp.Producer(channel)

    def publish(self, notice: Notice) -> None:
        """Send the message about a job; on RabbitMQ the broker has confirmed that it keeps it when this returns."""
        self._app.send_task(
            TASK,
            (notice.id,),
            producer=self._producer,
            queue=queue_name(self._settings, notice.priority),
            retry=False,
            ignore_result=True,
            timeout=self._timeout,
            confirm_timeout=self._timeout,
        )

    def close(self) -> None:
        """Drop the connection, in whatever state it is."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            # Not `close`, which says goodbye to a broker that may not be there.
            connection.collect(socket_timeout=0.1)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = dict(self._app.conf.broker_transport_options)
        if is_redis(self._settings):
            return options | {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
        return options | {"confirm_publish": True, "read_timeout": self._timeout, "write_timeout": self._timeout}
