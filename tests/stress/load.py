"""People who post, edit, like and delete all at once, and who remember what was acknowledged.

Several servers (processes) serve one database.  Each person acts through two threads, on any of the servers, with a
token of the JSON API.  Every meal belongs to the thread that posted it, and every like to the first thread of a person,
so that each thread knows what must be there in the end; what a thread did counts only if the answer said so.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, create_engine, text

from mealshare import main
from mealshare.core.db.migrate import upgrade
from tests.people import PASSWORD, add_user
from tests.sites import RunningSite, running_site, site_settings

#: The address that all servers say they have: tokens of one are then good at the others.
BASE_URL = "http://meals.example"
TAGS = ("soup", "rice", "麻辣", "vegan", "late", "quick")
VISIBILITIES = ("public", "public", "unlisted", "only_me")
#: What may come back: a meal that somebody else has just deleted or hidden is not found.
LIKE_ANSWERS = (204, 404)
#: Actions of each thread that make it likely that all kinds were among them, and the seconds that a machine gets for that.
LEAST, PATIENCE = 40, 60.0


@dataclass
class Load:
    """What runs, and how hard."""

    processes: int = 2
    threads: int = 8
    seconds: float = 8
    seed: int = 1


@dataclass
class Outcome:
    """What the threads saw and what must be in the database."""

    requests: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    #: id -> (username, food, visibility, tags)
    meals: dict[int, tuple[str, str, str, frozenset[str]]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    likes: set[tuple[str, int]] = field(default_factory=set)
    slowest: float = 0.0


class Client:
    """One connection to one server, with a token."""

    def __init__(self, site: RunningSite) -> None:
        address = urlsplit(site.url)
        self.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        self.headers = {"Content-Type": "application/json"}

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of the answer; bytes are sent as they are, with the ``headers`` that belong to them."""
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self.connection.request(method, path, payload, self.headers | (headers or {}))
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None

    def sign_in(self, username: str) -> None:
        """Get a token."""
        status, answer = self.send("POST", "/api/login", {"username": username, "password": PASSWORD})
        if status != 200:
            raise AssertionError(f"{username} could not sign in: {status} {answer}")
        self.headers["Authorization"] = f"Bearer {answer['access_token']}"


