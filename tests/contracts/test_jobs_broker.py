"""What Celery's brokers may do without anything being lost or anybody waiting: be away, hang, forget, hold rubbish."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
from kombu import Producer

from mealshare.core.jobs import Priority
from mealshare.core.jobs.broker import TASK, BrokerPublisher, dead_queue, queue_name
from mealshare.core.jobs.models import JobState
from mealshare.core.jobs.outbox import Notice
from tests.contracts.test_jobs import need
from tests.databases import Backend
from tests.job_plants import Plant, broker_of, connected, plant
from tests.job_processes import JobProcess, get, wait_until
from tests.job_site import QUICK, SLOW, TICK
from tests.redis_server import own_redis
from tests.tcp_proxy import Door

#: Seconds that no request may take, however the broker is.  A busy machine takes one of them by itself.
PROMPT = 3.0
KINDS: list[tuple[str, Backend]] = [("rabbitmq", "postgresql"), ("redis", "sqlite")]


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, Backend]:
    """The broker and the database."""
    need(*request.param)
    return cast(tuple[str, Backend], request.param)


@pytest.fixture
def door(kind: tuple[str, Backend]) -> Iterator[Door]:
    """What stands in front of the broker."""
    address = urlsplit(broker_of(kind[0]))
    made = Door(address.hostname or "", address.port or {"amqp": 5672, "redis": 6379}[address.scheme])
    yield made
    made.close()


@pytest.fixture
def behind(kind: tuple[str, Backend], door: Door, tmp_path: Path) -> Iterator[Plant]:
    """A site whose processes know the broker behind the door only."""
    address = urlsplit(broker_of(kind[0]))
    user = address.netloc.rpartition("@")[0]
    place = f"{user}@127.0.0.1:{door.port}" if user else f"127.0.0.1:{door.port}"
    with plant(*kind, tmp_path, urlunsplit(address._replace(netloc=place))) as made:
        yield made


def ask(site: Plant, path: str) -> Any:
    """The JSON of an answer, which comes with 200 and promptly."""
    began = time.monotonic()
    status, body = get(f"http://127.0.0.1:{site.port}{path}")
    assert status == 200
    assert time.monotonic() - began < PROMPT, "the request waited for the broker"
    return json.loads(body)


def broker_word(site: Plant) -> str:
    """What the health of the site says of the broker."""
    health = ask(site, "/health/ready")
    assert health["status"] == ("ok" if health["checks"]["broker"] == "ok" else "degraded")
    return str(health["checks"]["broker"])


def test_while_the_broker_is_away_all_goes_on_and_nothing_is_lost(behind: Plant, door: Door) -> None:
    site, worker = behind.start("serve"), behind.start()
    ask(behind, "/test/enqueue?n=1")
    behind.wait_for({1})
    assert broker_word(behind) == "ok"

    door.close()
    for n in (2, 3, 4):
        assert ask(behind, f"/test/enqueue?n={n}") == {"queued": str(n)}
    wait_until(lambda: broker_word(behind) == "degraded", "the health does not tell")
    wait_until(lambda: "jobs.broker_away" in site.log, "the log does not tell")
    assert site.log.count("jobs.broker_away") == 1, "once is enough"
    assert behind.ran() == [1]

    door.open()
    behind.wait_for({2, 3, 4})
    wait_until(lambda: broker_word(behind) == "ok", "the health does not tell")
    wait_until(lambda: "jobs.broker_back" in site.log + worker.log, "the log does not tell")

    with door.frozen():
        # Taken and never answered: worse than refused.
        for n in (5, 6):
            ask(behind, f"/test/enqueue?n={n}")
        wait_until(lambda: broker_word(behind) == "degraded", "the health does not tell")
    behind.wait_for({5, 6})
    wait_until(lambda: behind.jobs(QUICK) == [], "rows stayed")
    time.sleep(1)
    assert sorted(behind.ran()) == [1, 2, 3, 4, 5, 6]
    for process in (site, worker):
        assert process.terminate() == 0, process.log


def test_a_site_and_its_worker_start_and_end_without_the_broker(behind: Plant, door: Door) -> None:
    door.close()
    site, worker, beat = behind.start("serve"), behind.start(), behind.start("beat")
    ask(behind, "/test/enqueue?n=1")
    assert broker_word(behind) == "degraded"
    for process in (site, worker, beat):
        assert process.terminate() == 0, process.log
    assert [job.state for job in behind.jobs(QUICK)] == [JobState.QUEUED]


def test_a_broker_that_forgets_is_told_again(tmp_path: Path, need_redis_server: None) -> None:
    """A Redis without a disk that is started again has no messages."""
    with own_redis(tmp_path) as server, plant("redis", "sqlite", tmp_path, server.url) as site:
        beat = site.start("beat")
        site.enqueue(QUICK, {"n": 1})
        wait_until(lambda: all(job.published_at for job in site.jobs(QUICK)), "nobody told the broker")
        server.kill()
        server.start()
        assert site.ran() == []
        site.start()
        site.wait_for({1})
        time.sleep(1)
        assert site.ran() == [1]
        assert beat.terminate() == 0


def rubbish(site: Plant) -> None:
    """Messages that are none of ours, as another program or an old version might leave them."""
    with connected(site.settings) as channel:
        producer = Producer(channel)
        place = {"exchange": site.settings.prefix, "routing_key": queue_name(site.settings, Priority.HIGH)}
        good = {"task": TASK, "id": "x", "lang": "py", "root_id": "x", "parent_id": None, "argsrepr": "", "retries": 0}
        for body, headers, kind in (
            (b"{", good, "application/json"),
            (b'[["7; DROP TABLE jobs"], {}, {}]', good, "application/json"),
            (b"[[1, 2], {}, {}]", good, "application/json"),
            (b"[[1], {}, {}]", good | {"task": "other.task"}, "application/json"),
            (b"\x80\x04K\x01.", good, "application/x-python-serialize"),
            (b"hello", {}, "text/plain"),
        ):
            producer.publish(body, headers=headers, content_type=kind, content_encoding="utf-8", **place)


def test_what_nobody_can_read_is_put_aside_and_stops_nobody(kind: tuple[str, Backend], tmp_path: Path) -> None:
    with plant(*kind, tmp_path) as site:
        worker = site.start(threads=1)
        site.enqueue(QUICK, {"n": 1})
        site.wait_for({1})
        rubbish(site)
        site.enqueue(QUICK, {"n": 2})
        site.wait_for({2})
        wait_until(lambda: worker.log.count("jobs.message_unreadable") == 6, "not all were told")
        assert "DROP TABLE" not in worker.log, "what a stranger sends does not belong into the log"
        if kind[0] == "rabbitmq":
            with connected(site.settings) as channel:
                dead = dead_queue(site.settings)(channel)
                wait_until(lambda: dead.queue_declare(passive=True).message_count == 6, "they are not put aside")


def test_a_message_that_comes_twice_does_its_job_once(kind: tuple[str, Backend], tmp_path: Path) -> None:
    """While it runs, and when it is done."""
    with plant(*kind, tmp_path) as site:
        site.start(threads=4)
        site.enqueue(SLOW, {"n": 1, "seconds": 1.5})
        site.wait_for({1}, "begun")
        (job,) = site.jobs(SLOW)
        tell(site, job.id)
        tell(site, job.id)
        site.wait_for({1}, "ended")
        wait_until(lambda: site.jobs(SLOW) == [], "its row stayed")
        tell(site, job.id)
        site.enqueue(QUICK, {"n": 2})
        site.wait_for({2})
        assert site.ran("begun") == [1]


def tell(site: Plant, job_id: int) -> None:
    """One more message about a job."""
    publisher = BrokerPublisher(site.settings)
    publisher.connect()
    publisher.publish(Notice(job_id, Priority.NORMAL))
    publisher.close()


def test_two_beats_are_as_good_as_one(kind: tuple[str, Backend], tmp_path: Path) -> None:
    with plant(*kind, tmp_path) as site:
        beats: list[JobProcess] = [site.start("beat"), site.start("beat")]
        time.sleep(1)
        (row,) = site.jobs(TICK)
        assert row.published_at is not None, "nobody told the broker"
        worker = site.start()
        wait_until(lambda: len(site.ran("ticked")) >= 3, "it does not tick")
        assert len(site.jobs(TICK)) == 1
        for beat in beats:
            assert beat.terminate() == 0, beat.log
        worker.process.terminate()
        wait_until(lambda: "jobs.worker_drained" in worker.log, "an idle worker has nothing to wait for", PROMPT)
        assert worker.process.wait(60) == 0, worker.log
        left = {file.name.partition("-")[0] for file in tmp_path.iterdir() if "schedule" in file.name}
        assert left == set()
