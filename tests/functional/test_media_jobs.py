"""What happens after the answer: processing that fails and is tried again, and sweeping up."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from mealshare.core.clock import now
from mealshare.core.jobs.models import Job
from mealshare.core.storage import StorageFull
from mealshare.features.media import jobs
from mealshare.features.media.avatars import AvatarService
from mealshare.features.media.events import MediaProcessed
from mealshare.features.media.factory import media_service
from mealshare.features.media.models import Media, UploadBasket
from mealshare.features.media.sweep import Swept, sweep
from tests.features.media.helpers import pictures, stored, undecodable, upload


@pytest.fixture
def mei(make_user):
    return make_user("mei")


@pytest.fixture
def told(registry, monkeypatch):
    """The events that were published."""
    events: list[MediaProcessed] = []
    handlers = [*registry["events"].handlers.get(MediaProcessed, ()), lambda work, event: events.append(event)]
    monkeypatch.setitem(registry["events"].handlers, MediaProcessed, handlers)
    return events


def variants(*rows):
    return sorted(f"media/{row.storage_key}-{edge}.webp" for row in rows for edge in (400, 1600))


def age_files(registry, seconds):
    moment = time.time() - seconds
    for path in registry["storage"].folder.rglob("*"):
        if path.is_file():
            os.utime(path, (moment, moment))


def make_due(registry):
    with registry["open_work"]() as work:
        work.session.execute(update(Job).values(run_at=now()))


def test_processing(registry, mei, picture, run_jobs, told):
    id = upload(registry, picture(size=(2000, 1000)), account_id=mei.account_id)
    assert run_jobs(registry) == 1
    [row] = pictures(registry)
    assert (row.state, row.error, row.width, row.height) == ("ready", None, 2000, 1000)
    assert stored(registry) == variants(row)
    assert told == [MediaProcessed(id, None)]


def test_processing_twice_changes_nothing(registry, mei, picture, run_jobs, told):
    id = upload(registry, picture(), account_id=mei.account_id)
    run_jobs(registry)
    before = stored(registry)
    # As after a kill between the commit and the removal of the original.
    registry["storage"].put(f"originals/{pictures(registry)[0].storage_key}", b"left", "image/jpeg")
    jobs.process(registry, {"media_id": id})
    assert stored(registry) == before
    assert len(told) == 1


def test_a_picture_that_cannot_be_decoded_fails_for_good(registry, mei, run_jobs, told):
    id = upload(registry, undecodable(), account_id=mei.account_id)
    run_jobs(registry)
    [row] = pictures(registry)
    assert (row.state, row.error, row.width) == ("failed", "broken", None)
    assert stored(registry) == []
    assert told == [MediaProcessed(id, None)]
    assert run_jobs(registry) == 0


def test_a_lost_original_fails_for_good(registry, mei, picture, run_jobs):
    upload(registry, picture(), account_id=mei.account_id)
    [row] = pictures(registry)
    registry["storage"].delete(f"originals/{row.storage_key}")
    run_jobs(registry)
    assert [(row.state, row.error) for row in pictures(registry)] == [("failed", "lost")]


def test_a_full_disk_is_tried_again(registry, mei, picture, run_jobs, monkeypatch, told):
    upload(registry, picture(), account_id=mei.account_id)
    [row] = pictures(registry)
    storage = registry["storage"]
    put = storage.put

    def nearly_full(key, data, content_type):
        if key.endswith("-400.webp"):
            raise StorageFull("no space left on device")
        put(key, data, content_type)

    monkeypatch.setattr(storage, "put", nearly_full)
    run_jobs(registry)
    assert pictures(registry)[0].state == "processing"
    assert f"originals/{row.storage_key}" in stored(registry)
    assert told == []
    with registry["open_work"]() as work:
        [job] = work.session.scalars(select(Job))
        assert job.run_at > now()
        assert "StorageFull" in job.last_error
    monkeypatch.undo()
    make_due(registry)
    run_jobs(registry)
    assert pictures(registry)[0].state == "ready"
    assert stored(registry) == variants(row)


def test_a_picture_removed_while_it_is_decoded_leaves_nothing(registry, mei, picture, monkeypatch, told):
    id = upload(registry, picture(), account_id=mei.account_id)
    render = jobs._render

    def slow(*arguments):
        rendition = render(*arguments)
        with registry["open_work"]() as work:
            work.session.execute(delete(Media))
        return rendition

    monkeypatch.setattr(jobs, "_render", slow)
    jobs.process(registry, {"media_id": id})
    assert stored(registry) == []
    assert told == []


def test_no_transaction_is_open_while_a_picture_is_decoded(registry, mei, picture, monkeypatch):
    id = upload(registry, picture(), account_id=mei.account_id)
    render = jobs._render

    def check(*arguments):
        assert registry["engine"].pool.checkedout() == 0
        return render(*arguments)

    monkeypatch.setattr(jobs, "_render", check)
    jobs.process(registry, {"media_id": id})
    assert pictures(registry)[0].state == "ready"


def test_processing_what_is_not_there_is_harmless(registry):
    jobs.process(registry, {"media_id": 1})
    jobs.delete_files(registry, {"keys": ["media/none-400.webp", "originals/none"]})
    assert stored(registry) == []


def test_sweep_takes_what_waited_too_long_and_nothing_else(app, registry, mei, token, picture, run_jobs):
    headers = token(app, mei)
    shown, fresh, old, failed = (upload(registry, picture(size=(9, 9)), account_id=mei.account_id) for _ in range(4))
    app.post_json("/api/meals", {"media": [{"id": str(shown)}]}, headers=headers, status=201)
    run_jobs(registry)
    with registry["open_work"]() as work:
        long_ago = now() - timedelta(hours=24, seconds=1)
        work.session.execute(update(Media).where(Media.id != fresh).values(created_at=long_ago))
        work.session.execute(update(Media).where(Media.id == fresh).values(created_at=long_ago + timedelta(minutes=1)))
        work.session.execute(update(Media).where(Media.id == failed).values(state="failed", error="broken"))
    assert sweep(registry) == Swept(pictures=2)
    assert [row.id for row in pictures(registry)] == [shown, fresh]
    assert old not in {row.id for row in pictures(registry)}
    assert stored(registry) == variants(*pictures(registry))
    assert not sweep(registry)


def test_sweep_takes_old_baskets_with_what_is_in_them(registry, picture, run_jobs):
    with registry["open_work"]() as work:
        service = media_service(work, registry)
        for _ in range(2):
            basket, _token = service.open_basket(None)
            service.upload(picture(), basket_id=basket.id)
        last = basket.id
    run_jobs(registry)
    long_ago = now() - timedelta(hours=25)
    with registry["open_work"]() as work:
        work.session.execute(update(Media).values(created_at=long_ago))
        work.session.execute(update(UploadBasket).where(UploadBasket.id != last).values(created_at=long_ago))
    assert sweep(registry) == Swept(pictures=1, baskets=1)
    [row] = pictures(registry)
    assert row.basket_id == last
    assert stored(registry) == variants(row)


def test_sweep_takes_files_without_a_row_once_they_are_old(registry, mei, picture, run_jobs):
    ready = upload(registry, picture(), account_id=mei.account_id)
    run_jobs(registry)
    waiting = upload(registry, picture(), account_id=mei.account_id)
    with registry["open_work"]() as work:
        avatar = AvatarService(work, registry["storage"]).set(mei.account_id, b"avatar")
    by_id = {row.id: row for row in pictures(registry)}
    needed = stored(registry)
    storage = registry["storage"]
    for file in (
        f"originals/{'0' * 32}", f"media/{'0' * 32}-400.webp", f"avatars/{'0' * 32}.webp",
        f"originals/{by_id[ready].storage_key}",
    ):  # fmt: skip
        storage.put(file, b"left behind", "image/webp")
    (storage.folder / ".unfinished-0").write_bytes(b"half")
    age_files(registry, 3000)
    assert not sweep(registry), "a transaction may still be on its way"
    age_files(registry, 3700)
    assert sweep(registry) == Swept(files=4, unfinished=1)
    assert stored(registry) == needed
    assert f"originals/{by_id[waiting].storage_key}" in needed
    assert f"avatars/{avatar}.webp" in needed


def test_sweep_works_through_more_than_a_batch(registry, mei, picture, monkeypatch):
    monkeypatch.setattr("mealshare.features.media.sweep.BATCH", 2)
    data = picture(size=(8, 8))
    for _ in range(5):
        upload(registry, data, account_id=mei.account_id)
    for number in range(5):
        registry["storage"].put(f"media/{number:032}-400.webp", b"x", "image/webp")
    with registry["open_work"]() as work:
        work.session.execute(update(Media).values(created_at=now() - timedelta(days=2)))
    age_files(registry, 4000)
    assert sweep(registry) == Swept(pictures=5, files=5)
    assert stored(registry) == []


def test_the_sweep_is_a_periodic_job(registry, mei, picture, run_jobs):
    upload(registry, picture(), account_id=mei.account_id)
    run_jobs(registry)
    with registry["open_work"]() as work:
        work.session.execute(update(Media).values(created_at=now() - timedelta(days=2)))
        work.queue.ensure_periodic(work.session)
    run_jobs(registry)
    assert pictures(registry) == []
    with registry["open_work"]() as work:
        [job] = work.session.scalars(select(Job).where(Job.name == "media.sweep"))
        assert timedelta(minutes=55) < job.run_at - now() <= timedelta(hours=1)
