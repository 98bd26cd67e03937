"""The settings of jobs, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from mealshare.core.settings import BootError, Secret, SettingsError, setting

#: The libraries that an address of a broker needs, by how it begins.
BROKERS = {
    "amqp://": ("celery",),
    "amqps://": ("celery",),
    "redis://": ("celery", "redis"),
    "rediss://": ("celery", "redis"),
    "unix://": ("celery", "redis"),
}


@dataclass(frozen=True)
class JobSettings:
    """Where jobs run."""

    engine: str = setting(
        "embedded",
        "What runs jobs: a thread of the serving process, processes that work the job table (mealshare worker), or "
        "Celery workers that a broker tells of each job.",
        choices=("embedded", "worker", "celery"),
    )
    threads: int = setting(4, "Jobs that one mealshare worker runs at once.", minimum=1, maximum=64)
    poll_seconds: float = setting(1.0, "How long until somebody looks for due jobs again.", minimum=0.01)
    broker: Secret = setting(
        Secret(""),
        "Where the broker of Celery is: amqp://user:password@host:5672//, amqps://, redis://, "
        "rediss:// or unix://, which is Redis too.",
    )
    prefix: str = setting("mealshare", "What the names of the queues begin with; sites that share a broker differ.")


def check_settings(settings: JobSettings) -> None:
    """Raise SettingsError for a broker that is missing or no address, BootError for a library that is missing.

    Imports nothing and connects to nothing: a site starts while its broker is away.
    """
    if settings.engine != "celery":
        return
    if not settings.broker:
        raise SettingsError("the setting jobs.broker is missing: with jobs.engine = celery it says where the broker is")
    needed = next((libraries for scheme, libraries in BROKERS.items() if settings.broker.startswith(scheme)), None)
    if needed is None:
        # Without the address itself, which may hold a password.
        raise SettingsError(f"the setting jobs.broker is wrong: it begins with none of {', '.join(BROKERS)}")
    if not settings.prefix:
        raise SettingsError("the setting jobs.prefix is wrong: it is empty")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise BootError(
            f"the setting jobs.engine is celery, but a library is missing: pip install 'mealshare[{','.join(missing)}]'"
        )
