"""Feeds: what is in them, what never is, and that whatever somebody types stays well-formed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import insert, update

from mealshare.features.accounts.models import Account
from mealshare.features.feeds.queries import (
    newest_meals,
    newest_of_account,
    newest_with_tag,
    site_map_part,
    site_map_parts,
)
from mealshare.features.meals.models import Meal, PostTag, Tag
from tests.functional.hostile_pages import HOSTILE
from tests.plans import plans_of
from tests.small_site import COMMON_TAG, FIRST_ACCOUNT, problems_of

ATOM = "{http://www.w3.org/2005/Atom}"
SITE_MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
FEEDS = ("/feed", "/@mei/feed", "/tags/soup/feed")
LONG_AGO = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def atom(app: Any, path: str) -> ET.Element:
    """The feed, which an XML parser reads and which has what RFC 4287 asks for."""
    answer = app.get(f"{path}.atom")
    assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    root = ET.fromstring(answer.body)
    check_atom(root, path)
    return root


def check_atom(root: ET.Element, path: str) -> None:
    """Sections 4.1.1 and 4.1.2: what a feed and each entry must have, once, and not empty."""
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.iter(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            (child,) = element.findall(f"{ATOM}{name}")
            assert child.text, name
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", element.findtext(f"{ATOM}updated", ""))
        assert element.find(f"{ATOM}id").text.startswith("http://localhost/")
        links = [(link.get("rel"), link.get("type"), link.get("hreflang")) for link in element.findall(f"{ATOM}link")]
        assert len(links) == len(set(links)) or "enclosure" in dict.fromkeys(rel for rel, *_ in links)
    assert root.find(f"{ATOM}link[@rel='self']").get("href") == f"http://localhost{path}.atom"
    for entry in root.iter(f"{ATOM}entry"):
        assert entry.findtext(f"{ATOM}author/{ATOM}name")
        content, alternate = entry.find(f"{ATOM}content"), entry.find(f"{ATOM}link[@rel='alternate']")
        assert alternate is not None
        assert content is None or (content.get("type") == "html" and content.text)
        assert content is not None or entry.findtext(f"{ATOM}summary")
    authors = [*root.findall(f"{ATOM}author"), *root.findall(f"{ATOM}entry/{ATOM}author")]
    assert authors


def json_feed(app: Any, path: str) -> Any:
    """The feed, with the members that JSON Feed 1.1 asks for."""
    answer = app.get(f"{path}.json")
    assert answer.headers["Content-Type"] == "application/feed+json; charset=utf-8"
    feed = answer.json
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["title"] and feed["feed_url"] == f"http://localhost{path}.json"
    for item in feed["items"]:
        assert isinstance(item["id"], str) and item["id"]
        assert "content_html" in item or "content_text" in item
        assert all(author.get("name") for author in item["authors"])
        assert all(attachment["url"] and attachment["mime_type"] for attachment in item.get("attachments", []))
    return feed


def test_a_meal_is_in_every_feed_with_all_that_it_says(app, mei, photo):
    meal = mei.post(
        food="Mapo tofu", note="Hot & *good*\n\n#sichuan", tags=["soup"], media=[photo("Red <bowl>"), photo("")], language="en"
    )  # fmt: skip
    for path in FEEDS:
        (entry,) = atom(app, path).findall(f"{ATOM}entry")
        assert entry.findtext(f"{ATOM}id") == meal["uri"]
        assert entry.findtext(f"{ATOM}title") == "Mapo tofu"
        assert entry.find(f"{ATOM}link[@rel='alternate']").get("href") == meal["url"]
        assert entry.findtext(f"{ATOM}published") == entry.findtext(f"{ATOM}updated") == meal["created_at"]
        assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Mei Lin"
        assert entry.findtext(f"{ATOM}author/{ATOM}uri") == "http://localhost/@mei"
        assert [item.get("term") for item in entry.findall(f"{ATOM}category")] == ["soup", "sichuan"]
        assert entry.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
        files = entry.findall(f"{ATOM}link[@rel='enclosure']")
        assert [file.get("href") for file in files] == [item["url"] for item in meal["media"]]
        bodies = [app.get(file.get("href")) for file in files]
        assert [file.get("length") for file in files] == [str(len(body.body)) for body in bodies]
        assert {file.get("type") for file in files} == {bodies[0].content_type}

        html = BeautifulSoup(entry.findtext(f"{ATOM}content", ""), "html.parser")
        first, second = html.find_all("img")
        assert first["src"] == meal["media"][0]["url"]
        assert (first["alt"], first["width"], first["height"], second["alt"]) == ("Red <bowl>", "1600", "800", "")
        assert "Hot & *good*" in html.text
        assert html.find("a", class_="hashtag")["href"] == "http://localhost/tags/sichuan"

        (item,) = json_feed(app, path)["items"]
        assert (item["id"], item["url"], item["title"]) == (meal["uri"], meal["url"], "Mapo tofu")
        assert item["content_html"] == entry.findtext(f"{ATOM}content")
        assert item["tags"] == ["soup", "sichuan"]
        assert (item["date_published"], item["language"]) == (meal["created_at"], "en")
        assert [file["url"] for file in item["attachments"]] == [item["url"] for item in meal["media"]]
        assert [file["size_in_bytes"] for file in item["attachments"]] == [len(body.body) for body in bodies]


def test_an_edit_is_told_and_the_newest_stands_first(app, mei, registry):
    first = mei.post(food="first")
    mei.post(food="second")
    with registry["engine"].begin() as writing:
        writing.execute(update(Meal).values(created_at=LONG_AGO))
    mei.change(first, note="More words")
    root = atom(app, "/feed")
    titles = [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")]
    assert titles == ["second", "first"]
    older = root.findall(f"{ATOM}entry")[1]
    assert older.findtext(f"{ATOM}published") == "2026-03-01T12:30:00Z"
    assert older.findtext(f"{ATOM}updated") > "2026-03-01T12:30:00Z"
    assert root.findtext(f"{ATOM}updated") == older.findtext(f"{ATOM}updated")


def test_a_content_warning_stands_for_what_it_covers(app, mei, photo):
    mei.post(food="covered", spoiler_text="Raw meat", note="bloody words", media=[photo("blood")])
    mei.post(food="veiled", sensitive=True, note="quiet words", media=[photo("blood")])
    veiled, covered = atom(app, "/feed").findall(f"{ATOM}entry")
    assert covered.findtext(f"{ATOM}summary") == "Raw meat"
    assert covered.find(f"{ATOM}content") is None
    assert "photos" in veiled.findtext(f"{ATOM}summary")
    assert veiled.findtext(f"{ATOM}content") == "<p>quiet words</p>"
    for path in ("/feed.atom", "/feed.json"):
        body = app.get(path).text
        assert "bloody" not in body and "blood" not in body and "/media/" not in body
    item = json_feed(app, "/feed")["items"][1]
    assert item["content_text"] == item["summary"] == "Raw meat"


@pytest.mark.parametrize("path", FEEDS)
@pytest.mark.parametrize("format", ["atom", "json"])
def test_only_what_everybody_may_see_and_find(app, new_app, mei, login, make_user, path, format):
    """The same bytes for a visitor, the author, and somebody whom the author has blocked."""
    mei.post(food="everybody's")
    for visibility in ("unlisted", "followers", "only_me"):
        mei.post(food=f"hidden {visibility}", visibility=visibility)
    make_user("eve")
    app.put("/api/users/eve/block", headers=mei.headers)
    readers = [new_app(), new_app(), new_app()]
    login(readers[1], mei)
    login(readers[2], make_user("eve2"))
    app.put("/api/users/eve2/block", headers=mei.headers)
    answers = [reader.get(f"{path}.{format}", headers={"Accept-Language": "zh-CN"}) for reader in readers]
    assert "everybody" in answers[0] and "hidden" not in answers[0]
    assert len({answer.body for answer in answers}) == 1
    for answer in answers:
        assert answer.headers["Cache-Control"] == "public, max-age=60"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        # Nothing but how small it is made depends on who asks.
        assert "Set-Cookie" not in answer.headers and answer.headers["Vary"] == "Accept-Encoding"


def test_made_private_it_is_gone_from_everywhere_at_once(app, mei):
    keep, meal = mei.post(food="stays"), mei.post(food="vanishing")
    part = int(meal["id"]) >> 43
    places = [f"{path}.{format}" for path in FEEDS for format in ("atom", "json")] + [f"/sitemap-meals-{part}.xml"]
    mark = meal["id"]
    tags = {path: app.get(path).headers["ETag"] for path in places}
    assert all(mark in app.get(path) for path in places)
    assert app.get("/oembed", {"url": meal["url"]}).json["title"] == "Mei Lin: vanishing"
    mei.change(meal, visibility="followers")
    for path in places:
        answer = app.get(path, headers={"If-None-Match": tags[path]})
        assert mark not in answer and keep["id"] in answer, path
    app.get("/oembed", {"url": meal["url"]}, status=404)
    mei.change(keep, visibility="only_me")
    assert f"/sitemap-meals-{part}.xml" not in app.get("/sitemap.xml")
    app.get("/tags/soup/feed.atom", status=404)
    assert json_feed(app, "/@mei/feed")["items"] == []


def test_a_suspended_person_is_in_nothing(app, mei, registry):
    meal = mei.post()
    with registry["engine"].begin() as writing:
        writing.execute(update(Account).values(suspended_at=LONG_AGO))
    app.get("/@mei/feed.atom", status=404)
    app.get("/oembed", {"url": meal["url"]}, status=404)
    for path in (
        "/feed.json",
        f"/sitemap-meals-{int(meal['id']) >> 43}.xml",
        f"/sitemap-people-{mei.account_id >> 47}.xml",
    ):
        assert "mei" not in app.get(path), path


def test_there_is_no_feed_of_what_does_not_exist(app):
    for path in ("/@nobody/feed.atom", "/@nobody/feed.json", "/tags/nothing/feed.atom", "/tags/%20/feed.json"):
        app.get(path, status=404)
    assert atom(app, "/feed").findtext(f"{ATOM}updated") == "1970-01-01T00:00:00Z"
    assert json_feed(app, "/feed")["items"] == []


def test_whoever_has_it_is_told_so(app, mei, registry):
    mei.post()
    quite_new = app.get("/feed.atom")
    assert "Last-Modified" not in quite_new.headers
    with registry["engine"].begin() as writing:
        # With its version, as every change is made.
        writing.execute(update(Meal).values(created_at=LONG_AGO, version=Meal.version + 1))
    for path in (f"{path}.{format}" for path in FEEDS for format in ("atom", "json")):
        answer = app.get(path)
        modified = answer.headers["Last-Modified"]
        assert modified == format_datetime(LONG_AGO, usegmt=True)
        same = app.get(path, headers={"If-None-Match": f'"x", W/{answer.headers["ETag"]}'}, status=304)
        assert same.body == b"" and same.headers["Cache-Control"] == "public, max-age=60"
        assert same.headers["ETag"] == answer.headers["ETag"]
        app.get(path, headers={"If-Modified-Since": modified}, status=304)
        later = format_datetime(LONG_AGO + timedelta(days=1), usegmt=True)
        # A later date is not this state: the newest meal may have gone, and the date with it.
        app.get(path, headers={"If-Modified-Since": later}, status=200)
        app.get(path, headers={"If-Modified-Since": modified, "If-None-Match": '"other"'}, status=200)


def test_whatever_is_typed_stays_well_formed(app, mei, photo, registry):
    meal = mei.post(
        food=HOSTILE[:140], note=HOSTILE, spoiler_text="", media=[photo(HOSTILE)], recipe_url="https://x.example/?a=1&b='\"<>",
        place={"name": HOSTILE, "city": HOSTILE[:100]}, tags=["soup", "日本"], language="en",
    )  # fmt: skip
    mei.post(spoiler_text=HOSTILE, note="x")
    app.patch_json(
        "/api/user/profile", {"bio": HOSTILE}, headers=mei.headers | {"Content-Type": "application/merge-patch+json"}
    )
    with registry["engine"].begin() as writing:
        writing.execute(update(Account).values(display_name=HOSTILE))
    for path in FEEDS:
        entry = atom(app, path).findall(f"{ATOM}entry")[1]
        assert entry.findtext(f"{ATOM}title") == meal["food"]
        assert entry.findtext(f"{ATOM}author/{ATOM}name") == HOSTILE
        html = BeautifulSoup(entry.findtext(f"{ATOM}content", ""), "html.parser")
        assert html.find("script") is None
        assert html.find("img")["alt"] == meal["media"][0]["description"]
        assert json_feed(app, path)["items"][1]["title"] == meal["food"]
    assert ET.fromstring(app.get(f"/sitemap-tags-{int(meal['id']) >> 47}.xml").body).findall(f".//{SITE_MAP}loc")


@pytest.fixture
def many(registry, mei):
    """``many(n)``: n public meals of mei's with the tag soup, quickly."""

    def add(number: int) -> None:
        with registry["engine"].begin() as writing:
            tag = int(writing.scalar(Tag.__table__.select().with_only_columns(Tag.id)) or 0)
            newest = mei.first + 1
            rows = [
                {
                    "id": newest + index, "kind": "meal", "account_id": mei.account_id, "uri": f"http://localhost/u/{index}",
                    "url": f"http://localhost/m/{index}", "food": "soup", "visibility": "public", "meal_type": "lunch",
                    "eaten_at": LONG_AGO, "created_at": LONG_AGO, "time_zone": "UTC", "eaten_on": LONG_AGO.date(),
                }
                for index in range(number)
            ]  # fmt: skip
            writing.execute(insert(Meal), rows)
            writing.execute(insert(PostTag), [{"post_id": row["id"], "tag_id": tag} for row in rows])

    mei.first = int(mei.post()["id"])
    return add


