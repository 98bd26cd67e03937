"""Sites of administrators in folders of their own, and what tells whether two of them are the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sqlalchemy import create_engine, pool, text

from mealshare.cli import main
from mealshare.core.backup.move import reading
from mealshare.core.backup.rows import Sum, sum_rows
from mealshare.core.backup.tables import engine_of
from mealshare.core.db.base import Base
from mealshare.core.models import import_models
from mealshare.core.storage import LocalStorage
from tests.sites import free_port, site_settings, write_ini


@dataclass(frozen=True)
class Place:
    """A site whose files lie in ``folder``; its database is at ``url``, or is not there yet."""

    folder: Path
    url: str

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_ini(self.ini, site_settings(self.folder, self.url, "http://localhost"), free_port())

    @property
    def ini(self) -> Path:
        return self.folder / "place.ini"

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.folder / "media")

    def run(self, *arguments: str | Path) -> Result:
        """``mealshare -c place.ini ...``"""
        return CliRunner().invoke(main, ["-c", str(self.ini), *(str(argument) for argument in arguments)])

    def done(self, *arguments: str | Path) -> str:
        """The same, which has to go well; gives what it says on standard output."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str | Path) -> str:
        """The same, which has to fail; gives the one line in which it says why."""
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("Error: "), result.output
        return last.removeprefix("Error: ")

    def start(self, *arguments: str | Path, before: str = "") -> subprocess.Popen[str]:
        """The same in a process of its own, in a shell that does ``before`` first."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
        command = [sys.executable, "-W", "ignore", "-c", "from mealshare.cli import main; main()", "-c", str(self.ini)]
        shell = ["bash", "-c", f'{before}\nexec "$@"', "bash", *command, *(str(argument) for argument in arguments)]
        return subprocess.Popen(shell, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """The rows that a statement gives, if it does."""
        engine = create_engine(self.url, poolclass=pool.NullPool)
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    def sums(self) -> dict[str, Sum]:
        """Count and checksum of each table."""
        import_models()
        with engine_of(self.url) as engine, reading(engine) as connection:
            return {table.name: sum_rows(connection, table) for table in Base.metadata.sorted_tables}

    def media(self) -> dict[str, str]:
        """The checksum of each file."""
        return {key: _digest(self.storage, key) for key in list(self.storage.keys())}


def _digest(storage: LocalStorage, key: str) -> str:
    with storage.open(key) as file:
        return hashlib.sha256(file.read()).hexdigest()


def unfinished(folder: Path) -> list[Path]:
    """What is left of unfinished files in a folder."""
    return [path for path in folder.iterdir() if path.name.startswith(".mealshare-unfinished-")]


NewPlace = Callable[..., Place]
