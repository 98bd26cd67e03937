"""Which part of a diary is asked for, and what a diary looks like when it goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, TypeVar

from pydantic import Field

from mealshare.api import Query
from mealshare.api.query import BadQuery
from mealshare.api.values import Day
from mealshare.core.errors import FieldError
from mealshare.core.validation import AS_WRITTEN
from mealshare.features.diary.days import EARLIEST, LATEST, Span, year_span
from mealshare.features.meals.schemas_out import MealOut
from mealshare.features.media.schemas import MediaOut

T = TypeVar("T")

USUAL_DAYS, MOST_DAYS = 31, 366
#: What one answer holds at most.
MOST_MEALS = 500
_REST = timedelta(days=USUAL_DAYS - 1)
_Wanted = Annotated[date, Field(ge=EARLIEST, le=LATEST), AS_WRITTEN]


class SpanQuery(Query):
    """Which days are wanted; both ends belong to them."""

    since: _Wanted | None = Field(
        default=None,
        alias="from",
        description="The first day; left out: 31 days in all.",
        examples=["2026-11-01"],
    )
    until: _Wanted | None = Field(
        default=None,
        alias="to",
        description="The last day, included; left out: today, or 31 days in all.",
        examples=["2026-11-30"],
    )

    def span(self, today: date) -> Span:
        """The days, 31 of them where only one end is given, and up to ``today`` where none is.

        Raises BadQuery when they run backwards or are more than 366.
        """
        if self.since is None:
            last = self.until or today
            return Span(max(last - _REST, EARLIEST), last)
        return _checked(Span(self.since, self.until or min(self.since + _REST, LATEST)))


class FileQuery(SpanQuery):
    """The same for a file, which is of a year where nothing is said."""

    def span(self, today: date) -> Span:
        """The days; those of this year where neither end is given."""
        if self.since is None and self.until is None:
            return year_span(today.year)
        return super().span(today)


class YearQuery(Query):
    """Which year is wanted."""

    year: int | None = Field(
        default=None,
        ge=EARLIEST.year,
        le=LATEST.year,
        description="Which year; left out: this one, in the person's time zone.",
        examples=[2026],
    )


def _checked(span: Span) -> Span:
    if span.last < span.first:
        raise BadQuery(FieldError("to", "span_backwards"))
    if len(span) > MOST_DAYS:
        raise BadQuery(FieldError("to", "span_too_long", {"max": MOST_DAYS}))
    return span


def at_most(most: int, meals: Sequence[T]) -> Sequence[T]:
    """``meals``, of which one more than ``most`` were asked for; raises BadQuery when that one is there."""
    if len(meals) > most:
        raise BadQuery(FieldError("to", "span_too_full", {"max": most}))
    return meals


@dataclass
class DiaryDayOut:
    """A day on which something was eaten."""

    date: Annotated[Day, Field(description="The date on the eater's wall.", examples=["2026-11-20"])]
    meals: Annotated[list[MealOut], Field(description="In the order in which they were eaten.")]


@dataclass
class CalendarDayOut:
    """A day on which something was eaten, in short."""

    date: Annotated[Day, Field(description="The date on the eater's wall.", examples=["2026-11-20"])]
    count: Annotated[int, Field(ge=1, description="How many meals of it you may see.", examples=[3])]
    photo: Annotated[MediaOut | None, Field(description="The day's first photo that is behind no warning.")]


@dataclass
class CalendarOut:
    """A year, by the days on which something was eaten."""

    year: Annotated[int, Field(description="Which year.", examples=[2026])]
    total: Annotated[int, Field(ge=0, description="How many meals in all.", examples=[3])]
    days: Annotated[list[CalendarDayOut], Field(description="From the first day to the last.")]
