"""The site as it is hosted, behind nginx, on PostgreSQL, with Redis and RabbitMQ: it is restarted, and they come and go."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from mealshare.core.db.migrate import upgrade
from mealshare.core.jobs import JobSettings
from mealshare.core.settings import Secret
from tests.conftest import left_out
from tests.databases import POSTGRES_LEFT_OUT, RABBITMQ_LEFT_OUT, new_database, postgres_url, rabbitmq_url
from tests.faults import brisk
from tests.faults.crashes import kill_those_that_work
from tests.faults.diners import JOBS_LEFT
from tests.faults.probes import probing
from tests.hosted_site import Hosted, Load, hosted_site
from tests.job_plants import clean_broker
from tests.job_processes import wait_until
from tests.rabbitmq_server import RABBITMQ_SERVER_LEFT_OUT, OwnRabbit, find_script, own_rabbit

RESTARTS, CELERY_KILLS = 20, 4
#: Connections to nginx that send nothing.
IDLE = 10_000
GOOD = {("page", 200), ("feed", 200), ("post", 201)}


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRabbit]:
    """One that may go away."""
    if find_script() is None:
        left_out(RABBITMQ_SERVER_LEFT_OUT)
    with own_rabbit(tmp_path_factory.mktemp("rabbit") / "node") as server:
        yield server


@pytest.fixture(scope="module")
def hosted(
    rabbit: OwnRabbit, tmp_path_factory: pytest.TempPathFactory, need_redis_server: None, need_nginx: None
) -> Iterator[Hosted]:
    """One for all tests of this file."""
    if postgres_url() is None:
        left_out(POSTGRES_LEFT_OUT)
    folder = tmp_path_factory.mktemp("hosted")
    with hosted_site(folder, rabbit.url, IDLE, brisk.SETTINGS) as hosted:
        yield hosted


@contextmanager
def unharmed(hosted: Hosted) -> Iterator[Load]:
    """Somebody with a follower posts, others read; nobody notices anything, and each meal comes home exactly once."""
    name, headers = hosted.somebody()
    _, follower = hosted.somebody()
    with hosted.client() as client:
        assert client.put(f"/api/users/{name}/follow", headers=follower).status_code == 200
    with Load(hosted, headers, readers=2, writers=2) as load:
        yield load
    assert set(load.answers) == GOOD, load.answers
    assert len(set(load.posted)) == len(load.posted)
    engine = create_engine(hosted.database_url)
    with engine.connect() as connection:
        written = set(connection.scalars(text(_MEALS), {"name": name}))
        assert written == {int(id) for id in load.posted}
        wait_until(lambda: not connection.scalar(JOBS_LEFT), "jobs wait for ever", 120)
        # The key of this table is (reader, meal): what stands there, stands there once.
        home = connection.scalars(text(_AT_HOME), {"name": name}).all()
        assert sorted(home) == sorted(written)
    engine.dispose()


_MEALS = "SELECT p.id FROM posts p JOIN accounts a ON a.id = p.account_id WHERE a.username = :name"
_AT_HOME = """SELECT t.post_id FROM timeline_entries t JOIN accounts a ON a.id = t.author_id
    WHERE a.username = :name AND t.account_id != t.author_id"""


@pytest.mark.promise("SIGTERM under load, behind nginx", "20 restarts: 0 requests cut")
def test_restarts(hosted: Hosted, figure: Callable[[str], None]) -> None:
    with unharmed(hosted) as load:
        for number in range(RESTARTS):
            program = hosted.web[number % 2]
            load.wait_for(20)
            program.stop()
            program.start()
            program.wait()
    assert "server.requests_cut" not in hosted.log()
    figure(f"{RESTARTS} restarts, {load.count():,} requests: 0 cut, 0 refused")


@pytest.mark.promise("Redis stopped and started", "all requests succeed; every job's effect once")
def test_redis(hosted: Hosted, figure: Callable[[str], None]) -> None:
    with unharmed(hosted) as load:
        for _ in range(2):
            load.wait_for(30)
            hosted.redis.kill()
            load.wait_for(100)
            hosted.redis.start()
        load.wait_for(50)
    figure(f"away 2 times, {load.count():,} requests: 0 failed; {len(load.posted)} meals posted, each at home once")


@pytest.mark.promise("RabbitMQ killed and started", "all requests succeed; every job's effect once")
def test_rabbitmq(hosted: Hosted, rabbit: OwnRabbit, figure: Callable[[str], None]) -> None:
    with unharmed(hosted) as load:
        for _ in range(2):
            load.wait_for(30)
            rabbit.kill()
            load.wait_for(100)
            rabbit.start()
        load.wait_for(50)
    figure(f"away 2 times, {load.count():,} requests: 0 failed; {len(load.posted)} meals posted, each at home once")


@pytest.mark.promise("slow clients, behind nginx", "10,000 idle connections: 0 probes lost")
def test_idle_connections(hosted: Hosted, figure: Callable[[str], None]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 1000:
        left_out(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # nginx has taken over the limit of whoever started it, which its own configuration would raise.
    for pid in hosted.nginx.pids():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with probing(hosted.nginx.url, hosted.nginx.trust) as probes:
            began = time.monotonic()
            for number in range(IDLE):
                # Source ports are fewer than that for one address.
                source = (f"127.0.0.{2 + number % 5}", 0)
                stack.enter_context(socket.create_connection(("127.0.0.1", hosted.nginx.port), 10, source))
            opened = time.monotonic() - began
            assert opened < 14, f"nginx closes them after 15 seconds, and to open them took {opened:.0f}"
            open_now = probes.count()
            held = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in hosted.nginx.pids())
            assert held > IDLE, f"nginx holds {held} of them"
            wait_until(lambda: probes.count() > open_now + 40, "no probes")
    assert probes.lost == []
    figure(f"{IDLE:,} idle, {probes.count()} probes: 0 lost")


@pytest.mark.promise("kill -9 of a Celery worker on RabbitMQ", "every effect once, nothing waits for ever")
def test_celery_workers(tmp_path: Path, figure: Callable[[str], None]) -> None:
    url, prefix = rabbitmq_url(), f"mealshare-test-{tmp_path.name[-8:]}-{time.time_ns():x}"
    if url is None or postgres_url() is None:
        left_out(RABBITMQ_LEFT_OUT if url is None else POSTGRES_LEFT_OUT)
    with ExitStack() as stack:
        database_url = stack.enter_context(new_database("postgresql", tmp_path))
        upgrade(database_url)
        jobs = JobSettings(engine="celery", broker=Secret(url or ""), prefix=prefix)
        stack.callback(clean_broker, jobs)
        more = {"jobs__engine": "celery", "jobs__broker": str(jobs.broker), "jobs__prefix": prefix}
        figure(kill_those_that_work(tmp_path, database_url, CELERY_KILLS, **more))
