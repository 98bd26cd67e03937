"""Compression: what a client asks for is what it gets, and entity tags go on to mean what they say."""

from __future__ import annotations

import gzip
import io
import random
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.router import Router

from mealshare.core import compression
from mealshare.core.compression import CODINGS, negotiate
from mealshare.core.security.permissions import CorePermission
from tests.functional.hostile_requests import Answer, Somebody, send

JSON = ('[{"food":"麻辣香锅","note":"with lotus root"}]' * 60).encode()
PLAIN = {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}
#: Of the response that a view makes for the word in its address.
ANSWERS: dict[str, Callable[[Request], Response]] = {
    "json": lambda _: Response(JSON, content_type="application/json", etag="abc"),
    "weak": lambda _: Response(JSON, headerlist=[("Content-Type", "application/json"), ("ETag", 'W/"abc"')]),
    "varied": lambda _: Response(JSON, content_type="application/json", vary="Origin"),
    "short": lambda _: Response(b"{}", content_type="application/json", etag="abc"),
    "random": lambda _: Response(random.Random(1).randbytes(5000), content_type="text/plain", etag="abc"),
    "failed": lambda _: Response(JSON, status=404, content_type="application/problem+json"),
    "tokens": lambda _: Response(JSON, content_type="application/json", cache_control="no-store"),
    "kept": lambda _: Response(JSON, content_type="application/json", cache_control="public, no-transform"),
    "picture": lambda _: Response(JSON, content_type="image/webp"),
    "encoded": lambda _: Response(gzip.compress(JSON), content_type="text/css", content_encoding="gzip"),
    "events": lambda _: Response(app_iter=iter([JSON]), content_type="text/plain"),
    "long-events": lambda _: Response(app_iter=iter([JSON]), content_type="text/event-stream"),
    "page": lambda _: Response(JSON.decode(), content_type="text/html"),
    "pieces": lambda _: Response(app_iter=[JSON[:99], JSON[99:]], content_type="text/csv", content_length=len(JSON)),
    "none": lambda _: Response(status=204),
}


def answer(request: Request) -> Response:
    """What the address says; 304 if the client has it, as an own view would find out."""
    kind = request.matchdict["kind"]
    if kind == "file":
        return FileResponse(request.registry["file"], request, content_type="text/javascript")
    if kind == "seen":
        return Response(repr([request.environ.get("HTTP_IF_MATCH"), request.environ.get("HTTP_IF_NONE_MATCH")]))
    response = ANSWERS[kind](request)
    if response.etag and f'"{response.etag}"' in request.environ.get("HTTP_IF_NONE_MATCH", ""):
        return Response(status=304, headerlist=[("ETag", response.headers["ETag"])])
    return response


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Router]:
    """``make(**settings)``: an application with the tween and nothing else."""

    def build(**settings: str) -> Router:
        given = {"site.base_url": "http://localhost", "site.secret": "s" * 32}
        config = Configurator(settings=given | settings)
        for name in ("settings", "log", "transactions", "security", "compression"):
            config.include(f"mealshare.core.{name}")
        config.registry["file"] = str(tmp_path / "script.js")
        Path(config.registry["file"]).write_bytes(JSON * 100)
        config.add_route("answer", "/{kind}")
        config.add_view(answer, route_name="answer", permission=CorePermission.PUBLIC)
        return config.make_wsgi_app()

    return lambda **settings: build(**{name.replace("__", "."): value for name, value in settings.items()})


@pytest.fixture
def app(make: Callable[..., Router]) -> Router:
    """The application as it comes."""
    return make()


def ask(
    app: Router, path: str, accept: str | None = "gzip, deflate, br, zstd", method: str = "GET", **more: str
) -> Answer:
    """A request that takes these codings."""
    headers = {} if accept is None else {"HTTP_ACCEPT_ENCODING": accept}
    return send(app, method, path, headers=headers | more)


