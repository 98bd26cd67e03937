"""How a diary is laid out on pages: the cells of its calendars, and their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from babel.dates import (
    format_date,
    format_interval,
    format_skeleton,
    format_time,
    get_day_names,
    get_month_names,
    get_timezone_location,
)

from mealshare.core.dates import to_local
from mealshare.core.i18n import _, n_
from mealshare.features.diary.days import (
    AHEAD,
    DAY,
    EARLIEST,
    WEEK,
    Span,
    column_of,
    shade_of,
    week_name,
    weeks_of_month,
    year_span,
)
from mealshare.features.diary.queries import Day, Owner, Tile
from mealshare.features.diary.resources import (
    DayContext,
    MonthContext,
    WeekContext,
    YearContext,
    viewer_of,
)
from mealshare.features.meals.cards import Card
from mealshare.features.meals.vocabulary import MealType
from mealshare.features.media.urls import media_out
from mealshare.web.ui import Ui

#: Of the heat map, in units of its own: a cell with the gap beside it, the cell, and the room for words.
STEP, SIDE, LEFT, TOP = 13, 11, 34, 18
DAY_LABEL = _("${day}: ${meals}")
YOURS = _("Your diary")
THEIRS = _("${name}’s diary")
WEEK_LABEL = _("Week ${number}: ${days}")
WEEK_AGO = _("A week ago")
MONTH_AGO = _("A month ago")
#: Weekdays that have their name beside the heat map: all seven would stand too close.
NAMED_ROWS = (0, 2, 4, 6)
MEMORIES_OF_DAY = 4


AnyContext = YearContext | MonthContext | DayContext | WeekContext


@dataclass(frozen=True)
class Cell:
    """A day on the month's calendar."""

    day: date
    path: str
    label: str
    today: bool
    #: Still to come.
    ahead: bool
    #: None where nothing was eaten.
    found: Day | None
    #: The address of the day's first photo.
    photo: str | None
    #: The kinds of meals that a day without a photo had, each once, in the order of the day.
    kinds: Sequence[MealType]
    foods: Sequence[str]


@dataclass(frozen=True)
class HeatCell:
    """A day on the year's heat map, in its place."""

    x: int
    y: int
    shade: int
    title: str
    path: str | None


def diary_path(owner: Owner, day: date | None = None, depth: int = 3) -> str:
    """The address of the day in the diary; of its month with ``depth`` 2, of its year with 1; without a day, of all."""
    path = f"/@{owner.username}/diary"
    return path if day is None else path + "".join(f"/{part}" for part in day.isoformat().split("-")[:depth])


def week_path(owner: Owner, day: date) -> str:
    """The address of the printable week of ``day``."""
    return f"{diary_path(owner)}/week/{week_name(day)}"


def earlier(day: date) -> date | None:
    """``day`` if a diary can be that old, else None."""
    return day if day >= EARLIEST else None


def later(day: date, today: date) -> date | None:
    """``day`` unless nobody can have eaten that late: links into the future would never end."""
    return day if day <= today + AHEAD else None


def page_values(ui: Ui, context: AnyContext, heading: str) -> dict[str, Any]:
    """What every page of a diary needs; the other views are of what this page shows, or of today if that is in it."""
    owner, today, span = context.owner, context.today, context.span
    day = today if today in span else span.first
    own = viewer_of(ui.request) == owner.account_id
    return {
        "owner": owner,
        "own": own,
        "title": ui.t(YOURS) if own else ui.t(THEIRS, name=owner.name),
        "heading": heading,
        "root": diary_path(owner),
        "paths": {"month": diary_path(owner, day, 2), "year": diary_path(owner, day, 1), "week": week_path(owner, day)},
        "span": span,
    }


def neighbours(ui: Ui, context: AnyContext, skeleton: str, *, depth: int) -> dict[str, tuple[str, str] | None]:
    """The addresses and the names of what comes before and after the page; None beyond both ends."""
    before, after = earlier(context.span.first - DAY), later(context.span.last + DAY, context.today)
    return {
        name: None if day is None else (diary_path(context.owner, day, depth), in_words(day, skeleton, ui.locale))
        for name, day in (("before", before), ("after", after))
    }


@lru_cache(maxsize=4096)
def in_words(day: date, skeleton: str, locale: str) -> str:
    """The parts of the date that ``skeleton`` names (CLDR), in the order and with the words of the language."""
    return str(format_skeleton(skeleton, datetime(day.year, day.month, day.day, tzinfo=UTC), tzinfo=UTC, locale=locale))


def full_date(day: date, locale: str) -> str:
    """The date with its weekday."""
    return str(format_date(day, "full", locale=locale))


def month_values(ui: Ui, context: MonthContext, days: Sequence[Day]) -> dict[str, Any]:
    """What the page of a month needs: the rows of its calendar, the words above and below it."""
    found = {day.day: day for day in days}
    return page_values(ui, context, in_words(context.month, "yMMMM", ui.locale)) | {
        **neighbours(ui, context, "yMMMM", depth=2),
        "weekdays": weekdays(ui.locale),
        "weeks": [
            [None if day is None else _cell(ui, context.owner, context.today, day, found.get(day)) for day in week]
            for week in weeks_of_month(context.month)
        ],
        "total": sum(day.count for day in days),
    }


def _cell(ui: Ui, owner: Owner, today: date, day: date, found: Day | None) -> Cell:
    tiles: Sequence[Tile] = found.tiles if found else ()
    return Cell(
        day,
        diary_path(owner, day),
        _label(ui, day, found.count if found else 0),
        day == today,
        day > today,
        found,
        media_out(found.photo, "").preview_url if found and found.photo else None,
        [kind for kind in MealType if any(tile.meal_type == kind for tile in tiles)],
        [food_of(ui, tile) for tile in tiles],
    )


