"""The diary in the browser: whose days they are, who sees what of them, and what the pages hold."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import insert, update

from mealshare.core.dates import parse_local
from mealshare.core.ids import new_id
from mealshare.features.accounts.models import User
from mealshare.features.diary import resources
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import Post
from mealshare.features.meals.schemas import MealInput, PlaceInput
from mealshare.features.media.models import Media, MediaState
from tests.people import form_with

NOON = "2025-03-14T12:00"


@pytest.fixture
def today(monkeypatch):
    """``today("2025-03-14T12:00+00:00")``: the moment at which diaries are read."""
    return lambda text: monkeypatch.setattr(resources, "now", lambda: datetime.fromisoformat(text).astimezone(UTC))


@pytest.fixture
def ate(registry):
    """``ate(person, "2025-03-14T12:00", food=..., zone=..., photo=...)``: somebody's meal; gives its id."""

    def ate(person, when=NOON, food="Soup", zone="UTC", *, photo=False, covered=False, **more):
        with registry["open_work"]() as work:
            meal = MealInput.model_validate(
                {"food": food, "eaten_at": parse_local(when, zone), "time_zone": zone, **more}, strict=False
            )
            id = make_meal_service(work, registry).post(person.account_id, meal).id
            if photo or covered:
                picture = {"account_id": person.account_id, "post_id": id, "state": MediaState.READY}
                work.session.execute(insert(Media).values(id=new_id(), storage_key=f"key{id}", **picture))
                work.session.execute(update(Post).where(Post.id == id).values(sensitive=covered))
        return id

    return ate


def meals_on(page):
    """The numbers of the month's calendar: {day: meals}."""
    labels = [cell.select_one("span.visually-hidden").text for cell in page.html.select(".month__day--full")]
    return {int(label.split(":")[0].split()[1]): int(label.split(": ")[1].split()[0]) for label in labels}


def test_late_abroad_yesterdays_new_york_dinner_from_a_shanghai_account(app, make_user, login, today):
    login(app, make_user("mei", time_zone="Asia/Shanghai"))
    form = form_with(app.get("/new"), "food")
    assert form["zone"].value == ""
    form["food"], form["eaten_at"], form["zone"] = "牛排", "2025-03-13T23:30", "America/New_York"
    # What the browser says of itself counts less than what was chosen.
    form["time_zone"] = "Asia/Shanghai"
    meal = form.submit(status=303).headers["Location"].removeprefix("http://localhost")
    today("2025-03-14T12:00+08:00")
    assert meals_on(app.get("/@mei/diary")) == {13: 1}
    day = app.get("/@mei/diary/2025/03/13").html
    assert day.select_one(".day__clock").text == "11:30\u202fPM"
    assert day.select_one(".day__when").text.strip().endswith("New York time")
    assert "牛排" not in app.get("/@mei/diary/2025/03/14")
    # It was Boston, said later; the clock on the wall stays, and the day with it.
    form = form_with(app.get(f"{meal}/edit"), "food")
    assert (form["zone"].value, form["eaten_at"].value) == ("America/New_York", "2025-03-13T23:30")
    form["zone"] = "Asia/Shanghai"
    form.submit(status=303)
    shown = app.get("/@mei/diary/2025/03/13").html.select_one(".day__when").text
    assert "PM" in shown and "time" not in shown
    assert app.get(f"/api/meals/{meal.split('/')[-1]}").json["eaten_at"] == "2025-03-13T23:30:00+08:00"


def test_an_edit_keeps_the_second_of_two_equal_hours(app, make_user, login, token):
    mei = make_user("mei", time_zone="America/New_York")
    second = {"food": "toast", "eaten_at": "2025-11-02T01:30:12-05:00", "time_zone": "America/New_York"}
    meal = app.post_json("/api/meals", second, headers=token(app, mei)).json
    login(app, mei)
    form = form_with(app.get(f"/@mei/{meal['id']}/edit"), "food")
    form["food"] = "dry toast"
    form.submit(status=303)
    assert app.get(f"/api/meals/{meal['id']}").json["eaten_at"] == "2025-11-02T01:30:12-05:00"


