"""What other sites and machines read of our pages: previews, embeds, data, microformats; and what they never may."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup

from mealshare.features.meals.vocabulary import Diet
from tests.functional.hostile_pages import HOSTILE


def metas(page: Any) -> dict[str, str]:
    """The page's <meta> elements by property or name."""
    found = page.html.find_all("meta", content=True)
    return {meta.get("property") or meta.get("name"): meta["content"] for meta in found}


def data_of(page: Any) -> Any:
    """The page's schema.org data, or None."""
    script = page.html.find("script", type="application/ld+json")
    return None if script is None else json.loads(script.string)


def alternates(page: Any) -> dict[str, str]:
    """The page's other forms, by media type."""
    return {link["type"]: link["href"] for link in page.html.find_all("link", rel="alternate")}


def page_of(app: Any, meal: Any) -> Any:
    return app.get(meal["url"].removeprefix("http://localhost"))


@pytest.mark.parametrize(("path", "feed"), [("/", "/feed"), ("/@mei", "/@mei/feed"), ("/tags/soup", "/tags/soup/feed")])
def test_pages_lead_to_their_feeds_and_have_a_preview(app, mei, path, feed):
    mei.post()
    page = app.get(path)
    found = alternates(page)
    assert found == {"application/atom+xml": f"{feed}.atom", "application/feed+json": f"{feed}.json"}
    for href in found.values():
        app.get(href, status=200)
    said = metas(page)
    canonical = page.html.find("link", rel="canonical")["href"]
    assert said["og:url"] == canonical
    assert said["og:title"] and said["og:site_name"] == "MealShare"
    assert said["twitter:card"] == "summary"
    assert app.get(said["og:image"].removeprefix("http://localhost")).content_type.startswith("image/")


def test_a_meal_has_a_preview_and_says_what_it_is(app, mei, photo):
    meal = mei.post(
        food="Mapo tofu", note="Hot  and\ngood", media=[photo("Red bowl")], diets=["vegan", "low_salt"],
        eaten_at="2026-03-01T19:30:00+08:00", time_zone="Asia/Shanghai",
        place={"name": "Old Wang", "city": "Chengdu", "country_code": "CN", "latitude": 30.6, "longitude": 104.1},
    )  # fmt: skip
    page = page_of(app, meal)
    said = metas(page)
    assert (said["og:type"], said["og:title"], said["og:url"]) == ("article", "Mei Lin: Mapo tofu", meal["url"])
    assert said["og:description"] == said["description"] == "Hot and good"
    assert said["og:image"] == meal["media"][0]["url"]
    assert (said["og:image:width"], said["og:image:height"], said["og:image:alt"]) == ("1600", "800", "Red bowl")
    assert said["article:published_time"] == meal["created_at"] and said["article:tag"] == "soup"
    assert said["twitter:card"] == "summary_large_image"
    assert data_of(page) == {
        "@context": "https://schema.org",
        "@type": "EatAction",
        "@id": meal["uri"],
        "url": meal["url"],
        "name": "Mei Lin: Mapo tofu",
        "description": "Hot and good",
        "image": [meal["media"][0]["url"]],
        "actionStatus": "https://schema.org/CompletedActionStatus",
        "startTime": "2026-03-01T19:30:00+08:00",
        "agent": {"@type": "Person", "name": "Mei Lin", "url": "http://localhost/@mei"},
        "object": {
            "@type": "MenuItem",
            "name": "Mapo tofu",
            "suitableForDiet": ["https://schema.org/VeganDiet", "https://schema.org/LowSaltDiet"],
        },
        "location": {
            "@type": "Place",
            "name": "Old Wang",
            "address": {"@type": "PostalAddress", "addressLocality": "Chengdu", "addressCountry": "CN"},
            "geo": {"@type": "GeoCoordinates", "latitude": 30.6, "longitude": 104.1},
        },
    }
    mei.change(meal, recipe_url="https://recipes.example/tofu")
    cooked = data_of(page_of(app, meal))["object"]
    assert (cooked["@type"], cooked["url"]) == ("Recipe", "https://recipes.example/tofu")


def test_every_diet_has_its_name_in_schema_org():
    from mealshare.features.feeds.vocabulary import RESTRICTED_DIETS

    names = "Diabetic GlutenFree Halal Hindu Kosher LowLactose LowSalt Vegan Vegetarian"
    assert set(RESTRICTED_DIETS.values()) == {f"https://schema.org/{name}Diet" for name in names.split()}
    assert RESTRICTED_DIETS.keys() == set(Diet)


