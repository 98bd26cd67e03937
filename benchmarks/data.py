"""Sites to measure on: databases of 2,000 to 2,000,000 meals, the same at each filling, and kept for the next run.

    python -m benchmarks.data 2000 2000000        fill them (PostgreSQL too, if the variable of the tests names one)
    python -m benchmarks.data --clean             remove them all

A SQLite site is a file in ``var/bench``, a PostgreSQL site a database whose name begins with ``mealshare_bench_``.  Both
carry a hash of the statements that fill them and of the newest migration, so a change of either makes new ones, and the
old ones go.

Everything is written by a few statements over a table of numbers, into tables whose indexes are made afterwards.  What a
page shows of a meal depends on the last three digits of its number only, and all sizes are multiples of a thousand: the
newest twenty meals of every site have the same photos, tags and places.

People (``p1``, ``p2``, ...) follow two others each.  Three can sign in:

- ``reader`` follows fifty people who ate something long ago (dormant), and five who still do;
- ``loner`` follows the fifty dormant ones only: a home feed that searched for their meals would look through all others;
- ``diarist`` ate a hundred meals in January 2023 and writes new ones when a POST is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, pool, text

from benchmarks.frameworks.words import BASE_URL
from benchmarks.settings import FOLDER, settings_of
from mealshare import main as make_application
from mealshare.core.db.migrate import head_revision, upgrade
from mealshare.core.text import render_note
from tests.databases import Backend, postgres_url
from tests.people import add_user

PREFIX = "mealshare_bench_"
SIGNED_IN = ("reader", "loner", "diarist")
DORMANT, ACTIVE, FOLLOWS, PLACES, RARE_TAGS, WANTS = 50, 5, 2, 500, 200, 200
#: The meals of those who ate long ago, in January 2023; all others were eaten every 45 seconds since mid-February.
OLD, OLD_STEP, OLD_START, START, STEP = 1_000, 2_600, 1_672_531_200, 1_676_419_200, 45
#: Milliseconds above the 16 bits that tell ids of one millisecond apart (mealshare.core.ids).
ID_PER_SECOND = 1000 << 16
_BLURHASH = "LKO2?U%2Tw=w]~RBVZRi};RPxuwH"
_NOTES = (
    "",
    "Hot enough, and a second helping of rice with greens.",
    "The queue went round the corner. Forty minutes in the rain, and then the last bowl of the day: thin noodles, clear "
    "broth, two slices of brisket, and pickled greens on the side. Worth every minute, and the umbrella.",
    "排队四十分钟,值得。汤很清,面很细。",
)


@dataclass(frozen=True)
class Site:
    """A filled database: its address, how many meals it has, and whether this run had to fill it."""

    url: str
    meals: int
    filled_seconds: float = 0.0

    @property
    def backend(self) -> Backend:
        """Which database."""
        return "sqlite" if self.url.startswith("sqlite") else "postgresql"


def meal_id(number: int) -> int:
    """The id of the meal ``number`` (from 0)."""
    seconds = OLD_START + number * OLD_STEP if number < OLD else START + (number - OLD) * STEP
    return seconds * ID_PER_SECOND


def open_site(backend: Backend, meals: int) -> Site:
    """The site with that many meals, filled if it is not there; ValueError unless they are a multiple of 1,000."""
    if meals < 2 * OLD or meals % 1000:
        raise ValueError("a site has 2,000 meals or more, in thousands")
    begin = time.monotonic()
    made = _open_sqlite(meals) if backend == "sqlite" else _open_postgres(meals)
    url, new = made
    return Site(url, meals, round(time.monotonic() - begin, 1) if new else 0.0)


def copy_site(site: Site, name: str) -> Site:
    """A copy that may be written to; `remove_copy` takes it away.  An earlier copy of that name is replaced."""
    if site.backend == "sqlite":
        target = FOLDER / f"{name}.sqlite"
        for suffix in ("", "-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        with sqlite3.connect(str(make_url(site.url).database)) as source, sqlite3.connect(target) as copy:
            source.backup(copy)
        return Site(f"sqlite:///{target}", site.meals)
    server = _server()
    _administer(server, f'DROP DATABASE IF EXISTS "{PREFIX}{name}" WITH (FORCE)')
    _administer(server, f'CREATE DATABASE "{PREFIX}{name}" TEMPLATE "{make_url(site.url).database}"')
    return Site(_render(server.set(database=PREFIX + name)), site.meals)


def remove_copy(copy: Site) -> None:
    """Take a copy away."""
    database = str(make_url(copy.url).database)
    if copy.backend == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(database + suffix).unlink(missing_ok=True)
    else:
        _administer(_server(), f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def clean() -> list[str]:
    """Remove all sites; gives their names."""
    gone = [file.name for file in FOLDER.glob("*.sqlite*")]
    for name in gone:
        (FOLDER / name).unlink()
    if postgres_url() is not None:
        names = _databases(_server())
        for name in names:
            _administer(_server(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        gone += names
    return gone


def _open_sqlite(meals: int) -> tuple[str, bool]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{meals}-{_hash()}.sqlite"
    url = f"sqlite:///{file}"
    if file.exists():
        return url, False
    for old in FOLDER.glob(f"{meals}-*.sqlite*"):
        old.unlink()
    part = file.with_suffix(".part")
    for suffix in ("", "-wal", "-shm"):
        part.with_name(part.name + suffix).unlink(missing_ok=True)
    people = _begin(f"sqlite:///{part}")
    connection = sqlite3.connect(part, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "temp_store=MEMORY", "threads=2"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN"
        " ('posts', 'media', 'post_tags', 'likes', 'timeline_entries', 'follows')"
    ).fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    for statement in _filling("sqlite", meals, people):
        connection.execute(statement)
    for _, statement in indexes:
        connection.execute(statement)
    # Without statistics, which MealShare never gathers on SQLite: it plans by the shape of the indexes then.
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    part.rename(file)
    return url, True


def _open_postgres(meals: int) -> tuple[str, bool]:
    server = _server()
    name = f"{PREFIX}{meals}_{_hash()}"
    url = _render(server.set(database=name))
    names = _databases(server)
    if name in names and _is_complete(server, name):
        return url, False
    for old in names:
        if old.startswith(f"{PREFIX}{meals}_"):
            _administer(server, f'DROP DATABASE "{old}" WITH (FORCE)')
    _administer(server, f'CREATE DATABASE "{name}"')
    people = _begin(url)
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        # The rows are right by construction, so nobody has to look at each foreign key.
        for setting in (
            "session_replication_role = replica",
            "maintenance_work_mem = '512MB'",
            "synchronous_commit = off",
        ):
            cursor.execute(f"SET LOCAL {setting}")
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename IN"
            " ('posts', 'media', 'post_tags', 'likes', 'timeline_entries', 'follows')"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
        indexes = cursor.fetchall()
        for index, _ in indexes:
            cursor.execute(f'DROP INDEX "{index}"')
        for statement in _filling("postgresql", meals, people):
            cursor.execute(statement)
        for _, definition in indexes:
            cursor.execute(definition)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as bare:
        bare.execute(text("VACUUM ANALYZE"))
        bare.execute(text(f"COMMENT ON DATABASE \"{name}\" IS 'complete'"))
    engine.dispose()
    return url, True


def _begin(url: str) -> dict[str, int]:
    """Make the tables and those who can sign in; gives their account ids."""
    upgrade(url)
    folder = FOLDER / "seed"
    registry = make_application({}, **settings_of(url, folder)).registry
    people = {name: add_user(registry, name, time_zone="Asia/Shanghai").account_id for name in SIGNED_IN}
    registry["engine"].dispose()
    registry["read_engine"].dispose()
    return people


def _filling(dialect: str, meals: int, ids: dict[str, int]) -> Iterator[str]:
    """The statements that make the site."""
    lite = dialect == "sqlite"
    people = 200 + meals // 100
    no = "0" if lite else "false"

    def moment(seconds: object) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%S.000000', {seconds}, 'unixepoch')" if lite else f"to_timestamp({seconds})"

    def day(seconds: str) -> str:
        return f"date({seconds}, 'unixepoch')" if lite else f"CAST(to_timestamp({seconds}) AT TIME ZONE 'UTC' AS date)"

    def padded(number: str) -> str:
        return f"printf('%08d', {number})" if lite else f"lpad(CAST({number} AS text), 8, '0')"

    def json(value: str) -> str:
        return value if lite else f"CAST({value} AS json)"

    def insert(name: str, columns: dict[str, object], count: int, where: str = "1 = 1") -> str:
        numbers = (
            "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {0})"
            if lite
            else "WITH numbers AS (SELECT generate_series(CAST(0 AS bigint), {0} - 1) AS n)"
        ).format(count)
        values = ", ".join(str(value) for value in columns.values())
        return f"INSERT INTO {name} ({', '.join(columns)}) {numbers} SELECT {values} FROM numbers WHERE {where}"

    def of_meals(columns: str, where: str) -> str:
        """From the meals that are there: ``n`` is the number of each."""
        place = f"CASE WHEN id < {meal_id(OLD)} THEN (id / {ID_PER_SECOND} - {OLD_START}) / {OLD_STEP}"
        place += f" ELSE (id / {ID_PER_SECOND} - {START}) / {STEP} + {OLD} END"
        source = f"(SELECT id, created_at, {place} AS n FROM posts WHERE kind = 'meal') AS meal"
        return f"SELECT {columns} FROM {source} WHERE {where}"

    at = f"CASE WHEN n < {OLD} THEN {OLD_START} + n * {OLD_STEP} ELSE {START} + (n - {OLD}) * {STEP} END"
    number = f"(({at}) * {ID_PER_SECOND})"
    author = (
        f"CASE WHEN n < {OLD} AND n % 10 = 0 THEN {ids['diarist']} WHEN n < {OLD} THEN n % {DORMANT} + 1"
        f" ELSE n % {people - DORMANT} + {DORMANT + 1} END"
    )
    name = f"CASE WHEN n < {OLD} AND n % 10 = 0 THEN 'diarist' ELSE 'p' || ({author}) END"
    then = moment(OLD_START)
    yield insert("accounts", {
        "id": "n + 1", "username": "'p' || (n + 1)", "domain": "''", "display_name": "'Person ' || (n + 1)", "bio": "''",
        "bio_html": "''", "locked": no, "uri": f"'{BASE_URL}/users/p' || (n + 1)", "url": f"'{BASE_URL}/@p' || (n + 1)",
        "meals_count": 0, "created_at": then, "version": 1, "followers_count": FOLLOWS, "following_count": FOLLOWS,
    }, people)  # fmt: skip
    yield insert("places", {
        "id": "n + 1", "name": "'Noodle house ' || n", "city": "'Chengdu'", "country_code": "'CN'", "spot": "''",
        "name_key": "'noodle house ' || n", "city_key": "'chengdu'", "created_at": then,
    }, PLACES)  # fmt: skip
    tag = "CASE n WHEN 0 THEN 'noodles' WHEN 1 THEN 'spicy' ELSE 'rare' || (n - 2) END"
    yield insert(
        "tags", {"id": "n + 1", "name": tag, "display": tag, "meals_count": 1, "created_at": then}, RARE_TAGS + 2
    )
    notes = [note.replace("'", "''") for note in _NOTES]
    html = [render_note(note, tag_url=str, mention_url=lambda name: None).html.replace("'", "''") for note in _NOTES]
    note, note_html = (
        "CASE n % 4 " + " ".join(f"WHEN {i} THEN '{value}'" for i, value in enumerate(values)) + " END"
        for values in (notes, html)
    )
    tags = "CASE n % 5 WHEN 0 THEN '[]' WHEN 1 THEN '[\"noodles\"]' WHEN 2 THEN '[\"noodles\", \"spicy\"]'"
    tags += f" WHEN 3 THEN '[\"spicy\"]' ELSE '[\"rare' || (n / 5 % {RARE_TAGS}) || '\"]' END"
    yield insert("posts", {
        "id": f"{number}", "kind": "'meal'", "uri": f"'{BASE_URL}/posts/' || {number}",
        "url": f"'{BASE_URL}/@' || {name} || '/' || {number}", "account_id": author, "note": note,
        "note_html": note_html, "spoiler_text": "''", "sensitive": no, "created_at": moment(at), "version": 1,
        "visibility": "CASE n % 10 WHEN 3 THEN 'followers' WHEN 7 THEN 'unlisted' ELSE 'public' END",
        "likes_count": "n % 2", "comments_count": "CASE WHEN n % 50 = 0 THEN 2 ELSE 0 END", "ate_too_count": 0,
        "food": "'Mapo tofu, bowl ' || n",
        "meal_type": "CASE n % 4 WHEN 0 THEN 'breakfast' WHEN 1 THEN 'lunch' WHEN 2 THEN 'dinner' ELSE 'snack' END",
        "eaten_at": moment(at), "time_zone": "'UTC'", "eaten_on": day(at),
        "place_id": f"CASE WHEN n % 5 > 0 THEN n % {PLACES} + 1 END",
        "place_key": f"CASE WHEN n % 5 > 0 THEN 'noodle house ' || (n % {PLACES}) END", "diets": "n % 2",
        "allergens_contained": "CASE WHEN n % 5 = 1 THEN 32 ELSE 0 END", "allergens_free_from": 0,
        "tag_names": json(tags), "comments_closed": no, "source": "CASE WHEN n % 5 > 0 THEN 'restaurant' ELSE 'home' END",
    }, meals)  # fmt: skip
    for tag_id, where in ((1, "n % 5 IN (1, 2)"), (2, "n % 5 IN (2, 3)"), (f"n / 5 % {RARE_TAGS} + 3", "n % 5 = 4")):
        yield f"INSERT INTO post_tags (tag_id, post_id) {of_meals(f'{tag_id}, id', where)}"
    for position, where in ((0, "n % 2 = 0"), (1, "n % 10 = 0")):
        # Who uploaded it is shown nowhere.
        values = (
            f"id + {position}, 1, id, {position}, 'Red oil, white tofu, a spoon', 'ready',"
            f" 'seeded-picture-{position}-' || {padded('n')}, '{_BLURHASH}', 1600, 1200, created_at"
        )
        columns = (
            "id, account_id, post_id, position, description, state, storage_key, blurhash, width, height, created_at"
        )
        yield f"INSERT INTO media ({columns}) {of_meals(values, where)}"
    yield (
        "INSERT INTO likes (id, post_id, account_id, created_at) "
        + of_meals(f"id + 7, id, n * 7 % {people} + 1, created_at", "n % 2 = 1")
    )
    nothing = json("'[]'")
    for number in (1, 2):
        columns = (
            "id, kind, uri, url, account_id, in_reply_to_id, root_id, note, note_html, spoiler_text, sensitive, visibility,"
            " created_at, version, likes_count, comments_count, ate_too_count, diets, allergens_contained,"
            " allergens_free_from, tag_names, comments_closed"
        )
        link = f"'{BASE_URL}/posts/' || (id + {number})"
        values = (
            f"id + {number}, 'comment', {link}, {link}, n * {number} % {people} + 1, id, id, 'Save me a bowl.',"
            f" '<p>Save me a bowl.</p>', '', {no}, 'public', created_at, 1, 0, 0, 0, 0, 0, 0, {nothing},"
            f" {no}"
        )
        yield f"INSERT INTO posts ({columns}) {of_meals(values, 'n % 50 = 0')}"
    follow = {"state": "'accepted'", "created_at": then}
    for step in range(1, FOLLOWS + 1):
        row = {"id": f"{step} * 1000000 + n", "account_id": "n + 1", "target_id": f"(n + {step * 7}) % {people} + 1"}
        yield insert("follows", row | follow, people)
    for number, (follower, count) in enumerate((("reader", DORMANT + ACTIVE), ("loner", DORMANT)), 9):
        row = {"id": f"{number} * 1000000 + n", "account_id": ids[follower], "target_id": "n + 1"}
        yield insert("follows", row | follow, count)
    wanted = of_meals(f"id, id, {ids['reader']}, created_at", f"n % {meals // WANTS} = 0")
    yield f"INSERT INTO wants (id, post_id, account_id, created_at) {wanted}"
    yield (
        "INSERT INTO timeline_entries (account_id, post_id, author_id) SELECT * FROM ("
        "SELECT account_id, id AS post_id, account_id AS author_id FROM posts WHERE kind = 'meal' UNION ALL"
        " SELECT f.account_id, p.id, p.account_id FROM posts p JOIN follows f ON f.target_id = p.account_id"
        " WHERE p.kind = 'meal') AS entry ORDER BY account_id, post_id"
    )
    counted = "SELECT account_id, count(*) AS n FROM posts WHERE kind = 'meal' AND visibility IN ('public', 'unlisted')"
    yield (
        f"UPDATE accounts SET meals_count = counted.n FROM ({counted} GROUP BY account_id) AS counted"
        " WHERE counted.account_id = accounts.id"
    )
    listed = (
        "SELECT t.tag_id, count(*) AS n FROM post_tags t JOIN posts p ON p.id = t.post_id WHERE p.visibility = 'public'"
    )
    yield f"UPDATE tags SET meals_count = counted.n FROM ({listed} GROUP BY t.tag_id) AS counted WHERE counted.tag_id = tags.id"


def _hash() -> str:
    people = dict.fromkeys(SIGNED_IN, 0)
    statements = [*_filling("sqlite", 2 * OLD, people), *_filling("postgresql", 2 * OLD, people), head_revision()]
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:10]


def _server() -> URL:
    server = postgres_url()
    if server is None:
        raise ValueError("no PostgreSQL is named")
    return server


def _render(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _administer(server: URL, statement: str) -> None:
    engine = create_engine(server, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _databases(server: URL) -> list[str]:
    engine = create_engine(server, poolclass=pool.NullPool)
    with engine.connect() as connection:
        query = text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)")
        found = list(connection.execute(query, {"prefix": PREFIX}).scalars())
    engine.dispose()
    return found


def _is_complete(server: URL, name: str) -> bool:
    engine = create_engine(server, poolclass=pool.NullPool)
    with engine.connect() as connection:
        query = text("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name")
        comment = connection.execute(query, {"name": name}).scalar()
    engine.dispose()
    return comment == "complete"


def backends() -> list[Backend]:
    """The databases that can be measured here."""
    return ["sqlite"] if postgres_url() is None else ["sqlite", "postgresql"]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", help="numbers of meals")
    parser.add_argument("--clean", action="store_true", help="remove all sites")
    given = parser.parse_args()
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    if given.clean:
        print("removed:", *clean())
    for meals in given.sizes:
        for backend in backends():
            site = open_site(backend, meals)
            print(f"{backend} {meals}: {site.url} ({site.filled_seconds} s)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
