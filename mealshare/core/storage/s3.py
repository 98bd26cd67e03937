"""The grown storage: a bucket that speaks S3 (Amazon's, MinIO, Ceph, R2 and others), the same for all machines.

What is asked of S3 is kept small, so that any of them will do: PUT, GET, HEAD, DELETE of an object, ListObjectsV2, HEAD of
the bucket, and addresses signed by version 4.  Nothing in the bucket is public.

A request of ours waits at most ``timeout`` seconds for the connection and then for each part of the answer.  What fails
quickly is tried once more; what took too long is not.  After that, while S3 is away, one caller in a while asks, and all
others are told at once, so that no more than a thread or two of the server ever wait for it.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from mealshare.core.breaker import Breaker
from mealshare.core.settings import SettingsError
from mealshare.core.storage.interface import NotStored, StorageError, check_key, check_prefix
from mealshare.core.storage.s3_failures import FAILURES, explain, is_away, is_missing, is_passing
from mealshare.core.storage.settings import StorageSettings

#: A key is given to one file only, whose content never changes.  Private: not everybody may see it.
CACHE_CONTROL = "private, max-age=31536000, immutable"
#: Connections that are kept; more than any process has threads.
POOL = 100
#: Seconds until the second attempt.
PAUSE = 0.2
#: Seconds that a question for the health waits, and for which its answer is good: anybody may ask, and each costs money.
HEALTH_TIMEOUT, HEALTH_LIFE = 1.5, 5.0

FAILED = "storage.s3_failed"
BACK = "storage.s3_back"
UNHEALTHY = "storage.s3_unhealthy"

#: Amazon's rules for general purpose buckets; the others take no fewer.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_T = TypeVar("_T")

log = logging.getLogger(__name__)


class S3Storage:
    """A Storage in the bucket ``settings.bucket``, under keys that begin with ``settings.prefix``.

    Making it asks nobody, unless there is no access key and boto3 has to find one.  Raises SettingsError for settings
    that cannot be right.  Safe in threads; a process may fork before the first call.
    """

    shared = True

    def __init__(self, settings: StorageSettings) -> None:
        _check(settings)
        self._settings = settings
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        try:
            self._session = boto3.session.Session()
            self._client = self._make_client(settings.endpoint)
            #: Signs addresses; the host is part of what is signed.
            self._signer = self._make_client(settings.public_endpoint or settings.endpoint)
            self._impatient = self._make_client(settings.endpoint, timeout=min(HEALTH_TIMEOUT, settings.timeout))
        except BotoCoreError as error:
            raise SettingsError(f"storage.backend is s3, and boto3 cannot be set up: {error}") from error
        self._where = str(urlsplit(self._client.meta.endpoint_url).netloc)
        self._breaker = Breaker(FAILED, BACK, pause=max(2.0, settings.timeout))
        self._asking_health = threading.Lock()
        #: When the health was asked for, and what came of it.
        self._health: tuple[float, bool] = (float("-inf"), True)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """See Storage.  S3 takes an object whole or not at all, and answers when it is durable."""
        name = self._name(key)
        self._ask(
            f"store {key}",
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=name, Body=data, ContentType=content_type, CacheControl=CACHE_CONTROL
            ),
        )

    def open(self, key: str) -> BinaryIO:
        """See Storage.  It has been read whole, into memory: nobody learns in the middle of it that S3 has gone."""
        name = self._name(key)

        def read() -> bytes:
            body = self._client.get_object(Bucket=self._bucket, Key=name)["Body"]
            with body:
                return cast(bytes, body.read())

        try:
            return io.BytesIO(self._ask(f"open {key}", read))
        except _Missing:
            raise NotStored(key) from None

    def path(self, key: str) -> None:
        """See Storage: there is none."""
        check_key(key)

    def url(self, key: str, seconds: int, content_type: str, filename: str, *, head: bool = False) -> str:
        """See Storage.  Signed here, without asking S3; takes half a millisecond, so whoever can keeps it."""
        wanted = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "ResponseContentType": content_type,
            "ResponseContentDisposition": f'inline; filename="{filename}"',
            # Instead of what is stored with it: a picture is in nobody's cache longer than its address is good.
            "ResponseCacheControl": "private",
            "ResponseExpires": datetime.now(UTC) + timedelta(seconds=seconds),
        }
        operation = "head_object" if head else "get_object"
        try:
            return str(self._signer.generate_presigned_url(operation, Params=wanted, ExpiresIn=seconds))
        except FAILURES as error:
            raise explain(error, f"sign an address of {key}", self._where) from error

    def origin(self) -> str:
        """See Storage.  Not for threads: boto3's session is none for them."""
        endpoint = self._settings.public_endpoint or self._settings.endpoint
        client = self._make_client(endpoint, key=("none", "none"))
        address = client.generate_presigned_url("get_object", Params={"Bucket": self._bucket, "Key": "x"})
        parts = urlsplit(str(address))
        return f"{parts.scheme}://{parts.netloc}"

    def exists(self, key: str) -> bool:
        """See Storage."""
        name = self._name(key)
        try:
            self._ask(f"look for {key}", lambda: self._client.head_object(Bucket=self._bucket, Key=name), bare=True)
        except _Missing:
            # HEAD says the same of a bucket that is missing.
            self._ask_bucket(self._client)
            return False
        return True

    def delete(self, key: str) -> None:
        """See Storage."""
        name = self._name(key)
        try:
            self._ask(f"delete {key}", lambda: self._client.delete_object(Bucket=self._bucket, Key=name))
        except _Missing:
            # Amazon's says 204; some others say this.
            return

    def keys(self, prefix: str = "", *, older_than_seconds: float | None = None) -> Iterator[str]:
        """See Storage.  A question for each thousand; what is no key of ours in the bucket is left out."""
        check_prefix(prefix)
        newest = None if older_than_seconds is None else datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        more: dict[str, str] = {}
        while True:
            page = self._page(prefix, more)
            for item in page.get("Contents", ()):
                key = str(item["Key"]).removeprefix(self._prefix)
                if _is_key(key) and (newest is None or item["LastModified"] <= newest):
                    yield key
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def sweep(self, older_than_seconds: float = 3600) -> int:
        """See Storage: nothing is ever left, for S3 keeps no unfinished PUT."""
        return 0

    def healthy(self) -> bool:
        """See Storage: whether the bucket is there, told in `HEALTH_TIMEOUT` seconds or so, and kept for a moment."""
        with self._asking_health:
            asked, healthy = self._health
            if time.monotonic() - asked < HEALTH_LIFE:
                return healthy
            reason = self._trouble()
            self._health = (time.monotonic(), reason is None)
        if reason is not None and healthy:
            log.warning(UNHEALTHY, extra={"reason": reason})
        return reason is None

    def _trouble(self) -> str | None:
        try:
            self._ask_bucket(self._impatient)
        except StorageError as error:
            return str(error)
        self._breaker.worked()
        return None

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _page(self, prefix: str, more: dict[str, str]) -> Any:
        return self._ask(
            "list files",
            lambda: self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + prefix, **more),
        )

    def _ask_bucket(self, client: Any) -> None:
        """Return if the bucket is there, raise StorageError if not."""
        try:
            client.head_bucket(Bucket=self._bucket)
        except FAILURES as error:
            if is_missing(error, bare=True):
                words = f"S3 at {self._where} has no bucket {self._bucket}: look at storage.bucket"
                raise StorageError(words) from error
            raise explain(error, f"find the bucket {self._bucket}", self._where) from error

    def _ask(self, doing: str, call: Callable[[], _T], *, bare: bool = False) -> _T:
        """What ``call`` gives.  Raises _Missing (``bare``: see `is_missing`), StorageFull and StorageError."""
        if not self._breaker.ready():
            raise StorageError(f"cannot {doing}: S3 at {self._where} did not answer a moment ago")
        try:
            try:
                answer = call()
            except FAILURES as error:
                if not is_passing(error):
                    raise
                time.sleep(PAUSE)
                answer = call()
        except FAILURES as error:
            if is_away(error):
                self._breaker.failed(error)
            else:
                self._breaker.worked()
            if is_missing(error, bare=bare):
                raise _Missing from error
            raise explain(error, doing, self._where) from error
        self._breaker.worked()
        return answer

    def _make_client(self, endpoint: str, *, timeout: float | None = None, key: tuple[str, str] | None = None) -> Any:
        settings = self._settings
        access_key, secret_key = key or (settings.access_key, str(settings.secret_key))
        seconds = settings.timeout if timeout is None else timeout
        addressing = settings.addressing
        if addressing == "auto" and not endpoint and "." not in settings.bucket:
            # By itself the library signs addresses for the host of all regions, which sends the browser on once more.
            addressing = "virtual"
        config = Config(
            signature_version="s3v4",
            connect_timeout=seconds,
            read_timeout=seconds,
            # We try again ourselves, and know for what.
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=POOL,
            tcp_keepalive=True,
            s3={"addressing_style": addressing},
            # Version 4 signs what is sent; many that speak S3 do not know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        region = settings.region or self._session.region_name or "us-east-1"
        return self._session.client(
            "s3",
            region_name=region,
            endpoint_url=endpoint or None,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=config,
        )


class _Missing(Exception):
    """There is no such object."""


def _is_key(key: str) -> bool:
    try:
        check_key(key)
    except ValueError:
        return False
    return True


def _check(settings: StorageSettings) -> None:
    """Raise SettingsError for what cannot be right; the message repeats no address, for it may hold a password."""
    if not settings.bucket:
        raise SettingsError("the setting storage.bucket is missing: with storage.backend = s3 it names the bucket")
    if not _BUCKET.fullmatch(settings.bucket):
        raise SettingsError("the setting storage.bucket is wrong: this is no name that a bucket can have")
    if bool(settings.access_key) != bool(settings.secret_key):
        raise SettingsError(
            "of the settings storage.access_key and storage.secret_key one is missing: give both or none"
        )
    for name in ("endpoint", "public_endpoint"):
        if not _is_endpoint(getattr(settings, name)):
            raise SettingsError(f"the setting storage.{name} is wrong: it is no https://host or http://host:port")
    try:
        check_prefix(settings.prefix.strip("/"))
    except ValueError:
        raise SettingsError("the setting storage.prefix is wrong: it has a-z, 0-9, _, ., - and / only") from None


def _is_endpoint(address: str) -> bool:
    if not address:
        return True
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = parts.username is None and not parts.query and not parts.fragment and parts.path in ("", "/")
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and plain
