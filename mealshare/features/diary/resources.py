"""From an address to a part of somebody's diary (traversal); what is no date of the calendar is not found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from pyramid.request import Request

from mealshare.core.clock import now
from mealshare.core.dates import eaten_on
from mealshare.features.accounts.resources import viewer_of
from mealshare.features.diary.days import Span, day_of, month_of, month_span, week_of, year_of, year_span
from mealshare.features.diary.queries import Owner, owner_by_username

__all__ = ["DayContext", "Diaries", "DiaryContext", "MonthContext", "WeekContext", "YearContext", "viewer_of"]

T = TypeVar("T")

#: What a username can be made of; anything else is not even looked for (a NUL byte could not be).
_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")


class Diaries:
    """All diaries of this site by their owner's username; one statement each."""

    __parent__ = None
    __name__ = ""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, username: str) -> DiaryContext:
        """The diary; KeyError, which becomes 404, where its owner does not exist for the viewer."""
        found = _NAME.fullmatch(username) and owner_by_username(
            self.request.conn, username, viewer_of(self.request)
        )  # fmt: skip
        if not found:
            raise KeyError(username)
        return DiaryContext(found, eaten_on(now(), found.time_zone))


@dataclass(frozen=True)
class DiaryContext:
    """Somebody's diary; ``today`` is the date on its owner's wall."""

    owner: Owner
    today: date

    @property
    def account_id(self) -> int:
        """Whose diary it is: what the rules ask."""
        return self.owner.account_id

    def __getitem__(self, key: str) -> YearContext | _Weeks:
        if key == "week":
            return _Weeks(self.owner, self.today)
        return YearContext(self.owner, self.today, _part(year_of, key))


@dataclass(frozen=True)
class YearContext:
    """A year of it."""

    owner: Owner
    today: date
    year: int

    @property
    def span(self) -> Span:
        """Its days."""
        return year_span(self.year)

    def __getitem__(self, key: str) -> MonthContext:
        return MonthContext(self.owner, self.today, _part(month_of, self.year, key))


@dataclass(frozen=True)
class MonthContext:
    """A month of it, by its first day."""

    owner: Owner
    today: date
    month: date

    @property
    def span(self) -> Span:
        """Its days."""
        return month_span(self.month)

    def __getitem__(self, key: str) -> DayContext:
        return DayContext(self.owner, self.today, _part(day_of, self.month, key))


@dataclass(frozen=True)
class DayContext:
    """A day of it."""

    owner: Owner
    today: date
    day: date

    @property
    def span(self) -> Span:
        """The day alone."""
        return Span(self.day, self.day)


@dataclass(frozen=True)
class _Weeks:
    owner: Owner
    today: date

    def __getitem__(self, key: str) -> WeekContext:
        return WeekContext(self.owner, self.today, _part(week_of, key))


@dataclass(frozen=True)
class WeekContext:
    """An ISO week of it."""

    owner: Owner
    today: date
    span: Span


def _part(read: Callable[..., T], *parts: Any) -> T:
    """What ``read`` makes of the parts of an address; KeyError where they are no date."""
    try:
        return read(*parts)
    except ValueError:
        raise KeyError(parts[-1]) from None
