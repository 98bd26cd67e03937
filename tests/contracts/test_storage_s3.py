"""What only the storage in a bucket promises: what it tells S3, and what happens when S3 is away, slow, full or wrong."""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator

from mealshare.core.settings import SettingsError
from mealshare.core.storage import NotStored, Storage, StorageError, StorageFull
from tests.s3_server import (
    ACCESS_KEY,
    SECRET_KEY,
    OwnS3,
    answering,
    breaking_off,
    is_signed_for,
    nobody,
    own_s3,
    s3_storage,
    silent,
)

PLAIN = "application/octet-stream"
ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>sesame</Message></Error>"
CALLS: dict[str, Callable[[Storage], object]] = {
    "put": lambda storage: storage.put("media/a", b"x", PLAIN),
    "open": lambda storage: storage.open("media/a"),
    "exists": lambda storage: storage.exists("media/a"),
    "delete": lambda storage: storage.delete("media/a"),
    "keys": lambda storage: list(storage.keys()),
}


@pytest.fixture(params=sorted(CALLS))
def call(request: pytest.FixtureRequest) -> Callable[[Storage], object]:
    return CALLS[request.param]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnS3]:
    """A server of this test alone."""
    with own_s3(tmp_path) as server:
        yield server


def head(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as answer:
        return answer


# What it tells S3.


def test_type_and_caching_are_stored_with_the_file(s3_server: OwnS3) -> None:
    bucket = s3_server.new_bucket()
    s3_server.storage(bucket=bucket, prefix="meals").put("media/a.webp", b"abc", "image/webp")
    found = s3_server.client().get_object(Bucket=bucket, Key="meals/media/a.webp")
    assert (found["ContentType"], found["Body"].read()) == ("image/webp", b"abc")
    assert found["CacheControl"] == "private, max-age=31536000, immutable"


def test_sites_may_share_a_bucket_with_each_other_and_with_strangers(s3_server: OwnS3) -> None:
    bucket = s3_server.new_bucket()
    one, two = (s3_server.storage(bucket=bucket, prefix=prefix) for prefix in ("one", "two/"))
    for number, storage in enumerate((one, two)):
        storage.put("media/a", bytes([number]), PLAIN)
    for foreign in ("one/", "one/Media/Über uns.txt", "one/.hidden", "onemedia/b", "media/c"):
        s3_server.client().put_object(Bucket=bucket, Key=foreign, Body=b"x")
    assert list(one.keys()) == list(two.keys()) == ["media/a"]
    one.delete("media/a")
    with two.open("media/a") as file:
        assert file.read() == b"\1"


def test_a_list_goes_on_after_its_first_thousand(s3_server: OwnS3) -> None:
    bucket = s3_server.new_bucket()
    client = s3_server.client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.put_object(Bucket=bucket, Key=f"media/{number}", Body=b""), range(1003)))
    found = list(s3_server.storage(bucket=bucket).keys("media/"))
    assert len(found) == len(set(found)) == 1003


# Addresses.


def test_an_address_says_how_the_file_is_to_be_taken(s3_server: OwnS3) -> None:
    storage = s3_server.storage(prefix="meals")
    storage.put("media/a", b"0123456789", PLAIN)
    url = storage.url("media/a", 600, "image/webp", "117-400.webp")
    part = urllib.request.Request(url, headers={"Range": "bytes=2-4"})
    with urllib.request.urlopen(part) as answer:
        assert (answer.status, answer.read()) == (206, b"234")
        assert answer.headers["Content-Type"] == "image/webp"
        assert answer.headers["Content-Disposition"] == 'inline; filename="117-400.webp"'
        assert answer.headers["Cache-Control"] == "private"
        assert abs(parsedate_to_datetime(answer.headers["Expires"]).timestamp() - time.time() - 600) < 60
    assert head(storage.url("media/a", 600, "image/webp", "x", head=True)).headers["Content-Length"] == "10"


def test_an_address_is_signed_for_one_method_and_one_host() -> None:
    storage = s3_storage("http://minio.internal:9000", prefix="meals")
    url = storage.url("media/a-400.webp", 300, "image/webp", "a b.webp")
    assert url.startswith("http://minio.internal:9000/meals/meals/media/a-400.webp?")
    assert "X-Amz-Expires=300&" in url
    assert SECRET_KEY not in url
    assert (is_signed_for(url, "GET"), is_signed_for(url, "HEAD")) == (True, False)
    assert not is_signed_for(url.replace("400", "1600"), "GET")
    assert not is_signed_for(url.replace("=300&", "=3000&"), "GET")
    assert is_signed_for(storage.url("media/a", 300, "image/webp", "x", head=True), "HEAD")
    public = s3_storage("http://minio.internal:9000", public_endpoint="https://s3.example.org", region="eu-west-1")
    url = public.url("media/a", 300, "image/webp", "x")
    assert (public.origin(), url.partition("?")[0]) == (
        "https://s3.example.org",
        "https://s3.example.org/meals/media/a",
    )
    assert is_signed_for(url, "GET", "eu-west-1")