@pytest.mark.parametrize(
    ("typed", "zone", "day"),
    [
        ("2025-03-09T02:30", "America/New_York", "2025-03-09"),  # The clock went from 2 to 3.
        ("2025-03-30T00:30", "Asia/Beirut", "2025-03-30"),  # There was no midnight.
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-31"),  # There was no such day.
        ("2024-02-29T23:59", "Pacific/Kiritimati", "2024-02-29"),  # Ten hours before it is that in UTC.
        ("2024-12-31T23:30", "Pacific/Pago_Pago", "2024-12-31"),  # In UTC that is the next year.
        ("2025-01-01T00:30", "Pacific/Kiritimati", "2025-01-01"),  # And this was the last one.
    ],
)
def test_a_meal_is_on_the_day_of_its_own_wall(app, make_user, login, typed, zone, day):
    login(app, make_user("mei", time_zone="Asia/Shanghai"))
    form = form_with(app.get("/new"), "food")
    form["food"], form["eaten_at"], form["zone"] = "poi", typed, zone
    form.submit(status=303)
    page = app.get(f"/@mei/diary/{day.replace('-', '/')}")
    assert "poi" in page.html.select_one(".day").text
    assert [row["date"] for row in app.get(f"/api/users/mei/diary?from={day}&to={day}").json] == [day]
    assert app.get(f"/api/users/mei/calendar?year={day[:4]}").json["total"] == 1


def test_today_is_the_owners_and_days_stay_when_they_move(app, make_user, ate, registry, today):
    mei = make_user("mei", time_zone="Pacific/Kiritimati")
    ate(mei, "2024-12-31T20:00", zone="Pacific/Kiritimati")
    today("2024-12-31T11:00+00:00")
    page = app.get("/@mei/diary")
    assert (page.html.h1.text, page.html.select_one("[aria-current=date]")["href"]) == (
        "January 2025",
        "/@mei/diary/2025/01/01",
    )
    assert app.get("/@mei/diary/week", status=303).headers["Location"].endswith("/@mei/diary/week/2025-W01")
    with registry["open_work"]() as work:
        work.session.execute(update(User).where(User.id == mei.account_id).values(time_zone="Pacific/Pago_Pago"))
    page = app.get("/@mei/diary")
    assert (page.html.h1.text, meals_on(page)) == ("December 2024", {31: 1})
    assert page.html.select_one("[aria-current=date]")["href"] == "/@mei/diary/2024/12/31"
    # Nothing leads further than anybody can have eaten.
    assert page.html.select_one("[rel=next]")["href"] == "/@mei/diary/2025/01"
    assert app.get("/@mei/diary/2025/01").html.select_one("[rel=next]") is None


def test_what_is_no_date_is_not_found(app, make_user):
    make_user("mei")
    for path in (
        "0001", "1899", "2026/13", "2026/00", "2026/02/30", "2025/02/29", "2026/2/x", "20260", "2026/11/21/1",
        "week/2026-W54", "week/2026", "2026-11", "weeks", "%EF%BC%92026",
    ):  # fmt: skip
        app.get(f"/@mei/diary/{path}", status=404)
    app.get("/@nobody/diary", status=404)
    # One digit is as good as two.
    assert app.get("/@mei/diary/2026/1").html.select_one("[rel=canonical]")["href"].endswith("/2026/01")


def test_everybody_sees_what_they_may_on_every_page(app, new_app, make_user, login, token, ate, today):
    mei, bob, eve, zoe = (make_user(name) for name in ("mei", "bob", "eve", "zoe"))
    today("2026-03-14T12:00+00:00")
    for food, visibility in (("one", "public"), ("two", "unlisted"), ("three", "followers"), ("four", "only_me")):
        for hour in ("08:00", "20:00"):
            ate(mei, f"2025-03-14T{hour}", food, visibility=visibility, photo=True)
    app.put("/api/users/mei/follow", headers=token(app, bob))
    app.put("/api/users/zoe/block", headers=token(app, mei))
    open_ones = ["one", "two"]
    for person, foods in (
        (mei, [*open_ones, "three", "four"]),
        (bob, [*open_ones, "three"]),
        (eve, open_ones),
        (None, open_ones),
    ):
        reader = new_app()
        if person:
            login(reader, person)
        count = 2 * len(foods)
        assert meals_on(reader.get("/@mei/diary/2025/03")) == {14: count}
        assert f"{count} meals on 1 day" in " ".join(reader.get("/@mei/diary/2025").html.text.split())
        day = reader.get("/@mei/diary/2025/03/14").html
        assert [title.text.strip() for title in day.select(".card__food")] == foods * 2
        assert len(reader.get("/@mei/diary/week/2025-W11").html.select(".week__meal")) == count
        front = reader.get("/@mei/diary").html
        # On this day: some of the day's meals, and none of the others.
        assert {food.text for food in front.select(".memory__food")} <= set(foods)
        assert len(front.select(".memory")) == 4
        assert {item.a.text for item in front.select(".most li")} == set(foods)
        rows = reader.get("/api/users/mei/diary?from=2025-03-01&to=2025-03-31").json
        assert [(row["date"], [meal["food"] for meal in row["meals"]]) for row in rows] == [("2025-03-14", foods * 2)]
        assert [row["count"] for row in reader.get("/api/users/mei/calendar?year=2025").json["days"]] == [count]
    reader = new_app()
    login(reader, zoe)
    for path in ("", "/2025", "/2025/03", "/2025/03/14", "/week", "/week/2025-W11", ".csv"):
        reader.get(f"/@mei/diary{path}", status=404)
    for path in ("diary", "calendar"):
        reader.get(f"/api/users/mei/{path}", status=404)


