"""People who go on when the server does not: what is not acknowledged they send again, with the same Idempotency-Key.

So in the end each knows exactly what must be in the database: what the last answer said, once.  Beside the meals and likes
of `tests.stress.load` they follow, comment, and put pictures on their meals.
"""

from __future__ import annotations

import http.client
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Connection, create_engine, text

from mealshare import main
from mealshare.core.doctor.counters import wrong
from mealshare.features.comments.doctor import COUNTERS as COMMENTS
from mealshare.features.meals.doctor import COUNTERS as MEALS
from mealshare.features.media.files import original_file, variant_file
from mealshare.features.media.images import VARIANT_EDGES
from mealshare.features.reactions.doctor import COUNTERS as LIKES
from mealshare.features.social.doctor import COUNTERS as FOLLOWS
from tests.faults import brisk
from tests.hosted_site import Program
from tests.job_processes import wait_until
from tests.people import draw
from tests.sites import site_settings
from tests.stress import load
from tests.stress.load import BASE_URL, Eater, Outcome, differences

#: Seconds for which one request is tried again, and between two attempts.
PATIENCE, PAUSE = 90.0, 0.05
PEOPLE = 4


@dataclass
class Written(Outcome):
    """What was acknowledged, and must be there."""

    #: id -> (username, meal, note)
    comments: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    follows: set[tuple[str, str]] = field(default_factory=set)
    #: meal -> its picture
    pictures: dict[int, int] = field(default_factory=dict)
    #: Requests whose answer did not come, and 503.
    unheard: int = 0
    refused: int = 0
    acknowledged: int = 0

    def add(self, other: Written) -> None:
        """What another thread knows."""
        self.requests += other.requests
        self.errors += other.errors
        self.slowest = max(self.slowest, other.slowest)
        for name in ("meals", "deleted", "likes", "comments", "follows", "pictures"):
            setattr(self, name, getattr(self, name) | getattr(other, name))
        self.unheard += other.unheard
        self.refused += other.refused
        self.acknowledged += other.acknowledged


class Allowance:
    """How many writes there may be so far: what keeps the kills close together."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left, self._done, self.over = 0, 0, False

    def grant(self, more: int) -> None:
        with self._changed:
            self._left += more
            self._changed.notify_all()

    def take(self) -> bool:
        """Wait for one's turn; False when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or self.over)
            self._left -= 1
            return not self.over

    def done(self) -> None:
        with self._changed:
            self._done += 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Return when so many have been acknowledged in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._done >= count, PATIENCE), f"{self._done} of {count} in time"

    @property
    def count(self) -> int:
        return self._done


