"""What is counted, and how it is told.  The only module that knows prometheus_client.

With a folder, each process writes what it counts to files of its own there, and whoever is asked adds up all of them
(prometheus_client's multiprocess mode).  What a process has counted must not be lost with it, or rates would show a fall
and a rise that never were; so the files of the dead are added to one, and their gauges forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pyramid.config import Configurator

from mealshare.core.metrics.folder import alone, bury_the_dead
from mealshare.core.metrics.site import SiteCollector
from mealshare.core.metrics.tween import count_statements
from mealshare.core.serving import Stop

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Seconds; the public feed takes two hundredths, an upload about a second.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
JOB_BUCKETS = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0)
#: Seconds between two looks at what is not counted by events, where several processes are told of by one.
SAMPLE_SECONDS = 5.0

#: It has no annotations.
_Together: Any = multiprocess.MultiProcessCollector
#: What one route adds to: latency, statements, their seconds.
_OfRoute = tuple[Callable[[float], None], Callable[[float], None], Callable[[float], None]]


class Meter:
    """The metrics of one application in one process."""

    def __init__(self, registry: Any, folder: Path | None) -> None:
        self._registry = registry
        self._folder = folder
        #: With a folder the files are what is read; nothing is registered.
        self._own = None if folder is not None else CollectorRegistry()
        self._requests = self._counter("http_requests", "Requests answered.", ("route", "method", "status"))
        self._latency = Histogram(
            "mealshare_http_request_seconds", "Seconds from the first tween to the answer.", ("route",),
            buckets=BUCKETS, registry=self._own,
        )  # fmt: skip
        self._statements = self._counter("sql_statements", "SQL statements that requests ran.", ("route",))
        self._sql = self._counter("sql_seconds", "Seconds that requests spent in SQL statements.", ("route",))
        self._jobs = self._counter("jobs", "Attempts at jobs by outcome: done, failed, dead.", ("job", "outcome"))
        self._job_seconds = Histogram(
            "mealshare_job_seconds", "Seconds that an attempt took.", ("job",), buckets=JOB_BUCKETS, registry=self._own
        )
        self._refused = self._counter("ratelimit_refusals", "Hits refused by a rate limit.", ("limit",))
        self._lookups = self._counter("cache_lookups", "Lookups in a cache.", ("cache", "result"))
        self._connections = self._gauge("db_connections_in_use", "Connections of the pool that are in use.")
        self._pool = self._gauge("db_pool_size", "Connections that the pool keeps.")
        self._streams = self._gauge("streams_open", "Open streams.")
        self._by_outcome: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._by_route: dict[str, _OfRoute] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._sampling = threading.Lock()

    def install(self, config: Configurator) -> None:
        """Count what this application does; to be called before the features are included."""
        registry = self._registry
        count_statements(registry["engine"])
        cache = registry["cache"]
        cache.lookups = lambda found: self._lookups.labels("values", "hit" if found else "miss").inc()
        self._fragments = registry["fragments"]
        registry["ratelimit"].refused = lambda limit: self._refused.labels(limit).inc()
        registry["job_noted"] = self.job
        config.add_tween(
            "mealshare.core.metrics.tween.metrics_tween_factory",
            under=(
                "mealshare.core.log.request_log_tween_factory",
                "mealshare.core.security.headers.headers_tween_factory",
            ),
            over=("mealshare.core.timing.timing_tween_factory", "pyramid_tm.tm_tween_factory"),
        )
        if self._folder is not None:
            registry.setdefault("on_serve", []).append(self._start)

    def request(self, route: str, method: str, status: int, seconds: float, statements: int, sql: float) -> None:
        """Count one request.  ``seconds`` and ``sql`` (of these, in statements) are seconds."""
        outcome = (route, method if method in METHODS else "other", status // 100)
        count = self._by_outcome.get(outcome)
        if count is None:
            child = self._requests.labels(outcome[0], outcome[1], f"{outcome[2]}xx")
            count = self._by_outcome[outcome] = child.inc
        known = self._by_route.get(route)
        if known is None:
            known = self._by_route[route] = (
                self._latency.labels(route).observe, self._statements.labels(route).inc, self._sql.labels(route).inc,
            )  # fmt: skip
        count(1)
        known[0](seconds)
        if statements:
            known[1](statements)
            known[2](sql)

    def job(self, name: str, outcome: str, seconds: float) -> None:
        """Count an attempt at the job ``name``, which took ``seconds``; ``outcome`` is done, failed or dead."""
        if name not in self._registry["jobs"].handlers:
            # What another version of the site has queued: any word at all.
            name = "unknown"
        self._jobs.labels(name, outcome).inc()
        self._job_seconds.labels(name).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """All metrics in the text format, and its content type."""
        self.sample()
        text = b""
        if self._own is not None:
            text = generate_latest(self._own)
        elif self._folder is not None:
            with alone(self._folder):
                bury_the_dead(self._folder)
                together = CollectorRegistry()
                _Together(together, str(self._folder))
                text = generate_latest(together)
        asked = CollectorRegistry()
        asked.register(SiteCollector(self._registry))
        return text + generate_latest(asked), CONTENT_TYPE_LATEST

    def sample(self) -> None:
        """Write down what no event tells."""
        with self._sampling:
            pool = self._registry["engine"].pool
            self._connections.set(pool.checkedout())
            self._pool.set(pool.size())
            self._streams.set(len(self._registry.get("streams", ())))
            for result, count in (("hit", self._fragments.hits), ("miss", self._fragments.misses)):
                key = ("fragments", result)
                more = count - self._told.get(key, 0)
                if more > 0:
                    self._lookups.labels(*key).inc(more)
                    self._told[key] = count

    def _start(self) -> Stop:
        """A thread that samples: whoever is asked can only read what the other processes have written."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(SAMPLE_SECONDS):
                self.sample()

        self.sample()
        thread = threading.Thread(target=look, name="mealshare-metrics", daemon=True)
        thread.start()

        def stop() -> None:
            over.set()
            thread.join(2)
            self.sample()

        return stop

    def _counter(self, name: str, help: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"mealshare_{name}", help, labels, registry=self._own)

    def _gauge(self, name: str, help: str) -> Gauge:
        # The sum over the processes that live.
        return Gauge(f"mealshare_{name}", help, registry=self._own, multiprocess_mode="livesum")
