"""The calendar that the diary is laid out by: months, ISO weeks, years, and the same day of earlier years.

Weeks begin on Monday, in every language (ISO 8601): the printable week has an ISO number, and a calendar whose weeks
were cut elsewhere would contradict it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

#: Nothing is eaten outside of these; every step of the calendar's arithmetic stays inside what a `date` can hold.
EARLIEST, LATEST = date(1900, 1, 1), date(2999, 12, 31)
#: The furthest that a meal's date can be ahead of the owner's: a day that a clock may be wrong, and the date line.
AHEAD = timedelta(days=2)
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
#: The darkest shade of the year stands for this many meals and more.
SHADES = 4
#: How many years back "on this day" looks.
YEARS_BACK = 30
_YEAR = re.compile(r"[0-9]{4}")
_NUMBER = re.compile(r"[0-9]{1,2}")
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")


@dataclass(frozen=True)
class Span:
    """Days in a row, both ends included."""

    first: date
    last: date

    def __iter__(self) -> Iterator[date]:
        """Each day."""
        return (self.first + timedelta(days=number) for number in range(len(self)))

    def __contains__(self, day: date) -> bool:
        """Whether ``day`` is one of them."""
        return self.first <= day <= self.last

    def __len__(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1


def year_of(text: str) -> int:
    """The year that a part of an address names; ValueError for what is none, or none of the diary's."""
    if _YEAR.fullmatch(text) is None or not EARLIEST.year <= int(text) <= LATEST.year:
        raise ValueError(text)
    return int(text)


def month_of(year: int, text: str) -> date:
    """The first day of the month that a part of an address names; ValueError for what is none."""
    return date(year, _number(text), 1)


def day_of(month: date, text: str) -> date:
    """The day of the month that a part of an address names; ValueError for what is none, such as 30 February."""
    return month.replace(day=_number(text))


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


def year_span(year: int) -> Span:
    """All days of the year."""
    return Span(date(year, 1, 1), date(year, 12, 31))


def month_span(day: date) -> Span:
    """All days of the month that ``day`` is in."""
    return Span(day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


def week_span(day: date) -> Span:
    """Monday to Sunday of the week that ``day`` is in."""
    monday = day - timedelta(days=day.weekday())
    return Span(monday, monday + WEEK - DAY)


def week_of(text: str) -> Span:
    """The week that ISO 8601 writes as ``2026-W47``; ValueError for what is none, such as 2026-W54."""
    parts = _WEEK.fullmatch(text)
    if parts is None:
        raise ValueError(text)
    return week_span(date.fromisocalendar(year_of(parts[1]), int(parts[2]), 1))


def week_name(day: date) -> str:
    """The ISO week of ``day``, as `week_of` reads it; its year is not always that of the day."""
    year, week, _weekday = day.isocalendar()
    return f"{year}-W{week:02}"


def weeks_of_month(month: date) -> list[list[date | None]]:
    """The rows of a month's calendar, Monday to Sunday; None for what belongs to its neighbours."""
    span = month_span(month)
    cells: list[date | None] = [None] * span.first.weekday() + list(span)
    cells += [None] * (-len(cells) % 7)
    return [cells[start : start + 7] for start in range(0, len(cells), 7)]


def month_before(day: date) -> date:
    """The same day of the month before, or that month's last day where it has no such day."""
    last = day.replace(day=1) - DAY
    return last.replace(day=min(day.day, last.day))


def column_of(day: date) -> int:
    """In which week of its year ``day`` is, from 0: its column on the heat map, whose first week may be cut short."""
    return (day.timetuple().tm_yday - 1 + day.replace(month=1, day=1).weekday()) // 7


def shade_of(count: int) -> int:
    """Which of the five shades of the heat map ``count`` meals have: it says how many, not how well."""
    return min(count, SHADES)


def same_days(today: date) -> list[date]:
    """``today`` in earlier years, the latest first.

    A leap day comes back on leap days, and on 28 February of the other years: it would be forgotten for four years.
    """
    days = []
    for year in range(today.year - 1, max(EARLIEST.year, today.year - YEARS_BACK) - 1, -1):
        for day in (29, 28) if (today.month, today.day) == (2, 28) and not _is_leap(today.year) else (today.day,):
            try:
                days.append(date(year, today.month, day))
            except ValueError:  # No leap year.
                continue
    return days


def _is_leap(year: int) -> bool:
    return monthrange(year, 2)[1] == 29