def test_who_gets_what_of_a_meal(app, mei, login):
    login(app, mei)
    for visibility in ("public", "unlisted", "followers", "only_me"):
        meal = mei.post(food="unmistakable", note="words", visibility=visibility)
        page = page_of(app, meal)
        said, found = metas(page), alternates(page)
        assert found["application/atom+xml"] == "/@mei/feed.atom"
        shared, listed = visibility in ("public", "unlisted"), visibility == "public"
        assert ("og:title" in said) == ("description" in said) == ("application/json+oembed" in found) == shared
        assert (data_of(page) is not None) == (said.get("robots") != "noindex") == listed
        # The author asks, and gets what everybody gets.
        app.get("/oembed", {"url": meal["url"]}, status=200 if shared else 404)


@pytest.mark.parametrize("warning", [{"spoiler_text": "Raw meat"}, {"sensitive": True}])
def test_a_preview_keeps_to_the_warning(app, mei, photo, warning):
    meal = mei.post(food="covered", note="bloody words", media=[photo("blood")], **warning)
    page = page_of(app, meal)
    said, data = metas(page), data_of(page)
    embed = app.get("/oembed", {"url": meal["url"]})
    assert "og:image" not in said and "image" not in data and "thumbnail_url" not in embed.json
    assert said["og:description"] == data["description"] == (meal["spoiler_text"] or said["description"])
    for text in (str(said), str(data), embed.text):
        assert "blood" not in text and "/media/" not in text


def test_an_embed_is_a_quotation_with_a_link(app, mei, photo):
    meal = mei.post(food="<b>Tofu</b>", note="Good", media=[photo()])
    link = alternates(page_of(app, meal))["application/json+oembed"].removeprefix("http://localhost")
    answer = app.get(link)
    found = answer.json
    assert (found["version"], found["type"], found["width"]) == ("1.0", "rich", 550)
    assert (found["title"], found["author_name"], found["author_url"]) == (
        "Mei Lin: <b>Tofu</b>",
        "Mei Lin",
        "http://localhost/@mei",
    )
    assert (found["thumbnail_width"], found["thumbnail_height"]) == (1600, 800)
    html = BeautifulSoup(found["html"], "html.parser")
    assert {element.name for element in html.find_all()} == {"blockquote", "p", "a"}
    assert html.a["href"] == html.blockquote["cite"] == meal["url"]
    assert "Good" in html.text and "<b>Tofu</b>" in html.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    app.get(link, headers={"If-None-Match": answer.headers["ETag"]}, status=304)
    small = app.get(link, {"maxwidth": 500, "maxheight": 300}).json
    assert (small["width"], small["thumbnail_width"], small["thumbnail_height"]) == (500, 400, 200)
    assert app.get(small["thumbnail_url"].removeprefix("http://localhost")).status_int == 200
    assert "thumbnail_url" not in app.get(link, {"maxwidth": 100}).json
    for url in (meal["uri"], f"{meal['url']}#meal-1", f"{meal['url']}?x=1", meal["url"].replace("@mei", "@MEI")):
        assert app.get("/oembed", {"url": url, "lang": "fr", "format": "json"}).json == found


def test_what_cannot_be_embedded_is_a_problem_that_scripts_may_read(app, mei):
    meal = mei.post()
    url = meal["url"]
    asked = [
        ({}, 400), ({"url": ""}, 400), ({"url": url, "maxwidth": "0"}, 400), ({"url": url, "maxwidth": "wide"}, 400),
        ({"url": url, "format": "xml"}, 501), ({"url": url.replace("@mei", "@eve")}, 404), ({"url": "http://localhost/@mei"}, 404),
        ({"url": url.replace("localhost", "evil.example")}, 404), ({"url": url.replace("http://", "http://x@")}, 404),
        ({"url": "http://[::1"}, 404), ({"url": f"{url}0"}, 404), ({"url": "/@mei/" + meal["id"]}, 404), ({"url": "http://localhost/@%ff/1"}, 404),
        ({"url": "javascript:alert(1)"}, 404),
    ]  # fmt: skip
    for query, status in asked:
        answer = app.get("/oembed", query, status=status)
        assert answer.content_type == "application/problem+json", query
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "no-store" in answer.headers["Cache-Control"]


