"""What goes out: JSON, headers, conditional answers, page links."""

from __future__ import annotations

import pytest
from pyramid.request import Request
from webtest import TestApp

from mealshare.api import etag_of, require_match
from mealshare.core.errors import PreconditionFailed
from tests.core.api.conftest import BASE, Make


def test_list_with_links_and_headers(app: TestApp) -> None:
    answer = app.get("/api/things?tag=a&tag=b%26c&q=%E9%A3%9F&max_id=77&skip=3")
    assert answer.json == [{"id": "7", "name": "食|a,b&c|None|None|77|0|3", "maker": None}]
    assert answer.headers["Content-Type"] == "application/json"
    kept = f"{BASE}/api/things?tag=a&tag=b%26c&q=%E9%A3%9F"
    assert answer.headers["Link"] == f'<{kept}&max_id=5>; rel="next", <{kept}&min_id=9>; rel="prev"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"] == "Accept, Origin, Cookie, Authorization, Accept-Language"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"]


def test_created_with_location_on_the_configured_address(app: TestApp) -> None:
    answer = app.post_json("/api/things", {"name": "soup"}, headers={"Host": "evil.example"}, status=201)
    assert answer.headers["Location"] == f"{BASE}/api/things/8"
    assert answer.json == {"id": "8", "name": "soup", "maker": {"name": "食"}}
    assert "ETag" not in answer.headers


def test_none_is_204_without_type(app: TestApp) -> None:
    answer = app.get("/api/odd/none", status=204)
    assert answer.body == b""
    assert "Content-Type" not in answer.headers
    assert answer.headers["X-RateLimit-Limit"] == "300"


def test_reply_without_value_keeps_its_status(app: TestApp) -> None:
    assert app.get("/api/odd/accepted", status=202).body == b""


def test_raw_json_goes_out_as_it_is(app: TestApp) -> None:
    assert app.get("/api/odd/raw").body == b'{"raw":  1}'


def test_own_cache_control_replaces_the_default(app: TestApp) -> None:
    assert app.get("/api/odd/cached").headers.getall("Cache-Control") == ["public, max-age=60"]


def test_head_has_the_headers_of_get_and_no_body(app: TestApp) -> None:
    get, head = app.get("/api/odd/dict"), app.head("/api/odd/dict")
    assert head.body == b""
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{etag}", 304),
        ("W/{etag}", 304),
        ('"other", {etag}', 304),
        (', "a,b" , W/"c",{etag},', 304),
        ("*", 304),
        ('"other"', 200),
        ("{bare}", 200),
        ('{etag} "unseparated"', 200),
        ('"open', 200),
        ("", 200),
    ],
)
@pytest.mark.parametrize("path", ["/api/odd/dict", "/api/tagged"])
def test_if_none_match(app: TestApp, path: str, header: str, status: int) -> None:
    etag = app.get(path).headers["ETag"]
    given = header.format(etag=etag, bare=etag.strip('"'))
    answer = app.get(path, headers={"If-None-Match": given}, status=status)
    assert answer.headers["ETag"] == etag
    if status == 304:
        assert answer.body == b""
        assert "Content-Type" not in answer.headers
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Origin" in answer.headers["Vary"]
        assert answer.headers["X-RateLimit-Remaining"] == "298"


def test_etag_follows_the_body(app: TestApp) -> None:
    assert app.get("/api/odd/dict").headers["ETag"] != app.get("/api/odd/raw").headers["ETag"]
    assert "ETag" not in app.get("/api/odd/no-etag").headers
    assert app.get("/api/odd/weak", headers={"If-None-Match": '"weak"'}, status=304).headers["ETag"] == 'W/"weak"'


def test_if_none_match_does_not_stop_a_write(app: TestApp) -> None:
    app.post_json("/api/things", {"name": "soup"}, headers={"If-None-Match": "*"}, status=201)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 204),
        ("{etag}", 204),
        ('"other", {etag}', 204),
        ("*", 204),
        ("W/{etag}", 412),
        ('"other"', 412),
        ("broken", 412),
    ],
)
def test_if_match(app: TestApp, header: str | None, status: int) -> None:
    headers = {"Authorization": "Bearer user"}
    if header:
        headers["If-Match"] = header.format(etag=etag_of("7", 1))
    answer = app.delete("/api/things/7", headers=headers, status=status)
    if status == 412:
        assert answer.json["type"] == f"{BASE}/problems/precondition_failed"


def test_a_weak_tag_never_fulfils_if_match() -> None:
    request = Request.blank("/", headers={"If-Match": '"a", W/"a"'})
    with pytest.raises(PreconditionFailed):
        require_match(request, 'W/"a"')
    require_match(Request.blank("/", headers={"If-Match": "*"}), 'W/"a"')


def test_no_links_without_neighbours() -> None:
    from pyramid.testing import DummyRequest

    from mealshare.api import page_headers
    from mealshare.core.db import Page

    assert page_headers(DummyRequest(), Page([])) == []


def test_instance(make: Make) -> None:
    app = make(**{"site.name": "Mittagstisch", "site.registration": "closed"})
    answer = app.get("/api/instance").json
    assert answer["name"] == "Mittagstisch"
    assert answer["url"] == BASE
    assert answer["registration"] == "closed"
    assert answer["languages"] == ["en", "zh-Hans"]
    limits = {"json_bytes": 1048576, "page_limit": 100, "page_skip": 10000, "batch_requests": 20, "thing_name": 10}
    assert answer["limits"] == limits


def test_a_limit_of_the_instance_is_told_once(make: Make) -> None:
    from pyramid.config import Configurator

    from mealshare.api import instance

    config = Configurator()
    config.include("mealshare.api.routes")
    config.include("mealshare.api.openapi_info")
    config.include(instance)
    config.add_instance_info("food", 140)
    with pytest.raises(ValueError, match="food"):
        config.add_instance_info("food", 141)