def test_what_a_reader_wants_left_out_is_left_out_and_never_of_ones_own(app, new_app, make_user, login, ate, registry):
    from mealshare.features.meals.models import EatingPreference
    from mealshare.features.meals.schemas import AllergensInput
    from mealshare.features.meals.vocabulary import Allergen, AvoidMode

    mei, bob = make_user("mei"), make_user("bob")
    satay = {"allergens": AllergensInput(contains=[Allergen.PEANUTS])}
    ate(mei, food="satay", **satay)
    ate(mei, food="rice")
    ate(bob, food="satay", **satay)
    with registry["open_work"]() as work:
        work.session.add(
            EatingPreference(account_id=bob.account_id, mode=AvoidMode.HIDE, avoid=(Allergen.PEANUTS,), diets=())
        )
    reader = new_app()
    login(reader, bob)
    assert meals_on(reader.get("/@mei/diary/2025/03")) == {14: 1}
    assert "satay" not in reader.get("/@mei/diary/2025/03/14")
    assert meals_on(reader.get("/@bob/diary/2025/03")) == {14: 1}
    assert meals_on(app.get("/@mei/diary/2025/03")) == {14: 2}


def test_the_month_is_a_table_of_photos(app, make_user, ate, today):
    mei = make_user("mei")
    today("2025-03-14T12:00+00:00")
    ate(mei, "2025-03-03T08:00", "bare", meal_type=None)
    pictured = ate(mei, "2025-03-03T09:00", "pictured", photo=True)
    ate(mei, "2025-03-03T07:00", "covered", covered=True)
    ate(mei, "2025-03-04T08:00", "plain", covered=True)
    for hour in range(10, 22):
        ate(mei, f"2025-03-05T{hour}:00", f"<b>dish {hour}</b>")
    page = app.get("/@mei/diary/2025/03").html
    table = page.select_one("table.month")
    assert [th["scope"] for th in table.select("th")] == ["col"] * 7
    assert table.select_one("th .visually-hidden").text == "Monday"
    assert table.caption.text == page.h1.text == "March 2025"
    assert len(table.select("tbody td")) == 6 * 7
    third, fourth, fifth = table.select(".month__day--full")
    assert third.img["src"] == f"/media/key{pictured}/400.webp"
    assert third.select_one(".month__count").text == "3"
    assert (fourth.img, fourth.select_one(".month__count")) == (None, None)
    assert fourth.select_one(".month__food").text == "plain"
    assert [dot["class"][-1] for dot in fifth.select(".month__dot")] == [
        f"mealtype--{kind}" for kind in ("breakfast", "lunch", "snack", "dinner")
    ]
    assert (fifth.select_one(".month__count").text, fifth.select_one(".month__food").text) == ("12", "<b>dish 10</b>")
    assert page.select_one(".diary-sum").text == "16 meals"
    assert not page.select("[style]")
    assert "noindex" not in str(page.head)


def test_an_empty_month_invites_its_owner(app, make_user, login, today):
    mei = make_user("mei")
    today("2025-03-14T12:00+00:00")
    assert "Nothing to see in this month" in app.get("/@mei/diary")
    login(app, mei)
    page = app.get("/@mei/diary").html
    assert page.select_one(".empty a")["href"] == "/new"
    assert page.select_one("meta[name=robots]")["content"] == "noindex"
    link = app.get("/@mei/diary/2025/03/02").html.select_one("main p.cluster a")["href"]
    assert form_with(app.get("/new?eaten_at=2025-03-02T12:00"), "food")["eaten_at"].value == "2025-03-02T12:00"
    assert link == "/new?eaten_at=2025-03-02T12:00"
    # Nobody eats ahead; and what is no time stays out of the box, of the kept one on the front page above all.
    assert "eaten_at=" not in app.get("/@mei/diary/2025/03/20")
    assert form_with(app.get("/new?eaten_at=2025-02-30T12:00"), "food")["eaten_at"].value == ""
    assert form_with(app.get("/?eaten_at=2025-03-02T12:00"), "food")["eaten_at"].value == ""


