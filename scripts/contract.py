"""Every change of the API's document needs a line in the change log: this checks that there is one, and writes it.

    python scripts/contract.py                      is docs/openapi.json told of in CHANGELOG.md?  Says which line is missing
    python scripts/contract.py "`sort` of feeds."   write that line
    python scripts/contract.py same                 the newest line goes on to tell of it: only its mark is renewed

A line ends in a mark, the first digits of a hash of the document without its version: ``(contract `1a2b3c4d`)``.  The last
one in the newest section called "API" has to be that of docs/openapi.json.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/openapi.json"
CHANGELOG = ROOT / "CHANGELOG.md"
SAME = "same"
_MARK = re.compile(r"\(contract\s+`([0-9a-f]{8})`\)")
_UNRELEASED = re.compile(r"^## \[Unreleased\]$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_API = re.compile(r"^### API\n(.*?)(?=^###? |\Z)", re.MULTILINE | re.DOTALL)


def mark_of(document: dict[str, Any]) -> str:
    """Eight hexadecimal digits that change with everything in the document but the version of the software."""
    told = {**document, "info": {name: value for name, value in document["info"].items() if name != "version"}}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def told_mark(changelog: str) -> str | None:
    """The mark of the document that the change log tells of last; None where there is none."""
    for section in _API.finditer(changelog):
        marks = _MARK.findall(section[1])
        if marks:
            return str(marks[-1])
    return None


def missing_line(changelog: str, document: dict[str, Any]) -> str | None:
    """The line that the change log lacks, without its words; None if it lacks none."""
    mark = mark_of(document)
    return None if told_mark(changelog) == mark else f"- ... (contract `{mark}`)"


def with_line(changelog: str, words: str, mark: str) -> str:
    """The change log with a line of ``words`` at the end of the section "API" of what is not released."""
    line = textwrap.fill(
        f"- {words} (contract `{mark}`)", 119, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    unreleased = _UNRELEASED.search(changelog)
    if unreleased is None:
        raise SystemExit("CHANGELOG.md has no section [Unreleased]")
    body = unreleased[1]
    section = _API.search(body)
    if section is None:
        body = f"{body.rstrip()}\n\n### API\n\n{line}\n\n"
    else:
        body = body[: section.start(1)] + f"{section[1].rstrip()}\n{line}\n\n" + body[section.end(1) :]
    return changelog[: unreleased.start(1)] + body + changelog[unreleased.end(1) :]


def with_mark(changelog: str, mark: str) -> str:
    """The change log, whose newest line now tells of the document with ``mark``."""
    old = told_mark(changelog)
    unreleased = _UNRELEASED.search(changelog)
    if old is None or unreleased is None or f"`{old}`" not in unreleased[1]:
        raise SystemExit("CHANGELOG.md tells of no change of the API that is not released: say what has changed")
    return changelog.replace(f"`{old}`", f"`{mark}`", 1)


def main(words: str) -> None:
    """Check, or write; see above."""
    changelog = CHANGELOG.read_text(encoding="utf-8")
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    line = missing_line(changelog, document)
    if line is None:
        return
    if not words:
        raise SystemExit(
            'The document of the API has changed, and CHANGELOG.md does not say so. Run make docs CHANGE="what is '
            f'different", or make docs CHANGE=same if its newest line says it already. The line, under "API": {line}'
        )
    mark = mark_of(document)
    changed = with_mark(changelog, mark) if words == SAME else with_line(changelog, words, mark)
    CHANGELOG.write_text(changed, encoding="utf-8")
    sys.stdout.write("CHANGELOG.md tells of the change of the API\n")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]).strip())
