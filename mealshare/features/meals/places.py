"""When two people mean the same place, and where its page is."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote


def place_key(text: str) -> str:
    """What makes two names of places (or cities) the same: width, case and spaces do not tell them apart."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def place_path(name: str) -> str:
    """The path of a place's page, by any way to write its name; percent-encoded (RFC 3986), fit for a URI."""
    return f"/places/{quote(name, safe='')}"
