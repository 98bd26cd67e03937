"""Counts the machine instructions of MealShare's requests, and fails if a change makes one dearer by more than 2 %.

    python -m benchmarks.instructions                  against the recorded figures, or against the commit before
    python -m benchmarks.instructions --base COMMIT    against that commit
    python -m benchmarks.instructions --renew          record what is counted now

Time differs from run to run by more than most changes make; the number of instructions does not.  Valgrind's callgrind
counts them with a fixed seed of hashes, a fixed environment and addresses that are always the same (setarch -R).  It
counts between two marks around some requests (see `benchmarks.instructions_child`), so starting up is not in it.

The numbers belong to a build of Python, to versions of libraries and to a kind of processor.  `instructions.toml` says
of which it holds them.  Where these are the same, the figures there are the measure, so many small steps cannot add up
unseen.  Where they differ (as on most machines of continuous integration) nothing can be said by them: then the commit
that this one stands on is counted as well, from a checkout of its own, in the same environment and by the same program.
That needs nothing kept from one run to the next.  A change that is meant to cost more records it with ``--renew``: then
the difference stands in the commit for everybody to read, and the gate lets the commit through that brings it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from benchmarks.instructions_child import SEGMENTS
from benchmarks.settings import ROOT, settings_of

FILE = Path(__file__).with_name("instructions.toml")
CHILD = Path(__file__).with_name("instructions_child.py")
#: A request may take so much more than before.
MOST = 1.02
CALLS = 3
_PACKAGES = (
    "pyramid",
    "webob",
    "sqlalchemy",
    "chameleon",
    "orjson",
    "pydantic",
    "pyjwt",
    "zope.sqlalchemy",
    "pyramid_tm",
)
_PROGRAMS = {"valgrind": "valgrind", "callgrind_control": "valgrind", "setarch": "util-linux", "git": "git"}


class GateError(Exception):
    """It cannot be counted; the message says why, and what to do."""


def environment() -> dict[str, str]:
    """What the numbers belong to."""
    found = {
        "python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
    }
    return found | {name: metadata.version(name) for name in _PACKAGES}


def count(tree: Path, calls: int = CALLS) -> dict[str, int]:
    """Instructions of each request, on average of ``calls`` in a row, with the package in ``tree``; raises GateError."""
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise GateError(f"{program} is not installed (Debian: apt-get install {package})")
    with tempfile.TemporaryDirectory(prefix="mealshare-instructions-") as name:
        folder = Path(name)
        settings = settings_of(f"sqlite:///{folder / 'site.sqlite'}", folder)
        settings["templates.compiled"] = str(folder / "templates")
        environ = {
            "PATH": os.environ["PATH"], "HOME": name, "LANG": "C.UTF-8", "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0",
            "PYTHONWARNINGS": "ignore", "TZ": "UTC",
        }  # fmt: skip
        given = [json.dumps(settings), str(calls)]
        token = _run([sys.executable, str(CHILD), "fill", *given], environ, folder)
        out = folder / "out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", "--dump-before=getloadavg"]
        command = [
            "setarch",
            "-R",
            *valgrind,
            f"--callgrind-out-file={out}",
            sys.executable,
            str(CHILD),
            "count",
            *given,
        ]
        names = json.loads(_run(command, environ | {"BENCH_TOKEN": token, "BENCH_COUNT": "1"}, folder))
        # Before those of a request stands one with what came before, which may have filled a cache.  The least of them
        # counts: what happens now and then by the clock (a window of a limit that ends) is not the request's.
        found = {}
        for place, name in enumerate(names):
            first = place * (SEGMENTS + 1) + 2
            found[name] = min(_total(Path(f"{out}.{number}")) for number in range(first, first + SEGMENTS)) // calls
        return found


def _run(command: list[str], environ: dict[str, str], folder: Path) -> str:
    """The last line that the program writes; raises GateError if it fails."""
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=600)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise GateError(f"{' '.join(command[:3])} ... failed: {(done.stderr or done.stdout)[-2000:]}")
    return lines[-1]


def _total(file: Path) -> int:
    found = re.search(r"^(?:summary|totals): (\d+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    if found is None:
        raise GateError(f"{file} has no sum")
    return int(found[1])


def recorded() -> dict[str, dict[str, int | str]]:
    """What `instructions.toml` holds: ``environment`` and ``instructions``."""
    return tomllib.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"environment": {}, "instructions": {}}


def record(counted: dict[str, int], file: Path = FILE) -> None:
    """Write `instructions.toml`."""
    lines = ["# Machine instructions of a request, written by: make bench-gate ARGS=--renew", "", "[environment]"]
    lines += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in environment().items()]
    lines += ["", "[instructions]", *(f"{json.dumps(name)} = {value}" for name, value in counted.items())]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def compare(before: dict[str, int], now: dict[str, int]) -> list[str]:
    """A line for each request; those that take too much more end in "TOO MUCH"."""
    lines = []
    for name, value in now.items():
        if name not in before:
            lines.append(f"{name:14} {value:14,}  (new)")
            continue
        ratio = value / before[name]
        lines.append(
            f"{name:14} {before[name]:14,} {value:14,} {ratio - 1:+8.2%}" + ("  TOO MUCH" if ratio > MOST else "")
        )
    return lines


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() if done.returncode == 0 else ""


def base_commit() -> str:
    """The commit that this tree is a change of: where it left the main branch, or the one before, or the last."""
    if _git("status", "--porcelain", "--untracked-files=no", "--", "mealshare", "alembic", "setup.py"):
        return _git("rev-parse", "HEAD")
    head = _git("rev-parse", "HEAD")
    for name in ("origin/main", "origin/master", "main", "master"):
        base = _git("merge-base", "HEAD", name)
        if base and base != head:
            return base
    return _git("rev-parse", "HEAD~1")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A folder with the tree of ``commit``, which is gone afterwards; raises GateError where there is none."""
    with tempfile.TemporaryDirectory(prefix="mealshare-base-") as name:
        archive = Path(name, "tree.tar")
        _git("archive", f"--output={archive}", commit or "no commit")
        if not archive.exists() or not archive.stat().st_size:
            raise GateError("there is no commit to compare with: is it a shallow clone? (git fetch --deepen=50)")
        tree = Path(name, "tree")
        shutil.unpack_archive(archive, tree)
        yield tree