class Eater(threading.Thread):
    """One thread of one person."""

    def __init__(self, number: int, sites: list[RunningSite], shared: list[int], seconds: float, seed: int) -> None:
        super().__init__(name=f"eater-{number}")
        self.username = f"person{number // 2}"
        self.likes_things = number % 2 == 0
        self.chance = random.Random(seed * 1000 + number)
        self.clients = [Client(site) for site in sites]
        self.shared, self.seconds = shared, seconds
        self.outcome = Outcome()

    def run(self) -> None:
        """Act until the time is over; on a slow machine, until enough has been done."""
        actions = [self.post, self.edit, self.edit, self.delete]
        actions += [self.like, self.like, self.like, self.unlike] if self.likes_things else [self.post]
        try:
            for client in self.clients:
                client.sign_in(self.username)
            until = time.monotonic() + self.seconds
            for done in itertools.count():
                over = time.monotonic() - until
                if over > PATIENCE or (over > 0 and done >= LEAST):
                    return
                self.chance.choice(actions)()
        except Exception as error:
            self.outcome.errors.append(f"{self.name}: {error!r}")

    def send(self, kind: str, expected: tuple[int, ...], method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send, count and check."""
        began = time.monotonic()
        status, answer = self.exchange(method, path, body)
        self.outcome.slowest = max(self.outcome.slowest, time.monotonic() - began)
        self.outcome.requests[f"{kind} {status}"] += 1
        if status not in expected:
            self.outcome.errors.append(f"{kind} {path}: {status} {answer}")
        return status, answer

    def exchange(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request to any of the servers: status and JSON."""
        return self.chance.choice(self.clients).send(method, path, body)

    def some_meal(self) -> dict[str, Any]:
        """What to say."""
        tags = self.chance.sample(TAGS, self.chance.randrange(4))
        food = f"{self.name} 麻辣 {self.chance.randrange(10**9)}"
        return {"food": food, "visibility": self.chance.choice(VISIBILITIES), "tags": tags}

    def remember(self, id: int, meal: dict[str, Any]) -> None:
        """It was acknowledged."""
        self.outcome.meals[id] = (self.username, meal["food"], meal["visibility"], frozenset(meal["tags"]))

    def post(self) -> None:
        """Post a meal."""
        meal = self.some_meal()
        status, answer = self.send("post", (201,), "POST", "/api/meals", meal)
        if status == 201:
            self.remember(int(answer["id"]), meal)
            self.shared.append(int(answer["id"]))

    def edit(self) -> None:
        """Say something else about one of this thread's meals."""
        if self.outcome.meals:
            id, meal = self.chance.choice(list(self.outcome.meals)), self.some_meal()
            if self.send("edit", (200,), "PUT", f"/api/meals/{id}", meal)[0] == 200:
                self.remember(id, meal)

    def delete(self) -> None:
        """Delete one of this thread's meals, if there are some left."""
        if len(self.outcome.meals) > 5:
            id = self.chance.choice(list(self.outcome.meals))
            if self.send("delete", (204,), "DELETE", f"/api/meals/{id}")[0] == 204:
                del self.outcome.meals[id]
                self.outcome.deleted.add(id)

    def like(self) -> None:
        """Like somebody's meal, mostly one of a few that everybody looks at."""
        if self.shared:
            meals = self.shared[:5] if self.chance.random() < 0.7 else self.shared
            id = self.chance.choice(meals)
            if self.send("like", LIKE_ANSWERS, "PUT", f"/api/meals/{id}/like")[0] == 204:
                self.outcome.likes.add((self.username, id))

    def unlike(self) -> None:
        """Take one of the likes back."""
        if self.outcome.likes:
            like = self.chance.choice(sorted(self.outcome.likes))
            if self.send("unlike", LIKE_ANSWERS, "DELETE", f"/api/meals/{like[1]}/like")[0] == 204:
                self.outcome.likes.discard(like)


@contextmanager
def servers(folder: Path, database_url: str, number: int) -> Iterator[list[RunningSite]]:
    """``number`` servers in processes of their own on one migrated database."""
    with ExitStack() as stack:
        sites = []
        for position in range(number):
            place = folder / f"server{position}"
            place.mkdir()
            sites.append(stack.enter_context(running_site(place, database_url, site__base_url=BASE_URL)))
        yield sites


def add_people(folder: Path, database_url: str, number: int) -> None:
    """Accounts ``person0`` and so on."""
    place = folder / "people"
    place.mkdir()
    router = main({}, **(site_settings(place, database_url, BASE_URL) | {"jobs.engine": "worker"}))
    for position in range(number):
        add_user(router.registry, f"person{position}")
    router.registry["engine"].dispose()


def run_load(load: Load, folder: Path, database_url: str) -> Outcome:
    """Migrate, let everybody act, stop the servers; gives what all threads saw together."""
    upgrade(database_url)
    add_people(folder, database_url, (load.threads + 1) // 2)
    shared: list[int] = []
    with servers(folder, database_url, load.processes) as sites:
        eaters = [Eater(number, sites, shared, load.seconds, load.seed) for number in range(load.threads)]
        for eater in eaters:
            eater.start()
        for eater in eaters:
            eater.join()
            for client in eater.clients:
                client.connection.close()
        whole = Outcome()
        for site in sites:
            if "Traceback" in site.log:
                whole.errors.append(f"a server wrote a traceback:\n{site.log[-4000:]}")
    for outcome in (eater.outcome for eater in eaters):
        whole.requests += outcome.requests
        whole.errors += outcome.errors
        whole.meals |= outcome.meals
        whole.deleted |= outcome.deleted
        whole.likes |= outcome.likes
        whole.slowest = max(whole.slowest, outcome.slowest)
    return whole


def differences(outcome: Outcome, database_url: str) -> list[str]:
    """Where the database does not hold exactly what was acknowledged; empty if nothing was lost or torn."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        found = [
            *_compare("meals", outcome.meals, _meals(connection)),
            *_compare("deleted meals", dict.fromkeys(outcome.deleted, 1), _pairs(connection, DELETED)),
            *_compare("likes", {like: 1 for like in outcome.likes if like[1] in outcome.meals}, _likes(connection)),
            *_compare("likes_count", _wanted_like_counts(outcome), _pairs(connection, LIKE_COUNTS)),
            *_compare("meals_count", _wanted_meal_counts(outcome), _pairs(connection, MEAL_COUNTS)),
            *_compare("tag counts", _wanted_tag_counts(outcome), _pairs(connection, TAG_COUNTS)),
        ]
        if engine.dialect.name == "sqlite":
            found += [row[0] for row in connection.execute(text("PRAGMA integrity_check")) if row[0] != "ok"]
            found += [str(tuple(row)) for row in connection.execute(text("PRAGMA foreign_key_check"))]
    engine.dispose()
    return found


MEALS = """SELECT p.id, a.username, p.food, p.visibility FROM posts p JOIN accounts a ON a.id = p.account_id
    WHERE p.deleted_at IS NULL AND p.kind = 'meal'"""
POST_TAGS = "SELECT pt.post_id, t.name FROM post_tags pt JOIN tags t ON t.id = pt.tag_id"
DELETED = "SELECT id, 1 FROM posts WHERE deleted_at IS NOT NULL AND kind = 'meal'"
LIKES = "SELECT a.username, l.post_id FROM likes l JOIN accounts a ON a.id = l.account_id"
LIKE_COUNTS = "SELECT id, likes_count FROM posts WHERE likes_count != 0 AND deleted_at IS NULL"
MEAL_COUNTS = "SELECT username, meals_count FROM accounts WHERE meals_count != 0"
TAG_COUNTS = "SELECT name, meals_count FROM tags WHERE meals_count != 0"


def _pairs(connection: Connection, statement: str) -> dict[Any, Any]:
    return {row[0]: row[1] for row in connection.execute(text(statement))}


def _likes(connection: Connection) -> dict[Any, int]:
    return {(row[0], row[1]): 1 for row in connection.execute(text(LIKES))}


def _meals(connection: Connection) -> dict[int, Any]:
    tags: dict[int, set[str]] = defaultdict(set)
    for post_id, name in connection.execute(text(POST_TAGS)):
        tags[post_id].add(name)
    return {
        row.id: (row.username, row.food, row.visibility, frozenset(tags[row.id]))
        for row in connection.execute(text(MEALS))
    }


def _wanted_like_counts(outcome: Outcome) -> Counter[int]:
    return Counter(id for _, id in outcome.likes if id in outcome.meals)


def _wanted_meal_counts(outcome: Outcome) -> Counter[str]:
    return Counter(username for username, _, visibility, _ in outcome.meals.values() if visibility != "only_me")


def _wanted_tag_counts(outcome: Outcome) -> Counter[str]:
    return Counter(tag for *_, visibility, tags in outcome.meals.values() if visibility == "public" for tag in tags)


def _compare(what: str, wanted: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    keys = {key for key in (*wanted, *found) if wanted.get(key) != found.get(key)}
    return [f"{what}: {key}: acknowledged {wanted.get(key)}, found {found.get(key)}" for key in sorted(keys)[:20]]
