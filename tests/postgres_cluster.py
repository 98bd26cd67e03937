"""A PostgreSQL of a test's own, which it may stop, kill, freeze and copy: in a folder and on a port that nobody else has.

PostgreSQL refuses to run as root.  Where the tests do, the server runs as the user ``postgres``, whom the system's
package makes.  It does not wait for the disk (no ``fsync``): what a killed process has written is kept all the same, and
nobody pulls the plug of the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import psycopg

from tests.sites import free_port

#: Seconds until it must answer, or have ended.
START_SECONDS = STOP_SECONDS = 60
SERVER_LEFT_OUT = (
    "PostgreSQL's server: install it (Debian: apt-get install postgresql) to include databases that go away"
)
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "wal_level": "replica",
    "hot_standby": "on",
    "max_wal_senders": "5",
    "autovacuum": "off",
    "log_line_prefix": "[%a] ",
    "log_min_messages": "log",
}


def find_programs() -> Path | None:
    """The folder of ``initdb``, ``postgres`` and the others: Debian's newest, or that of the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("pg_basebackup")
    folders = [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
    wanted = ("initdb", "postgres", "pg_basebackup")
    return next((folder for folder in folders if all((folder / name).exists() for name in wanted)), None)


class Cluster:
    """One server: its data, its port, its process."""

    def __init__(self, folder: Path, **options: str) -> None:
        programs = find_programs()
        assert programs is not None, SERVER_LEFT_OUT
        self._programs, self.folder = programs, folder
        self.data, self.log = folder / "data", folder / "server.log"
        self.port = free_port()
        self._options = _OPTIONS | {"unix_socket_directories": str(folder)} | options
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the folder of an empty server."""
        self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")

    def copy_of(self, primary: Cluster) -> None:
        """Make the folder of a replica, which follows ``primary`` as soon as it is started."""
        where = f"host=127.0.0.1 port={primary.port} user=postgres application_name=replica"
        self._run("pg_basebackup", "-R", "-c", "fast", "--no-sync", "-d", where, "-D", str(self.data))

    def start(self) -> None:
        """Start it and wait until it lets somebody in."""
        command = [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in self._options.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            # A group of its own: `kill` and `frozen` are for all of its processes at once.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, start_new_session=True, **_as_postgres()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL did not answer in time"
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it lets somebody in now."""
        with suppress(psycopg.OperationalError):
            self.run("SELECT 1")
            return True
        return False

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Shut it down: ``fast`` ends what runs, ``immediate`` leaves without a word."""
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        if self._process is not None:
            self._process.send_signal(signals[mode])
            self._process.wait(STOP_SECONDS)
            self._process = None

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Shut it down and start it again."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """End all of its processes at once, as a crash does."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(STOP_SECONDS)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing, as a machine does that is gone."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def run(self, statement: str, database: str = "postgres", parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement, if it gives any, in a connection of its own."""
        where = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": database, "connect_timeout": 5}
        with psycopg.connect(**where, application_name="test", autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def _signal(self, number: int) -> None:
        """To each process of the server: every one of them leads a group of its own."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for process in (self._process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False, **_as_postgres())
        assert done.returncode == 0, done.stderr


@contextmanager
def own_cluster(**options: str) -> Iterator[Cluster]:
    """A server that runs, and is gone afterwards; ``options`` are lines of its ``postgresql.conf``."""
    with _folder() as folder:
        cluster = Cluster(folder, **options)
        cluster.create()
        with _running(cluster):
            yield cluster


@contextmanager
def own_replica(primary: Cluster, **options: str) -> Iterator[Cluster]:
    """A streaming replica of ``primary`` that runs."""
    with _folder() as folder:
        replica = Cluster(folder, **options)
        replica.copy_of(primary)
        with _running(replica):
            yield replica


@contextmanager
def _running(cluster: Cluster) -> Iterator[None]:
    cluster.start()
    try:
        yield
    finally:
        cluster.kill()


@contextmanager
def _folder() -> Iterator[Path]:
    """Not pytest's: the user ``postgres`` may not look into that of root."""
    with tempfile.TemporaryDirectory(prefix="mealshare-postgres-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, "postgres", "postgres")
        yield Path(name)


def _as_postgres() -> dict[str, Any]:
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
