"""A server that speaks S3, in a process and on a port of its own; and servers that are no good, for what goes wrong."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import boto3

from mealshare.core.settings import Secret
from mealshare.core.storage.s3 import S3Storage
from mealshare.core.storage.settings import StorageSettings
from tests.own_server import OwnServer
from tests.sites import free_port

ACCESS_KEY, SECRET_KEY = "AKIATESTSONLY0000000", "tests-only-sesame-0123456789-abcdefghijk"


class OwnS3(OwnServer):
    """moto's server, which keeps its buckets in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "s3.log")
        self.url = ""

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.launch(command)

    def answers(self) -> bool:
        """See OwnServer."""
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def client(self, service: str = "s3") -> Any:
        """A client of the library, which may do everything."""
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        )  # fmt: skip

    def require_keys(self) -> tuple[str, str]:
        """From now on it checks who asks; gives the access key and the secret key that may do everything with S3."""
        iam = self.client("iam")
        iam.create_user(UserName="meals")
        rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="meals", PolicyName="all", PolicyDocument=json.dumps(rights))
        key = iam.create_access_key(UserName="meals")["AccessKey"]
        words = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=b"0", headers=words)
        with urllib.request.urlopen(request, timeout=30):
            return key["AccessKeyId"], key["SecretAccessKey"]

    def new_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"test-{secrets.token_hex(8)}"
        self.client().create_bucket(Bucket=name)
        return name

    def settings(self, bucket: str | None = None) -> dict[str, str]:
        """The settings of a site with a bucket (a new one, if none is named), as `running_site` takes them."""
        return {
            "storage__backend": "s3", "storage__bucket": bucket or self.new_bucket(), "storage__endpoint": self.url,
            "storage__access_key": ACCESS_KEY, "storage__secret_key": SECRET_KEY,
            # A busy machine must not be taken for an S3 that is away.
            "storage__timeout": "30",
        }  # fmt: skip

    def storage(self, **more: Any) -> S3Storage:
        """A storage in a new bucket; ``more`` are settings without their ``storage.``."""
        return s3_storage(self.url, **({"bucket": more.pop("bucket", None) or self.new_bucket()} | more))


def s3_storage(url: str, **more: Any) -> S3Storage:
    """A storage in the bucket ``meals`` of the server at ``url``, unless ``more`` settings say otherwise."""
    known: dict[str, Any] = {
        "backend": "s3", "bucket": "meals", "endpoint": url, "access_key": ACCESS_KEY,
        "secret_key": Secret(SECRET_KEY), "timeout": 30.0,
    }  # fmt: skip
    return S3Storage(StorageSettings(**(known | more)))


@contextmanager
def own_s3(folder: Path) -> Iterator[OwnS3]:
    """A server that runs, and is gone afterwards."""
    server = OwnS3(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def answering(status: int, body: bytes = b"", kind: str = "application/xml") -> Iterator[tuple[str, list[str]]]:
    """The address of a server that gives the same answer to everything, and the requests that it got so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def do_DELETE(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def breaking_off(promised: int, sent: bytes) -> Iterator[str]:
    """The address of a server that promises a body of ``promised`` bytes, sends ``sent`` and goes away, each time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (promised, sent))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def nobody() -> str:
    """An address at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


def is_signed_for(url: str, method: str, region: str = "us-east-1") -> bool:
    """Whether the signature in an address is right for the method.

    Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters"; written anew, so that it is not the
    library that checks what the library did.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, strict_parsing=True))
    signature = query.pop("X-Amz-Signature")
    sorted_query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items())
    )
    canonical = "\n".join((method, parts.path, sorted_query, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    day = query["X-Amz-Date"][:8]
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature)
