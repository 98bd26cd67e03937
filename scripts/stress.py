"""Puts a site under load and checks that nothing failed and nothing that was acknowledged was lost.

    python scripts/stress.py --processes 4 --threads 32 --seconds 120
    python scripts/stress.py --database postgresql+psycopg://root@127.0.0.1:5432/empty_database

Starts the servers itself, on a SQLite file in a temporary folder unless an empty database is given.  Ends with status 1
and the first differences if there are any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.stress.load import Load, differences, run_load


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4, help="servers on the same database")
    parser.add_argument("--threads", type=int, default=32, help="threads that act, two for each person")
    parser.add_argument("--seconds", type=float, default=60, help="how long they act")
    parser.add_argument("--seed", type=int, default=1, help="what they do, within the limits of their timing")
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database")
    given = parser.parse_args()
    load = Load(given.processes, given.threads, given.seconds, given.seed)
    with tempfile.TemporaryDirectory(prefix="mealshare-stress-") as folder:
        url = given.database or f"sqlite:///{folder}/stress.sqlite"
        outcome = run_load(load, Path(folder), url)
        found = outcome.errors + differences(outcome, url)
    total = outcome.requests.total()
    lines = [f"{number:8} {kind}" for kind, number in sorted(outcome.requests.items())]
    lines += [f"{total:8} requests, {total / load.seconds:.0f} a second; the slowest took {outcome.slowest:.2f} s"]
    lines += [f"{len(outcome.errors):8} errors", f"{len(found) - len(outcome.errors):8} lost or torn", *found[:20]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
