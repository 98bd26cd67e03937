"""A PostgreSQL database: `pg_dump` of one moment, and `pg_restore` into an empty one.

Both are PostgreSQL's own programs.  The password goes to them in their environment, which only their user can read, and
never among their arguments, which everybody on the machine can.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, make_url, text

from mealshare.core.backup.errors import BackupError, NothingThere
from mealshare.core.backup.tables import ALEMBIC, count_rows, engine_of

#: Seconds in which the last connection to a database may still be closing.
_GRACE = 3.0
#: What must not stand among the arguments of a program.
_SECRET = ("password", "sslpassword")
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


def dump(
    url: str, target: Path, programs: Path | None, begun: Callable[[], None], tell: Callable[[str], None]
) -> tuple[str, dict[str, int]]:
    """Write what MealShare has in the database of ``url``, as it is at one moment, to ``target``.

    Gives the schema's revision and the rows of each table at that moment, just after which ``begun`` is called.
    ``programs`` is the folder of pg_dump, if it is not on the PATH.  Others read and write meanwhile; only changes of the
    schema wait.
    """
    program = _program("pg_dump", programs)
    with engine_of(url) as engine, engine.connect() as plain:
        connection = snapshot(plain)
        revision = _revision(connection)
        begun()
        counts = count_rows(connection)
        if revision is None:
            raise NothingThere
        schema = connection.scalars(text("SELECT current_schema()")).one()
        moment = connection.scalars(text("SELECT pg_export_snapshot()")).one()
        tell("database: pg_dump")
        # Tables by their names: what else lives in this database is not ours to restore.
        tables = [f"--table={_quoted(schema)}.{_quoted(name)}" for name in (*counts, ALEMBIC)]
        _run(
            program,
            [
                "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={moment}", f"--file={target}", *tables,
            ],
            url,
        )  # fmt: skip
    return revision, counts


def load(url: str, dumped: Path, programs: Path | None) -> None:
    """Restore ``dumped`` into the database of ``url``, in which there is no table of ours: all of it, or nothing."""
    _run(
        _program("pg_restore", programs),
        ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(dumped)],
        url,
    )
    with engine_of(url) as engine, engine.connect() as connection:
        # A dump has no statistics, and without them the first pages would be planned badly.
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def snapshot(connection: Connection) -> Connection:
    """The connection in a transaction that sees one moment and writes nothing, however long it takes."""
    reading = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    reading.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    reading.execute(text("SET LOCAL statement_timeout = 0"))
    return reading


def check_unused(url: str) -> None:
    """Raise BackupError while somebody else is connected to the database."""
    with engine_of(url) as engine, engine.connect() as connection:
        reading = connection.execution_options(isolation_level="AUTOCOMMIT")
        # The server needs a moment to see that a connection is over.
        deadline = time.monotonic() + _GRACE
        while (others := reading.scalars(_OTHERS).one()) and time.monotonic() < deadline:
            time.sleep(0.1)
    if others:
        raise BackupError(f"the database is in use ({others} other connections): stop the site first")


def check_programs(programs: Path | None) -> None:
    """Raise BackupError unless the programs are there."""
    _program("pg_restore", programs)


def drop_revision(url: str) -> None:
    """Remove alembic's own table, which going back to the beginning leaves behind; the dump brings one."""
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {ALEMBIC}"))


def _revision(connection: Connection) -> str | None:
    known = connection.scalars(text("SELECT to_regclass('alembic_version') IS NOT NULL")).one()
    return connection.scalars(text("SELECT version_num FROM alembic_version")).first() if known else None


def _program(name: str, folder: Path | None) -> str:
    found = shutil.which(name, path=None if folder is None else str(folder))
    if found is None:
        place = "on the PATH" if folder is None else f"in {folder}"
        raise BackupError(
            f"{name} is not {place}: install PostgreSQL's client programs (Debian: apt-get install postgresql-client),"
            " or say where they are with --pg-bin"
        )
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(program: str, arguments: list[str], url: str) -> None:
    """Run one of PostgreSQL's programs on the database of ``url``; BackupError with the first line that it says."""
    from psycopg.conninfo import make_conninfo  # Only here: a site on SQLite need not have it.

    address = make_url(url)
    known: dict[str, Any] = dict(address.translate_connect_args(username="user", database="dbname"))
    known |= {name: value for name, value in address.query.items() if isinstance(value, str)}
    environ = dict(os.environ)
    if "password" in known:
        environ["PGPASSWORD"] = str(known["password"])
    shown = make_conninfo("", **{name: value for name, value in known.items() if name not in _SECRET})
    command = [program, "--no-password", f"--dbname={shown}", *arguments]
    ran = subprocess.run(command, env=environ, capture_output=True, check=False)  # noqa: S603  No shell; no input of others.
    if ran.returncode == -signal.SIGXFSZ:
        # A limit of the process, which Python would have been told of as an error.
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        raise BackupError(said[0] if said else f"{program} ended with status {ran.returncode}")
