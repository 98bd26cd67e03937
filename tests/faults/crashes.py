"""kill -9, again and again, in the middle of what people do; and what must hold afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.faults.diners import (
    PEOPLE,
    Written,
    dining,
    kinds,
    programs,
    queued,
    registry_of,
    settings_for,
    torn,
    unknown_files,
    wait_for_jobs,
    wait_for_start,
)
from tests.hosted_site import Program
from tests.job_processes import wait_until
from tests.people import add_user
from tests.served_sites import BIN

#: What everybody does; a test in which one of them never happened shows less than it says.
ALL_KINDS = {"post", "upload", "edit", "delete", "like", "unlike", "comment", "follow", "unfollow"}


def kill_those_that_serve(folder: Path, database_url: str, kills: int, writes: int) -> str:
    """Kill one of three processes ``kills`` times within ``writes`` acknowledged writes; gives the figure."""
    settings = settings_for(folder, database_url)
    chance = random.Random(kills)
    with registry_of(settings) as registry:
        for number in range(PEOPLE):
            add_user(registry, f"person{number}")
        each = writes // kills
        # Three: one that is killed, one that starts, one that serves.
        with programs(folder, settings, "web", "web", "web") as web:
            with dining(web) as (allowance, written):
                for number in range(kills):
                    allowance.grant(each)
                    allowance.wait_for(number * each + chance.randrange(each // 4, each // 2))
                    _kill_and_start(web[number % 3])
                    web[(number + 1) % 3].wait()
                # What is left comes after the last kill.
                allowance.grant(writes - kills * each)
                allowance.wait_for(writes - PEOPLE * 2)
            wait_for_jobs(registry)
            assert not [program.log for program in web if "Traceback" in program.log]
        said = _judge(written, registry, database_url, folder)
        if kills > 5:
            assert set(kinds(written)) == ALL_KINDS
            assert written.unheard > kills // 2, "hardly a request noticed: the test is none"
        return (
            f"{kills} kills in {written.acknowledged:,} writes, {written.unheard} requests cut and sent again: {said}"
        )


def _kill_and_start(program: Program) -> None:
    program.kill()
    program.start()


def _judge(written: Written, registry: Any, database_url: str, folder: Path) -> str:
    assert written.errors == []
    _whole(torn(written, registry, database_url))
    left = _sweep(folder, registry)
    _whole(unknown_files(registry))
    _whole(torn(written, registry, database_url))
    return f"0 lost, 0 doubled, 0 torn; {left} orphan files, 0 after the sweep"


def _whole(differences: list[str]) -> None:
    assert not differences, "\n".join(differences)


def _sweep(folder: Path, registry: Any) -> int:
    """`mealshare media sweep` two hours later; gives how many files belonged to nothing before it."""
    orphans = len(unknown_files(registry))
    before = time.time() - 7200
    for file in registry["storage"].folder.rglob("*"):
        if file.is_file():
            os.utime(file, (before, before))
    ini = next(folder.glob("web*/site.ini"))
    command = [str(BIN / "mealshare"), "-c", str(ini), "media", "sweep"]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environ)
    assert done.returncode == 0, done.stderr
    return orphans


def kill_those_that_work(folder: Path, database_url: str, kills: int, **more: str) -> str:
    """Kill one of two workers ``kills`` times while it runs jobs; gives the figure."""
    settings = settings_for(folder, database_url, **{"jobs__engine": "worker"} | more)
    with registry_of(settings) as registry:
        people = [add_user(registry, f"person{number}") for number in range(PEOPLE)]
        with programs(folder, settings, "web", "worker", "worker") as (web, *workers):
            with dining([web]) as (allowance, written):
                for number in range(kills):
                    worker = workers[number % 2]
                    allowance.grant(30)
                    _ask_for_mail(registry, people[number % PEOPLE].email)
                    wait_for_start(worker)
                    wait_until(lambda: _works(registry), "nobody works")
                    _kill_and_start(worker)
                allowance.grant(50)
                allowance.wait_for(kills * 30)
            wait_for_jobs(registry)
            assert not [program.log for program in (web, *workers) if "Traceback" in program.log]
        assert queued(registry) == []
        mails = len(list((folder / "mail").glob("*.eml")))
        assert mails >= kills, "a mail was lost"
        said = _judge(written, registry, database_url, folder)
        pictures = len(written.pictures)
        return (
            f"{kills} kills while jobs ran for {written.acknowledged:,} writes and {pictures} pictures: {said}; nothing"
            f" waits; of {kills} mails 0 lost, {mails - kills} sent twice"
        )


def _ask_for_mail(registry: Any, email: str) -> None:
    with registry["open_work"]() as work:
        work.enqueue("accounts.mail_reset_link", {"email": email})


def _works(registry: Any) -> bool:
    return any(state == "running" for _, state in queued(registry))
