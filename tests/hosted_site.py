"""A site as it is hosted: two processes that serve and one that works, PostgreSQL, Redis, and nginx with `deploy/nginx.conf`."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from mealshare.core.db.migrate import upgrade
from mealshare.core.jobs import JobSettings
from mealshare.core.settings import Secret
from tests.databases import new_database, rabbitmq_url
from tests.deployed_nginx import Nginx, deployed_nginx
from tests.functional.streams import wait_until
from tests.job_plants import clean_broker
from tests.people import PASSWORD
from tests.redis_server import OwnRedis, own_redis
from tests.served_sites import BIN, ROOT
from tests.sites import START_SECONDS, free_port, site_settings, write_ini

#: A line for each request, on standard error.
LOG = """
[loggers]
keys = root, mealshare
[handlers]
keys = console
[formatters]
keys = text
[logger_root]
level = WARNING
handlers = console
[logger_mealshare]
level = INFO
handlers =
qualname = mealshare
[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = text
[formatter_text]
class = mealshare.core.log.TextFormatter
"""


class Program:
    """A process of the site, which may be started again in its place."""

    def __init__(self, folder: Path, settings: dict[str, str], *command: str) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        self.ini = folder / "site.ini"
        write_ini(self.ini, settings, self.port)
        with self.ini.open("a") as file:
            file.write(LOG)
        self.command = [str(BIN / command[0]), *command[1:]]
        self.process: subprocess.Popen[bytes] | None = None
        self._begins = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    @property
    def recent(self) -> str:
        """What it has written since its last start."""
        return (self.folder / "server.log").read_bytes()[self._begins :].decode(errors="replace")

    def start(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MEALSHARE_")}
        environ["PYTHONWARNINGS"] = "ignore"
        # For parts of the tests' own that `pyramid.includes` names.
        environ["PYTHONPATH"] = str(ROOT)
        with (self.folder / "server.log").open("ab") as log:
            self._begins = log.tell()
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=environ, cwd=self.folder
            )

    def wait(self) -> None:
        def ready() -> bool:
            assert self.process is not None and self.process.poll() is None, self.log
            try:
                return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(ready, "the start", 2 * START_SECONDS)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def ask_to_end(self) -> None:
        """SIGTERM, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.ask_to_end()
            assert self.process.wait(40) == 0, self.log


class Hosted:
    """All of it."""

    def __init__(
        self, nginx: Nginx, web: list[Program], worker: Program, media: Path, public: Path, redis: OwnRedis, url: str
    ) -> None:
        self.nginx, self.web, self.worker, self.media, self.public = nginx, web, worker, media, public
        self.redis, self.database_url = redis, url
        self.people = 0

    def client(self, **options: object) -> httpx.Client:
        return self.nginx.client(**options)

    def log(self) -> str:
        return "".join(program.log for program in self.web)

    def somebody(self) -> tuple[str, dict[str, str]]:
        """A new person: the name, and the headers with which a program acts for them."""
        self.people += 1
        known = {"username": f"person{self.people}", "password": PASSWORD}
        with self.client() as client:
            made = client.post("/api/users", json=known | {"email": f"{known['username']}@example.org"})
            assert made.status_code == 201, made.text
            token = client.post("/api/login", json=known).json()["access_token"]
        return known["username"], {"Authorization": f"Bearer {token}"}


class Load:
    """People who read and post all the time; what they were answered."""

    def __init__(self, hosted: Hosted, headers: dict[str, str], readers: int = 2, writers: int = 1) -> None:
        self.answers: Counter[tuple[str, int | str]] = Counter()
        self.posted: list[str] = []
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._read, args=(hosted,)) for _ in range(readers)]
        self._threads += [threading.Thread(target=self._write, args=(hosted, headers)) for _ in range(writers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def count(self) -> int:
        with self._lock:
            return sum(self.answers.values())

    def wait_for(self, more: int) -> None:
        """Return when so many more requests have been answered."""
        enough = self.count() + more
        wait_until(lambda: self.count() > enough, "requests", START_SECONDS)

    def _note(self, what: str, client: httpx.Client, method: str, path: str, **more: object) -> httpx.Response | None:
        answer: httpx.Response | None = None
        try:
            answer = client.request(method, path, **more)
            outcome: int | str = answer.status_code
        except httpx.HTTPError as error:
            outcome = repr(error)
        with self._lock:
            self.answers[what, outcome] += 1
        return answer

    def _read(self, hosted: Hosted) -> None:
        with hosted.client() as client:
            while not self._ended.is_set():
                self._note("page", client, "GET", "/")
                self._note("feed", client, "GET", "/api/feed/public")
                # Enough to be cut off in the middle, and not so much that a small machine does nothing else.
                time.sleep(0.01)

    def _write(self, hosted: Hosted, headers: dict[str, str]) -> None:
        with hosted.client() as client:
            while not self._ended.is_set():
                answer = self._note("post", client, "POST", "/api/meals", json={"food": "rice"}, headers=headers)
                if answer is not None and answer.status_code == 201:
                    with self._lock:
                        self.posted.append(answer.json()["id"])
                time.sleep(0.01)


@contextmanager
def hosted_site(
    folder: Path, broker: str | None = None, connections: int = 2000, more: dict[str, str] | None = None
) -> Iterator[Hosted]:
    """All of it runs, and is gone afterwards; jobs go through RabbitMQ where the tests have one, by the table elsewhere.

    ``broker``: another RabbitMQ.  ``connections``: of each process of nginx.  ``more``: settings of the site;
    with a ``storage.endpoint`` among them, its files are there and not in a folder.
    """
    port = free_port()
    media, public = folder / "media", folder / "public"
    with ExitStack() as stack:
        redis = stack.enter_context(own_redis(folder))
        url = stack.enter_context(new_database("postgresql", folder))
        upgrade(url)
        settings = site_settings(folder, url, f"https://localhost:{port}") | {
            "media.delivery": "accel",
            # Each process would compile all of them anew otherwise.
            "templates.compiled": str(folder / "templates"),
            "jobs.engine": "worker",
            "jobs.poll_seconds": "0.1",
            "server.trusted_proxy": "127.0.0.1",
            "ratelimit.enabled": "true",
            "ratelimit.backend": "redis",
            "ratelimit.url": redis.url,
            "cache.backend": "redis",
            "cache.url": redis.url,
            # A busy machine must not be taken for a Redis that is away.
            "ratelimit.timeout": "5",
            "ratelimit.login_account": "10/1 day",
            "ratelimit.signup": "1000/1 day",
            "ratelimit.login_address": "1000/1 day",
            "ratelimit.api": "1000000/1 day",
            "ratelimit.write": "1000000/1 day",
            "ratelimit.address": "1000000/1 day",
        }
        settings |= more or {}
        broker = broker or rabbitmq_url()
        if broker:
            jobs = JobSettings(engine="celery", broker=Secret(broker), prefix=f"mealshare-test-{secrets.token_hex(6)}")
            settings |= {"jobs.engine": jobs.engine, "jobs.broker": str(jobs.broker), "jobs.prefix": jobs.prefix}
            stack.callback(clean_broker, jobs)
        web = [Program(folder / f"web{number}", settings, "pserve", "site.ini") for number in (1, 2)]
        worker = Program(folder / "worker", settings, "mealshare", "-c", "site.ini", "worker")
        for program in (*web, worker):
            stack.callback(program.stop)
            program.start()
        for program in web:
            program.wait()
        behind = [program.port for program in web]
        pictures = (more or {}).get("storage.endpoint") or media
        nginx = stack.enter_context(
            deployed_nginx(folder / "nginx", behind, pictures, public, port, rate=10_000, connections=connections)
        )
        yield Hosted(nginx, web, worker, media, public, redis, url)
