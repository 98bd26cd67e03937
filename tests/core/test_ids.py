from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from pyramid.config import Configurator

from mealshare.core import clock, ids
from mealshare.core.settings import SettingsError

NOW = 1_772_366_400_123


class SettableClock:
    def __init__(self, *values: int) -> None:
        self.values = list(values)

    def __call__(self) -> int:
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


def make(clock: SettableClock, worker: int = 5) -> ids.IdMaker:
    return ids.IdMaker(lambda: worker, clock)


def test_the_parts_of_an_id() -> None:
    value = make(SettableClock(NOW))()
    assert value >> 16 == NOW
    assert value >> 10 & 63 == 5
    assert value & 1023 < 256
    assert 0 < value <= ids.MAX_ID


def test_ids_grow_when_the_clock_steps_back() -> None:
    maker = make(SettableClock(NOW, NOW - 5000, NOW - 1, NOW, NOW + 1))
    made = [maker() for _ in range(5)]
    assert made == sorted(set(made))
    assert [value >> 16 for value in made] == [NOW, NOW, NOW, NOW, NOW + 1]


def test_a_full_millisecond_borrows_the_next_one() -> None:
    maker = make(SettableClock(NOW))
    made = [maker() for _ in range(5000)]
    assert made == sorted(set(made))
    assert {value >> 10 & 63 for value in made} == {5}
    assert made[-1] >> 16 > NOW + 3


def test_threads_never_share_an_id_and_each_sees_them_grow() -> None:
    per_thread: list[list[int]] = [[] for _ in range(8)]

    def work(mine: list[int]) -> None:
        mine.extend(ids.new_id() for _ in range(5000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in per_thread]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in per_thread)
    assert len({value for mine in per_thread for value in mine}) == 40_000


def test_processes_that_run_at_once_never_share_an_id() -> None:
    # All of them stand in the same frozen millisecond, where only the worker number keeps them apart.
    program = (
        f"import sys; from mealshare.core import clock, ids; clock.milliseconds = lambda: {NOW}\n"
        f"make = ids.IdMaker(ids._process.worker, lambda: {NOW})\n"
        "print(*[make() for _ in range(700)], flush=True); sys.stdin.read()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    try:
        made = [int(word) for process in running if process.stdout for word in process.stdout.readline().split()]
    finally:
        for process in running:
            process.communicate()
    assert len(made) == 6 * 700
    assert len(set(made)) == len(made)


def test_a_forked_child_takes_a_number_of_its_own() -> None:
    before = ids.new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(ids.new_id()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = int(pipe.read())
    os.waitpid(child, 0)
    after = ids.new_id()
    assert before >> 10 & 63 == after >> 10 & 63
    assert theirs >> 10 & 63 != before >> 10 & 63


def test_a_fork_while_a_thread_makes_an_id_does_not_hang_the_child() -> None:
    with ids._process.maker._lock:
        child = os.fork()
        if child == 0:
            ids.new_id()
            os._exit(0)
    for _ in range(500):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        threading.Event().wait(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child waits for a lock that nobody will release")
    assert status == 0


@pytest.mark.parametrize("take", [ids._take_name, ids._take_file])
def test_a_number_is_held_once_and_free_after_it_was_closed(
    take: object, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(ids.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ids, "_take", take)
    held = ids.WorkerNumber(62, 62)
    assert held.number == 62
    with pytest.raises(RuntimeError, match="from 62 to 62 are held"):
        ids.WorkerNumber(62, 62)
    held.close()
    again = ids.WorkerNumber(62, 62)
    again.close()


def id_time(id: int) -> datetime:
    """The moment in which ``id`` was made."""
    return clock.from_milliseconds(id >> ids.SEQUENCE_BITS)


def test_the_time_of_an_id() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        maker = ids.IdMaker(lambda: 1)
        assert id_time(maker()) == moment
    assert id_time(ids.MAX_ID).year == 6429


def test_an_id_for_another_time_sorts_there_and_is_not_repeated() -> None:
    moment = datetime(2020, 5, 5, tzinfo=UTC)
    made = [ids.new_id_at(moment) for _ in range(1024)]
    assert len(set(made)) == 1024
    assert {id_time(value) for value in made} == {moment}
    assert max(made) < ids.new_id_at(moment + timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "moment", [datetime(1969, 12, 31, tzinfo=UTC), datetime(6500, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)]
)
def test_no_id_stands_for_a_time_that_it_cannot_hold(moment: datetime) -> None:
    with pytest.raises(ValueError):
        ids.new_id_at(moment)


def test_parse_id_takes_what_an_id_looks_like() -> None:
    for value in (1, 9, 10, 116_153_364_500_000_000, 2**63 - 1):
        assert ids.parse_id(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "-1", "+1", "01", " 1", "1 ", "1\n", "1_000", "1.0", "1e3", "0x1", "abc", "١٢", "１２", "²",
        "1\x00", str(2 ** 63), "9" * 19, "1" * 20, "9" * 5000, None, 7, b"7",
    ],
)  # fmt: skip
def test_parse_id_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        ids.parse_id(text)


@pytest.fixture
def unchanged_range() -> Iterator[None]:
    yield
    ids._process.use_range(0, ids.WORKERS - 1)


def configured(**settings: str) -> None:
    with Configurator(settings=settings) as config:
        config.include("mealshare.core.settings")
        config.include("mealshare.core.ids")


@pytest.mark.usefixtures("unchanged_range")
def test_the_settings_hold_the_process_to_its_range() -> None:
    ids.new_id()
    configured(**{"ids.first_worker": "40", "ids.last_worker": "43"})
    assert 40 <= ids.new_id() >> 10 & 63 <= 43
    configured(**{"ids.first_worker": "50", "ids.last_worker": "51"})
    before, after = ids.new_id(), ids.new_id()
    assert 50 <= before >> 10 & 63 <= 51
    assert before < after


def test_an_empty_range_stops_the_boot() -> None:
    with pytest.raises(SettingsError, match=r"ids\.first_worker"):
        configured(**{"ids.first_worker": "9", "ids.last_worker": "8"})
