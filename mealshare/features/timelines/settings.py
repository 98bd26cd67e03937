"""From how many followers on an author's meals are looked up by each reader instead of written for each."""

from __future__ import annotations

from dataclasses import dataclass

from mealshare.core.settings import setting


@dataclass(frozen=True)
class TimelineSettings:
    """How home feeds are made."""

    pull_above: int = setting(
        5000,
        "Followers above which an author's new meals are looked up when a home feed is read, not written for each"
        " follower; below half of that they are written again.",
        minimum=1,
    )
