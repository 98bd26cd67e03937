"""Where a listener stands: what it sends back as ``Last-Event-ID`` to go on without a loss or a repetition.

One id would not do.  The id of a meal is made before its transaction commits, so with several writers a meal may come to
light after one with a larger id; "all above the largest that I have" would lose it, and "some seconds more than that"
would repeat what is known.  So a cursor says below which id everything is settled, and which ids above it are known::

    117653443951375596-2f0000-31c401

A number, and for each known id how much larger it is (hexadecimal).  The id of a meal alone is a cursor too: "what is
newer than this one".
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from dataclasses import dataclass, field

from mealshare.core import clock
from mealshare.core.ids import MAX_ID, SEQUENCE_BITS

#: A transaction that takes longer between its id and its commit may be missed, but only by whom it finds disconnected.
SETTLED_SECONDS = 10
MOST_KNOWN = 50
LONGEST = 19 + MOST_KNOWN * 17
_CURSOR = re.compile(rf"([1-9][0-9]{{0,18}})((?:-[0-9a-f]{{1,16}}){{0,{MOST_KNOWN}}})", re.ASCII)


def id_before(seconds: float) -> int:
    """The smallest id of ``seconds`` ago; that of no meal, so it may be told to anybody."""
    return max(1, clock.milliseconds() - int(seconds * 1000)) << SEQUENCE_BITS


@dataclass
class Cursor:
    """Everything up to ``floor`` is settled; of what lies above, ``known`` (ascending) has been sent."""

    floor: int
    known: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that ``text`` spells; ValueError for anything else."""
        match = _CURSOR.fullmatch(text)
        if match is None or int(match[1]) > MAX_ID:
            raise ValueError("not a cursor")
        floor = int(match[1])
        known = sorted({floor + int(part, 16) for part in match[2].split("-")[1:]})
        return cls(floor, known)

    def __str__(self) -> str:
        return "-".join([str(self.floor), *(f"{id - self.floor:x}" for id in self.known)])

    def __contains__(self, id: int) -> bool:
        """Whether the listener needs no word of ``id``, or has had it."""
        return id <= self.floor or self.knows(id)

    def knows(self, id: int) -> bool:
        """Whether ``id`` is among those that were sent last."""
        place = bisect_right(self.known, id)
        return place > 0 and self.known[place - 1] == id

    def add(self, id: int) -> None:
        """``id`` has been sent."""
        if id in self:
            return
        insort(self.known, id)
        settled = self.known[-1] - (SETTLED_SECONDS * 1000 << SEQUENCE_BITS)
        gone = max(bisect_right(self.known, settled), len(self.known) - MOST_KNOWN)
        if gone > 0:
            self.settle(self.known[gone - 1])

    def settle(self, floor: int) -> None:
        """Nothing will come any more that is not above ``floor``."""
        if floor > self.floor:
            self.floor = floor
            del self.known[: bisect_right(self.known, floor)]