def test_whatever_is_typed_ends_no_element(app, mei):
    place = {"name": HOSTILE, "city": HOSTILE[:100]}
    meal = mei.post(food=HOSTILE[:140], note=HOSTILE, place=place)
    page = page_of(app, meal)
    scripts = page.html.find_all("script", src=None)
    assert [script["type"] for script in scripts] == ["application/ld+json"]
    assert not set("<>&\u2028\u2029") & set(scripts[0].string)
    data = data_of(page)
    assert data["object"]["name"] == meal["food"]
    assert data["location"]["name"] == meal["place"]["name"]
    assert metas(page)["og:title"] == f"Mei Lin: {meal['food']}"
    html = BeautifulSoup(app.get("/oembed", {"url": meal["url"]}).json["html"], "html.parser")
    assert {element.name for element in html.find_all()} == {"blockquote", "p", "a"}


# --- Microformats ---

#: Where the value of a property is, by its prefix and element (https://microformats.org/wiki/microformats2-parsing).
LINKS = {"a": "href", "img": "src", "data": "value"}


def microformats(page: Any) -> list[dict[str, Any]]:
    """The outermost microformats of the page: a parser of what is used here, and no more."""
    return [
        _item(element)
        for element in page.html.find_all(class_=_is_root)
        if element.find_parent(class_=_is_root) is None
    ]


def _is_root(name: str | None) -> bool:
    return bool(name and name.startswith("h-"))


def _item(root: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": [name for name in root["class"] if _is_root(name)], "children": []}
    for element in root.find_all(class_=True):
        if element.find_parent(class_=_is_root) is not root:
            continue
        names = [name for name in element["class"] if name[:2] in ("p-", "u-", "e-") or name.startswith("dt-")]
        roots = [name for name in element["class"] if _is_root(name)]
        if roots and not names:
            found["children"].append(_item(element))
        for name in names:
            kind, _, key = name.partition("-")
            value: Any = element.get_text(" ", strip=True)
            if roots:
                value = {"name": value, "url": urljoin("http://localhost/", element.get("href", ""))}
            elif kind == "u":
                value = urljoin("http://localhost/", element[LINKS[element.name]])
            elif kind == "dt":
                value = element["datetime"]
            found.setdefault(key, []).append(value)
    return found


def test_a_meal_is_an_entry(app, mei, photo):
    meal = mei.post(
        food="Mapo tofu", note="Hot", media=[photo()], place={"name": "Old Wang"}, eaten_at="2026-03-01T19:30:00Z"
    )  # fmt: skip
    (entry,) = microformats(page_of(app, meal))
    wanted = {
        "name": ["Mapo tofu"], "content": ["Hot"], "url": [meal["url"]], "published": [meal["created_at"]],
        "category": ["soup"], "location": ["Old Wang"], "author": [{"name": "Mei Lin", "url": "http://localhost/@mei"}],
    }  # fmt: skip
    assert entry["type"] == ["h-entry"]
    assert {name: entry[name] for name in wanted} == wanted
    assert entry["photo"] == [meal["media"][0]["url"]]
    for path in ("/", "/@mei", "/tags/soup"):
        (feed,) = (item for item in microformats(app.get(path)) if item["type"] == ["h-feed"])
        (card,) = feed["children"]
        assert card["type"] == ["h-entry"]
        assert {name: card[name] for name in wanted} == wanted
        assert card["photo"] == [meal["media"][0]["preview_url"]]
    person = next(item for item in microformats(app.get("/@mei")) if item["type"] == ["h-card"])
    assert (person["name"], person["nickname"]) == (["Mei Lin"], ["mei"])
    assert person["url"] == person["uid"] == ["http://localhost/@mei"]


def test_an_entry_shows_nothing_that_a_warning_covers(app, mei, photo):
    meal = mei.post(food="covered", spoiler_text="Raw meat", note="bloody words", media=[photo()])
    (entry,) = microformats(page_of(app, meal))
    (feed,) = (item for item in microformats(app.get("/")) if item["type"] == ["h-feed"])
    for found in (entry, feed["children"][0]):
        assert "photo" not in found and "content" not in found
        assert set(found["summary"]) == {"Raw meat"}
