"""nginx with the configuration of `deploy/nginx.conf`: only ports, paths and the name are those of a test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.certificates import make_certificate
from tests.sites import START_SECONDS, free_port

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "nginx.conf"
#: The main file, as the comment at the top of that configuration says.
MAIN = """
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/main.log warn;
events {{ worker_connections {connections}; }}
http {{
    include /etc/nginx/mime.types;
    gzip off;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def adapt(
    text: str, folder: Path, port: int, plain: int, behind: Sequence[int], media: Path | str, public: Path, rate: int
) -> str:
    """The configuration for this machine; everything that is to be replaced must be there."""
    replaced = [
        (r"^\s*listen \[::\]:.*\n", "", re.MULTILINE),
        (r"listen 80;", f"listen 127.0.0.1:{plain};", 0),
        (r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl", 0),
        (r"https://meals\.example\.org", f"https://localhost:{port}", 0),
        (r"meals\.example\.org;", "localhost;", 0),
        (r"/etc/letsencrypt/live/meals\.example\.org", str(folder), 0),
        (r"/var/log/nginx", str(folder), 0),
        (r"root /srv/mealshare/public", f"root {public}", 0),
        # A browser says the port where it is not that of the scheme; at 443 there is none to say.
        (r"rate=50r/s", f"rate={rate}r/s", 0),
        (r"(Host\s+)\$host;", rf"\1$host:{port};", 0),
    ]
    if isinstance(media, str):
        text = _with_s3(text, media)
    else:
        replaced.append((r"/srv/mealshare/var/media", str(media), 0))
    ports = iter(behind * 2)
    text, count = re.subn(r"server 127\.0\.0\.1:\d+", lambda _: f"server 127.0.0.1:{next(ports)}", text)
    assert count == 4
    for pattern, new, flags in replaced:
        text, count = re.subn(pattern, new, text, flags=flags)
        assert count, f"{pattern} is not in {CONFIGURATION}"
    return text


def _with_s3(text: str, endpoint: str) -> str:
    """Do what the comment says: the lines that are marked, in place of those for a folder."""
    for line in (
        r"alias /srv/mealshare/var/media/;.*",
        "etag off;",
        "if_modified_since off;",
        'add_header Last-Modified "";',
    ):
        text, count = re.subn(rf"^\s*{line}\n", "", text, flags=re.MULTILINE)
        assert count == 1, line
    text, count = re.subn(r"^(\s*)#:", r"\1", text, flags=re.MULTILINE)
    assert count
    for old, new in (
        ("https://s3.example.org/;", f"{endpoint}/;"),
        ("Host s3.example.org;", f"Host {urlsplit(endpoint).netloc};"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Nginx:
    """One that runs."""

    def __init__(self, folder: Path, port: int, plain: int) -> None:
        self.folder, self.port, self.plain = folder, port, plain
        self.url, self.plain_url = f"https://localhost:{port}", f"http://localhost:{plain}"

    def pids(self) -> list[int]:
        """Its processes, the first of them first."""
        first = int((self.folder / "nginx.pid").read_text())
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    @property
    def trust(self) -> ssl.SSLContext:
        """What trusts its certificate."""
        return ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))

    def client(self, **options: object) -> httpx.Client:
        """A browser's worth of connections to it."""
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=60, **options)

    def log(self, name: str = "mealshare.log") -> str:
        """What it has written."""
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")


def write_configuration(
    folder: Path,
    port: int,
    plain: int,
    behind: Sequence[int],
    media: Path | str,
    public: Path,
    rate: int = 50,
    connections: int = 2000,
) -> Path:
    """The files of an nginx in ``folder``; gives the main one.  ``media``: a folder, or the address of an S3."""
    folder.mkdir(exist_ok=True)
    made, key = make_certificate("localhost")
    (folder / "fullchain.pem").write_bytes(made)
    (folder / "privkey.pem").write_bytes(key)
    text = adapt(CONFIGURATION.read_text(encoding="utf-8"), folder, port, plain, behind, media, public, rate)
    (folder / "site.conf").write_text(text, encoding="utf-8")
    # The folders of tests are for their owner only.
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user, connections=connections), encoding="utf-8")
    return folder / "nginx.conf"


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `nginx -t` says."""
    command = [find(), "-t", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def find() -> str:
    """Where nginx is; Debian keeps it out of the way of users."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or "nginx"


@contextmanager
def deployed_nginx(
    folder: Path,
    behind: Sequence[int],
    media: Path | str,
    public: Path,
    port: int,
    rate: int = 50,
    connections: int = 2000,
) -> Iterator[Nginx]:
    """One before the processes at the ports ``behind``, with TLS at ``port``; gone afterwards.

    ``rate``: requests that one address may send in a second, for tests that send more; ``connections``: what each of
    its two processes holds.
    """
    plain = free_port()
    main = write_configuration(folder, port, plain, behind, media, public, rate, connections)
    with (folder / "start.log").open("wb") as log:
        command = [find(), "-p", str(folder), "-c", str(main)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    nginx = Nginx(folder, port, plain)
    try:
        _wait(nginx, process)
        yield nginx
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _wait(nginx: Nginx, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with nginx.client() as client:
        while True:
            assert process.poll() is None, (nginx.folder / "start.log").read_text()
            assert time.monotonic() < deadline, "nginx did not answer in time"
            try:
                client.get("/metrics")
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
