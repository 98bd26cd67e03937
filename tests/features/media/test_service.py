"""The picture service on a real database and a real folder."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from mealshare.core import clock
from mealshare.core.errors import InputInvalid, NotFound, StorageExhausted
from mealshare.core.jobs.models import Job
from mealshare.core.storage import StorageFull
from mealshare.core.text import clean_text
from mealshare.features.media.events import MediaDescribed, MediaRemoved
from mealshare.features.media.factory import media_service
from mealshare.features.media.models import UploadBasket
from mealshare.features.media.queries import find_basket, media_in_basket, waiting_media
from mealshare.features.media.service import MAX_IN_BASKET
from tests.features.media.helpers import pictures, stored, upload


class Boom(Exception):
    pass


@pytest.fixture
def mei(make_user):
    return make_user("mei")


@pytest.fixture
def post(app, mei, token):
    """``post()``: the id of a new meal of Mei's, without pictures."""
    headers = token(app, mei)
    return lambda: int(app.post_json("/api/meals", {"food": "toast"}, headers=headers).json["id"])


def attach(registry: Any, account_id: int, post_id: int, *items: Any) -> bool:
    with registry["open_work"]() as work:
        pairs = [item if isinstance(item, tuple) else (item, None) for item in items]
        return media_service(work, registry).attach(account_id, post_id, pairs)


def job_names(registry: Any) -> list[str]:
    with registry["open_work"]() as work:
        return list(work.session.scalars(select(Job.name).order_by(Job.id)))


def test_an_upload_is_a_row_a_file_and_a_job(registry, mei, picture):
    id = upload(registry, picture(), account_id=mei.account_id, description="  Noodles \r\n with egg ")
    [row] = pictures(registry)
    assert (row.id, row.account_id, row.state) == (id, mei.account_id, "processing")
    assert row.description == clean_text("  Noodles \r\n with egg ", multiline=True)
    assert stored(registry) == [f"originals/{row.storage_key}"]
    assert job_names(registry) == ["media.process"]


def test_a_rolled_back_upload_leaves_nothing(registry, mei, picture):
    with pytest.raises(Boom), registry["open_work"]() as work:
        media_service(work, registry).upload(picture(), account_id=mei.account_id)
        assert len(stored(registry)) == 1
        raise Boom
    assert stored(registry) == []
    assert pictures(registry) == []
    assert job_names(registry) == []


def test_a_savepoint_decides_nothing_about_the_file(registry, mei, picture):
    with pytest.raises(Boom), registry["open_work"]() as work:
        media_service(work, registry).upload(picture(), account_id=mei.account_id)
        with work.session.begin_nested():
            pass
        raise Boom
    assert stored(registry) == []
    with registry["open_work"]() as work:
        media_service(work, registry).upload(picture(), account_id=mei.account_id)
        with pytest.raises(Boom), work.session.begin_nested():
            raise Boom
    assert len(stored(registry)) == 1


def test_a_row_that_cannot_be_written_leaves_no_file(registry, picture):
    with pytest.raises(IntegrityError):
        upload(registry, picture(), account_id=12345)
    assert stored(registry) == []


def test_no_room_is_told_as_such(registry, mei, picture, monkeypatch):
    def full(*args: Any) -> None:
        raise StorageFull("no space left on device")

    monkeypatch.setattr(registry["storage"], "put", full)
    with pytest.raises(StorageExhausted), registry["open_work"]() as work:
        media_service(work, registry).upload(picture(), account_id=mei.account_id)
    assert pictures(registry) == []


@pytest.mark.parametrize(("text", "code"), [("x" * 1501, "too_long"), ("a\0b", "control_characters")])
def test_bad_words_are_refused_before_anything_is_written(registry, mei, picture, text, code):
    with pytest.raises(InputInvalid) as caught:
        upload(registry, picture(), account_id=mei.account_id, description=text)
    assert [(error.field, error.code) for error in caught.value.errors] == [("description", code)]
    assert stored(registry) == []


def test_a_picture_has_exactly_one_owner(registry, picture):
    with pytest.raises(ValueError, match="belongs to"):
        upload(registry, picture())
    with pytest.raises(ValueError, match="belongs to"):
        upload(registry, picture(), account_id=1, basket_id=2)


