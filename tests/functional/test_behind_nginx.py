"""A site behind nginx with `deploy/nginx.conf`, as `tests.hosted_site` makes it: what visitors see, and what they must not."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mealshare.web.static import static_version
from tests.conftest import left_out
from tests.databases import POSTGRES_LEFT_OUT, postgres_url
from tests.deployed_nginx import check, deployed_nginx, write_configuration
from tests.functional.streams import wait_until
from tests.hosted_site import Hosted, Load, hosted_site
from tests.people import PASSWORD, draw
from tests.served_sites import BIN
from tests.sites import START_SECONDS, free_port

#: The headers of a picture, whoever sends the bytes.
PICTURE = ("Content-Type", "Content-Disposition", "Cache-Control", "ETag", "Content-Security-Policy", "Vary",
           "Cross-Origin-Resource-Policy", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy",
           "X-Frame-Options", "Strict-Transport-Security")  # fmt: skip


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory, need_redis_server: None, need_nginx: None) -> Iterator[Hosted]:
    """One for all tests of this file."""
    if postgres_url() is None:
        left_out(POSTGRES_LEFT_OUT)
    with hosted_site(tmp_path_factory.mktemp("hosted")) as hosted:
        yield hosted


def test_the_configuration_is_one(tmp_path: Path, need_nginx: None) -> None:
    write_configuration(tmp_path / "n", free_port(), free_port(), (6543, 6544), tmp_path / "m", tmp_path / "p")
    said = check(tmp_path / "n")
    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr, said.stderr


def test_a_session_of_one_process_counts_at_the_other(hosted: Hosted) -> None:
    name, _ = hosted.somebody()
    with hosted.client() as client:
        page = client.get("/login")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        form = {"csrf_token": token, "login": name, "password": PASSWORD}
        assert client.post("/login", data=form, headers={"Origin": hosted.nginx.url}).status_code == 303
        assert client.get("/settings/profile").status_code == 200
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    assert "__Host-session=" in cookie
    for program in hosted.web:
        assert httpx.get(f"{program.url}/settings/profile", headers={"Cookie": cookie}).status_code == 200
        assert httpx.get(f"{program.url}/settings/profile").status_code == 303


def test_the_processes_count_together(hosted: Hosted) -> None:
    name, _ = hosted.somebody()
    wrong = {"username": name, "password": "a wrong password"}
    with hosted.client() as client:
        answers = [client.post("/api/login", json=wrong).status_code for _ in range(13)]
    # One was spent at the right sign-in, unless that is forgiven.
    assert answers in ([401] * 10 + [429] * 3, [401] * 9 + [429] * 4)


def upload(hosted: Hosted, client: httpx.Client, headers: dict[str, str]) -> tuple[str, str]:
    """A meal with a picture that is ready: its address in the API, and the path of the picture."""
    sent = client.post("/api/media", files={"file": ("a.jpg", draw(), "image/jpeg")}, headers=headers)
    assert sent.status_code == 202, sent.text
    meal = {"food": "soup", "media": [{"id": sent.json()["id"]}]}
    made = client.post("/api/meals", json=meal, headers=headers).json()
    address = f"/api/meals/{made['id']}"

    def there() -> str | None:
        url: str | None = client.get(address, headers=headers).json()["media"][0]["url"]
        return url

    wait_until(there, "the picture", START_SECONDS)
    return address, urlsplit(there()).path


def test_nginx_sends_pictures_and_the_site_says_to_whom(hosted: Hosted) -> None:
    _, headers = hosted.somebody()
    with hosted.client() as client:
        address, path = upload(hosted, client, headers)
        plain = httpx.get(hosted.web[0].url + path)
        inside = plain.headers["X-Accel-Redirect"]
        assert (plain.content, inside.startswith("/_media/")) == (b"", True)
        answer = client.get(path)
        assert (answer.status_code, answer.content[:4], answer.content[8:12]) == (200, b"RIFF", b"WEBP")
        assert {name: answer.headers.get(name) for name in PICTURE} == {
            name: plain.headers.get(name) for name in PICTURE
        }
        assert answer.headers["Strict-Transport-Security"]
        assert answer.headers["X-Request-Id"]
        assert "X-Accel-Redirect" not in answer.headers
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        part = client.get(path, headers={"Range": "bytes=8-11"})
        assert (part.status_code, part.content) == (206, b"WEBP")
        # Not around the site, and not for everybody.
        assert client.get(inside).status_code == 404
        assert client.get("/_media/").status_code == 404
        patch = headers | {"Content-Type": "application/merge-patch+json"}
        hidden = client.patch(address, content=json.dumps({"visibility": "only_me"}), headers=patch)
        assert hidden.status_code == 200, hidden.text
        assert client.get(path).status_code == 404
        assert client.get(path, headers=headers).content == answer.content


def test_nginx_sends_static_files_as_the_site_does(hosted: Hosted) -> None:
    path = f"/static/{static_version()}/css/mealshare.css"
    with hosted.client(headers={"Accept-Encoding": "gzip"}) as client:
        from_site = client.get(path)
        assert hosted.log().count(path) == 1
        subprocess.run([str(BIN / "mealshare"), "static", str(hosted.public)], check=True, capture_output=True)
        from_nginx = client.get(path)
        assert hosted.log().count(path) == 1, "the site was asked although nginx has it"
        assert from_nginx.content == from_site.content
        assert from_nginx.headers["Content-Encoding"] == "gzip"
        kept = {name for name in from_site.headers if name not in ("date", "server", "connection", "x-request-id")}
        for name in kept - {
            "etag",
            "last-modified",
            "content-length",
            "cache-control",
            "vary",
            "accept-ranges",
            "expires",
        }:
            assert from_nginx.headers.get(name, "").lower() == from_site.headers[name].lower(), name
        assert "max-age=31536000" in from_nginx.headers["Cache-Control"]
        # Of another version: the site says no, and nginx does not give what it has instead.
        assert client.get("/static/0123456789ab/css/mealshare.css").status_code == 404


def test_a_stream_arrives_word_by_word(hosted: Hosted) -> None:
    _, headers = hosted.somebody()
    heard: list[str] = []
    with hosted.client() as client, client.stream("GET", "/api/feed/stream") as stream:
        words = stream.iter_text()
        heard.append(next(words))
        assert "retry: " in heard[0]
        with hosted.client() as other:
            for food in ("porridge", "plums"):
                assert other.post("/api/meals", json={"food": food}, headers=headers).status_code == 201
                while food not in "".join(heard):
                    heard.append(next(words))
    assert "".join(heard).count("event: meal") == 2


def test_the_proxy_is_believed_and_nobody_else(hosted: Hosted) -> None:
    lies = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example",
            "Forwarded": "for=198.51.100.7;host=evil.example"}  # fmt: skip
    from_there = httpx.HTTPTransport(local_address="127.0.0.3", verify=hosted.nginx.trust)
    with hosted.client(transport=from_there) as client:
        answer = client.get("/settings/profile", headers=lies | {"X-Request-Id": "through-nginx"})
    assert (answer.status_code, "evil" in answer.headers["Location"]) == (303, False)
    stranger = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=hosted.web[0].url, transport=stranger) as client:
        answer = client.get("/settings/profile", headers=lies | {"X-Request-Id": "past-nginx"})
    assert (answer.status_code, "evil" in answer.headers["Location"]) == (303, False)
    lines = {
        name: next(line for line in hosted.log().splitlines() if name in line)
        for name in ("through-nginx", "past-nginx")
    }
    assert "127.0.0.3" in lines["through-nginx"]
    assert "127.0.0.2" in lines["past-nginx"]
    assert "198.51.100.7" not in hosted.log()


def test_one_id_for_a_request_everywhere(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert client.get("/about", headers={"X-Request-Id": "my-own-1"}).headers["X-Request-Id"] == "my-own-1"
        made = client.get("/about", headers={"X-Request-Id": "not a word"}).headers["X-Request-Id"]
        assert len(made) == 32
        secret = "s" * 43
        client.get(f"/password/reset/{secret}?q=words", headers={"X-Request-Id": "my-own-2"})
    # nginx writes its line after the answer has gone.
    wait_until(lambda: "my-own-2" in hosted.nginx.log(), "the line of nginx")
    for name in ("my-own-1", made):
        assert f" {name} " in hosted.nginx.log()
        assert name in hosted.log()
    line = next(line for line in hosted.nginx.log().splitlines() if "my-own-2" in line)
    assert "/password/reset/***" in line
    assert secret not in line
    assert "words" not in line


@pytest.mark.parametrize("path", ["/new", "/api/media"])
def test_what_is_too_large_is_told_so(hosted: Hosted, path: str) -> None:
    before = hosted.log().count(path)
    connection = http.client.HTTPSConnection("localhost", hosted.nginx.port, timeout=30, context=hosted.nginx.trust)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(60 * 2**20))
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.endheaders()
    for _ in range(100):
        try:
            connection.send(b"x" * 65536)
        except OSError:
            break
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 413
    assert answer.headers["X-Request-Id"]
    if path.startswith("/api/"):
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(body)["status"] == 413
    else:
        assert "内容过大" in body
    assert hosted.log().count(path) == before


def test_doors_that_are_closed(hosted: Hosted) -> None:
    with hosted.client() as client:
        assert client.get("/metrics").status_code == 404
        assert "nginx/" not in client.get("/metrics").headers["Server"]
    moved = httpx.get(f"{hosted.nginx.plain_url}/@mei?a=b", headers={"Host": "evil.example"})
    assert (moved.status_code, moved.headers["Location"]) == (301, f"{hosted.nginx.url}/@mei?a=b")
    address = ("localhost", hosted.nginx.port)
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    for name in ("evil.example", None):
        with socket.create_connection(address) as raw, pytest.raises(ssl.SSLError):
            unchecked.wrap_socket(raw, server_hostname=name)
    with hosted.client() as client, pytest.raises(httpx.HTTPError):
        client.get("/", headers={"Host": "evil.example"})


def test_a_flood_is_stopped_before_the_site(hosted: Hosted, tmp_path: Path) -> None:
    """With the limits as they are delivered."""
    behind = [program.port for program in hosted.web]
    port = free_port()
    with deployed_nginx(tmp_path / "n", behind, hosted.media, hosted.public, port) as nginx, nginx.client() as client:
        wrong = {"username": "nobody", "password": "a wrong password"}
        answers = [client.post("/api/login", json=wrong) for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429 and "type" in answer.json()]
        by_nginx = [answer for answer in refused if answer.json()["type"] == "about:blank"]
        assert by_nginx, [answer.status_code for answer in answers]
        assert by_nginx[0].headers["Retry-After"] == "10"
        assert client.get("/api/instance").status_code == 200, "only signing in is limited so much"


def test_nobody_is_there(tmp_path: Path, need_nginx: None) -> None:
    """All processes are away: people and programs are told to come again."""
    with (
        deployed_nginx(tmp_path / "n", (free_port(), free_port()), tmp_path, tmp_path, free_port()) as nginx,
        nginx.client() as client,
    ):
        page = client.get("/")
        assert (page.status_code, page.headers["Retry-After"]) == (503, "10")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "网站马上回来" in page.text
        for path in ("/api/feed/public", "/api/feed/stream"):
            problem = client.get(path)
            assert (problem.status_code, problem.headers["Retry-After"]) == (503, "10")
            assert problem.headers["Content-Type"] == "application/problem+json"
            assert problem.json()["request_id"] == problem.headers["X-Request-Id"]


def test_one_process_after_the_other_is_restarted_and_nobody_notices(hosted: Hosted) -> None:
    _, headers = hosted.somebody()
    first = [program.process for program in hosted.web]
    with Load(hosted, headers) as load:
        for program in [*hosted.web, *hosted.web]:
            load.wait_for(20)
            program.stop()
            load.wait_for(20)
            program.start()
            program.wait()
    assert not {program.process for program in hosted.web} & set(first)
    failed = [line for line in hosted.log().splitlines() if "request_failed" in line or "Error" in line]
    assert set(load.answers) == {("page", 200), ("feed", 200), ("post", 201)}, (load.answers, failed)
    assert len(set(load.posted)) == len(load.posted) == load.answers["post", 201]
    # What was posted is there, once.
    with hosted.client() as client:
        for id in load.posted[-20:]:
            assert client.get(f"/api/meals/{id}").status_code == 200