@pytest.mark.parametrize(
    ("endpoint", "addressing", "origin"),
    [
        ("http://minio:9000", "auto", "http://minio:9000"),
        ("http://minio:9000", "path", "http://minio:9000"),
        ("https://s3.example.org", "virtual", "https://meals.s3.example.org"),
        ("", "auto", "https://meals.s3.eu-west-1.amazonaws.com"),
        ("", "path", "https://s3.eu-west-1.amazonaws.com"),
    ],
)
def test_where_the_name_of_the_bucket_stands(endpoint: str, addressing: str, origin: str) -> None:
    storage = s3_storage(endpoint, addressing=addressing, region="eu-west-1")
    assert storage.origin() == origin
    assert storage.url("media/a", 60, PLAIN, "x").startswith(f"{origin}/")


# When something is wrong.


def test_nobody_is_there(call: Callable[[Storage], object]) -> None:
    storage = s3_storage(nobody())
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"S3 at 127\.0\.0\.1:\d+ does not answer"):
        call(storage)
    assert time.monotonic() - started < 5
    started = time.monotonic()
    with pytest.raises(StorageError, match="did not answer a moment ago"):
        call(storage)
    assert time.monotonic() - started < 0.1


def test_somebody_takes_too_long(call: Callable[[Storage], object]) -> None:
    with silent() as url:
        storage = s3_storage(url, timeout=1.5)
        started = time.monotonic()
        with pytest.raises(StorageError, match=r"takes longer than storage\.timeout"):
            call(storage)
        # Once: it has waited long enough.
        assert 1.4 < time.monotonic() - started < 2.9
        started = time.monotonic()
        assert not storage.healthy()
        assert time.monotonic() - started < 2.9
        started = time.monotonic()
        assert not storage.healthy()
        assert time.monotonic() - started < 0.1


def test_while_it_is_away_only_one_in_a_while_waits() -> None:
    with silent() as url:
        storage = s3_storage(url, timeout=0.5)
        with pytest.raises(StorageError):
            storage.open("a")

        def ask(_: int) -> float:
            started = time.monotonic()
            with pytest.raises(StorageError):
                storage.open("a")
            return time.monotonic() - started

        with ThreadPoolExecutor(8) as pool:
            waits = list(pool.map(ask, range(200)))
        assert sum(wait > 0.3 for wait in waits) <= 1


def test_it_is_back(s3_server: OwnS3) -> None:
    storage = s3_server.storage(timeout=0.5)
    storage.put("a", b"x", PLAIN)
    assert storage.healthy()
    with s3_server.frozen(), pytest.raises(StorageError):
        storage.open("a")
    deadline = time.monotonic() + 20
    while True:
        try:
            storage.open("a").close()
            break
        except StorageError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert list(storage.keys()) == ["a"]


def test_an_answer_breaks_off() -> None:
    with breaking_off(1000, b"half") as url, pytest.raises(StorageError, match="cannot open media/a: S3 at"):
        s3_storage(url).open("media/a")


def test_a_bucket_is_missing(s3_server: OwnS3, call: Callable[[Storage], object], caplog: Any) -> None:
    storage = s3_server.storage(bucket="nobodys-bucket")
    with pytest.raises(StorageError, match=r"storage\.bucket") as caught:
        call(storage)
    assert not isinstance(caught.value, NotStored)
    assert [storage.healthy(), storage.healthy()] == [False, False]
    assert [record.getMessage() for record in caplog.records].count("storage.s3_unhealthy") == 1


def test_a_key_is_wrong(own: OwnS3, caplog: Any) -> None:
    caplog.set_level("DEBUG", logger="mealshare")
    bucket = own.new_bucket()
    access_key, secret_key = own.require_keys()
    right = own.storage(bucket=bucket, access_key=access_key, secret_key=secret_key)
    right.put("media/a", b"x", PLAIN)
    assert right.healthy()
    told = []
    for given in (
        {"access_key": access_key, "secret_key": SECRET_KEY},
        {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY},
    ):
        wrong = own.storage(bucket=bucket, **given)
        assert not wrong.healthy()
        for call in CALLS.values():
            with pytest.raises(
                StorageError, match=r"look at storage\.(secret|access)_key|the access key is wrong"
            ) as caught:
                call(wrong)
            told += traceback.format_exception(caught.value)
    assert len(list(right.keys())) == 1
    text = "".join(told) + caplog.text
    assert "SignatureDoesNotMatch" in text
    assert SECRET_KEY not in text
    assert secret_key not in text


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (507, b"XMinioStorageFull"),
        (507, b"Anything"),
        (400, b"XMinioAdminBucketQuotaExceeded"),
        (403, b"QuotaExceeded"),
    ],
)
def test_there_is_no_room(status: int, code: bytes) -> None:
    with answering(status, ERROR % code) as (url, asked):
        storage = s3_storage(url)
        for _ in range(2):
            with pytest.raises(StorageFull, match=code.decode()):
                storage.put("media/a", b"x", PLAIN)
    # Nothing is away, so everybody may ask; and nobody asks twice.
    assert asked == ["PUT /meals/media/a"] * 2


