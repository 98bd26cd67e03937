"""Measures what reading costs as a site grows: the CPU time and the SQL statements of a request, by number of meals.

    python scripts/growth.py --sizes 2000 20000 200000
    MEALSHARE_TEST_POSTGRES=postgresql+psycopg://user@host:5432/database python scripts/growth.py

Fills databases of its own, on SQLite and, if the variable names a server, on PostgreSQL of this machine, and drops them
afterwards.  The reader follows fifty people who ate something long ago, and five who still do: a home feed that looked
through everybody's meals for theirs would cost the more, the more others post.  The CPU time is that of this process
and, on PostgreSQL, of the server processes that work for it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import sqlalchemy
from sqlalchemy import CTE, Connection, Engine, Executable, column, func, literal_column, select, table, text
from webtest import TestApp

from mealshare import main as make_application
from mealshare.core.db import record_statements
from mealshare.core.db.migrate import upgrade
from tests.databases import POSTGRES_LEFT_OUT, Backend, new_database, postgres_url
from tests.people import add_user, bearer
from tests.sites import site_settings

DORMANT, ACTIVE, FOLLOWS = 50, 5, 5
FIRST_MEAL = 1_000_000
#: The meals of those who ate long ago.
OLD = 1_000
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What one request takes."""

    milliseconds: float
    statements: int


def numbers(dialect: str, count: int) -> CTE:
    """A table ``numbers(n)`` from 0 to ``count - 1``."""
    if dialect == "postgresql":
        return select(func.generate_series(0, count - 1).label("n")).cte("numbers")
    start = select(literal_column("0").label("n")).cte("numbers", recursive=True)
    return start.union_all(select(start.c.n + 1).where(start.c.n + 1 < count))


def filling(dialect: str, meals: int, reader: int) -> Iterator[Executable]:
    """The statements that make the site."""
    people = 200 + meals // 100
    moment = "'2026-01-01 12:00:00'" if dialect == "sqlite" else "TIMESTAMPTZ '2026-01-01 12:00:00Z'"
    day = "'2026-01-01'" if dialect == "sqlite" else "DATE '2026-01-01'"
    no = "0" if dialect == "sqlite" else "false"
    hidden = "CASE n % 10 WHEN 3 THEN 'followers' ELSE 'public' END"

    def insert(name: str, columns: dict[str, str], count: int, where: str = "true") -> Executable:
        rows = select(*map(literal_column, columns.values())).select_from(numbers(dialect, count)).where(text(where))
        return sqlalchemy.insert(table(name, *map(column, columns))).from_select(list(columns), rows)

    yield insert("accounts", {
        "id": "n + 1", "username": "'p' || (n + 1)", "domain": "''", "display_name": "''", "bio": "''", "bio_html": "''",
        "locked": no, "uri": "'u' || n", "url": "'u' || n", "meals_count": "100", "created_at": moment, "version": "1",
    }, people)  # fmt: skip
    yield insert("places", {
        "id": "n + 1", "name": "'Place ' || n", "city": "''", "country_code": "''", "spot": "''", "name_key": "'place ' || n",
        "city_key": "''", "created_at": moment,
    }, 500)  # fmt: skip
    yield insert(
        "tags",
        {"id": "n + 1", "name": "'t' || n", "display": "'t' || n", "meals_count": "9", "created_at": moment},
        1000,
    )
    author = f"CASE WHEN n < {OLD} THEN n % {DORMANT} + 1 ELSE n % {people - DORMANT} + {DORMANT + 1} END"
    yield insert("posts", {
        "id": f"{FIRST_MEAL} + n", "kind": "'meal'", "uri": "'m' || n", "url": "'m' || n", "account_id": author,
        "note": "''",
        "note_html": "''", "spoiler_text": "''", "sensitive": no, "visibility": hidden,
        "created_at": moment, "version": "1", "likes_count": "0", "comments_count": "0", "ate_too_count": "0",
        "food": "'soup ' || n",
        "meal_type": "'lunch'", "eaten_at": moment, "time_zone": "'UTC'", "eaten_on": day, "place_id": "n % 500 + 1",
        "place_key": "'place ' || (n % 500)", "diets": "0", "allergens_contained": "0", "allergens_free_from": "0",
        "tag_names": "'[]'",
        "comments_closed": no,
    }, meals)  # fmt: skip
    yield insert("post_tags", {"tag_id": "1", "post_id": f"{FIRST_MEAL} + n"}, meals, "n % 10 = 0")
    yield insert("post_tags", {"tag_id": "n % 999 + 2", "post_id": f"{FIRST_MEAL} + n"}, meals)
    follow = {"state": "'accepted'", "created_at": moment}
    for step in range(1, FOLLOWS + 1):
        ids = {"id": f"{step} * 1000000 + n", "account_id": "n + 1", "target_id": f"(n + {step * 7}) % {people} + 1"}
        yield insert("follows", ids | follow, people)
    ids = {"id": "9000000 + n", "account_id": str(reader), "target_id": "n + 1"}
    yield insert("follows", ids | follow, DORMANT + ACTIVE)
    yield insert(
        "wants",
        {"id": "n + 1", "post_id": f"{FIRST_MEAL} + n", "account_id": f"n % {people} + 1", "created_at": moment},
        meals // 5 * 5,
        "n % 5 = 0",
    )
    yield insert(
        "wants",
        {
            "id": "7000000 + n",
            "post_id": f"{FIRST_MEAL} + n * {meals // 200}",
            "account_id": str(reader),
            "created_at": moment,
        },
        200,
    )
    yield text(
        "INSERT INTO timeline_entries (account_id, post_id, author_id) SELECT account_id, id, account_id FROM posts"
    )
    yield text(
        "INSERT INTO timeline_entries (account_id, post_id, author_id) SELECT f.account_id, p.id, p.account_id"
        " FROM posts p JOIN follows f ON f.target_id = p.account_id"
        " WHERE p.visibility <> 'only_me' ON CONFLICT DO NOTHING"
    )


