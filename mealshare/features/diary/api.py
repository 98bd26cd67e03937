"""The JSON face of the diary."""

from __future__ import annotations

from pyramid.request import Request

from mealshare.api import Link, RawJson, api_view
from mealshare.features.diary.days import year_span
from mealshare.features.diary.present import calendar_out, diary_json
from mealshare.features.diary.queries import days_between, meals_between
from mealshare.features.diary.resources import DiaryContext, viewer_of
from mealshare.features.diary.rules import DiaryPermission
from mealshare.features.diary.schemas import (
    MOST_MEALS,
    CalendarOut,
    DiaryDayOut,
    SpanQuery,
    YearQuery,
    at_most,
)

TAGS = ("diary",)


@api_view(
    route_name="api.user.diary",
    request_method="GET",
    permission=DiaryPermission.READ,
    context=DiaryContext,
    query=SpanQuery,
    returns=list[DiaryDayOut],
    tags=TAGS,
    summary="Read a person's diary",
    links=(Link("api.meal", "GET", id="$response.body#/0/meals/0/id"),),
    description="The days from `from` to `to` (both included; by the date on the eater's wall) on which the person ate"
    " something that you may see, with those meals in the order in which they were eaten. At most 366 days and 500"
    " meals, else 400.",
)
def read_diary(context: DiaryContext, request: Request, query: SpanQuery) -> RawJson:
    """The meals between two dates, by day."""
    span = query.span(context.today)
    found = meals_between(request.conn, context.owner, viewer_of(request), span, MOST_MEALS + 1)
    return RawJson(diary_json(request.registry, at_most(MOST_MEALS, found), request.identity))


@api_view(
    route_name="api.user.calendar",
    request_method="GET",
    permission=DiaryPermission.READ,
    context=DiaryContext,
    query=YearQuery,
    returns=CalendarOut,
    tags=TAGS,
    summary="Read a year of a person's diary",
    description="Each day of the year on which the person ate something that you may see: how many meals, and the"
    " first photo that is not behind a warning.",
)
def read_calendar(context: DiaryContext, request: Request, query: YearQuery) -> CalendarOut:
    """The days of a year, in short."""
    year = query.year or context.today.year
    days = days_between(request.conn, context.owner, viewer_of(request), year_span(year), per_day=1)
    return calendar_out(year, days, request.registry["base_url"])
