"""What a host tells developers."""

from __future__ import annotations

from dataclasses import dataclass

from mealshare.core.settings import setting


@dataclass(frozen=True)
class DevelopersSettings:
    """The page for developers."""

    source: str = setting(
        "", "Where the source of the version that this site runs can be had (AGPL, section 13); the page links to it."
    )