def plain(got: Answer) -> bytes:
    """The body without its coding; the length that was told is that of what was sent."""
    assert got.header("Content-Length") == str(len(got.body))
    return PLAIN[got.header("Content-Encoding")](got.body)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, ""), ("", ""), ("gzip", "gzip"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("br", "br"), ("gzip, br", "br"),
        ("gzip;q=1.0, br;q=0.9", "gzip"), ("br;q=0.001", "br"), ("br;q=0", ""), ("br;q=0.000, gzip", "gzip"),
        ("*", "br"), ("*;q=0", ""), ("br;q=0, *", "gzip"), ("*;q=0, gzip;q=0.1", "gzip"), ("identity", ""),
        ("identity;q=0", ""), ("identity;q=0.5, gzip;q=0.4", ""), ("gzip;q=0.4, *;q=0.5", "br"), ("deflate, zstd", ""),
        ("gzip ; Q=0.5", "gzip"), ("gzip;q=2", ""), ("gzip;q=0.1234", ""), ("gzip;level=9", ""), ("br;;q=1, gzip", "gzip"),
        (",, gzip ,", "gzip"), ("g z i p", ""), ("gzip" + "," * 600, ""), ("br,gzip;q=0.5,br;q=0", "br"),
    ],
)  # fmt: skip
def test_negotiation(app: Router, accept: str | None, coding: str) -> None:
    """RFC 9110 section 12.5.3, and headers that nobody should send."""
    got = ask(app, "/json", accept)
    assert got.header("Content-Encoding") == coding
    assert plain(got) == JSON
    assert got.header("ETag") == (f'"abc-{coding}"' if coding else '"abc"')
    assert "Accept-Encoding" in got.header("Vary")


def test_plain_text_is_refused_by_words_only() -> None:
    assert negotiate("gzip").codings == {"gzip", "identity"}
    assert negotiate("gzip, identity;q=0").codings == {"gzip"}
    assert negotiate("gzip, *;q=0").codings == {"gzip"}
    assert negotiate("*;q=0").codings == frozenset()
    assert negotiate("*;q=0, identity").best == "identity"


@pytest.mark.parametrize(("kind", "coding"), [
    ("json", "br"), ("weak", "br"), ("varied", "br"), ("failed", "br"), ("page", "br"), ("pieces", "br"), ("file", "br"),
    ("short", ""), ("random", ""), ("tokens", ""), ("kept", ""), ("picture", ""), ("events", ""), ("long-events", ""),
    ("none", ""), ("encoded", "gzip"),
])  # fmt: skip
def test_what_is_compressed(app: Router, kind: str, coding: str) -> None:
    got, bare = ask(app, f"/{kind}"), ask(app, f"/{kind}", None)
    assert got.header("Content-Encoding") == coding
    assert PLAIN[coding](got.body) == PLAIN[bare.header("Content-Encoding")](bare.body)
    assert (got.status, got.header("Content-Type")) == (bare.status, bare.header("Content-Type"))
    assert got.header("Vary") == bare.header("Vary")
    # A cache must know of all that could be sent in another coding, and of nothing else.
    assert ("Accept-Encoding" in got.header("Vary")) is (coding == "br" or kind in ("short", "random"))
    if kind == "varied":
        assert got.header("Vary").startswith("Origin, Accept-Encoding")
    if kind == "weak":
        assert got.header("ETag") == 'W/"abc"'


def test_whoever_refuses_plain_text_gets_short_answers_compressed_too(app: Router) -> None:
    got = ask(app, "/short", "gzip, identity;q=0")
    assert (got.header("Content-Encoding"), plain(got)) == ("gzip", b"{}")
    assert ask(app, "/random", "gzip, *;q=0").header("Content-Encoding") == "gzip"
    # What must not be compressed is not: then it is sent as it is.
    assert plain(ask(app, "/tokens", "gzip, identity;q=0")) == JSON


def test_a_page_of_somebody_signed_in_is_not_compressed(app: Router) -> None:
    """It holds a form token that stays the same, beside what was asked for (BREACH)."""
    person = Somebody({"session": "x"})
    page = send(app, "GET", "/page", person, headers={"HTTP_ACCEPT_ENCODING": "br"})
    assert (page.header("Content-Encoding"), page.body) == ("", JSON)
    data = send(app, "GET", "/json", person, headers={"HTTP_ACCEPT_ENCODING": "br"})
    assert data.header("Content-Encoding") == "br"


@pytest.mark.parametrize("kind", ["json", "short", "page", "file", "events"])
@pytest.mark.parametrize("accept", [None, "br", "gzip"])
def test_head_is_get_without_the_body(app: Router, kind: str, accept: str | None) -> None:
    get, head = ask(app, f"/{kind}", accept), ask(app, f"/{kind}", accept, "HEAD")
    changing = {"X-Request-Id"}
    assert [pair for pair in head.headers if pair[0] not in changing] == [
        pair for pair in get.headers if pair[0] not in changing
    ]
    assert head.body == b""