def test_attach_sets_exactly_these_in_this_order(registry, mei, picture, post, run_jobs):
    one, two, three = (upload(registry, picture(), account_id=mei.account_id, description=str(n)) for n in range(3))
    meal = post()
    assert attach(registry, mei.account_id, meal, two, (one, "words"))
    rows = {row.id: row for row in pictures(registry)}
    assert [(rows[id].post_id, rows[id].position, rows[id].description) for id in (one, two, three)] == [
        (meal, 1, "words"), (meal, 0, "1"), (None, 0, "2"),
    ]  # fmt: skip
    assert not attach(registry, mei.account_id, meal, two, one), "nothing changed"
    assert not attach(registry, mei.account_id, meal, two, (one, "words"))
    assert attach(registry, mei.account_id, meal, two, (one, "")), "the words changed"
    assert attach(registry, mei.account_id, meal, one, two), "the order changed"
    run_jobs(registry)
    assert attach(registry, mei.account_id, meal, three), "the set changed"
    run_jobs(registry)
    [left] = pictures(registry)
    assert (left.id, left.position) == (three, 0)
    assert stored(registry) == sorted(f"media/{left.storage_key}-{edge}.webp" for edge in (400, 1600))


def test_what_cannot_be_attached_is_named(registry, mei, make_user, picture, post):
    mine = upload(registry, picture(), account_id=mei.account_id)
    foreign = upload(registry, picture(), account_id=make_user("li").account_id)
    taken = upload(registry, picture(), account_id=mei.account_id)
    attach(registry, mei.account_id, post(), taken)
    meal = post()
    with pytest.raises(InputInvalid) as caught:
        attach(registry, mei.account_id, meal, mine, foreign, taken, 99)
    assert [(error.field, error.code) for error in caught.value.errors] == [
        ("media/1", "media_not_found"), ("media/2", "media_not_found"), ("media/3", "media_not_found"),
    ]  # fmt: skip
    with pytest.raises(InputInvalid) as caught:
        attach(registry, mei.account_id, meal, mine, mine)
    assert [(error.field, error.code) for error in caught.value.errors] == [("media/1", "duplicate")]
    with pytest.raises(InputInvalid) as caught:
        attach(registry, mei.account_id, meal, *range(1, 6))
    assert [(error.field, error.code, error.params) for error in caught.value.errors] == [
        ("media", "too_many", {"max": 4})
    ]
    assert {row.id: row.post_id for row in pictures(registry)}[mine] is None


