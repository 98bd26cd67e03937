"""When two people mean the same place."""

from __future__ import annotations

import unicodedata


def place_key(text: str) -> str:
    """What makes two names of places (or cities) the same: width, case and spaces do not tell them apart."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
