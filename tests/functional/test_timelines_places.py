"""Pages of places, in both faces: one for all ways to write the name, and none where nobody ate whom one may see."""

from __future__ import annotations

from typing import Any

import pytest

from mealshare.features.meals.places import place_path


@pytest.fixture
def mei(app: Any, make_user: Any, token: Any) -> Any:
    """Somebody who posts over the API."""
    person = make_user("mei")
    person.headers = token(app, person)
    person.post = lambda food, place, **more: (
        app.post_json("/api/meals", {"food": food, "place": {"name": place}, **more}, headers=person.headers).json
    )
    return person


@pytest.mark.parametrize("name", ["Old Wang’s", "24/7 Diner", "海底捞", "50 % off & more?", "a#b;c"])
def test_a_card_leads_to_the_place_and_the_place_to_its_meals(app: Any, mei: Any, name: str) -> None:
    mei.post("soup", name)
    mei.post("rice", name.upper() + " ")
    mei.post("elsewhere", "Home")
    for page in (app.get("/"), app.get(mei.post("stew", name)["url"])):
        link = next(
            link for link in page.html.select("a.p-location") if link.text.strip().casefold() == name.casefold()
        )
        place = app.get(link["href"])
        assert [card.find("h2").text for card in place.html.select("article.card")][-2:] == ["rice", "soup"]
    canonical = place.html.find("link", rel="canonical")["href"]
    assert app.get(canonical.removeprefix("http://localhost")).html.h1.text == place.html.h1.text
    found = app.get("/api/feed" + place_path(f" {name.upper()}")).json
    assert [meal["food"] for meal in found] == ["stew", "rice", "soup"]
    assert [meal["food"] for meal in app.get("/api/feed" + place_path(name) + "?limit=1").json] == ["stew"]


def test_a_place_is_there_for_those_who_may_see_a_meal_there(
    app: Any, new_app: Any, mei: Any, make_user: Any, token: Any, login: Any
) -> None:
    ann = make_user("ann")
    headers = token(app, ann)

    def statuses() -> list[int]:
        """To a visitor, to ann, to mei herself; the page says the same as the API."""
        found = []
        for person, sent in ((None, {}), (ann, headers), (mei, mei.headers)):
            status = new_app().get("/api/feed/places/hideout", headers=sent, status="*").status_int
            browser = new_app()
            if person is not None:
                login(browser, person)
            assert browser.get("/places/Hideout", status="*").status_int == status
            found.append(status)
        return found

    assert statuses() == [404, 404, 404]
    meal = mei.post("soup", "Hideout", visibility="only_me")
    assert statuses() == [404, 404, 200]

    def change(visibility: str) -> None:
        app.patch_json(f"/api/meals/{meal['id']}", {"visibility": visibility}, headers=mei.headers)

    change("followers")
    assert statuses() == [404, 404, 200]
    app.put("/api/users/mei/follow", headers=headers)
    assert statuses() == [404, 200, 200]
    change("unlisted")
    assert statuses() == [200, 200, 200]
    assert app.get("/api/feed/places/hideout").json == []
    change("public")
    assert len(app.get("/api/feed/places/hideout").json) == 1
    app.put("/api/users/ann/block", headers=mei.headers)
    assert statuses() == [200, 404, 200]
    app.delete(f"/api/meals/{meal['id']}", headers=mei.headers)
    assert statuses() == [404, 404, 404]
    app.get("/places/%00", status=404)
    app.get("/api/feed/places/Hideout?colour=red", status=404)
