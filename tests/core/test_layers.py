"""The layers hold, and a broken one is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of the package in ``folder``."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environ = os.environ | {"PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's modules in a folder of their own."""
    folder = tmp_path_factory.mktemp("layers")
    shutil.copytree(
        ROOT / "mealshare",
        folder / "mealshare",
        ignore=lambda _, names: [name for name in names if "." in name and not name.endswith(".py")],
    )
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def test_the_layers_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "statement", "contract"),
    [
        ("core/clock.py", "import mealshare.features.meals.models", "The command line stands on"),
        ("core/clock.py", "import mealshare.web.forms", "The command line stands on"),
        ("web/forms.py", "import mealshare.api.reply", "The command line stands on"),
        ("features/accounts/web.py", "import mealshare.cli.users", "The command line stands on"),
        ("features/accounts/queries.py", "import mealshare.features.meals.models", "A lower feature never knows"),
        ("features/meals/service.py", "import mealshare.features.reactions.models", "A lower feature never knows"),
        ("features/meals/queries.py", "import mealshare.features.meals.service", "Inside a feature"),
        ("features/reactions/models.py", "import mealshare.features.reactions.service", "Inside a feature"),
        ("features/meals/api.py", "import mealshare.features.meals.web", "Inside a feature"),
        ("features/meals/service.py", "import pyramid.request", "know no Pyramid"),
        ("features/accounts/rules.py", "from pyramid.registry import Registry", "know no Pyramid"),
    ],
)
def test_a_broken_layer_is_noticed(copied: Path, file: str, statement: str, contract: str) -> None:
    path = copied / "mealshare" / file
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n{statement}\n", encoding="utf-8")
    try:
        result = lint(copied)
    finally:
        path.write_text(text, encoding="utf-8")
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if "BROKEN" in line]
    assert any(contract in line for line in broken), result.stdout
    module = "mealshare." + file.removesuffix(".py").replace("/", ".")
    assert f"{module} -> " in result.stdout, result.stdout


def test_a_file_without_a_place_on_the_ladder_is_noticed(copied: Path) -> None:
    path = copied / "mealshare" / "features" / "meals" / "somewhere.py"
    path.write_text('"""Nobody said where this stands."""\n', encoding="utf-8")
    try:
        result = lint(copied)
    finally:
        path.unlink()
    assert result.returncode == 1
    assert "somewhere" in result.stdout + result.stderr
