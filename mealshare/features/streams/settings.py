"""How many may listen, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from mealshare.core.settings import setting


@dataclass(frozen=True)
class StreamSettings:
    """Streams of new meals."""

    listeners: int = setting(500, "Streams that each process keeps open at once.", minimum=0, maximum=10_000)
    per_account: int = setting(5, "Streams of one account in each process.", minimum=1)
    per_address: int = setting(10, "Streams of visitors from one address in each process.", minimum=1)
    seconds: int = setting(3600, "Seconds after which a stream ends, and its client begins a new one.", minimum=1)
    heartbeat_seconds: int = setting(
        15, "Seconds of silence after which a stream sends a line that says nothing.", minimum=1
    )
    poll_seconds: float = setting(
        1.0, "Seconds between two looks for meals that other processes posted, and for revoked tokens.", minimum=0.05
    )
    buffer_bytes: int = setting(
        262_144, "Bytes that may wait for a client which reads too slowly, before its stream ends.", minimum=1024
    )
