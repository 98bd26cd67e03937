"""The picture of a person, in the settings and over JSON; and the photos that come with a form."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from webtest import Upload

from mealshare.core.errors import StorageExhausted
from mealshare.core.storage import StorageFull
from mealshare.features.media.avatars import make_avatar
from mealshare.features.media.settings import MediaSettings
from tests.features.media import corpus
from tests.features.media.helpers import pictures, stored, undecodable
from tests.people import form_with


@pytest.fixture
def mei(make_user):
    return make_user("mei")


@pytest.fixture
def headers(app, mei, token):
    return token(app, mei)


def put(app, headers, data, **options):
    body = app.encode_multipart([], [("file", "me.jpg", data)])
    return app.put("/api/user/avatar", body[1], headers=headers | {"Content-Type": body[0]}, **options)


def avatar_of(app):
    return app.get("/api/users/mei").json["avatar_url"]


@pytest.mark.parametrize(
    ("size", "edge"), [((800, 600), 320), ((600, 800), 320), ((100, 50), 50), ((3000, 700), 299), ((320, 320), 320)]
)
def test_an_avatar_is_the_square_in_the_middle(size, edge):
    image = Image.new("RGB", size, "red")
    side = min(size)
    box = ((size[0] - side) // 2, (size[1] - side) // 2)
    image.paste(Image.new("RGB", (side, side), "blue"), box)
    data = make_avatar(corpus.encode(image, "PNG"), MediaSettings())
    avatar = Image.open(io.BytesIO(data))
    assert avatar.format == "WEBP"
    assert avatar.size == (edge, edge)
    for corner in ((2, edge // 2), (edge - 3, edge // 2), (edge // 2, 2), (edge // 2, edge - 3)):
        red, _green, blue = avatar.convert("RGB").getpixel(corner)
        assert blue > 200 > 60 > red


def test_an_avatar_is_upright_and_free_of_metadata():
    data = make_avatar(corpus.all_metadata("JPEG"), MediaSettings())
    assert corpus.SECRET not in data
    assert b"EXIF" not in data
    turned = Image.open(io.BytesIO(make_avatar(corpus.turned("JPEG", 6), MediaSettings()))).convert("RGB")
    corner = turned.getpixel((3, 3))
    assert max(abs(a - b) for a, b in zip(corner, corpus.RED, strict=True)) < 60


def test_set_replace_remove_over_the_api(app, headers, picture, registry, run_jobs):
    assert avatar_of(app) is None
    first = put(app, headers, picture()).json["avatar_url"]
    assert avatar_of(app) == first
    answer = app.get(first)
    assert answer.content_type == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert Image.open(io.BytesIO(answer.body)).size == (320, 320)
    app.get(first, headers={"If-None-Match": answer.headers["ETag"]}, status=304)
    second = put(app, headers, picture("png")).json["avatar_url"]
    assert second != first
    run_jobs(registry)
    app.get(first, status=404)
    app.get(second)
    app.delete("/api/user/avatar", headers=headers, status=204)
    app.delete("/api/user/avatar", headers=headers, status=204)
    run_jobs(registry)
    assert avatar_of(app) is None
    assert stored(registry) == []


def test_a_new_avatar_is_on_every_card_at_once(app, headers, picture):
    app.post_json("/api/meals", {"food": "soup"}, headers=headers, status=201)
    assert app.get("/api/meals").json[0]["user"]["avatar_url"] is None
    url = put(app, headers, picture()).json["avatar_url"]
    assert app.get("/api/meals").json[0]["user"]["avatar_url"] == url
    assert url.removeprefix("http://localhost") in app.get("/")


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"<svg/>", 415), (b"", 422), (corpus.png(60_000, 60_000), 422), (b"\xff\xd8\xff" + b"0" * 12_000_000, 413)],
)
def test_a_bad_avatar_is_refused_and_leaves_nothing(app, headers, registry, data, status):
    put(app, headers, data, status=status)
    assert avatar_of(app) is None
    assert stored(registry) == []


def test_a_picture_that_breaks_while_it_is_decoded_leaves_nothing(app, headers, registry):
    problem = put(app, headers, undecodable(), status=422)
    assert problem.json["errors"][0]["code"] == "picture_broken"
    assert stored(registry) == []


def test_no_room_for_an_avatar(app, headers, picture, registry, monkeypatch):
    def full(*arguments):
        raise StorageFull("no space left on device")

    monkeypatch.setattr(registry["storage"], "put", full)
    assert put(app, headers, picture(), status=507).json["type"].endswith(StorageExhausted.code)
    assert avatar_of(app) is None


def test_visitors_have_no_avatar(app, picture, registry):
    put(app, {}, picture(), status=401)
    app.delete("/api/user/avatar", status=401)
    assert stored(registry) == []


def test_set_and_remove_in_the_settings(app, mei, login, picture, registry, run_jobs):
    login(app, mei)
    form = form_with(app.get("/settings/profile"), "avatar")
    assert "remove" not in form.fields
    form["avatar"] = Upload("me.jpg", picture(), "image/jpeg")
    page = form.submit(status=303).follow()
    assert "Your new picture is there." in page
    url = avatar_of(app)
    assert url.removeprefix("http://localhost") in page
    form = form_with(page, "avatar")
    page = form.submit("remove", status=303).follow()
    assert "Your picture is removed." in page
    assert avatar_of(app) is None
    run_jobs(registry)
    assert stored(registry) == []


@pytest.mark.parametrize(
    ("data", "words"), [(b"<svg/>", "no picture of a kind"), (b"", "This must be a file"), (b"\xff\xd8\xff", "broken")]
)
def test_what_is_wrong_is_said_on_the_page(app, mei, login, registry, data, words):
    login(app, mei)
    form = form_with(app.get("/settings/profile"), "avatar")
    if data:
        form["avatar"] = Upload("me.jpg", data, "image/jpeg")
    page = form.submit(status=303).follow()
    assert words in page
    assert page.html.find(class_="flash--error")
    assert stored(registry) == []


def test_the_form_cannot_be_forged(app, mei, login, registry, picture):
    login(app, mei)
    app.post("/settings/avatar", upload_files=[("avatar", "me.jpg", picture())], status=403)
    app.reset()
    form = form_with(app.get("/"), "csrf_token")
    answer = app.post("/settings/avatar", {"csrf_token": form["csrf_token"].value}, status=303)
    assert "/login" in answer.headers["Location"]
    assert stored(registry) == []


def compose(app):
    form = form_with(app.get("/new"), "food")
    form["food"] = "soup"
    return form


def test_photos_keep_their_words_whatever_inputs_stay_empty(app, mei, login, picture, registry):
    login(app, mei)
    form = compose(app)
    for index, words in ((1, "first"), (3, "second")):
        form.fields["photo"][index].value = Upload("a.jpg", picture(size=(20, 20)), "image/jpeg")
        form.fields["photo_alt"][index].value = words
    form.submit(status=303)
    assert [(row.position, row.description) for row in pictures(registry)] == [(0, "first"), (1, "second")]


def test_more_photos_than_a_meal_may_have(app, mei, login, picture, registry):
    login(app, mei)
    form = compose(app)
    fields = [(name, value) for name, value in form.submit_fields() if name not in ("photo", "photo_alt")]
    files = [("photo", f"{number}.jpg", picture(size=(20, 20))) for number in range(5)]
    page = app.post("/new", fields, upload_files=files, status=422)
    assert "At most 4 are allowed" in page
    assert stored(registry) == []


def test_words_where_a_photo_should_be(app, mei, login, registry):
    login(app, mei)
    fields = [(name, value) for name, value in compose(app).submit_fields() if name != "photo"]
    page = app.post("/new", [*fields, ("photo", "words")], status=422)
    assert "This must be a file." in page
    assert stored(registry) == []


def test_a_visitor_who_uploads_too_often_keeps_the_words(app, picture, registry, rate_limits):
    small = picture(size=(8, 8))
    # Each time a new basket and four photos: five of the thirty that the limit allows.
    for number in range(7):
        form = compose(app)
        for field in form.fields["photo"]:
            field.value = Upload("a.jpg", small, "image/jpeg")
        app.reset()  # Another basket; the address stays.
        form = compose(app)
        for field in form.fields["photo"]:
            field.value = Upload("a.jpg", small, "image/jpeg")
        page = form.submit(status="*")
        assert page.status_int == (303 if number < 6 else 422)
    assert "That was too often" in page
    assert form_with(page, "food")["food"].value == "soup"
    assert len(pictures(registry)) == 24
