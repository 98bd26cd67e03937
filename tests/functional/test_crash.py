"""A few crashes in the middle of what people do; `make faults` has many, and workers and everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from mealshare.core.db.migrate import upgrade
from tests.faults.crashes import kill_those_that_serve
from tests.faults.diners import (
    PEOPLE,
    dining,
    programs,
    registry_of,
    settings_for,
    torn,
    unknown_files,
    wait_for_jobs,
)
from tests.people import add_user

pytestmark = pytest.mark.stress


def test_a_process_that_serves_is_killed(database_url: str, tmp_path: Path) -> None:
    said = kill_those_that_serve(tmp_path, database_url, 3, 240)
    assert said.startswith("3 kills in ")


def test_what_a_crash_could_leave_behind_is_noticed(tmp_path: Path) -> None:
    """The deliberate break: the judge of these tests must not be blind."""
    database_url = f"sqlite:///{tmp_path}/site.sqlite"
    upgrade(database_url)
    settings = settings_for(tmp_path, database_url)
    with registry_of(settings) as registry:
        for number in range(PEOPLE):
            add_user(registry, f"person{number}")
        with programs(tmp_path, settings, "web") as web:
            with dining(web) as (allowance, written):
                allowance.grant(150)
                allowance.wait_for(140)
            wait_for_jobs(registry)
        assert torn(written, registry, database_url) == []
        assert unknown_files(registry) == []
        with registry["engine"].begin() as connection:
            for statement in BREAKS:
                assert connection.execute(text(statement)).rowcount, statement
        pictures = sorted(file for file in registry["storage"].folder.rglob("*.webp"))
        pictures[0].write_bytes(pictures[0].read_bytes()[:100])
        pictures[1].rename(pictures[1].with_name("f" * 32 + "-400.webp"))
        found = {line.split(":")[0] for line in torn(written, registry, database_url)}
        assert found >= {
            "comments",
            "follows",
            "home feed",
            "not told",
            "posts.comments_count",
            "accounts.followers_count",
        }
        assert len([word for word in found if word.startswith("media/")]) == 2
        assert [file.rpartition("/")[2] for file in unknown_files(registry)] == ["f" * 32 + "-400.webp"]


BREAKS = (
    "DELETE FROM posts WHERE id = (SELECT max(c.id) FROM posts c JOIN posts m ON m.id = c.root_id"
    " WHERE c.kind = 'comment' AND c.deleted_at IS NULL AND m.deleted_at IS NULL)",
    "DELETE FROM timeline_entries WHERE account_id != author_id",
    "DELETE FROM notifications WHERE type = 'like'",
    "DELETE FROM follows WHERE id = (SELECT max(id) FROM follows)",
)
