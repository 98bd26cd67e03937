"""A Redis of a test's own, which it may stop, freeze and empty: on a socket in a folder, so no port is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.own_server import OwnServer


class OwnRedis(OwnServer):
    """A `redis-server` that keeps nothing on the disk."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        super().__init__(folder / "redis.log")

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        socket = str(self.socket)
        self.launch(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no"])

    def answers(self) -> bool:
        """See OwnServer."""
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def empty(self) -> None:
        """Forget everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    """A server that runs, and is gone afterwards."""
    server = OwnRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