def fill(engine: Engine, meals: int, reader: int) -> None:
    """Make the site, with statistics."""
    with engine.begin() as connection:
        for statement in filling(engine.dialect.name, meals, reader):
            connection.execute(statement)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as bare:
        bare.execute(text("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"))


def requests_of(meals: int) -> dict[str, str]:
    """What is measured, by name."""
    middle = FIRST_MEAL + meals // 2
    return {
        "public feed": "/api/feed/public",
        "public feed, older": f"/api/feed/public?max_id={middle}",
        "home": "/api/feed/home",
        "home, older": f"/api/feed/home?max_id={middle}",
        "a person's meals": "/api/users/p60/meals",
        "tag, common": "/api/feed/tags/t0",
        "tag, rare": "/api/feed/tags/t5",
        "place": "/api/feed/places/Place%207",
        "meal": f"/api/meals/{FIRST_MEAL + OLD + 9}",
        "want list": "/api/want",
    }


def server_seconds(connection: Connection) -> float:
    """The CPU time so far of the PostgreSQL processes that serve this database; 0 on SQLite, which is within us."""
    if connection.dialect.name != "postgresql":
        return 0.0
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    total = 0
    for pid in connection.execute(text(query)).scalars():
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def measure(app: TestApp, engine: Engine, path: str, headers: dict[str, str], rounds: int) -> Cost:
    """The cost of GET ``path``, on average; the first ones only fill caches."""

    def ask() -> None:
        app.get(path, headers=headers)

    for _ in range(10):
        ask()
    with record_statements() as statements:
        ask()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        before = time.process_time() + server_seconds(connection)
        for _ in range(rounds):
            ask()
        after = time.process_time() + server_seconds(connection)
    return Cost(1000 * (after - before) / rounds, len(statements))


@contextmanager
def site(backend: Backend, meals: int) -> Iterator[tuple[TestApp, Engine, dict[str, str]]]:
    """A site with that many meals, and the headers of its reader."""
    with tempfile.TemporaryDirectory(prefix="mealshare-growth-") as name:
        folder = Path(name)
        with new_database(backend, folder) as url:
            upgrade(url)
            settings = site_settings(folder, url, "http://localhost") | {"jobs.engine": "worker"}
            application = make_application({}, **settings)
            engine: Engine = application.registry["engine"]
            try:
                reader = add_user(application.registry, "reader")
                fill(engine, meals, reader.account_id)
                app = TestApp(application)
                yield app, engine, bearer(app, reader)
            finally:
                engine.dispose()


def as_table(backend: str, sizes: list[int], costs: dict[int, dict[str, Cost]]) -> str:
    """The costs as a table, with the ratio to those of the smallest site."""
    first = costs[sizes[0]]
    heads = [f"{size:,} meals" for size in sizes]
    lines = [f"{backend}: CPU time of a request, its SQL statements, the ratio to the smallest site"]
    lines += ["", " " * 20 + "".join(f"{head:>26}" for head in heads)]
    for name, smallest in first.items():
        of_sizes = [(costs[size][name], costs[size][name].milliseconds / smallest.milliseconds) for size in sizes]
        cells = [f"{cost.milliseconds:8.2f} ms {cost.statements:2} {ratio:6.2f}x" for cost, ratio in of_sizes]
        lines.append(f"{name:20}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines) + "\n\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 200_000], help="numbers of meals")
    parser.add_argument("--rounds", type=int, default=200, help="requests of each kind that are measured")
    given = parser.parse_args()
    backends: list[Backend] = ["sqlite"] if postgres_url() is None else ["sqlite", "postgresql"]
    for backend in backends:
        costs: dict[int, dict[str, Cost]] = {}
        for meals in given.sizes:
            with site(backend, meals) as (app, engine, headers):
                paths: dict[str, Any] = requests_of(meals)
                costs[meals] = {name: measure(app, engine, path, headers, given.rounds) for name, path in paths.items()}
        sys.stdout.write(as_table(backend, given.sizes, costs))
    if len(backends) == 1:
        sys.stdout.write(f"LEFT OUT {POSTGRES_LEFT_OUT}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
