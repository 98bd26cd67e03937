"""How a diary goes out to programs: as JSON, and as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pyramid.registry import Registry

from mealshare.core.dates import rfc3339, to_local
from mealshare.core.security.identity import Identity
from mealshare.features.diary.days import Span
from mealshare.features.diary.queries import Day
from mealshare.features.diary.schemas import CalendarDayOut, CalendarOut
from mealshare.features.meals.cards import Card
from mealshare.features.media.urls import media_out

COLUMNS = (
    "date", "time", "time_zone", "eaten_at", "meal_type", "food", "note", "place", "city", "country_code", "source",
    "tags", "diets", "allergens_contained", "allergens_free_from", "visibility", "recipe_url", "photos", "url",
)  # fmt: skip
#: Excel and its kin take text that begins with one of these for a formula, full-width ones included (OWASP, CSV
#: injection); an apostrophe in front makes it text again, and is not shown.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Excel reads UTF-8 only behind this mark.
_MARK = "\ufeff"


def diary_json(registry: Registry, cards: Sequence[Card], viewer: Identity | None) -> bytes:
    """The JSON array of days (`DiaryDayOut`), each with its meals as ``viewer`` sees them."""
    write = registry["meal_json"].many
    days = [
        b'{"date":"%b","meals":%b}' % (day.isoformat().encode(), write(list(of_day), viewer))
        for day, of_day in groupby(cards, key=lambda card: card.eaten_on)
    ]
    return b"[%b]" % b",".join(days)


def calendar_out(year: int, days: Sequence[Day], base_url: str) -> CalendarOut:
    """A year's days in short."""
    rows = [
        CalendarDayOut(day.day.isoformat(), day.count, media_out(day.photo, base_url) if day.photo else None)
        for day in days
    ]
    return CalendarOut(year, sum(day.count for day in days), rows)


def file_name(username: str, span: Span) -> str:
    """What the file is called; ASCII, as a header wants it."""
    return f"{username}-diary-{span.first}-{span.last}.csv"


def diary_csv(cards: Sequence[Card], base_url: str) -> bytes:
    """A row for each meal, as RFC 4180 has it, behind a row of names; opens in Excel with every script intact."""
    target = io.StringIO()
    target.write(_MARK)
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    writer.writerows([as_text(str(cell)) for cell in _cells(card, base_url)] for card in cards)
    return target.getvalue().encode()


def as_text(cell: str) -> str:
    """The cell, such that no spreadsheet calculates with it."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def _cells(card: Card, base_url: str) -> Iterator[Any]:
    local = to_local(card.eaten_at, card.time_zone)
    photos = (media_out(item, base_url).url for item in card.media)
    yield from (card.eaten_on, local.strftime("%H:%M"), card.time_zone, rfc3339(card.eaten_at, card.time_zone))
    yield from (card.meal_type, card.food, card.note)
    yield from (card.place_name or "", card.place_city or "", card.place_country or "", card.source or "")
    yield from (" ".join(card.tag_names), " ".join(card.diets))
    yield from (" ".join(card.allergens_contained), " ".join(card.allergens_free_from))
    yield from (card.visibility, card.recipe_url or "", " ".join(filter(None, photos)), card.url)
