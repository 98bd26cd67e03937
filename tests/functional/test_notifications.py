"""What somebody is told: each kind, in both faces and languages, and taken back again; and never what is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core.clock import now
from mealshare.core.ids import new_id_at
from mealshare.features.notifications.models import Notification
from mealshare.features.social.models import Mute
from tests.functional.noticing import Person, make_person
from tests.people import form_with


@pytest.fixture
def people(registry: Any, app: Any) -> Callable[..., list[Person]]:
    """``people("mei", "tom")``: new people, signed in."""
    return lambda *names: [make_person(registry, app, name, display_name=name.title()) for name in names]


def rows(registry: Any) -> int:
    """How many notifications there are."""
    with registry["engine"].connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(Notification)) or 0)


def sentence(person: Person, language: str = "en") -> str:
    """The words of the newest notification on the page."""
    page = person.browser.get("/notifications", headers={"Accept-Language": language})
    return " ".join(page.html.find(class_="notice__words").get_text().split())


def test_a_like(people):
    mei, tom = people("mei", "tom")
    meal = mei.eats("麻辣香锅")
    tom.likes(meal)
    tom.likes(meal)
    mei.likes(meal)
    (told,) = mei.told()
    assert told | {"id": 0, "created_at": 0} == {
        "id": 0, "type": "like", "created_at": 0, "read": False, "count": 1,
        "users": [{"username": "tom", "display_name": "Tom", "avatar_url": None, "url": "http://localhost/@tom"}],
        "meal": {"id": meal, "url": f"http://localhost/@mei/{meal}", "food": "麻辣香锅"},
        "comment": None, "inspired_by": None,
    }  # fmt: skip
    assert sentence(mei) == "New Tom likes your 麻辣香锅"
    page = mei.browser.get("/notifications")
    assert [link["href"] for link in page.html.find(class_="notice__words").find_all("a")] == ["/@tom", f"/@mei/{meal}"]
    tom.likes(meal, no_more=True)
    assert mei.told() == []


def test_comments_and_answers(people):
    mei, tom, ana, leo = people("mei", "tom", "ana", "leo")
    meal = mei.eats("dumplings")
    first = tom.comments(meal, "How?")
    assert [(item["type"], item["comment"]) for item in mei.told()] == [
        ("comment", {"id": first, "url": f"http://localhost/@tom/{first}", "note": "How?"})
    ]
    assert sentence(mei) == "New Tom commented on your dumplings"
    # Named, answered and author of the meal: each hears of it once, and the one who wrote it never.
    answer = ana.comments(meal, "With love, @mei @leo @ana.", answers=first)
    assert [item["type"] for item in mei.told()] == ["mention", "comment"]
    assert [item["type"] for item in leo.told()] == ["mention"]
    assert [item["type"] for item in tom.told()] == ["comment"]
    assert ana.told() == []
    assert sentence(tom) == "New Ana answered you below dumplings"
    assert sentence(leo) == "New Ana mentioned you in a comment on dumplings"
    # Not named any more: the author of the meal hears of the comment all the same.
    ana.send("PATCH", f"/api/comments/{answer}", {"note": "With love, @tom."})
    assert [item["type"] for item in mei.told()] == ["comment"]
    assert mei.told()[0]["count"] == 2
    assert leo.told() == []
    assert [item["type"] for item in tom.told()] == ["comment"]
    mei.send("PUT", f"/api/comments/{first}/like")
    assert sentence(tom) == "New Mei likes your comment on dumplings"
    ana.send("DELETE", f"/api/comments/{answer}")
    assert tom.heard() == [("like", "mei")]
    tom.send("DELETE", f"/api/comments/{first}")
    assert [person.told() for person in (mei, tom, ana, leo)] == [[], [], [], []]


def test_mentions_in_meals(people):
    mei, tom, ana = people("mei", "tom", "ana")
    meal = mei.eats(note="with @tom and @mei")
    assert [(item["type"], item["meal"]["id"], item["comment"]) for item in tom.told()] == [("mention", meal, None)]
    assert mei.told() == []
    mei.send("PATCH", f"/api/meals/{meal}", {"note": "with @ana"})
    assert tom.told() == []
    assert ana.heard() == [("mention", "mei")]
    mei.send("DELETE", f"/api/meals/{meal}")
    assert ana.told() == []


def test_follows_and_requests(people, registry):
    mei, tom = people("mei", "tom")
    tom.does("follow", mei)
    assert mei.heard() == [("follow", "tom")]
    assert sentence(mei) == "New Tom follows you"
    tom.does("follow", mei, no_more=True)
    assert mei.told() == []
    mei.send("PATCH", "/api/user/profile", {"locked": True})
    tom.does("follow", mei)
    assert mei.heard() == [("follow_request", "tom")]
    assert sentence(mei) == "New Tom would like to follow you"
    assert mei.browser.get("/notifications").html.find("a", href="/follow-requests") is not None
    tom.does("follow", mei, no_more=True)
    assert mei.told() == []
    tom.does("follow", mei)
    mei.send("POST", "/api/follow-requests/tom")
    assert mei.heard() == [("follow", "tom")]
    assert rows(registry) == 1


def test_somebody_ate_it_too(people):
    mei, tom = people("mei", "tom")
    meal = mei.eats("hot pot")
    copy = tom.send("POST", f"/api/meals/{meal}/ate-too", {"food": "hot pot at home", "note": "thank you @mei"})["id"]
    (told,) = mei.told()
    assert (told["type"], told["meal"]["id"], told["inspired_by"]["id"]) == ("ate_too", copy, meal)
    assert sentence(mei) == "New Tom ate your hot pot too"
    # What somebody else may not see does not exist; what they may see again, does.
    tom.shows(copy, "only_me")
    assert mei.told() == []
    tom.shows(copy, "public")
    assert mei.heard() == [("ate_too", "tom")]
    mei.send("DELETE", f"/api/meals/{meal}")
    assert mei.told() == []


def test_in_chinese(people):
    mei, tom = people("mei", "tom")
    mei.send("PATCH", "/api/user/profile", {"locale": "zh_CN"})
    tom.likes(mei.eats("麻辣香锅"))
    page = mei.browser.get("/notifications")
    assert 'lang="zh-Hans"' in page.text
    assert [link.text for link in page.html.find(class_="notice__words").find_all("a")] == ["Tom", "麻辣香锅"]


def test_words_of_people_are_only_words(registry, app):
    mei = make_person(registry, app, "mei")
    tom = make_person(registry, app, "tom", display_name="<b>${food}</b>")
    meal = mei.eats("<script>alert(1)</script>")
    tom.comments(meal, "<i>hello</i>")
    text = mei.browser.get("/notifications").text
    assert "<b>" not in text and "<script>alert" not in text and "<i>" not in text
    assert sentence(mei) == "New <b>${food}</b> commented on your <script>alert(1)</script>"


def test_never_from_somebody_who_is_blocked(people, registry):
    mei, tom, ana = people("mei", "tom", "ana")
    meal, toms = mei.eats(), tom.eats()
    tom.likes(meal)
    tom.does("follow", mei)
    ana.comments(toms, "look, @mei")
    mei.likes(toms)
    assert len(mei.told()) == 3 and len(tom.told()) == 2
    mei.does("block", tom)
    # Nothing of the other, nor of a third person about the other's meal; in either direction.
    assert mei.told() == []
    assert tom.heard() == [("comment", "ana")]
    ana.comments(toms, "again, @mei")
    ana.comments(meal, "and @tom here")
    assert mei.heard() == [("comment", "ana")]
    assert [kind for kind, _name in tom.heard()] == ["comment"]
    # It does not come back by itself, and begins anew.
    mei.does("block", tom, no_more=True)
    assert mei.heard() == [("comment", "ana")]
    tom.likes(meal, no_more=True)
    tom.likes(meal)
    assert mei.heard() == [("like", "tom"), ("comment", "ana")]


def test_never_from_somebody_who_is_muted(people, registry):
    mei, tom = people("mei", "tom")
    meal, other = mei.eats(), mei.eats()
    tom.likes(meal)
    assert mei.badge() == 1
    mei.does("mute", tom)
    assert mei.told() == []
    tom.likes(other)
    tom.comments(meal, "@mei!")
    assert mei.told() == [] and rows(registry) == 0
    # The one who is muted hears of the other as before.
    mei.likes(tom.eats())
    assert tom.heard() == [("like", "mei")]
    with registry["engine"].begin() as connection:
        connection.execute(update(Mute).values(until=now() - timedelta(minutes=1)))
    tom.comments(meal, "Are you there?")
    assert mei.heard() == [("comment", "tom")]


@pytest.mark.parametrize("visibility", ["only_me", "followers"])
def test_never_about_what_one_may_not_see(people, visibility):
    mei, tom, ana = people("mei", "tom", "ana")
    ana.does("follow", mei)
    hidden = mei.eats(note="with @tom and @ana", visibility=visibility)
    expected = [("mention", "mei")] if visibility == "followers" else []
    assert tom.told() == []
    assert ana.heard() == expected
    mei.comments(hidden, "really, @tom, @ana")
    assert tom.told() == []
    assert ana.heard() == expected * 2
    # Shown to everybody, while it is news; and hidden from them again.
    mei.shows(hidden, "public")
    assert tom.heard() == [("mention", "mei")]
    tom.comments(hidden, "Thank you!")
    mei.shows(hidden, visibility)
    assert tom.told() == []
    assert ana.heard() == (expected + expected if expected else [])
    assert mei.heard() == [("comment", "tom"), ("follow", "ana")]


def test_who_follows_no_more_hears_no_more_of_it(people):
    mei, tom, ana = people("mei", "tom", "ana")
    tom.does("follow", mei)
    mei.eats(note="@tom", visibility="followers")
    mei.eats(note="@tom")
    ana.likes(tom.eats())
    assert len(tom.told()) == 3
    tom.does("follow", mei, no_more=True)
    assert tom.heard() == [("like", "ana"), ("mention", "mei")]


def test_all_past_meals_at_once(people):
    mei, tom = people("mei", "tom")
    for number in range(3):
        mei.eats(f"meal {number}", note="@tom")
    mei.eats("unlisted", note="@tom", visibility="unlisted")
    assert len(tom.told()) == 4
    mei.send("POST", "/api/meals/visibility", {"from": ["public"], "to": "followers"})
    assert [item["meal"]["food"] for item in tom.told()] == ["unlisted"]


def test_allergens_that_are_left_out(people):
    mei, tom = people("mei", "tom")
    nutty = mei.eats("satay", note="@tom", allergens={"contains": ["peanuts"]})
    plain = mei.eats("rice", note="@tom")
    assert [item["meal"]["id"] for item in tom.told()] == [plain, nutty]
    tom.avoids("peanuts")
    assert [item["meal"]["id"] for item in tom.told()] == [plain]
    mei.send("PATCH", f"/api/meals/{plain}", {"allergens": {"contains": ["peanuts"]}})
    assert tom.told() == []
    tom.avoids("milk")
    assert len(tom.told()) == 2


def test_settings_in_both_faces(people, registry):
    mei, tom = people("mei", "tom")
    meal = mei.eats()
    tom.likes(meal)
    tom.does("follow", mei)
    form = form_with(mei.browser.get("/settings/notifications"), "ate_too")
    assert all(form[name].checked for name in ("like", "comment", "mention", "follow", "follow_request", "ate_too"))
    form["like"].checked = False
    assert "Saved." in form.submit(status=303).follow().text
    # What came before is out of sight as well, and what comes now is not written down.
    assert mei.heard() == [("follow", "tom")]
    assert mei.told("?type=like") == []
    tom.likes(meal, no_more=True)
    tom.likes(meal)
    assert rows(registry) == 1
    all_on = dict.fromkeys(("like", "comment", "mention", "follow", "follow_request", "ate_too"), True)
    assert mei.send("GET", "/api/notifications/settings") == all_on | {"like": False}
    mei.send("PUT", "/api/notifications/settings", {"mention": False}, status=204)
    assert mei.send("GET", "/api/notifications/settings") == all_on | {"mention": False}
    # Named, but not wanting to hear of that: it is a comment on the own meal all the same.
    tom.comments(meal, "@mei!")
    assert mei.heard() == [("comment", "tom"), ("follow", "tom")]
    mei.send("PUT", "/api/notifications/settings", {"mentions": False}, status=422)
    mei.send("PUT", "/api/notifications/settings", {})
    assert mei.send("GET", "/api/notifications/settings") == all_on


def test_reading_changes_nothing_until_it_is_said(people):
    mei, tom = people("mei", "tom")
    first, second = mei.eats(), mei.eats()
    tom.likes(first)
    tom.does("follow", mei)
    page = mei.browser.get("/notifications")
    assert len(mei.browser.get("/notifications").html.find_all(class_="notice--new")) == 2
    # Since the page was opened there is something newer, which stays new.
    tom.likes(second)
    form_with(page, "min_id").submit(status=303)
    assert [item["read"] for item in mei.told()] == [False, True, True]
    mei.send("POST", "/api/notifications/read", {"max_id": "1"}, status=204)
    assert mei.badge() == 1
    tom.comments(first, "Hm")
    form = mei.browser.get("/notifications?type=like").forms["read-all"]
    assert form.submit(status=303).headers["Location"].endswith("/notifications?type=like")
    assert mei.badge() == 0
    tom.comments(second, "Hm")
    mei.send("POST", "/api/notifications/read", {}, status=204)
    assert [item["read"] for item in mei.told()] == [True] * 5
    mei.send("POST", "/api/notifications/read", {"max_id": "x"}, status=422)


def test_whose_they_are(people, app):
    mei, tom = people("mei", "tom")
    tom.likes(mei.eats())
    assert tom.told() == []
    tom.send("POST", "/api/notifications/read", {})
    assert mei.badge() == 1
    assert app.get("/notifications", status=303).headers["Location"].startswith("http://localhost/login")
    assert app.get("/settings/notifications", status=303).headers["Location"].startswith("http://localhost/login")
    app.get("/api/notifications", status=401)
    app.get("/api/notifications/settings", status=401)
    app.post_json("/api/notifications/read", {}, status=401)
    app.put_json("/api/notifications/settings", {}, status=401)
    assert app.get("/").html.find(id="bell") is None
    mei.browser.post("/notifications/read", status=403)
    assert mei.badge() == 1


def test_an_empty_page_invites(people):
    (mei,) = people("mei")
    assert "All quiet at the table" in mei.browser.get("/notifications").text
    assert "Nothing of this kind yet" in mei.browser.get("/notifications?type=like").text
    assert "Nothing of this kind" not in mei.browser.get("/notifications?type=nonsense&max_id=nonsense").text
    mei.send("GET", "/api/notifications?type=nonsense", status=400)


def test_old_ones_that_were_read_go(people, registry, run_jobs):
    mei, tom = people("mei", "tom")
    tom.likes(mei.eats())
    tom.likes(mei.eats())
    tom.likes(mei.eats())
    mei.send("POST", "/api/notifications/read", {"max_id": mei.told()[1]["id"]})
    newest, read, oldest = (int(item["id"]) for item in mei.told())
    with registry["engine"].begin() as connection:
        for id, days in ((newest, 200), (read, 181), (oldest, 179)):
            moved = new_id_at(now() - timedelta(days=days))
            connection.execute(update(Notification).where(Notification.id == id).values(id=moved))
    sweep = registry["jobs"].handlers["notifications.sweep"]
    sweep(registry, {})
    sweep(registry, {})
    assert sorted(item["read"] for item in mei.told()) == [False, True]
    assert str(read) not in [item["id"] for item in mei.told()]
