"""Sites to back up, restore and move."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.places import NewPlace, Place
from tests.databases import Backend, new_database


@pytest.fixture(scope="module")
def demo(backend: Backend, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A site with demo data; only ever read."""
    folder = tmp_path_factory.mktemp("demo")
    with new_database(backend, folder, copy_of=migrated) as url:
        place = Place(folder, url)
        place.done("seed", "--people", "4", "--meals", "12")
        yield place


@pytest.fixture
def new_place(tmp_path: Path) -> Iterator[NewPlace]:
    """``new_place(backend, copy_of=None, media_of=None)``: a site with an empty database, or a copy of another site."""
    with ExitStack() as stack:

        def make(backend: Backend, copy_of: Place | None = None) -> Place:
            folder = tmp_path / f"place{len(list(tmp_path.glob('place*')))}"
            folder.mkdir()
            known = None if copy_of is None else copy_of.url
            url = stack.enter_context(new_database(backend, folder, copy_of=known))
            if copy_of is not None:
                shutil.copytree(copy_of.folder / "media", folder / "media")
            return Place(folder, url)

        yield make
