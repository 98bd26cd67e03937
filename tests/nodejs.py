"""Programs that are written in JavaScript: what a folder with a ``package-lock.json`` needs is installed once.

The site itself needs none of this, so `make test` leaves such tests out where there is no Node.js, and says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: What Vite and Redocly need (their "engines").
OLDEST = (20, 19)
NODE_LEFT_OUT = "Node.js: install Node.js 20.19 or later with npm to include what is written in JavaScript"
#: How long an installation over a slow network may take, in seconds.
_INSTALL_SECONDS = 600


def find_node() -> str | None:
    """Where Node.js is, if it is new enough and has npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", version)
    return node if found and (int(found[1]), int(found[2])) >= OLDEST else None


def npm_ci(folder: Path) -> Path:
    """Install exactly what ``folder/package-lock.json`` names, once for each state of it; gives ``node_modules``.

    Processes that share the tests wait for each other.  Raises AssertionError with npm's own words if it fails.
    """
    modules = folder / "node_modules"
    stamp = modules / f".installed-{_fingerprint(folder)}"
    with _alone(folder):
        if not stamp.exists():
            done = run_node(["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"], folder, _INSTALL_SECONDS)
            assert done.returncode == 0, f"npm ci failed in {folder}:\n{done.stdout}{done.stderr}"
            # Written last: an installation that was cut off is done again.
            stamp.touch()
    return modules


def run_node(command: list[str], folder: Path, seconds: float, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished ``command``, run in ``folder`` without colours, prompts and reports to anybody."""
    quiet = {"NO_COLOR": "1", "CI": "1", "npm_config_update_notifier": "false", "REDOCLY_TELEMETRY": "off"}
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **quiet, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _fingerprint(folder: Path) -> str:
    """What is wanted: another lock file is another installation."""
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:16]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process of this user at a time, for this folder; the lock goes with a process that dies."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"mealshare-npm-{os.getuid()}-{name}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
