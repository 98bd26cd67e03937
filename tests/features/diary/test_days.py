"""The calendar of the diary: what is a date, and where it stands."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from mealshare.features.diary.days import (
    EARLIEST,
    LATEST,
    Span,
    column_of,
    day_of,
    month_before,
    month_of,
    month_span,
    same_days,
    shade_of,
    week_name,
    week_of,
    week_span,
    weeks_of_month,
    year_of,
    year_span,
)


@pytest.mark.parametrize("text", ["1", "0001", "1899", "3000", "20260", "２０２６", "2026\n", "-2026", "", "year"])
def test_what_is_no_year_of_the_diary(text):
    with pytest.raises(ValueError):
        year_of(text)


@pytest.mark.parametrize("text", ["0", "00", "13", "011", "1 ", "+1", "١", ""])
def test_what_is_no_month(text):
    with pytest.raises(ValueError):
        month_of(2026, text)


def test_days_are_those_of_the_calendar():
    assert day_of(date(2024, 2, 1), "29") == date(2024, 2, 29)
    assert day_of(month_of(2026, "2"), "01") == date(2026, 2, 1)
    for text in ("29", "30", "0", "32"):
        with pytest.raises(ValueError):
            day_of(date(2026, 2, 1), text)


def test_weeks_are_those_of_iso_8601():
    assert week_of("2026-W47") == Span(date(2026, 11, 16), date(2026, 11, 22))
    assert week_of("2020-W53").last == date(2021, 1, 3)
    # A week of the next year that begins in the old one, and the other way round.
    assert (week_name(date(2024, 12, 30)), week_name(date(2021, 1, 3))) == ("2025-W01", "2020-W53")
    for text in ("2026-W54", "2026-W00", "2021-W53", "2026-47", "2026-W7", "1800-W01", "2026-W47-1"):
        with pytest.raises(ValueError):
            week_of(text)


def test_every_day_lies_in_the_week_of_its_name_and_in_one_cell_of_its_month():
    for day in Span(date(2019, 12, 1), date(2028, 3, 1)):
        assert week_of(week_name(day)) == week_span(day)
        row = next(row for row in weeks_of_month(day) if day in row)
        assert row.index(day) == day.weekday()


def test_months_are_rows_from_monday_to_sunday():
    assert month_span(date(2024, 2, 10)) == Span(date(2024, 2, 1), date(2024, 2, 29))
    november = weeks_of_month(date(2026, 11, 1))
    assert november[0] == [None] * 6 + [date(2026, 11, 1)]
    assert november[-1] == [date(2026, 11, 30)] + [None] * 6
    assert {len(week) for week in november} == {7}
    # 28 days from a Monday on: four full rows and no empty one.
    assert [None in week for week in weeks_of_month(date(2021, 2, 1))] == [False] * 4


@pytest.mark.parametrize(("year", "columns"), [(2026, 53), (2024, 53), (2012, 54), (2040, 54), (2023, 53)])
def test_the_heat_map_has_a_column_for_each_week_of_the_year(year, columns):
    places = {(column_of(day), day.weekday()) for day in year_span(year)}
    assert len(places) == len(year_span(year))
    assert {column for column, _row in places} == set(range(columns))
    for day in year_span(year):
        assert column_of(day) == column_of(year_span(year).first) + (
            (week_span(day).first - week_span(year_span(year).first).first).days // 7
        )


def test_shades_say_how_many_and_end():
    assert [shade_of(count) for count in (0, 1, 3, 4, 5, 400)] == [0, 1, 3, 4, 4, 4]


def test_on_this_day():
    assert same_days(date(2026, 11, 21))[:2] == [date(2025, 11, 21), date(2024, 11, 21)]
    # A leap day is remembered on leap days, and on the last of February of the other years.
    assert same_days(date(2028, 2, 29))[:3] == [date(2024, 2, 29), date(2020, 2, 29), date(2016, 2, 29)]
    assert same_days(date(2026, 2, 28))[:4] == [
        date(2025, 2, 28), date(2024, 2, 29), date(2024, 2, 28), date(2023, 2, 28),
    ]  # fmt: skip
    assert date(2024, 2, 29) not in same_days(date(2028, 2, 28))
    assert same_days(EARLIEST) == []


def test_a_month_before():
    assert month_before(date(2026, 3, 31)) == date(2026, 2, 28)
    assert month_before(date(2024, 3, 31)) == date(2024, 2, 29)
    assert month_before(date(2026, 1, 5)) == date(2025, 12, 5)


def test_the_arithmetic_stays_inside_of_what_a_date_can_hold():
    for edge in (EARLIEST, LATEST):
        week_span(edge)
        weeks_of_month(edge)
        assert year_span(edge.year).first - timedelta(days=400) < edge < year_span(edge.year).last + timedelta(days=400)
