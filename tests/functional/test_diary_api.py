"""The diary for programs: spans, shapes, limits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from mealshare.core.ids import new_id
from mealshare.features.diary import resources
from mealshare.features.meals.models import Post

MOMENT = datetime(2025, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def add_meals(registry):
    """``add_meals(person, day, number)``: as many meals on that day, an hour of the day each, the last hour first."""

    def add(person, day, number=1):
        rows = [
            {"id": new_id(), "kind": "meal", "account_id": person.account_id, "uri": f"http://localhost/m{day}{n}", "url": f"http://localhost/m{day}{n}",
             "food": f"dish {n}", "meal_type": "lunch", "time_zone": "UTC", "visibility": "public", "eaten_on": day,
             "eaten_at": datetime(day.year, day.month, day.day, 23 - n % 24, tzinfo=UTC), "tag_names": []}
            for n in range(number)
        ]  # fmt: skip
        with registry["open_work"]() as work:
            work.session.execute(insert(Post.__table__), rows)

    return add


@pytest.fixture
def mei(make_user, monkeypatch):
    """Somebody on the other side of the date line, where it is a day later already."""
    monkeypatch.setattr(resources, "now", lambda: MOMENT)
    return make_user("mei", time_zone="Pacific/Kiritimati")


def dates(app, query=""):
    return [row["date"] for row in app.get(f"/api/users/mei/diary{query}").json]


def test_both_ends_belong_to_the_span(app, mei, add_meals):
    first = date(2025, 2, 1)
    for number in range(45):
        add_meals(mei, first + timedelta(days=number))
    assert dates(app, "?from=2025-02-03&to=2025-02-05") == ["2025-02-03", "2025-02-04", "2025-02-05"]
    assert dates(app, "?from=2025-02-03&to=2025-02-03") == ["2025-02-03"]
    # 31 days where one end is missing, and up to the owner's today where both are.
    assert (dates(app)[0], dates(app)[-1], len(dates(app))) == ("2025-02-13", "2025-03-15", 31)
    assert (dates(app, "?from=2025-02-03")[0], dates(app, "?from=2025-02-03")[-1]) == ("2025-02-03", "2025-03-05")
    assert dates(app, "?to=2025-02-02") == ["2025-02-01", "2025-02-02"]
    assert dates(app, "?from=2999-12-31") == []
    assert dates(app, "?to=1900-01-01") == []


@pytest.mark.parametrize(
    ("query", "field", "detail"),
    [
        ("from=2025-02-02&to=2025-02-01", "to", "The last day comes before the first one."),
        ("from=2025-01-01&to=2026-01-02", "to", "At most 366 days can be asked for at once."),
        ("from=2025-02-30", "from", "This is not a date."),
        ("from=0001-01-01", "from", "This must be at least 1900-01-01."),
        ("to=9999-12-31", "to", "This may be at most 2999-12-31."),
        ("days=3", "days", "There is no such field."),
    ],
)
def test_a_wrong_span_is_said_to_be_one(app, mei, query, field, detail):
    problem = app.get(f"/api/users/mei/diary?{query}", status=400).json
    assert [(error["parameter"], error["detail"]) for error in problem["errors"]] == [(field, detail)]


def test_a_whole_leap_year_is_one_span_and_too_many_meals_are_none(app, mei, add_meals):
    add_meals(mei, date(2024, 12, 31), 500)
    answer = app.get("/api/users/mei/diary?from=2024-01-01&to=2024-12-31").json
    assert [len(row["meals"]) for row in answer] == [500]
    times = [meal["eaten_at"] for meal in answer[0]["meals"]]
    assert times == sorted(times)
    add_meals(mei, date(2024, 1, 1))
    problem = app.get("/api/users/mei/diary?from=2024-01-01&to=2024-12-31", status=400).json
    assert "more than 500 meals" in problem["errors"][0]["detail"]


def test_a_day_has_meals_as_everywhere_else(app, mei, token):
    posted = {"food": "轩轩的面", "eaten_at": "2025-03-14T01:30:00+08:00", "time_zone": "Asia/Shanghai"}
    meal = app.post_json("/api/meals", posted, headers=token(app, mei)).json
    answer = app.get("/api/users/MEI/diary", headers=token(app, mei))
    assert answer.json == [
        {"date": "2025-03-14", "meals": [app.get(f"/api/meals/{meal['id']}", headers=token(app, mei)).json]}
    ]
    app.get("/api/users/mei/diary", headers={**token(app, mei), "If-None-Match": answer.headers["ETag"]}, status=304)
    app.get("/api/users/nobody/diary", status=404)
    app.post("/api/users/mei/diary", status=405)


def test_the_calendar_counts_days_and_shows_the_first_photo(app, mei, token, picture, run_jobs, registry, add_meals):
    headers = token(app, mei)
    upload = {"upload_files": [("file", "noodles.jpg", picture())]}
    photo = app.post("/api/media", headers=headers, **upload).json["id"]
    run_jobs(registry)
    meal = {"food": "noodles", "eaten_at": "2025-03-14T20:00:00+14:00", "media": [{"id": photo}]}
    app.post_json("/api/meals", meal, headers=headers)
    add_meals(mei, date(2025, 3, 14), 3)
    add_meals(mei, date(2025, 12, 31), 2)
    answer = app.get("/api/users/mei/calendar").json
    assert (answer["year"], answer["total"]) == (2025, 6)
    assert [(day["date"], day["count"], day["photo"] and day["photo"]["id"]) for day in answer["days"]] == [
        ("2025-03-14", 4, photo), ("2025-12-31", 2, None),
    ]  # fmt: skip
    assert (
        app.get(answer["days"][0]["photo"]["preview_url"].removeprefix("http://localhost")).content_type == "image/webp"
    )
    assert app.get("/api/users/mei/calendar?year=2024").json == {"year": 2024, "total": 0, "days": []}
    for year in ("1899", "3000", "x"):
        app.get(f"/api/users/mei/calendar?year={year}", status=400)
