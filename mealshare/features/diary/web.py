"""The HTML face of the diary: its months, years, days, printable weeks, and the file for a spreadsheet."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from mealshare.api.query import read_query
from mealshare.core.i18n import _
from mealshare.features.diary.days import WEEK, month_span
from mealshare.features.diary.html import (
    day_meals,
    diary_path,
    earlier,
    full_date,
    heat_map,
    in_words,
    later,
    memories,
    month_counts,
    month_values,
    neighbours,
    page_values,
    week_days,
    week_path,
    week_words,
)
from mealshare.features.diary.present import diary_csv, file_name
from mealshare.features.diary.queries import (
    Most,
    counts_between,
    days_between,
    meals_between,
    most_eaten,
    this_month,
)
from mealshare.features.diary.resources import (
    DayContext,
    DiaryContext,
    MonthContext,
    WeekContext,
    YearContext,
    viewer_of,
)
from mealshare.features.diary.rules import DiaryPermission
from mealshare.features.diary.schemas import FileQuery, at_most
from mealshare.features.meals.html import render_cards
from mealshare.web.ui import Ui

READ = DiaryPermission.READ
#: What a page shows and a file holds at most: fourteen meals a day for a week, and nearly as many for a year.
PAGE_MEALS, FILE_MEALS = 100, 5_000
MONTH_PAGE = "templates/month.pt"


@view_config(route_name="diary", request_method="GET", context=DiaryContext, permission=READ, renderer=MONTH_PAGE)
def diary(context: DiaryContext, request: Request) -> dict[str, Any]:
    """The month that it is where the owner lives, what was on this day, and what they eat most."""
    ui, owner, today, viewer = Ui.of(request), context.owner, context.today, viewer_of(request)
    days, remembered = this_month(request.conn, owner, viewer, today)
    return month_values(ui, MonthContext(owner, today, month_span(today).first), days) | {
        "memories": memories(ui, owner, today, remembered),
        "most": most_eaten(request.conn, owner, viewer, today),
    }


@view_config(route_name="diary.month", request_method="GET", context=MonthContext, permission=READ, renderer=MONTH_PAGE)
def month(context: MonthContext, request: Request) -> dict[str, Any]:
    """A month as a calendar."""
    days = days_between(request.conn, context.owner, viewer_of(request), context.span)
    return month_values(Ui.of(request), context, days) | {"memories": (), "most": Most()}


@view_config(
    route_name="diary.year", request_method="GET", context=YearContext, permission=READ, renderer="templates/year.pt"
)
def year(context: YearContext, request: Request) -> dict[str, Any]:
    """A year as a heat map."""
    ui, owner = Ui.of(request), context.owner
    counts = counts_between(request.conn, owner, viewer_of(request), context.span)
    return page_values(ui, context, in_words(context.span.first, "y", ui.locale)) | {
        **neighbours(ui, context, "y", depth=1),
        "heat": heat_map(ui, owner, context.year, counts),
        "months": month_counts(ui, owner, context.year, counts),
        "late": context.today.year == context.year and context.today.month > 6,
        "total": sum(counts.values()),
        "days": len(counts),
    }


@view_config(
    route_name="diary.day", request_method="GET", context=DayContext, permission=READ, renderer="templates/day.pt"
)
def day(context: DayContext, request: Request) -> dict[str, Any]:
    """The meals of a day, each at the time of its own place."""
    ui, owner = Ui.of(request), context.owner
    found = meals_between(request.conn, owner, viewer_of(request), context.span, PAGE_MEALS + 1)
    cards = found[:PAGE_MEALS]
    return page_values(ui, context, full_date(context.day, ui.locale)) | {
        **neighbours(ui, context, "MMMd", depth=3),
        "day": context.day,
        "day_path": diary_path(owner, context.day),
        "add": later(context.day, context.today) is not None,
        "meals": day_meals(ui, owner, cards, render_cards(request, cards)),
        "total": len(cards),
        "more": len(found) > PAGE_MEALS,
    }


@view_config(
    route_name="diary.week", request_method="GET", context=WeekContext, permission=READ, renderer="templates/week.pt"
)
def week(context: WeekContext, request: Request) -> dict[str, Any]:
    """A week to be printed: one page, seven days."""
    ui, owner, span = Ui.of(request), context.owner, context.span
    cards = meals_between(request.conn, owner, viewer_of(request), span, PAGE_MEALS + 1)
    before, after = earlier(span.first - WEEK), later(span.first + WEEK, context.today)
    return page_values(ui, context, week_words(ui, span)) | {
        "days": week_days(ui, owner, span, cards[:PAGE_MEALS]),
        "before": before and (week_path(owner, before), ui.t(_("Previous week"))),
        "after": after and (week_path(owner, after), ui.t(_("Next week"))),
        "total": len(cards),
        "more": len(cards) > PAGE_MEALS,
    }


@view_config(route_name="diary.this_week", request_method="GET", context=DiaryContext, permission=READ)
def this_week(context: DiaryContext, request: Request) -> HTTPSeeOther:
    """The week that it is where the owner lives."""
    return HTTPSeeOther(week_path(context.owner, context.today))


@view_config(route_name="diary.csv", request_method="GET", context=DiaryContext, permission=DiaryPermission.EXPORT)
def download(context: DiaryContext, request: Request) -> Response:
    """All of one's own meals between two dates as a file."""
    span = read_query(request, FileQuery).span(context.today)
    found = meals_between(request.conn, context.owner, context.account_id, span, FILE_MEALS + 1)
    headers = [
        ("Content-Type", "text/csv; charset=utf-8; header=present"),
        ("Content-Disposition", f'attachment; filename="{file_name(context.owner.username, span)}"'),
    ]
    body = diary_csv(at_most(FILE_MEALS, found), request.registry["base_url"])
    return Response(body, headerlist=headers)
