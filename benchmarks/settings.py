"""With which settings MealShare is measured, and where measuring keeps its files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.frameworks.words import BASE_URL
from tests.sites import site_settings

ROOT = Path(__file__).resolve().parents[1]
#: Sites, compiled templates and what a run has found so far; `make clean` leaves it alone, as all of var/.
FOLDER = ROOT / "var" / "bench"


def settings_of(url: str, folder: Path = FOLDER) -> dict[str, str]:
    """The settings of the site on the database at ``url``: those of production, but limits that nobody reaches.

    Each request is counted all the same.  Jobs run elsewhere, as in production with a worker; mail and pictures go to
    ``folder``.  No server here writes a line for each request.
    """
    limits = {f"ratelimit.{name}": "10000000/5 minutes" for name in ("api", "write", "address")}
    return site_settings(folder, url, BASE_URL) | {
        "ratelimit.enabled": "true",
        **limits,
        "jobs.engine": "worker",
        "jwt.access_seconds": "86400",
        "templates.compiled": str(FOLDER / "templates"),
        "log.requests": "false",
    }
