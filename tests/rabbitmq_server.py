"""A RabbitMQ of a test's own, which it may kill and start again: a node with a name, ports and a folder that nobody else has."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import kombu

from tests.own_server import OwnServer
from tests.sites import free_port

RABBITMQ_SERVER_LEFT_OUT = (
    "rabbitmq-server: install it (Debian: apt-get install rabbitmq-server) to include it going away"
)


def find_script() -> Path | None:
    """The server's own script: Debian's wrapper on the PATH changes the user, and then takes other folders."""
    packaged = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    on_path = shutil.which("rabbitmq-server")
    return packaged[-1] if packaged else Path(on_path) if on_path else None


class OwnRabbit(OwnServer):
    """A node that keeps its messages in ``folder``, so that they outlive a crash."""

    start_seconds = 120

    def __init__(self, folder: Path) -> None:
        script = find_script()
        assert script is not None, RABBITMQ_SERVER_LEFT_OUT
        self._script, self._folder = script, folder
        self._port, self._peers, self._names = free_port(), free_port(), free_port()
        self._name = f"mealshare-test-{secrets.token_hex(4)}@localhost"
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        folder.mkdir()
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self._port}\ndisk_free_limit.absolute = 50MB\n"
        )
        self._epmd: subprocess.Popen[bytes] | None = None
        super().__init__(folder / "rabbitmq.log")

    def start(self) -> None:
        """Start it, with what it knew, and wait until it lets somebody in."""
        folder = str(self._folder)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")} | {
            "RABBITMQ_NODENAME": self._name, "RABBITMQ_DIST_PORT": str(self._peers),
            "RABBITMQ_MNESIA_BASE": folder, "RABBITMQ_LOG_BASE": folder, "RABBITMQ_LOGS": "-", "HOME": folder,
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins", "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_PID_FILE": f"{folder}/pid", "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            # The daemon that knows the names of nodes is this one's too, and ends with it.
            "ERL_EPMD_PORT": str(self._names), "ERL_EPMD_ADDRESS": "127.0.0.1",
            # One thread for each of two processors is enough for a test.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 -setcookie mealshare",
        }  # fmt: skip
        if self._epmd is None:
            command = [shutil.which("epmd") or "epmd", "-port", str(self._names), "-address", "127.0.0.1"]
            self._epmd = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.launch([str(self._script)], env=environ, start_new_session=True)

    def answers(self) -> bool:
        """See OwnServer."""
        try:
            with kombu.Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End all of its processes at once; what it has written stays."""
        if self._process is not None:
            # The script and the server that it starts are a group.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()


@contextmanager
def own_rabbit(folder: Path) -> Iterator[OwnRabbit]:
    """A server that runs, and is gone afterwards."""
    server = OwnRabbit(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