def test_the_year_is_a_map_and_a_table(app, make_user, ate):
    mei = make_user("mei")
    for count in range(1, 7):
        for _ in range(count):
            ate(mei, f"2024-02-{23 + count}T12:00")
    page = app.get("/@mei/diary/2024").html
    cells = page.select("svg.heat rect")
    assert len(cells) == 366
    assert [cell["class"][-1][-1] for cell in cells][53:61] == ["0", "1", "2", "3", "4", "4", "4", "0"]
    assert cells[59].title.text == "February 29: 6 meals"
    assert cells[59].parent["href"] == "/@mei/diary/2024/02/29"
    assert cells[60].parent.name == "svg"
    assert page.select_one("svg.heat")["aria-hidden"] == "true"
    # What a screen reader gets instead of 366 squares.
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in page.select("table.figures tr")]
    assert (len(rows), rows[2]) == (13, ["February", "21", "6"])
    assert not page.select("[style]")
    assert app.get("/@mei/diary/2023").html.select_one("meta[name=robots]")


def test_on_this_day_looks_back_as_far_as_there_is_something(app, make_user, ate, today):
    mei = make_user("mei")
    today("2025-02-28T12:00+00:00")

    def remembered():
        page = app.get("/@mei/diary").html
        return [
            (item.select_one(".memory__food").text, item.select_one(".memory__when").text)
            for item in page.select(".memory")
        ]

    assert remembered() == []
    ate(mei, "2025-02-21T12:00", "a week ago")
    ate(mei, "2025-01-28T12:00", "a month ago")
    assert remembered() == [("a week ago", "A week ago"), ("a month ago", "A month ago")]
    ate(mei, "2024-02-29T12:00", "leap day")
    ate(mei, "2024-02-28T12:00", "the day before")
    ate(mei, "2015-02-28T12:00", "long ago")
    assert remembered() == [("leap day", "1 year ago"), ("the day before", "1 year ago"), ("long ago", "10 years ago")]


def test_what_is_eaten_most_is_counted_by_the_name(app, make_user, ate, today):
    mei = make_user("mei")
    today("2025-03-14T12:00+00:00")
    for number, food in enumerate(("Ｍapo tofu", "mapo  TOFU", "Mapo tofu", "麻辣香锅", "麻辣香锅", "once")):
        ate(mei, f"2025-03-0{number + 1}T12:00", food, place=PlaceInput(name="Home"), tags=[f"tag{number % 2}", "Fika"])
    ate(mei, "2024-03-13T12:00", "Mapo tofu")
    page = app.get("/@mei/diary").html
    assert [item.text.split() for item in page.select(".most li")][:3] == [
        ["Mapo", "tofu", "3", "times"], ["麻辣香锅", "2", "times"], ["Home", "6", "times"],
    ]  # fmt: skip
    assert page.select_one(".most a")["href"] == "/@mei/diary/2025/03/03"
    assert {item.a.text for item in page.select(".mosts .panel:last-child li")} == {"#Fika", "#tag0", "#tag1"}
    assert "once" not in page.select_one(".mosts").text


def test_the_week_is_seven_days_for_the_printer(app, make_user, ate):
    mei = make_user("mei")
    ate(mei, "2024-12-30T08:15", "porridge", note="with lingonberries")
    ate(mei, "2025-01-05T22:00", "ramen", zone="Asia/Tokyo", spoiler_text="careful", note="hidden words")
    page = app.get("/@mei/diary/week/2025-W01").html
    days = page.select(".week__day")
    assert [day.h2.a["href"][-10:] for day in days] == [f"2024/12/{n}" for n in (30, 31)] + [
        f"2025/01/0{n}" for n in range(1, 6)
    ]
    assert page.h1.text == "Week 1: Dec 30, 2024\u2009–\u2009Jan 5, 2025"
    assert "porridge" in days[0].text and "with lingonberries" in days[0].text
    assert "(Tokyo)" in days[6].text
    assert "hidden words" not in page.text
    assert page.select_one("button[data-print]")["class"] == ["button", "only-js"]
    assert page.select_one("[rel=prev]")["href"] == "/@mei/diary/week/2024-W52"


