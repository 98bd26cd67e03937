"""Streams from a site as it runs, with two threads, while another process posts."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from webtest import TestApp

from mealshare import main
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.schemas import MealInput
from tests.databases import Backend, new_database
from tests.functional.streams import events_in, last_id_in, wait_until
from tests.people import add_user, bearer
from tests.sites import RunningSite, running_site, site_settings

SETTINGS = {"server__threads": "2", "streams__per_address": "1000", "jobs__engine": "worker"}


@dataclass
class Live:
    """A running site, and another process (this one) on the same database."""

    site: RunningSite
    app: TestApp
    people: dict[str, Any]

    def post(self, name: str, food: str) -> int:
        meal = MealInput.model_validate_json(orjson.dumps({"food": food}))
        with self.app.app.registry["open_work"]() as work:
            service = make_meal_service(work, self.app.app.registry)
            return int(service.post(self.people[name].account_id, meal).id)

    def headers(self, name: str) -> dict[str, str]:
        return bearer(self.app, self.people[name])

    def listen(self, query: str = "", **headers: str) -> Stream:
        return Stream(self.site, query, headers)

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("localhost", int(self.site.url.rpartition(":")[2]), timeout=30)
        with closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status


class Stream:
    """A stream over HTTP, read by a thread of its own."""

    def __init__(self, site: RunningSite, query: str, headers: dict[str, str]) -> None:
        self.text, self.over, self.cut = "", False, False
        self._connection = http.client.HTTPConnection("localhost", int(site.url.rpartition(":")[2]), timeout=60)
        self._connection.request("GET", f"/api/feed/stream{query}", headers=headers)
        # Of an answer that ends with its connection, http.client keeps no socket.
        self._socket = self._connection.sock
        self.answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while line := self.answer.readline():
                self.text += line.decode()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            self.cut = True
        self.over = True

    @property
    def foods(self) -> list[str]:
        return [event["data"]["food"] for event in events_in(self.text) if event["event"] == "meal"]

    def close(self) -> None:
        if not self.over:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self.answer.close()
        self._connection.close()


@pytest.fixture(scope="module")
def live(backend: Backend, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp(f"live-{backend}")
    with new_database(backend, folder, copy_of=migrated) as url, running_site(folder, url, **SETTINGS) as site:
        yield from _beside(site, folder, url)


def _beside(site: RunningSite, folder: Path, url: str) -> Iterator[Live]:
    application = main({}, **site_settings(folder, url, site.url) | {"jobs.engine": "worker"})
    people = {name: add_user(application.registry, name) for name in ("ann", "bob")}
    yield Live(site, TestApp(application), people)
    application.registry["engine"].dispose()


@pytest.fixture
def listen(live: Live) -> Iterator[Callable[..., Stream]]:
    streams: list[Stream] = []

    def begin(query: str = "", **headers: str) -> Stream:
        streams.append(live.listen(query, **headers))
        return streams[-1]

    yield begin
    for stream in streams:
        stream.close()


def test_a_hundred_hear_of_a_meal_that_another_process_posted_while_two_threads_serve_all_others(
    live: Live, listen: Callable[..., Stream]
) -> None:
    streams = [listen() for _ in range(100)] + [listen("?feed=home", **live.headers("ann"))]
    assert [live.get("/api/feed/public") for _ in range(10)] == [200] * 10
    live.post("ann", "soup")
    wait_until(lambda: all(stream.foods == ["soup"] for stream in streams))
    assert live.get("/") == 200


def test_coming_back_again_and_again_while_four_write_loses_nothing_and_repeats_nothing(live: Live) -> None:
    """The connection is broken in the middle of things; each time the client goes on from the last event that it has."""
    posted: list[int] = []
    often_enough = threading.Event()

    def write(number: int) -> None:
        for turn in range(500):
            if turn >= 15 and often_enough.is_set():
                break
            posted.append(live.post("ann" if number % 2 else "bob", f"{number}/{turn}"))
            time.sleep(0.05)

    heard: list[int] = []
    stream = live.listen("?feed=public")
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()

    def take() -> int:
        """All that the present connection has brought."""
        stream.close()
        events = [event for event in events_in(stream.text) if event["event"] == "meal"]
        heard.extend(int(event["data"]["id"]) for event in events)
        return len(events)

    breaks = 0
    while any(writer.is_alive() for writer in writers) or len(heard) < len(posted):
        before, deadline = stream.text.count("event: meal"), time.monotonic() + 3
        while stream.text.count("event: meal") < before + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        breaks += take() > 0
        if breaks > 4:
            often_enough.set()
        assert breaks < 500
        stream = live.listen(**{"Last-Event-ID": last_id_in(stream.text)})
    time.sleep(0.2)
    take()
    assert sorted(heard) == sorted(posted)


def test_signing_out_ends_it_and_the_rest_goes_on(live: Live, listen: Callable[..., Stream]) -> None:
    headers = live.headers("bob")
    stream, other = listen("?feed=home", **headers), listen()
    live.app.post("/api/logout", headers=headers)
    wait_until(lambda: stream.over)
    assert events_in(stream.text)[-1]["data"] == {"reason": "signed_out"}
    assert not stream.cut
    live.post("ann", "rice")
    # Whoever begins to listen while others do may be told of a meal of the second before: those of the test above.
    wait_until(lambda: "rice" in other.foods)
    assert other.foods.count("rice") == 1


def test_the_site_ends_at_once_although_people_listen(
    backend: Backend, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(f"end-{backend}")
    with new_database(backend, folder, copy_of=migrated) as url, running_site(folder, url, **SETTINGS) as site:
        streams = [Stream(site, "", {}) for _ in range(20)]
        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(60) == 0
        # Nobody was cut in the middle of a word, which is what becomes of those who are waited for in vain.
        for stream in streams:
            stream.close()
            assert events_in(stream.text)[-1]["data"] == {"reason": "restart"}
            assert not stream.cut
