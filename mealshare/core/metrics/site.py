"""What is true of the whole site, asked for when somebody looks: the queue, the database, the version, the uptime."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from mealshare.core import clock
from mealshare.core.jobs.models import Job, JobState
from mealshare.core.version import __version__

#: When this module was imported: when the process that answers began, by the monotonic clock.
_BEGAN = time.monotonic()
_DEPTH = select(Job.state, func.count()).group_by(Job.state)
_OLDEST = select(func.min(Job.run_at)).where(Job.state == JobState.QUEUED.value)


class SiteCollector(Collector):
    """Two short statements, when it is collected; with a database that is away, a gauge that says so."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        info = GaugeMetricFamily("mealshare_info", "Always 1; what runs.", labels=("version", "python", "database"))
        database = self._registry["engine"].dialect.name
        info.add_metric((__version__, platform.python_version(), database), 1)
        yield info
        yield GaugeMetricFamily(
            "mealshare_uptime_seconds", "Seconds since the process that answers began.", time.monotonic() - _BEGAN
        )
        try:
            with self._registry["read_engine"].connect() as connection:
                depth = {str(state): count for state, count in connection.execute(_DEPTH)}
                oldest = connection.scalar(_OLDEST)
        except SQLAlchemyError:
            yield GaugeMetricFamily("mealshare_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("mealshare_database_up", "Whether the database answers.", 1)
        waiting = GaugeMetricFamily("mealshare_jobs_present", "Jobs in the table, by state.", labels=("state",))
        for state in JobState:
            waiting.add_metric((state.value,), depth.get(state.value, 0))
        yield waiting
        age = timedelta() if oldest is None else max(timedelta(), clock.now() - oldest)
        yield GaugeMetricFamily(
            "mealshare_jobs_oldest_due_seconds", "Seconds for which the oldest due job has waited.", age.total_seconds()
        )