def gate(base: str | None) -> int:
    """Count, compare and say; 1 if a request takes too much more, else 0."""
    known = recorded()
    differs = [name for name, value in environment().items() if known["environment"].get(name) != value]
    if base is None and not differs:
        title, before = "against benchmarks/instructions.toml", {k: int(v) for k, v in known["instructions"].items()}
        now = count(ROOT)
    else:
        if base is None:
            print(
                f"benchmarks/instructions.toml was recorded elsewhere ({', '.join(differs)} differ) and cannot be compared "
                "with; to record it here: make bench-gate ARGS=--renew"
            )
        base = base or base_commit()
        if not base:
            print("There is no commit to compare with either: is it a shallow clone? (git fetch --deepen=50)")
            return 0
        if _git("diff", "--name-only", base, "--", str(FILE.relative_to(ROOT))):
            print(
                f"benchmarks/instructions.toml was renewed since {base[:12]}: what is dearer since then is meant to be."
            )
            return 0
        title = f"against commit {base[:12]}, counted here and now"
        # Beside each other: counting does not mind who else works on the machine.
        with checkout(base) as tree, ThreadPoolExecutor() as pool:
            before, now = pool.map(count, (tree, ROOT))
    lines = compare(before, now)
    if _too_much(lines):
        # A POST differs by up to one percent from run to run: who is to be stopped is counted twice.
        again = count(ROOT)
        lines = compare(before, {name: min(value, again[name]) for name, value in now.items()})
    print(f"Instructions of a request, {title}:", *lines, sep="\n")
    return 1 if _too_much(lines) else 0


def _too_much(lines: list[str]) -> bool:
    return any(line.endswith("TOO MUCH") for line in lines)


def main() -> int:
    """The command line; status 2 if it cannot be counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", metavar="COMMIT", help="compare with this commit instead of the recorded figures")
    parser.add_argument("--renew", action="store_true", help="record what is counted now")
    given = parser.parse_args()
    try:
        if given.renew:
            counted = count(ROOT)
            record(counted)
            print(*(f"{name:14} {value:14,}" for name, value in counted.items()), sep="\n")
            return 0
        return gate(given.base)
    except GateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
