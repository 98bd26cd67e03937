"""Keep the change log of the API that the page for developers shows: ``python scripts/api_changes.py``.

CHANGELOG.md is no part of the installed package.  So what its sections called "API" say is copied into a file that is;
a test compares the two.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "mealshare/features/developers/changes.txt"
HEAD = "Made from CHANGELOG.md by scripts/api_changes.py (make docs); not to be edited.\n"


def api_changes(changelog: str) -> str:
    """The sections "API" of each version that has one, newest first, under the version's name."""
    found = [HEAD]
    for release in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        name, _newline, rest = release.partition("\n")
        section = re.search(r"^### API\n(.*?)(?=^### |\Z)", rest, re.MULTILINE | re.DOTALL)
        if section is not None:
            found.append(f"\n## {name.strip()}\n\n{section[1].strip()}\n")
    return "".join(found)


if __name__ == "__main__":
    COPY.write_text(api_changes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{COPY.relative_to(ROOT)} is written\n")