@pytest.mark.stress
def test_one_picture_never_gets_into_two_posts(registry, mei, picture, post):
    meals = [post() for _ in range(4)]
    for _ in range(5):
        id = upload(registry, picture(size=(40, 40)), account_id=mei.account_id)
        barrier = threading.Barrier(len(meals))
        outcomes: list[Any] = []

        def run(meal: int, id: int = id, barrier: Any = barrier, outcomes: list[Any] = outcomes) -> None:
            barrier.wait()
            try:
                attach(registry, mei.account_id, meal, id)
                outcomes.append(meal)
            except InputInvalid as invalid:
                outcomes.append(invalid.errors[0].code)
            except Exception as error:
                outcomes.append(repr(error))

        threads = [threading.Thread(target=run, args=(meal,)) for meal in meals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert len(winners) == 1, outcomes
        assert outcomes.count("media_not_found") == len(meals) - 1, outcomes
        assert next(row.post_id for row in pictures(registry) if row.id == id) == winners[0]


def test_describe_and_remove_tell_of_pictures_in_posts_only(registry, mei, picture, post, monkeypatch):
    told: list[object] = []
    for event in (MediaDescribed, MediaRemoved):
        handlers = [*registry["events"].handlers.get(event, ()), lambda work, event: told.append(event)]
        monkeypatch.setitem(registry["events"].handlers, event, handlers)
    loose, shown = (upload(registry, picture(), account_id=mei.account_id) for _ in range(2))
    meal = post()
    attach(registry, mei.account_id, meal, shown)
    with registry["open_work"]() as work:
        service = media_service(work, registry)
        for id in (loose, shown):
            assert service.describe(mei.account_id, id, "soup")["description"] == "soup"
            service.describe(mei.account_id, id, "soup")
        service.remove(mei.account_id, loose)
        service.remove(mei.account_id, shown)
        with pytest.raises(NotFound):
            service.remove(mei.account_id, shown)
    assert told == [MediaDescribed(shown, meal), MediaRemoved(shown, meal)]


def test_somebody_elses_picture_is_not_found(registry, mei, make_user, picture):
    id = upload(registry, picture(), account_id=mei.account_id)
    other = make_user("li").account_id
    with registry["open_work"]() as work:
        service = media_service(work, registry)
        for act in (lambda: service.remove(other, id), lambda: service.describe(other, id, "mine")):
            with pytest.raises(NotFound):
                act()
        assert waiting_media(work.connection, other, [str(id)]) == []
        mine = waiting_media(work.connection, mei.account_id, [str(id), "x", "-1", "9" * 30])
        assert [row["id"] for row in mine] == [id]


def test_pictures_of_a_post_go_with_their_files(registry, mei, picture, post, run_jobs):
    ids = [upload(registry, picture(size=(50, 40)), account_id=mei.account_id) for _ in range(3)]
    meal = post()
    attach(registry, mei.account_id, meal, *ids[:2])
    run_jobs(registry)
    with registry["open_work"]() as work:
        media_service(work, registry).remove_of_post(meal)
    run_jobs(registry)
    [left] = pictures(registry)
    assert left.id == ids[2]
    assert all(left.storage_key in file for file in stored(registry))
    assert len(stored(registry)) == 2


def test_a_basket_is_kept_found_and_claimed_once(registry, mei, picture):
    with registry["open_work"]() as work:
        service = media_service(work, registry)
        basket, token = service.open_basket(None)
        basket.form = '{"data": {"food": "soup"}}'
        row = service.upload(picture(), basket_id=basket.id, description="soup")
        again, same = service.open_basket(token)
        assert (again.id, same) == (basket.id, token)
        assert [item["id"] for item in media_in_basket(work.connection, basket.id)] == [row["id"]]
    with registry["read_engine"].connect() as connection:
        view = find_basket(connection, token)
        assert view.form == {"data": {"food": "soup"}}
        assert [(item["id"], item["description"]) for item in view.media] == [(row["id"], "soup")]
        assert find_basket(connection, "guess") is None
    with registry["open_work"]() as work:
        claimed = media_service(work, registry).claim_basket(token, mei.account_id)
        assert claimed.form == view.form
        assert [item["account_id"] for item in claimed.media] == [mei.account_id]
    with registry["open_work"]() as work:
        assert media_service(work, registry).claim_basket(token, mei.account_id) is None
        assert work.session.scalars(select(UploadBasket)).all() == []
    [media] = pictures(registry)
    assert (media.account_id, media.basket_id) == (mei.account_id, None)


def test_a_basket_older_than_a_day_is_not_opened(registry, mei):
    with registry["open_work"]() as work:
        _basket, token = media_service(work, registry).open_basket("not a token")
        assert token != "not a token"
    with registry["open_work"]() as work:
        work.session.execute(update(UploadBasket).values(created_at=clock.now() - timedelta(hours=24, seconds=1)))
    with registry["open_work"]() as work:
        service = media_service(work, registry)
        assert find_basket(work.connection, token) is None
        assert service.claim_basket(token, mei.account_id) is None
        assert service.open_basket(token)[1] != token


def test_a_basket_holds_only_so_many(registry, picture):
    small = picture(size=(20, 20))
    with registry["open_work"]() as work:
        service = media_service(work, registry)
        basket, _token = service.open_basket(None)
        for _ in range(MAX_IN_BASKET):
            service.upload(small, basket_id=basket.id)
        with pytest.raises(InputInvalid) as caught:
            service.upload(small, basket_id=basket.id)
    assert caught.value.errors[0].code == "too_many"
    assert len(stored(registry)) == MAX_IN_BASKET
    assert len(pictures(registry)) == MAX_IN_BASKET
