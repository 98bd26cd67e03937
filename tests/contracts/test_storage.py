"""What every file storage must do, run on each one; then what only the local folder promises."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyramid.config import Configurator

from mealshare.core.settings import SettingsError
from mealshare.core.storage import LocalStorage, NotStored, Storage, StorageError, StorageFull

BACKENDS = ("local", "s3", "s3 with a prefix")
PLAIN = "application/octet-stream"


@pytest.fixture(params=BACKENDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "files")
    prefix = "sites/of.mine/" if request.param == "s3 with a prefix" else ""
    made: Storage = request.getfixturevalue("s3_server").storage(prefix=prefix)
    return made


def read(storage: Storage, key: str) -> bytes:
    with storage.open(key) as file:
        return file.read()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_comes_back_until_it_is_deleted(storage: Storage) -> None:
    assert not storage.exists("media/a.webp")
    storage.put("media/a.webp", b"\x00one\xff", "image/webp")
    storage.put("media/empty", b"", PLAIN)
    assert storage.exists("media/a.webp")
    assert (read(storage, "media/a.webp"), read(storage, "media/empty")) == (b"\x00one\xff", b"")
    storage.put("media/a.webp", b"two", "image/webp")
    assert read(storage, "media/a.webp") == b"two"
    storage.delete("media/a.webp")
    storage.delete("media/a.webp")
    assert not storage.exists("media/a.webp")
    assert storage.path("media/a.webp") is None
    with pytest.raises(NotStored):
        storage.open("media/a.webp")
    assert read(storage, "media/empty") == b""


def test_a_key_may_be_the_beginning_of_another(storage: Storage) -> None:
    keys = ["a", "a/b", "a/b/c", "b", "b/a"]
    for key in keys:
        storage.put(key, key.encode(), PLAIN)
    assert [read(storage, key) for key in keys] == [key.encode() for key in keys]
    storage.delete("a/b")
    assert sorted(storage.keys()) == ["a", "a/b/c", "b", "b/a"]


def test_keys_are_listed_by_prefix(storage: Storage) -> None:
    for key in ("media/ab/1.webp", "media/ab/2.webp", "media/abc/1.webp", "other/1"):
        storage.put(key, b"x", PLAIN)
    assert sorted(storage.keys("media/ab")) == ["media/ab/1.webp", "media/ab/2.webp", "media/abc/1.webp"]
    assert sorted(storage.keys("media/ab/")) == ["media/ab/1.webp", "media/ab/2.webp"]
    assert list(storage.keys("media/ab/2")) == ["media/ab/2.webp"]
    assert list(storage.keys("nothing")) == []
    assert len(list(storage.keys())) == 4


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "/etc/passwd", "a/", "a//b", "..", "../x", "a/../b", "a/./b", ".hidden", "a/.b", "A", "a b",
        "a\x00", "a\n", "a\\b", "é", "=ff/x", "~", "a" * 201, "C:x", None, b"a",
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_everywhere(storage: Storage, key: str) -> None:
    calls: list[Callable[[str], object]] = [
        storage.open, storage.path, storage.exists, storage.delete, lambda k: storage.put(k, b"x", PLAIN),
        lambda k: storage.url(k, 60, PLAIN, "x"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match="not a storage key"):
            call(key)


@pytest.mark.parametrize("prefix", ["..", "../", "/", "a/../", "a//", ".x", "A"])
def test_what_begins_no_key_is_refused(storage: Storage, prefix: str) -> None:
    storage.put("a/b", b"x", PLAIN)
    with pytest.raises(ValueError, match="not a storage key"):
        list(storage.keys(prefix))


def test_a_reader_sees_the_old_file_or_the_new_one(storage: Storage) -> None:
    bodies = [bytes([number]) * 200_000 for number in range(2)]
    storage.put("a", bodies[0], PLAIN)
    torn: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            found = read(storage, "a")
            if found not in bodies:
                torn.append(len(found))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(60):
        storage.put("a", bodies[number % 2], PLAIN)
    done.set()
    watcher.join()
    assert torn == []


def test_putting_and_deleting_side_by_side_fails_nobody(storage: Storage) -> None:
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for _ in range(80):
                storage.put("same/folder/x" if number % 2 else f"same/folder/y{number}", b"x", PLAIN)
                storage.delete("same/folder/x")
                storage.delete(f"same/folder/y{number}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(storage.keys()) == []


def test_files_of_some_age_are_listed(storage: Storage) -> None:
    storage.put("media/a", b"x", PLAIN)
    time.sleep(1.1)  # S3 tells times in seconds.
    assert list(storage.keys("media/", older_than_seconds=1)) == ["media/a"]
    assert list(storage.keys(older_than_seconds=3600)) == []
    assert list(storage.keys("other", older_than_seconds=0)) == []


def test_there_are_addresses_or_there_are_none(storage: Storage) -> None:
    storage.put("media/a", b"0123456789", PLAIN)
    url, origin = storage.url("media/a", 60, "image/webp", "a.webp"), storage.origin()
    assert (url is None) is (origin is None) is (not storage.shared)
    if url is not None:
        assert url.startswith(f"{origin}/")
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"0123456789"


def test_it_is_healthy_and_asking_leaves_nothing_behind(storage: Storage) -> None:
    assert storage.healthy()
    assert list(storage.keys()) == []
    assert storage.sweep(0) == 0


# The local folder.


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "files")


def test_files_fan_out_and_empty_folders_go(local: LocalStorage) -> None:
    for number in range(300):
        local.put(f"media/{number}.webp", b"x", "image/webp")
    folders = {path.parent for path in files(local.folder)}
    assert len(folders) > 100
    place = local.path("media/7.webp")
    assert place is not None
    assert place.read_bytes() == b"x"
    for number in range(300):
        local.delete(f"media/{number}.webp")
    assert list(local.folder.iterdir()) == []


@pytest.fixture
def largest_file() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(local: LocalStorage, largest_file: int) -> None:
    local.put("media/a", b"old", PLAIN)
    for key in ("media/a", "media/b", "elsewhere/c"):
        with pytest.raises(StorageFull):
            local.put(key, bytes(largest_file * 2), PLAIN)
    assert read(local, "media/a") == b"old"
    assert len(files(local.folder)) == 1
    assert not (local.folder / "elsewhere").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk; the limit on file size above takes the same way")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_leaves_nothing_and_heals(small_disk: Path) -> None:
    local = LocalStorage(small_disk)
    local.put("media/a", bytes(50_000), PLAIN)
    with pytest.raises(StorageFull, match="No space left"):
        local.put("media/b", bytes(300_000), PLAIN)
    assert len(files(small_disk)) == 1
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(400_000))
    assert not local.healthy()
    with pytest.raises(StorageFull):
        local.put("media/a", bytes(50_000), PLAIN)
    assert read(local, "media/a") == bytes(50_000)
    filler.unlink()
    assert local.healthy()
    local.put("media/b", bytes(100_000), PLAIN)
    assert sorted(local.keys()) == ["media/a", "media/b"]


def test_what_a_crash_left_is_no_file_and_is_swept_when_old(local: LocalStorage) -> None:
    local.put("media/a", b"x", PLAIN)
    place = local.path("media/a")
    assert place is not None
    left, young = place.parent / ".unfinished-0123", place.parent / ".unfinished-4567"
    for path in (left, young):
        path.write_bytes(b"half")
    os.utime(left, (time.time() - 4000, time.time() - 4000))
    assert list(local.keys()) == ["media/a"]
    assert local.sweep() == 1
    assert (left.exists(), young.exists()) == (False, True)
    assert read(local, "media/a") == b"x"


def test_a_kill_in_the_middle_leaves_whole_files_only(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom mealshare.core.storage import LocalStorage\n"
        f"s = LocalStorage(pathlib.Path({str(tmp_path)!r}))\n"
        "print('ready', flush=True)\n"
        "for n in range(10**6):\n    s.put(f'm/{n % 50}', bytes([n % 256]) * 300_000, 'x')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    process.kill()
    process.wait()
    process.stdout.close()
    local = LocalStorage(tmp_path)
    keys = list(local.keys())
    assert keys
    for key in keys:
        body = read(local, key)
        assert body == body[:1] * 300_000
    local.sweep(0)
    assert len(files(tmp_path)) == len(keys)


def test_a_folder_that_cannot_be_made_stops_the_boot_with_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        LocalStorage(tmp_path / "file" / "media")
    config = Configurator(settings={"storage.folder": str(tmp_path / "file" / "media")})
    config.include("mealshare.core.settings")
    with pytest.raises(SettingsError, match=r"storage\.folder"):
        config.include("mealshare.core.storage")


def test_the_storage_stands_in_the_registry(tmp_path: Path) -> None:
    config = Configurator(settings={"storage.folder": str(tmp_path / "media")})
    config.include("mealshare.core.settings")
    config.include("mealshare.core.storage")
    config.registry["storage"].put("a", b"x", PLAIN)
    assert len(files(tmp_path / "media")) == 1