class Diner(Eater):
    """One thread of one person, who does not give up."""

    outcome: Written

    def __init__(self, number: int, sites: Sequence[Any], shared: list[int], seed: int, allowance: Allowance) -> None:
        super().__init__(number, list(sites), shared, 0, seed)
        self.outcome, self.allowance = Written(), allowance
        self.picture = draw(size=(320, 240))

    def run(self) -> None:
        """Act until all is over."""
        actions = [self.post, self.post_picture, self.edit, self.delete, self.comment, self.comment]
        actions += [self.like, self.like, self.unlike, self.follow, self.follow, self.unfollow] * self.likes_things
        try:
            self.clients[0].sign_in(self.username)
            for client in self.clients:
                client.headers["Authorization"] = self.clients[0].headers["Authorization"]
            while self.allowance.take():
                before = self.outcome.acknowledged
                while self.outcome.acknowledged == before and not self.allowance.over:
                    self.chance.choice(actions)()
        except Exception as error:
            self.outcome.errors.append(f"{self.name}: {error!r}")

    def exchange(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request with a key of its own, to any server, until one has answered it."""
        headers = (headers or {}) | {"Idempotency-Key": f'"{secrets.token_hex(8)}"'}
        deadline = time.monotonic() + PATIENCE
        while True:
            client = self.chance.choice(self.clients)
            try:
                status, answer = client.send(method, path, body, headers)
            except ConnectionRefusedError:
                # Nobody is there: nothing was cut.
                client.connection.close()
            except (OSError, http.client.HTTPException, ValueError):
                client.connection.close()
                self.outcome.unheard += 1
            else:
                if status != 503:
                    break
                self.outcome.refused += 1
            assert time.monotonic() < deadline, f"{method} {path} was not answered for {PATIENCE} seconds"
            time.sleep(PAUSE)
        if status < 300:
            self.outcome.acknowledged += 1
            self.allowance.done()
        return status, answer

    def upload(self) -> int | None:
        """The id of a new picture."""
        data = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.jpg\r\nContent-Type: image/jpeg\r\n\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        status, answer = self.exchange("POST", "/api/media", data + self.picture + b"\r\n--b--\r\n", kind)
        self.outcome.requests[f"upload {status}"] += 1
        if status != 202:
            self.outcome.errors.append(f"upload: {status} {answer}")
            return None
        return int(answer["id"])

    def post_picture(self) -> None:
        """Post a meal with a picture."""
        picture = self.upload()
        meal = self.some_meal() | {"media": [{"id": str(picture)}]}
        status, answer = self.send("post", (201,), "POST", "/api/meals", meal)
        if status == 201 and picture is not None:
            self.remember(int(answer["id"]), meal)
            self.outcome.pictures[int(answer["id"])] = picture
            self.shared.append(int(answer["id"]))

    def some_meal(self) -> dict[str, Any]:
        """What to say; the words are nobody else's."""
        return super().some_meal() | {"food": f"{self.name} {secrets.token_hex(6)}"}

    def edit(self) -> None:
        """Say something else about a meal of this thread; its picture stays."""
        if self.outcome.meals:
            id, meal = self.chance.choice(list(self.outcome.meals)), self.some_meal()
            picture = self.outcome.pictures.get(id)
            media = {"media": [{"id": str(picture)}]} if picture else {}
            if self.send("edit", (200,), "PUT", f"/api/meals/{id}", meal | media)[0] == 200:
                self.remember(id, meal)

    def delete(self) -> None:
        """Delete a meal of this thread, and with it its picture."""
        super().delete()
        for id in self.outcome.deleted & set(self.outcome.pictures):
            del self.outcome.pictures[id]

    def comment(self) -> None:
        """Say something to somebody's meal."""
        if self.shared:
            id, note = self.chance.choice(self.shared), f"麻辣 {secrets.token_hex(6)}"
            status, answer = self.send("comment", (201, 404), "POST", f"/api/meals/{id}/comments", {"note": note})
            if status == 201:
                self.outcome.comments[int(answer["id"])] = (self.username, id, note)

    def somebody(self) -> str:
        """One of the others."""
        return self.chance.choice([f"person{n}" for n in range(PEOPLE) if f"person{n}" != self.username])

    def follow(self) -> None:
        """Follow somebody; once more does no harm."""
        name = self.somebody()
        if self.send("follow", (200,), "PUT", f"/api/users/{name}/follow")[0] == 200:
            self.outcome.follows.add((self.username, name))

    def unfollow(self) -> None:
        """Follow somebody no more."""
        name = self.somebody()
        if self.send("unfollow", (204,), "DELETE", f"/api/users/{name}/follow")[0] == 204:
            self.outcome.follows.discard((self.username, name))


@contextmanager
def dining(sites: Sequence[Any], threads: int = 2 * PEOPLE, seed: int = 1) -> Iterator[tuple[Allowance, Written]]:
    """Everybody acts inside the block as far as the allowance goes; what they know is whole after it."""
    allowance, whole, shared = Allowance(), Written(), []
    diners = [Diner(number, sites, shared, seed, allowance) for number in range(threads)]
    for diner in diners:
        diner.start()
    try:
        yield allowance, whole
    finally:
        allowance.end()
        for diner in diners:
            diner.join()
            for client in diner.clients:
                client.connection.close()
            whole.add(diner.outcome)


@contextmanager
def programs(folder: Path, settings: dict[str, str], *commands: str) -> Iterator[list[Program]]:
    """``web`` and ``worker`` programs of one site with the same files, all of which run; they end together."""
    made: list[Program] = []
    try:
        for number, command in enumerate(commands):
            words = ("pserve", "site.ini") if command == "web" else ("mealshare", "-c", "site.ini", command)
            made.append(Program(folder / f"{command}{number}", settings, *words))
            made[-1].start()
        for program in made:
            wait_for_start(program)
        yield made
        for program in made:
            wait_for_start(program)
    finally:
        for program in made:
            program.ask_to_end()
        for program in made:
            assert program.process is None or program.process.wait(40) == 0, program.log[-4000:]


def wait_for_start(program: Program) -> None:
    """Return when it serves or works: one that is asked to end before has not heard of that yet."""
    if program.command[-1] == "site.ini":  # pserve
        program.wait()
        return
    wait_until(lambda: "jobs.worker_started" in program.recent, "the start of a worker", PATIENCE)


def settings_for(folder: Path, database_url: str, **more: str) -> dict[str, str]:
    """The settings of a site that forgives a crash quickly, with ``more`` (``section__key=value``)."""
    settings = site_settings(folder, database_url, BASE_URL) | brisk.SETTINGS
    settings["templates.compiled"] = str(folder / "templates")
    return settings | {name.replace("__", "."): value for name, value in more.items()}


@contextmanager
def registry_of(settings: dict[str, str]) -> Iterator[Any]:
    """The application in this process, where nothing runs its jobs."""
    kept = {name: value for name, value in settings.items() if name != "pyramid.includes"}
    registry = main({}, **kept | {"jobs.engine": "worker"}).registry
    try:
        yield registry
    finally:
        registry["engine"].dispose()


JOBS_LEFT = text("SELECT count(*) FROM jobs WHERE key IS NULL OR key NOT LIKE 'periodic:%'")
_COMMENTS = """SELECT c.id, a.username, c.root_id, c.note FROM posts c JOIN accounts a ON a.id = c.account_id
    JOIN posts m ON m.id = c.root_id WHERE c.kind = 'comment' AND c.deleted_at IS NULL AND m.deleted_at IS NULL"""
_FOLLOWS = """SELECT a.username, b.username FROM follows f JOIN accounts a ON a.id = f.account_id
    JOIN accounts b ON b.id = f.target_id WHERE f.state = 'accepted'"""
_PICTURES = "SELECT post_id, id FROM media WHERE post_id IS NOT NULL"
#: What should stand in a home feed and does not: one's own meals, and those of whom one follows that others may see.
_NOT_AT_HOME = """SELECT f.account_id, p.id FROM follows f JOIN posts p ON p.account_id = f.target_id
    LEFT JOIN timeline_entries t ON t.account_id = f.account_id AND t.post_id = p.id
    WHERE p.kind = 'meal' AND p.deleted_at IS NULL AND p.visibility != 'only_me' AND t.post_id IS NULL"""
#: Likes that their meal's author was not told of, and what was told twice.
_NOT_TOLD = """SELECT l.account_id, l.post_id FROM likes l JOIN posts p ON p.id = l.post_id
    LEFT JOIN notifications n ON n.type = 'like' AND n.from_id = l.account_id AND n.post_id = l.post_id
    WHERE p.account_id != l.account_id AND p.deleted_at IS NULL AND p.visibility != 'only_me' AND n.id IS NULL"""
_TOLD_TWICE = """SELECT account_id, type, from_id, post_id, count(*) FROM notifications WHERE type IN ('like', 'follow')
    GROUP BY account_id, type, from_id, post_id HAVING count(*) > 1"""


def wait_for_jobs(registry: Any, seconds: float = PATIENCE) -> None:
    """Return when nothing waits; a job that nobody runs is a failure."""
    deadline = time.monotonic() + seconds
    while True:
        with registry["read_engine"].connect() as connection:
            if not connection.scalar(JOBS_LEFT):
                return
            left = connection.execute(text("SELECT name, state, attempts, last_error FROM jobs")).all()
        assert time.monotonic() < deadline, f"jobs wait for ever: {[tuple(row) for row in left][:10]}"
        time.sleep(0.1)


def torn(written: Written, registry: Any, database_url: str) -> list[str]:
    """Where the database or the files are not exactly what was acknowledged; empty if nothing was lost, doubled or torn."""
    found = differences(written, database_url)
    engine = create_engine(database_url)
    with engine.connect() as connection:
        found += load._compare("comments", _alive(written), _comments(connection))
        follows = {(row[0], row[1]): 1 for row in connection.execute(text(_FOLLOWS))}
        found += load._compare("follows", dict.fromkeys(written.follows, 1), follows)
        found += load._compare("pictures", written.pictures, _pairs(connection, _PICTURES))
        for what, statement in (("home feed", _NOT_AT_HOME), ("not told", _NOT_TOLD), ("told twice", _TOLD_TWICE)):
            found += [f"{what}: {tuple(row)}" for row in connection.execute(text(statement)).fetchmany(20)]
    engine.dispose()
    for counter in (*COMMENTS, *MEALS, *LIKES, *FOLLOWS):
        found += [f"{counter.name}: {tuple(row)}" for row in wrong(registry, counter)[:20]]
    return found + broken_files(registry)


def _alive(written: Written) -> dict[int, Any]:
    return {id: comment for id, comment in written.comments.items() if comment[1] in written.meals}


def _comments(connection: Connection) -> dict[int, Any]:
    return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(text(_COMMENTS))}