def food_of(ui: Ui, meal: Tile | Card) -> str:
    """What was eaten, or at least which meal it was."""
    return meal.food or ui.t(MealType(meal.meal_type).label)


def _label(ui: Ui, day: date, count: int) -> str:
    meals = ui.t(n_("${n} meal", "${n} meals", count))
    return ui.t(DAY_LABEL, day=in_words(day, "MMMMd", ui.locale), meals=meals)


def weekdays(locale: str) -> list[tuple[str, str]]:
    """The days of the week from Monday on: short, and in full."""
    short = get_day_names("abbreviated", "stand-alone", locale=locale)
    full = get_day_names("wide", "stand-alone", locale=locale)
    return [(short[number], full[number]) for number in range(7)]


def heat_map(ui: Ui, owner: Owner, year: int, counts: Mapping[date, int]) -> dict[str, Any]:
    """The year as a heat map: its size, its cells, and the words at its edges."""
    span = year_span(year)
    short = get_month_names("abbreviated", "stand-alone", locale=ui.locale)
    firsts = [date(year, month, 1) for month in range(1, 13)]
    return {
        # 53 columns; 54 in a leap year that begins on a Sunday.
        "width": LEFT + (column_of(span.last) + 1) * STEP,
        "height": TOP + 7 * STEP,
        "side": SIDE,
        "cells": [_heat_cell(ui, owner, day, counts.get(day, 0)) for day in span],
        # From the first whole column of the month on.
        "months": [(LEFT + column_of(first) * STEP, short[first.month]) for first in firsts],
        "weekdays": [(TOP + row * STEP + SIDE - 1, weekdays(ui.locale)[row][0]) for row in NAMED_ROWS],
    }


def _heat_cell(ui: Ui, owner: Owner, day: date, count: int) -> HeatCell:
    x, y = LEFT + column_of(day) * STEP, TOP + day.weekday() * STEP
    return HeatCell(x, y, shade_of(count), _label(ui, day, count), diary_path(owner, day) if count else None)


def month_counts(ui: Ui, owner: Owner, year: int, counts: Mapping[date, int]) -> list[tuple[str, str, int, int]]:
    """For each month its name, its address, its meals, and the days on which there were any."""
    meals: Counter[int] = Counter()
    days: Counter[int] = Counter()
    for day, count in counts.items():
        meals[day.month] += count
        days[day.month] += 1
    names = get_month_names("wide", "stand-alone", locale=ui.locale)
    return [
        (names[month], diary_path(owner, date(year, month, 1), 2), meals[month], days[month]) for month in range(1, 13)
    ]


def clock(ui: Ui, card: Card) -> str:
    """The time of the meal on the wall where it was eaten."""
    local = to_local(card.eaten_at, card.time_zone)
    return str(format_time(local, "short", tzinfo=local.tzinfo, locale=ui.locale))


def city(ui: Ui, card: Card, owner: Owner) -> str:
    """Where that wall was, if the owner's own clock is another one; else ""."""
    if card.time_zone == owner.time_zone:
        return ""
    return str(get_timezone_location(card.time_zone, locale=ui.locale, return_city=True))


def day_meals(ui: Ui, owner: Owner, cards: Sequence[Card], rendered: Sequence[str]) -> list[dict[str, Any]]:
    """The meals of a day: each card with its time and, where that is not obvious, the city whose time it is."""
    return [
        {"html": html, "clock": clock(ui, card), "city": city(ui, card, owner), "machine": ui.machine(card.eaten_at)}
        for card, html in zip(cards, rendered, strict=True)
    ]


def week_words(ui: Ui, span: Span) -> str:
    """The number of the week and its days."""
    days = format_interval(span.first, span.last, "yMMMd", locale=ui.locale)
    return ui.t(WEEK_LABEL, number=span.first.isocalendar().week, days=days)


def week_days(ui: Ui, owner: Owner, span: Span, cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Seven days, each with its meals in a few words."""
    return [
        {
            "path": diary_path(owner, day),
            "name": format_date(day, "EEEE", locale=ui.locale),
            "date": in_words(day, "MMMd", ui.locale),
            "meals": [_line(ui, owner, card) for card in cards if card.eaten_on == day],
        }
        for day in span
    ]


def _line(ui: Ui, owner: Owner, card: Card) -> dict[str, Any]:
    return {
        "path": f"/@{card.username}/{card.id}",
        "clock": clock(ui, card),
        "city": city(ui, card, owner),
        "kind": MealType(card.meal_type),
        "food": food_of(ui, card),
        "place": card.place_name,
        "note": "" if card.spoiler_text else card.note,
        "lang": card.language,
    }


def memories(ui: Ui, owner: Owner, today: date, days: Sequence[Day]) -> list[dict[str, Any]]:
    """The meals of "on this day", with how long ago they were."""
    return [
        {
            "path": diary_path(owner, day.day),
            "ago": _ago(ui, today, day.day),
            "date": in_words(day.day, "yMMMd", ui.locale),
            "food": food_of(ui, tile),
            "kind": MealType(tile.meal_type),
            "photo": media_out(tile.photo, "").preview_url if tile.photo else None,
        }
        for day in days
        for tile in day.tiles[:MEMORIES_OF_DAY]
    ]


def _ago(ui: Ui, today: date, day: date) -> str:
    years = today.year - day.year
    if day.month == today.month and years:
        return ui.t(n_("${n} year ago", "${n} years ago", years))
    return ui.t(WEEK_AGO if today - day == WEEK else MONTH_AGO)
