"""Two serving processes and a worker, nginx, PostgreSQL, Redis, RabbitMQ and S3 at once: what one process does, all know.

What nginx itself has to do is in test_behind_nginx.py.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.conftest import left_out
from tests.databases import POSTGRES_LEFT_OUT, RABBITMQ_LEFT_OUT, postgres_url, rabbitmq_url
from tests.functional.streams import wait_until
from tests.functional.test_behind_nginx import PICTURE, upload
from tests.hosted_site import Hosted, hosted_site
from tests.people import PASSWORD
from tests.sites import START_SECONDS


@pytest.fixture(scope="module")
def hosted(
    tmp_path_factory: pytest.TempPathFactory, need_redis_server: None, need_nginx: None, s3_server: Any
) -> Iterator[Hosted]:
    """One for all tests of this file; each read believes the cache, which all processes share, for a second."""
    if postgres_url() is None:
        left_out(POSTGRES_LEFT_OUT)
    if rabbitmq_url() is None:
        left_out(RABBITMQ_LEFT_OUT)
    folder = tmp_path_factory.mktemp("together")
    more = {name.replace("__", "."): value for name, value in s3_server.settings().items()}
    with hosted_site(folder, more=more | {"auth.session_cache_seconds": "1"}) as hosted:
        yield hosted


def test_everything_is_there(hosted: Hosted) -> None:
    for program in hosted.web:
        told = httpx.get(f"{program.url}/health/ready").json()
        assert told["status"] == "ok", told
        assert {"database", "cache", "broker", "storage"} <= set(told["checks"]), told


def test_a_picture_goes_by_s3_and_nobody_sees_that(hosted: Hosted) -> None:
    _, headers = hosted.somebody()
    with hosted.client() as client:
        # It was taken by one process, made smaller by the worker, and lies in no folder of this machine.
        _, path = upload(hosted, client, headers)
        assert not list(hosted.media.rglob("*.webp"))
        plain = httpx.get(hosted.web[0].url + path)
        inside = plain.headers["X-Accel-Redirect"]
        assert "Signature" in inside
        answer = client.get(path)
        assert answer.status_code == 200
        assert Image.open(io.BytesIO(answer.content)).format == "WEBP"
        assert {name: answer.headers.get(name) for name in PICTURE} == {
            name: plain.headers.get(name) for name in PICTURE
        }
        # Words of S3 about itself; which others there are depends on whose S3 it is.
        assert not {"x-amz-request-id", "x-amz-id-2", "x-amz-version-id"} & set(answer.headers)
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        assert client.get(inside).status_code == 404


def signed_in(hosted: Hosted, name: str) -> tuple[str, str]:
    """A browser that has signed in through nginx: its cookies, and the token of its forms."""
    with hosted.client() as client:
        token = client.get("/login").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        form = {"csrf_token": token, "login": name, "password": PASSWORD}
        assert client.post("/login", data=form, headers={"Origin": hosted.nginx.url}).status_code == 303
        token = client.get("/").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items()), token


def test_whoever_is_signed_out_at_one_process_is_so_at_all(hosted: Hosted) -> None:
    name, _ = hosted.somebody()
    cookie, token = signed_in(hosted, name)
    one, other = (program.url for program in hosted.web)

    def at(url: str) -> int:
        return httpx.get(f"{url}/settings/profile", headers={"Cookie": cookie}).status_code

    # Both have just believed the session, so each would for a second more, had the one not told the cache of all.
    assert (at(one), at(other)) == (200, 200)
    headers = {"Cookie": cookie, "Origin": hosted.nginx.url}
    assert httpx.post(f"{one}/logout", data={"csrf_token": token}, headers=headers).status_code == 303
    assert (at(other), at(one)) == (303, 303)


def test_a_change_at_one_process_is_seen_at_the_other(hosted: Hosted) -> None:
    _, headers = hosted.somebody()
    one, other = (program.url for program in hosted.web)
    made = httpx.post(f"{one}/api/meals", json={"food": "cold soup"}, headers=headers).json()
    address = f"/api/meals/{made['id']}"
    # Each has rendered the card, and keeps it.
    for url in (one, other):
        assert "cold soup" in httpx.get(f"{url}/api/meals").text
        assert "cold soup" in httpx.get(f"{url}/").text
    patch = headers | {"Content-Type": "application/merge-patch+json"}
    assert httpx.patch(one + address, content='{"food": "warm soup"}', headers=patch).status_code == 200
    for path in ("/api/meals", "/", address):
        found = httpx.get(other + path).text
        assert ("warm soup" in found, "cold soup" in found) == (True, False), path
    assert httpx.delete(one + address, headers=headers).status_code == 204
    for path in ("/api/meals", "/"):
        assert "warm soup" not in httpx.get(other + path).text, path
    assert httpx.get(other + address).status_code == 404


def test_limits_count_at_all_processes_together(hosted: Hosted) -> None:
    name, _ = hosted.somebody()
    wrong = {"username": name, "password": "a wrong password"}
    answers = [httpx.post(f"{hosted.web[turn % 2].url}/api/login", json=wrong).status_code for turn in range(14)]
    assert set(answers) == {401, 429}
    assert answers == sorted(answers)
    assert answers.count(401) in (9, 10)


def test_a_stream_of_one_process_tells_what_another_was_sent(hosted: Hosted) -> None:
    _, headers = hosted.somebody()
    one, other = (program.url for program in hosted.web)
    with httpx.stream("GET", f"{one}/api/feed/stream", timeout=START_SECONDS) as stream:
        words = stream.iter_text()
        heard = next(words)
        assert httpx.post(f"{other}/api/meals", json={"food": "faraway pie"}, headers=headers).status_code == 201
        while "faraway pie" not in heard:
            heard += next(words)


def test_a_job_that_one_process_leaves_is_done_by_the_worker(hosted: Hosted) -> None:
    reader, reading = hosted.somebody()
    writer, writing = hosted.somebody()
    one, other = (program.url for program in hosted.web)
    assert httpx.put(f"{one}/api/users/{writer}/follow", headers=reading).status_code in (200, 201, 204)
    made = httpx.post(f"{other}/api/meals", json={"food": "for my followers"}, headers=writing).json()

    def at_home() -> list[str]:
        return [meal["id"] for meal in httpx.get(f"{one}/api/feed/home", headers=reading).json()]

    wait_until(lambda: made["id"] in at_home(), "the meal in the home feed", START_SECONDS)
    assert at_home().count(made["id"]) == 1
    assert "job_done" in hosted.worker.log
    assert "job_done" not in hosted.log()