@pytest.mark.parametrize("code", [b"InternalError", b"SlowDown", b""])
def test_it_is_busy(code: bytes) -> None:
    with answering(503, ERROR % code if code else b"") as (url, asked):
        storage = s3_storage(url)
        for _ in range(3):
            with pytest.raises(StorageError) as caught:
                storage.put("media/a", b"x", PLAIN)
            assert not isinstance(caught.value, StorageFull)
            assert "sesame" not in str(caught.value)
    assert len(asked) == 2


@pytest.mark.parametrize(("status", "kind"), [(404, "text/html"), (200, "text/html"), (403, "text/plain")])
def test_another_server_loses_no_picture(status: int, kind: str) -> None:
    """A file that is not stored is a picture that is lost for ever, so a wrong address must not sound like that."""
    with answering(status, b"<!doctype html><p>Welcome<br>to the router!", kind) as (url, _asked):
        storage = s3_storage(url)
        with pytest.raises(StorageError, match="S3 at"):
            list(storage.keys())
        if status != 200:
            for call in CALLS.values():
                with pytest.raises(StorageError, match="S3 at"):
                    call(storage)


# Settings.

GOOD = {
    "storage.backend": "s3", "storage.bucket": "meals", "storage.access_key": ACCESS_KEY, "storage.secret_key": SECRET_KEY,
    "storage.endpoint": "http://127.0.0.1:9000",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"bucket": ""}, "bucket is missing"), ({"bucket": "Meals"}, "bucket is wrong"), ({"bucket": "a/b"}, "bucket is wrong"),
        ({"access_key": ""}, "access_key and"), ({"secret_key": ""}, "secret_key one is missing"),
        ({"endpoint": "127.0.0.1:9000"}, "endpoint is wrong"), ({"endpoint": "http://u:sesame@h"}, "endpoint is wrong"),
        ({"endpoint": "http://h/bucket"}, "endpoint is wrong"), ({"endpoint": "http://h:99999"}, "endpoint is wrong"),
        ({"public_endpoint": "s3.example.org"}, "public_endpoint is wrong"), ({"prefix": "a b"}, "prefix is wrong"),
        ({"prefix": "../x"}, "prefix is wrong"), ({"addressing": "dns"}, "addressing is wrong"),
        ({"timeout": "0"}, "timeout is wrong"), ({"backend": "s4"}, "backend is wrong"),
    ],
)  # fmt: skip
def test_wrong_settings_stop_the_boot(changed: dict[str, str], named: str) -> None:
    config = Configurator(settings=GOOD | {f"storage.{name}": value for name, value in changed.items()})
    config.include("mealshare.core.settings")
    with pytest.raises(SettingsError, match=named) as caught:
        config.include("mealshare.core.storage")
    assert "sesame" not in str(caught.value)


def test_a_site_starts_while_s3_is_away() -> None:
    config = Configurator(settings=GOOD | {"storage.endpoint": nobody()})
    config.include("mealshare.core.settings")
    config.include("mealshare.core.storage")
    assert config.registry["storage"].shared


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)


def test_a_missing_library_is_told_with_the_name_of_the_extra() -> None:
    program = (
        "import sys; sys.modules['boto3'] = None\n"
        "from mealshare.core.storage import StorageSettings, make_storage\n"
        "make_storage(StorageSettings(backend='s3', bucket='meals'))"
    )
    assert (
        run(program)
        .stderr.splitlines()[-1]
        .endswith(
            "BootError: the setting storage.backend is s3, but the library is missing: pip install 'mealshare[s3]'"
        )
    )


def test_a_site_with_a_folder_does_not_load_the_library(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import mealshare.features.media.delivery\n"
        "from mealshare.core.storage import StorageSettings, make_storage\n"
        f"make_storage(StorageSettings(folder=Path({str(tmp_path)!r})))\n"
        "print([name for name in ('boto3', 'botocore', 'urllib3') if name in sys.modules])"
    )
    assert run(program).stdout.strip() == "[]"
