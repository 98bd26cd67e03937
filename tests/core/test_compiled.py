"""Compiled templates are kept in a folder, if there is one, and only in one that nobody else can write into."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chameleon import PageTemplate
from chameleon.template import BaseTemplate
from pyramid.config import Configurator

from mealshare.core.settings import SettingsError
from mealshare.web.compiled import keep_compiled


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    loader, modules = BaseTemplate.loader, set(sys.modules)
    yield
    BaseTemplate.loader = loader
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def start(folder: Path | str) -> None:
    """Include the module with the setting."""
    config = Configurator(settings={"templates.compiled": str(folder)})
    config.include("mealshare.core.settings")
    config.include("mealshare.web.compiled")
    config.commit()


def test_what_one_process_compiled_the_next_one_reads(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "templates"
    start(folder)
    assert PageTemplate("<p>${1 + 1}</p>")() == "<p>2</p>"
    (file,) = folder.glob("*.py")
    # Of another length: the interpreter tells by time and length whether its own copy is out of date.
    file.write_text(file.read_text().replace("<p>", "<strong>"))
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(file)]:
        del sys.modules[name]
    assert PageTemplate("<p>${1 + 1}</p>")() == "<strong>2</p>"
    assert PageTemplate("<p>${1 + 2}</p>")() == "<p>3</p>"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_the_setting_nothing_is_kept() -> None:
    loader = BaseTemplate.loader
    start("")
    assert BaseTemplate.loader is loader


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_into_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SettingsError, match=r"templates\.compiled is wrong: .*open must belong"):
        keep_compiled(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match=r"templates\.compiled is wrong: .*exists"):
        keep_compiled(file)


def test_no_two_threads_compile_at_once() -> None:
    running, most = [0], [0]

    class Watched(PageTemplate):
        def parse(self, body: str) -> object:
            running[0] += 1
            most[0] = max(most[0], running[0])
            time.sleep(0.02)
            try:
                return super().parse(body)
            finally:
                running[0] -= 1

    start("")
    made: list[str] = []
    threads = [threading.Thread(target=lambda n=n: made.append(Watched(f"<p>{n}</p>")())) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [f"<p>{n}</p>" for n in range(8)]
    assert most == [1]