@pytest.mark.parametrize(
    ("accept", "known", "status", "confirmed"),
    [
        ("br", '"abc-br"', 304, '"abc-br"'),
        ("gzip, br", '"abc-gzip"', 304, '"abc-gzip"'),
        ("gzip, br", 'W/"abc-gzip", "abc-br"', 304, '"abc-br"'),
        ("br", '"abc"', 304, '"abc"'),
        (None, '"abc"', 304, '"abc"'),
        # The client cannot read what it (or the cache before it) has.
        ("gzip", '"abc-br"', 200, '"abc-gzip"'),
        (None, '"abc-br"', 200, '"abc"'),
        ("gzip", '"abc-br", "abc-gzip"', 304, '"abc-gzip"'),
        ("br", '"other-br"', 200, '"abc-br"'),
        ("br", '"abc-deflate"', 200, '"abc-br"'),
    ],
)
def test_if_none_match(app: Router, accept: str | None, known: str, status: int, confirmed: str) -> None:
    got = ask(app, "/json", accept, HTTP_IF_NONE_MATCH=known)
    assert (got.status, got.header("ETag")) == (status, confirmed)
    assert "Accept-Encoding" in got.header("Vary")


def test_views_see_the_tags_that_they_gave_out(app: Router) -> None:
    seen = ask(app, "/seen", "gzip", HTTP_IF_MATCH='"a-br", "b-gzip"', HTTP_IF_NONE_MATCH='W/"a-br", "b-gzip"')
    assert seen.text == repr(['"a", "b"', 'W/"a-br", "b"'])


def test_parts_of_a_file_are_parts_of_the_plain_one(app: Router) -> None:
    part = ask(app, "/file", HTTP_RANGE="bytes=10-19")
    assert (part.status, part.body) == (206, (JSON * 100)[10:20])
    assert part.header("Content-Encoding") == ""


def test_a_file_that_the_browser_has_is_not_sent(app: Router) -> None:
    modified = ask(app, "/file").header("Last-Modified")
    got = ask(app, "/file", HTTP_IF_MODIFIED_SINCE=modified)
    assert (got.status, got.body) == (304, b"")
    assert "Accept-Encoding" in got.header("Vary")


def test_a_file_is_compressed_once(app: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real = compression.compress

    def counted(data: bytes, coding: str, *, kept: bool = False) -> bytes:
        done.append(coding)
        return real(data, coding, kept=kept)

    monkeypatch.setattr(compression, "compress", counted)
    threads = [threading.Thread(target=ask, args=(app, "/file", coding)) for coding in ("br", "gzip") * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["br", "gzip"]
    assert plain(ask(app, "/file")) == JSON * 100
    # Another version of the file is another file.
    path = Path(app.registry["file"])
    path.write_bytes(JSON * 101)
    assert plain(ask(app, "/file")) == JSON * 101
    assert len(done) == 3


def test_files_are_closed(app: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where what is sent was kept, and nothing of the file was read."""
    opened: list[Any] = []

    class Wrapper:
        """As waitress wraps a file."""

        def __init__(self, file: Any, block_size: int) -> None:
            self.file = file
            opened.append(file)

        def __iter__(self) -> Any:
            return iter(lambda: self.file.read(8192), b"")

        def close(self) -> None:
            self.file.close()

    for _ in range(2):
        assert plain(ask(app, "/file", **{"wsgi.file_wrapper": Wrapper})) == JSON * 100
    assert [file.closed for file in opened] == [True, True]


def test_what_is_kept_is_bounded() -> None:
    files = compression.Files()
    for number in range(20):
        data = random.Random(number).randbytes(1_000_000)
        response = Response(app_iter=io.BytesIO(data), content_length=len(data))
        assert zlib.decompress(files.compressed(response, f"/{number}", "gzip"), 31) == data
    assert files._kept.size <= compression.MOST_KEPT["bytes"]


def test_same_data_same_bytes() -> None:
    """A strong entity tag promises that."""
    for coding in CODINGS[:2]:
        assert compression.compress(JSON, coding) == compression.compress(JSON, coding)


def test_switched_off(make: Callable[..., Router]) -> None:
    got = ask(make(compression__enabled="false"), "/json", "br", HTTP_IF_NONE_MATCH='"abc-br"')
    assert (got.status, got.header("Content-Encoding"), got.header("ETag")) == (200, "", '"abc"')
    assert "Accept-Encoding" not in got.header("Vary")


def test_the_least_length_is_a_setting(make: Callable[..., Router]) -> None:
    assert ask(make(compression__minimum_bytes=str(len(JSON))), "/json").header("Content-Encoding") == "br"
    assert ask(make(compression__minimum_bytes=str(len(JSON) + 1)), "/json").header("Content-Encoding") == ""
