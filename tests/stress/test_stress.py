"""Many people at several servers on one database: no error, and everything that was acknowledged is there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.databases import Backend, new_database
from tests.stress.load import Load, differences, run_load

pytestmark = pytest.mark.stress


def test_nothing_fails_and_nothing_is_lost(backend: Backend, tmp_path: Path) -> None:
    with new_database(backend, tmp_path) as url:
        outcome = run_load(Load(processes=2, threads=8, seconds=6), tmp_path, url)
        assert outcome.errors == []
        assert differences(outcome, url) == []
        done = Counter[str]()
        for kind, number in outcome.requests.items():
            done[kind.split()[0]] += number
        assert set(done) == {"post", "edit", "delete", "like", "unlike"}
        assert done.total() > 100
        assert outcome.requests["like 204"] > 10
        _lose_something(url)
        assert {found.split(":")[0] for found in differences(outcome, url)} == {
            "meals", "likes", "likes_count", "meals_count", "tag counts",
        }  # fmt: skip


def _lose_something(url: str) -> None:
    """The deliberate break: what a lost update of each kind would leave behind."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in (
            "DELETE FROM likes WHERE id = (SELECT max(id) FROM likes)",
            "UPDATE posts SET food = 'lost' WHERE id = (SELECT max(id) FROM posts WHERE deleted_at IS NULL)",
            "UPDATE posts SET likes_count = likes_count + 1 WHERE id = (SELECT max(post_id) FROM likes)",
            "UPDATE accounts SET meals_count = meals_count - 1 WHERE username = 'person0'",
            "UPDATE tags SET meals_count = meals_count + 1 WHERE name = 'soup'",
        ):
            connection.execute(text(statement))
    engine.dispose()