def test_the_file_is_the_owners_alone_and_harmless(app, new_app, make_user, login, ate, registry):
    mei, bob = make_user("mei"), make_user("bob")
    ate(mei, "2025-03-14T23:30", '=HYPERLINK("x")', "America/New_York", visibility="only_me", note="麻辣,\n“so” hot")
    ate(mei, "2025-03-13T12:00", "plain", photo=True, tags=["a", "b"])
    login(app, mei)
    answer = app.get("/@mei/diary.csv?from=2025-03-01&to=2025-03-31")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mei-diary-2025-03-01-2025-03-31.csv"'
    assert answer.content_type == "text/csv"
    assert answer.body.startswith(b"\xef\xbb\xbfdate,time,")
    assert answer.body.count(b"\r\n") == 3
    first, second = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline=""))
    assert (first["food"], first["tags"], first["photos"].count("http://localhost/media/")) == ("plain", "a b", 1)
    assert (second["date"], second["time"], second["eaten_at"]) == ("2025-03-14", "23:30", "2025-03-14T23:30:00-04:00")
    assert (second["food"], second["note"], second["visibility"]) == ('\'=HYPERLINK("x")', "麻辣,\n“so” hot", "only_me")
    assert app.get("/@mei/diary.csv").headers["Content-Disposition"].count("-01-01-") == 1
    for query in (
        "from=2025-03-02&to=2025-03-01",
        "from=2024-01-01&to=2025-01-01",
        "from=x",
        "day=1",
        "from=0001-01-01",
    ):
        app.get(f"/@mei/diary.csv?{query}", status=400)
    visitor = new_app()
    assert "/login" in visitor.get("/@mei/diary.csv", status=303).headers["Location"]
    login(visitor, bob)
    visitor.get("/@mei/diary.csv", status=403)


def test_the_diary_speaks_chinese(app, make_user, ate, today):
    mei = make_user("mei")
    today("2025-03-14T12:00+00:00")
    ate(mei, zone="Asia/Shanghai")
    chinese = {"Accept-Language": "zh-CN"}
    assert app.get("/@mei/diary", headers=chinese).html.h1.text == "2025年3月"
    assert app.get("/@mei/diary/2025/03/14", headers=chinese).html.h1.text == "2025年3月14日星期五"
    assert "上海" in app.get("/@mei/diary/2025/03/14", headers=chinese).html.select_one(".day__when").text
    assert app.get("/@mei/diary/2025", headers=chinese).html.select_one(".heat text").text == "1月"


def test_the_persons_page_leads_to_the_diary(app, make_user):
    make_user("mei")
    assert app.get("/@mei").html.select_one('a[href="/@mei/diary"]') is not None


@pytest.mark.parametrize("meals", [1, 20, 100, 400])
def test_the_number_of_statements_does_not_depend_on_the_number_of_meals(
    app, make_user, login, registry, count_statements, today, meals
):
    mei = make_user("mei")
    today("2025-03-31T12:00+00:00")
    rows = [
        {"id": new_id(), "kind": "meal", "account_id": mei.account_id, "uri": f"http://localhost/m{n}", "url": f"http://localhost/m{n}", "food": f"dish {n % 50}",
         "meal_type": "lunch", "eaten_at": datetime(2025, 3, 1 + n % 31, 12, tzinfo=UTC), "time_zone": "UTC", "visibility": "public",
         "eaten_on": date(2025, 3, 1 + n % 31), "note": "", "note_html": "", "spoiler_text": "", "tag_names": ["x"]}
        for n in range(meals)
    ]  # fmt: skip
    with registry["open_work"]() as work:
        work.session.execute(insert(Post.__table__), rows)
    pages = {"": 3, "/2025/03": 2, "/2025": 2, "/2025/03/01": 2, "/week/2025-W12": 2}
    found = {}
    for path in pages:
        with count_statements() as statements:
            app.get(f"/@mei/diary{path}")
        found[path] = len(statements)
    assert found == pages
    for path in ("diary?from=2025-03-01&to=2025-03-31", "calendar?year=2025"):
        with count_statements() as statements:
            app.get(f"/api/users/mei/{path}")
        assert len(statements) == 2
    login(app, mei)
    app.get("/@mei/diary/2025/03")
    with count_statements() as statements:
        app.get("/@mei/diary/2025/03")
    assert len(statements) == 3
