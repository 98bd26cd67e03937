"""What another application shares: it comes into the compose box, and nowhere else until its owner says so."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select

from mealshare.features.feeds.drafts import prefilled
from mealshare.features.feeds.schemas import Shared
from mealshare.features.meals.models import Post
from mealshare.features.media.models import Media, UploadBasket
from tests.people import form_with

#: As Chromium on Android opens a share target: nobody's page asked for it.
DEVICE = {"Sec-Fetch-Site": "none", "Origin": "null"}
WORDS = {"title": "Dan dan noodles", "text": "From the corner shop", "url": "https://recipes.example/dan?a=1&b=2"}


def share(app: Any, *photos: bytes, headers: Any = None, status: int = 303, **texts: str) -> Any:
    """What the operating system sends."""
    files = [("photo", f"IMG_{number}.jpg", data, "image/jpeg") for number, data in enumerate(photos)]
    return app.post(
        "/share",
        list(texts.items()),
        upload_files=files or [("photo", "", b"")],
        headers=headers or DEVICE,
        status=status,
    )


def box(app: Any) -> Any:
    return form_with(app.get("/new"), "food")


def count(registry: Any, model: Any = Post) -> int:
    with registry["read_engine"].connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(model.__table__)) or 0)


def register(app: Any) -> Any:
    form = form_with(app.get("/register"), "password")
    form["username"], form["email"], form["password"] = "newcomer", "new@example.org", "plum cobbler on a tuesday"
    return form.submit(status=303).follow()


def test_the_device_finds_out_where_to_share(app):
    manifest = app.get("/manifest.webmanifest").json
    target = manifest["share_target"]
    assert (target["action"], target["method"], target["enctype"]) == ("/share", "POST", "multipart/form-data")
    assert target["params"]["files"][0]["name"] == "photo"
    for icon in manifest["icons"]:
        assert app.get(icon["src"]).content_type == icon["type"]
    assert {icon["sizes"] for icon in manifest["icons"]} >= {"192x192", "512x512"}
    assert [shortcut["url"] for shortcut in manifest["shortcuts"]] == ["/new", "/diary"]
    chinese = app.get("/manifest.webmanifest", headers={"Accept-Language": "zh-CN"}).json
    assert chinese["lang"] == "zh-Hans"


def test_the_shortcut_to_the_diary(app, make_user, login):
    assert app.get("/diary", status=303).headers["Location"].endswith("/login?next=%2Fdiary")
    login(app, make_user("mei"))
    assert app.get("/diary", status=303).headers["Location"] == "http://localhost/@mei/diary"


def test_shared_words_and_photos_wait_in_the_box(app, make_user, login, picture, registry):
    login(app, make_user("mei"))
    answer = share(app, picture(), picture("png"), **WORDS)
    assert answer.headers["Location"] == "http://localhost/new"
    assert count(registry) == 0
    form = box(app)
    assert (form["food"].value, form["note"].value, form["recipe_url"].value) == (
        WORDS["title"],
        WORDS["text"],
        WORDS["url"],
    )
    assert len(form.fields["media_id"]) == 2
    page = app.get("/new").html
    assert page.find(id="note").find_parent("details").has_attr("open"), "what is filled in must be seen"
    meal = form.submit(status=303).follow()
    assert meal.html.find("h1").text == "Dan dan noodles"
    assert count(registry) == 1
    assert box(app)["food"].value == "" and "media_id" not in box(app).fields


def test_a_visitor_shares_and_says_later_that_it_is_a_meal(app, picture, registry):
    share(app, picture(), text="Dumplings")
    form = box(app)
    assert form["food"].value == "Dumplings" and len(form.fields["media_id"]) == 1
    assert form.submit(status=303).headers["Location"].endswith("/register")
    page = register(app)
    assert "Your meal is published" in page
    assert page.html.find("h1").text == "Dumplings"
    assert count(registry) == 1


def test_what_was_only_shared_is_not_published_by_signing_in(app, picture, registry, make_user, login):
    share(app, picture(), text="Dumplings")
    page = register(app)
    assert page.request.path == "/new"
    assert "could not be published" not in page
    form = form_with(page, "food")
    assert form["food"].value == "Dumplings" and len(form.fields["media_id"]) == 1
    assert count(registry) == 0
    form.submit(status=303)
    assert count(registry) == 1

    share(app, text="Again")
    app.post("/logout", {"csrf_token": app.get("/").forms[0]["csrf_token"].value})
    login(app, make_user("mei"))
    assert count(registry) == 1


def test_what_somebody_wrote_before_is_not_lost(app, picture, registry):
    form = box(app)
    form["food"], form["note"] = "Soup", "Words that took long"
    form.submit(status=303)
    share(app, picture(), title="Something else", url=WORDS["url"])
    share(app, picture())
    form = box(app)
    assert (form["food"].value, form["note"].value, form["recipe_url"].value) == (
        "Soup",
        "Words that took long",
        WORDS["url"],
    )
    assert len(form.fields["media_id"]) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "odd"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("signed_in", [False, True])
def test_no_other_site_can_share(app, make_user, login, picture, registry, headers, signed_in):
    if signed_in:
        login(app, make_user("mei"))
    answer = share(app, picture(), headers=headers, status=403, text="planted")
    assert "basket" not in answer.headers.get("Set-Cookie", "")
    assert (count(registry, Media), count(registry, UploadBasket)) == (0, 0)
    assert box(app)["food"].value == ""


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {"Origin": "http://localhost"}, {"X-Old": "browser"}], ids=str
)  # fmt: skip
def test_the_site_itself_and_old_browsers_may(app, headers):
    share(app, headers=headers, text="Dumplings")
    assert box(app)["food"].value == "Dumplings"


def test_a_link_fills_the_box_and_keeps_nothing(app, registry):
    page = app.get("/share?" + urlencode(WORDS))
    form = form_with(page, "food")
    assert (form["food"].value, form["note"].value, form["recipe_url"].value) == tuple(WORDS.values())
    assert form.action == "/new"
    assert count(registry, UploadBasket) == 0
    assert box(app)["food"].value == ""
    assert form_with(app.get("/share"), "food")["food"].value == ""


def test_a_picture_that_cannot_be_kept_is_told(app, picture, registry):
    page = share(app, picture(), b"<script>", text="Soup").follow()
    assert page.html.find(class_="flash--error")
    form = form_with(page, "food")
    assert form["food"].value == "Soup" and len(form.fields["media_id"]) == 1
    page = share(app, *[picture(size=(40, 30))] * 5).follow()
    assert "4" in page.html.find(class_="flash--error").text


def test_sharing_counts_with_the_uploads(app, new_app, picture, rate_limits, registry):
    for _ in range(15):
        share(new_app(), picture(size=(40, 30)))
    refused = share(new_app(), text="one more", status=429)
    assert int(refused.headers["Retry-After"]) > 0
    assert (count(registry, UploadBasket), count(registry, Media)) == (15, 15)


def test_a_form_that_cannot_be_read_is_refused(app):
    app.post("/share", b"junk", headers=DEVICE | {"Content-Type": "multipart/form-data"}, status=400)
    app.post("/share", b"%ff=%ff", headers=DEVICE | {"Content-Type": "application/json"}, status=303)
    files = [("title", "a.txt", b"a file where a text should be")]
    app.post("/share", upload_files=files, headers=DEVICE, status=303)
    assert box(app)["food"].value == ""


LINK = "https://recipes.example/dan"


@pytest.mark.parametrize(
    ("shared", "found"),
    [
        (Shared("", "Dumplings", ""), {"food": "Dumplings"}),
        (Shared("", f"Dumplings {LINK}", ""), {"food": "Dumplings", "recipe_url": LINK}),
        (Shared("", LINK, ""), {"recipe_url": LINK}),
        (Shared("Dumplings", f"Dumplings\n{LINK}", ""), {"food": "Dumplings", "recipe_url": LINK}),
        (Shared("Dumplings", LINK, LINK), {"food": "Dumplings", "recipe_url": LINK}),
        (Shared("Dumplings", "Two\nlines", ""), {"food": "Dumplings", "note": "Two\nlines"}),
        (Shared("", "Two\nlines", ""), {"note": "Two\nlines"}),
        (Shared("", "x" * 141, ""), {"note": "x" * 141}),
        (Shared("y" * 141, "x", ""), {"note": "y" * 141 + "\nx"}),
        (Shared("", "x" * 9_000, ""), {"note": "x" * 2_000}),
        (Shared("a\0b", "\ud800", "javascript:alert(1)"), {}),
        (Shared("", "see https://other.example", LINK), {"food": "see https://other.example", "recipe_url": LINK}),
    ],
    ids=str,
)
def test_what_goes_where(shared, found):
    words = prefilled(shared)
    words.pop("_open", None)
    assert words == found