@pytest.mark.parametrize("meals", [1, 20, 100])
def test_the_number_of_statements_is_fixed(app, new_app, mei, login, many, count_statements, meals):
    many(meals)
    part = mei.first >> 43
    reader = new_app()
    login(reader, mei)
    wanted = {
        "/feed.atom": 1,
        "/@mei/feed.json": 2,
        "/tags/soup/feed.atom": 2,
        "/sitemap.xml": 1,
        f"/sitemap-meals-{part}.xml": 1,
    }
    for path, number in wanted.items():
        for browser, more in ((app, 0), (reader, 1)):
            with count_statements() as statements:
                answer = browser.get(path)
            assert len(statements) == number + more, path
    assert len(json_feed(app, "/feed")["items"]) == min(meals + 1, 30)
    assert answer.text.count("<url>") == meals + 1


def test_the_site_map_names_what_is_public(app, mei, make_user):
    make_user("quiet")
    mei.post(visibility="only_me", tags=["secret"])
    meal = mei.post(tags=["日本"])
    mei.change(meal, note="Edited")
    index = ET.fromstring(app.get("/sitemap.xml").body)
    assert index.tag == f"{SITE_MAP}sitemapindex"
    parts = [loc.text.removeprefix("http://localhost") for loc in index.iter(f"{SITE_MAP}loc")]
    assert all(part.count("/") == 1 for part in parts), "a site map speaks for the folder that it lies in"
    found = {}
    for part in parts:
        root = ET.fromstring(app.get(part).body)
        assert root.tag == f"{SITE_MAP}urlset"
        for url in root:
            found[url.findtext(f"{SITE_MAP}loc")] = url.findtext(f"{SITE_MAP}lastmod")
    pages = {"http://localhost/", "http://localhost/explore", "http://localhost/about"}
    assert found.keys() == {*pages, "http://localhost/@mei", meal["url"], "http://localhost/tags/%E6%97%A5%E6%9C%AC"}
    assert found[meal["url"]] == app.get(f"/api/meals/{meal['id']}").json["edited_at"]
    for path in ("/sitemap-pages-1.xml", "/sitemap-comments-0.xml", "/sitemap-meals-x.xml"):
        app.get(path, status=404)
    for path in ("/sitemap-meals-9999999.xml", "/sitemap-meals-1048575.xml", "/sitemap-tags-0.xml"):
        assert "<url>" not in app.get(path)
    assert "Sitemap: http://localhost/sitemap.xml" in app.get("/robots.txt").text.splitlines()


def test_feeds_and_site_maps_are_read_from_their_indexes(small_site, backend):
    wanted = {
        "posts USING INDEX ix_posts_public_meals": lambda: newest_meals(small_site),
        "posts USING INDEX ix_posts_account_meals": lambda: newest_of_account(small_site, FIRST_ACCOUNT + 5),
        "post_tags USING COVERING INDEX": lambda: newest_with_tag(small_site, COMMON_TAG),
        "SEARCH posts USING INDEX ix_posts_public_meals": lambda: site_map_parts(small_site),
        "ix_posts_public_meals": lambda: site_map_part(small_site, "", "meals", 0),
    }
    for words, read in wanted.items():
        with plans_of(small_site) as plans:
            assert read()
        (plan,) = plans
        assert backend == "postgresql" or words in plan, plan
        assert problems_of(plan) == [], plan
    for kind in ("people", "tags"):
        with plans_of(small_site) as plans:
            site_map_part(small_site, "", kind, 0)
        # PostgreSQL rightly looks at all of the twenty accounts and forty tags of this site.
        assert backend == "postgresql" or "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plans[0], plans[0]