def _pairs(connection: Connection, statement: str) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(text(statement))}


def broken_files(registry: Any) -> list[str]:
    """Pictures that are not ready, have not exactly their files, or have one that does not open."""
    with registry["read_engine"].connect() as connection:
        rows = connection.execute(text("SELECT storage_key, state FROM media")).all()
    found = [f"picture {row.storage_key} is {row.state}" for row in rows if row.state != "ready"]
    storage = registry["storage"]
    for row in rows:
        for file in [variant_file(row.storage_key, edge) for edge in VARIANT_EDGES]:
            try:
                with storage.open(file) as opened:
                    Image.open(opened).load()
            except Exception as error:
                found.append(f"{file}: {error!r}")
        if storage.exists(original_file(row.storage_key)):
            found.append(f"the original of {row.storage_key} stayed")
    return found


def unknown_files(registry: Any) -> list[str]:
    """Files in the storage that belong to no picture, unfinished ones included."""
    with registry["read_engine"].connect() as connection:
        keys = connection.scalars(text("SELECT storage_key FROM media")).all()
    known = {variant_file(key, edge) for key in keys for edge in VARIANT_EDGES}
    folder: Path = registry["storage"].folder
    unfinished = [str(file) for file in folder.rglob(".*") if file.is_file()]
    return sorted(set(registry["storage"].keys()) - known) + unfinished


def kinds(written: Written) -> Counter[str]:
    """How often each kind of thing was done."""
    done = Counter[str]()
    for kind, number in written.requests.items():
        if kind.split()[1].startswith("2"):
            done[kind.split()[0]] += number
    return done


def queued(registry: Any) -> list[tuple[str, str]]:
    """The jobs that there are, without those that come again and again."""
    with registry["read_engine"].connect() as connection:
        rows = connection.execute(text("SELECT name, state FROM jobs WHERE key IS NULL OR key NOT LIKE 'periodic:%'"))
        return [(row.name, row.state) for row in rows]


__all__ = [
    "Allowance", "Diner", "Written", "dining", "kinds", "programs", "queued", "registry_of", "settings_for",
    "torn", "unknown_files", "wait_for_jobs", "wait_for_start",
]  # fmt: skip
