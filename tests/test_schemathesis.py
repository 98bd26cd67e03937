"""schemathesis finds nothing at a running site: it calls every operation of the OpenAPI document with its examples, with
what the document allows, with what it forbids, and along its links, and holds each answer against the document.

By hand, and longer: ``SCHEMATHESIS_EXAMPLES=100 pytest tests/test_schemathesis.py``; the runs are deterministic: no seed, no memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson

from mealshare.core.db.migrate import upgrade
from tests.databases import new_database
from tests.schemathesis_hooks import ENDLESS, PEOPLE
from tests.sites import running_site

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "4")
PHASES = os.environ.get("SCHEMATHESIS_PHASES", "examples,coverage,fuzzing,stateful")
#: Each of these stands in `tests.schemathesis_hooks` in a form that knows what a document cannot say.
REPLACED = "positive_data_acceptance,negative_data_rejection,ignored_auth"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with new_database("sqlite", tmp_path) as url:
        upgrade(url)
        with running_site(tmp_path, url, jwt__access_seconds="86400") as site:
            for name, password in PEOPLE.items():
                known = {"username": name, "email": f"{name}@example.org", "password": password}
                httpx.post(f"{site.url}/api/users", json=known, timeout=60).raise_for_status()
            document = httpx.get(f"{site.url}/openapi.json", timeout=60).raise_for_status().json()
            (tmp_path / "openapi.json").write_bytes(orjson.dumps(without_fields(document)))
            command = [
                sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", site.url, "--phases", PHASES,
                "--max-examples", EXAMPLES, "--exclude-checks", REPLACED, "--exclude-operation-id", ENDLESS,
                "--seed", "1", "--generation-deterministic", "--generation-allow-x00", "false",
                "--continue-on-failure", "--suppress-health-check", "all", "--workers", "2", "--no-color", "--output-truncate", "false",
            ]  # fmt: skip
            told = {"SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "SITE_URL": site.url, "PYTHONPATH": str(ROOT)}
            run = subprocess.run(
                command, cwd=tmp_path, env={**os.environ, **told}, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, run.stdout + run.stderr
            assert "Traceback" not in site.log


def without_fields(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the parameter ``fields``: with it, an answer lacks what its schema requires, as it was asked to."""
    for item in document["paths"].values():
        for operation in item.values():
            operation["parameters"] = [part for part in operation.get("parameters", ()) if part.get("name") != "fields"]
    return document
