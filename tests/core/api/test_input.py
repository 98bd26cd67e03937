"""What comes in: query parameters, JSON bodies, forms; each failure is its own problem."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from webtest import TestApp, Upload

from mealshare.api.problems import pointer
from tests.core.api.conftest import problem


def post(app: TestApp, body: bytes, status: int, content_type: str = "application/json") -> Any:
    return app.post("/api/things", body, headers={"Content-Type": content_type}, status=status)


def test_values_are_converted(app: TestApp) -> None:
    answer = app.get("/api/things?on=2026-11-21&fresh=true&limit=100&min_id=4")
    assert answer.json[0]["name"] == "||2026-11-21|True|9223372036854775807|4|0"


@pytest.mark.parametrize("path", ["/api/things?colour=red", "/api/tagged?colour=red", "/api/tagged?colour="])
def test_unknown_parameter(app: TestApp, path: str) -> None:
    document = problem(app.get(path, status=400), "unknown_parameter")
    assert document["errors"] == [{"parameter": "colour", "code": "unknown", "detail": "There is no such field."}]


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("limit=0", "limit", "too_small"),
        ("limit=101", "limit", "too_big"),
        ("limit=ten", "limit", "not_integer"),
        ("limit=", "limit", "not_integer"),
        ("limit=999999999999999999999999", "limit", "too_big"),
        ("limit=5&limit=6", "limit", "duplicate"),
        ("skip=10001", "skip", "too_big"),
        ("skip=-1", "skip", "too_small"),
        ("max_id=abc", "max_id", "bad_id"),
        ("max_id=", "max_id", "bad_id"),
        ("max_id=9223372036854775808", "max_id", "bad_id"),
        ("min_id=-1", "min_id", "bad_id"),
        ("on=yesterday", "on", "bad_date"),
        ("fresh=maybe", "fresh", "not_boolean"),
        ("q=a%00b", "q", "control_characters"),
    ],
)
def test_bad_parameter(app: TestApp, query: str, parameter: str, code: str) -> None:
    document = problem(app.get(f"/api/things?{query}", status=400), "bad_parameter")
    assert [(error["parameter"], error["code"]) for error in document["errors"]] == [(parameter, code)]
    assert document["detail"].startswith(f"{parameter}: ")


def test_required_parameter(app: TestApp) -> None:
    document = problem(app.get("/api/search", status=400), "bad_parameter")
    assert document["errors"][0]["code"] == "missing"


@pytest.mark.parametrize("path", ["/api/things?q=%ff", "/api/things?%c3=1", "/api/tagged?%ff=1", "/api/odd/%ff"])
def test_bytes_that_are_no_utf8(app: TestApp, path: str) -> None:
    problem(app.get(path, status=400), "bad_encoding")


def test_a_query_without_parameters(app: TestApp) -> None:
    app.get("/api/tagged?")
    app.get("/api/tagged?&")


def test_too_many_parameters(app: TestApp) -> None:
    problem(app.get("/api/things?" + "&".join(["tag=a"] * 101), status=400), "bad_request")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;"],
)
def test_json_types_that_are_read(app: TestApp, content_type: str) -> None:
    post(app, b'{"name": "soup"}', 201, content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "",
    ],
)
def test_types_that_are_not_read(app: TestApp, content_type: str) -> None:
    problem(post(app, b'{"name": "soup"}', 415, content_type), "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json; charset=utf-8"])
def test_merge_patch(app: TestApp, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Authorization": "Bearer user"}
    assert app.patch("/api/things/7", b'{"name": "stew"}', headers=headers).json["name"] == "name"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "soup"} x',
        b"\xef\xbb\xbf{}",
        b'{"name": "\xff\xfe"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "a\\\\\\u0000b"}',
        b'{"name": "a\x00b"}',
        b'{"name": ' + b"[" * 100_000,
        b'{"name": ' + b'{"a":' * 100_000,
        b'{"name": ' + b"9" * 10_000 + b"}",
        '{"name": "soup"}'.encode("utf-16"),
    ],
)
def test_bodies_that_are_no_json(app: TestApp, body: bytes) -> None:
    problem(post(app, body, 400), "bad_json")


def test_an_escaped_backslash_is_no_nul(app: TestApp) -> None:
    assert post(app, b'{"name": "\\\\u0000"}', 201).json["name"] == "\\u0000"


def test_a_name_given_twice_counts_once(app: TestApp) -> None:
    assert post(app, b'{"name": "soup", "name": "stew"}', 201).json["name"] == "stew"


def test_large_bodies(app: TestApp) -> None:
    problem(post(app, b" " * (1024 * 1024 + 1), 413), "too_large")
    post(app, b" " * (1024 * 1024 - 16) + b'{"name": "soup"}', 201)


def test_a_large_length_is_refused_without_a_body(app: TestApp) -> None:
    from mealshare.api.body import read_json
    from mealshare.core.errors import TooLarge
    from tests.core.api.small import ThingInput

    # It has a length and nothing to read it from.
    request = SimpleNamespace(environ={"CONTENT_TYPE": "application/json"}, content_length=1024 * 1024 + 1)
    with pytest.raises(TooLarge):
        read_json(request, ThingInput, ("application/json",))


@pytest.mark.parametrize(("size", "status"), [(100, 201), (1024 * 1024, 413)])
def test_a_body_without_length(make: Any, size: int, status: int) -> None:
    from io import BytesIO

    # Without the retry policy nobody reads the body before the view does.
    app = make(**{"retry.attempts": "1"})
    environ = {"wsgi.input": BytesIO(b'{"name": "soup"}' + b" " * size), "wsgi.input_terminated": True}
    request = app.RequestClass.blank("/api/things", environ, method="POST", content_type="application/json")
    request.environ.pop("CONTENT_LENGTH", None)
    assert app.do_request(request, expect_errors=True).status_int == status


def test_all_errors_at_once_with_pointers(app: TestApp) -> None:
    body = b'{"name": "x", "tags": ["ok", "too long", 3], "made": "never", "role": "admin"}'
    document = problem(post(app, body, 422), "invalid")
    assert [(error["pointer"], error["code"]) for error in document["errors"]] == [
        ("#/name", "too_short"),
        ("#/tags/1", "too_long"),
        ("#/tags/2", "not_text"),
        ("#/made", "bad_date"),
        ("#/role", "unknown"),
    ]
    assert document["errors"][0]["detail"] == "This must have at least 2 characters."
    assert document["detail"].startswith("name: This must have at least 2 characters. tags/1: ")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"3"])
def test_json_that_is_no_object(app: TestApp, body: bytes) -> None:
    document = problem(post(app, body, 422), "invalid")
    assert [(error["pointer"], error["code"]) for error in document["errors"]] == [("#", "not_object")]


def test_a_strange_member_is_named_safely(app: TestApp) -> None:
    document = problem(post(app, '{"name": "soup", "<é~\\n": 1}'.encode(), 422), "invalid")
    assert document["errors"][0]["pointer"] == "#/%3C%C3%A9~0%0A"


@pytest.mark.parametrize(
    ("path", "expected"), [("", "#"), ("a", "#/a"), ("a/0/b", "#/a/0/b"), ("a~b", "#/a~0b"), ("食", "#/%E9%A3%9F")]
)
def test_pointer(path: str, expected: str) -> None:
    assert pointer(path) == expected


def test_form(app: TestApp) -> None:
    answer = app.post("/api/photos", {"file": Upload("a.jpg", b"12345"), "alt": "汤", "size": "3"}, status=202,
                      content_type="multipart/form-data")  # fmt: skip
    assert answer.json == {"name": "a.jpg", "alt": "汤", "size": "3", "bytes": "5"}


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"alt": "a"}, {("#/file", "missing")}),
        ({"file": "text", "alt": "a" * 21}, {("#/file", "wrong_type"), ("#/alt", "too_long")}),
        ({"file": Upload("a", b"1"), "role": "admin"}, {("#/role", "unknown")}),
        ({"file": Upload("a", b"1"), "size": "big"}, {("#/size", "not_integer")}),
    ],
)
def test_form_errors(app: TestApp, fields: dict[str, Any], errors: set[tuple[str, str]]) -> None:
    answer = app.post("/api/photos", fields, content_type="multipart/form-data", status=422)
    assert {(error["pointer"], error["code"]) for error in problem(answer, "invalid")["errors"]} == errors


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{}", "application/json", 415, "unsupported_media_type"),
        (b"file=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"nonsense", "multipart/form-data", 400, "bad_request"),
    ],
)
def test_forms_that_cannot_be_read(app: TestApp, body: bytes, content_type: str, status: int, code: str) -> None:
    answer = app.post("/api/photos", body, headers={"Content-Type": content_type}, status=status)
    problem(answer, code)


def test_a_form_field_given_twice(app: TestApp) -> None:
    part = '--x\r\nContent-Disposition: form-data; name="alt"\r\n\r\na\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = app.post("/api/photos", (part * 2 + "--x--").encode(), headers=headers, status=422)
    assert problem(answer, "invalid")["errors"][0] | {"detail": ""} == {
        "pointer": "#/alt", "code": "duplicate", "detail": "",
    }  # fmt: skip


def test_an_operation_takes_a_body_or_a_form() -> None:
    from mealshare.api.view import Operation
    from tests.core.api.small import PhotoForm, ThingInput

    with pytest.raises(ValueError, match="not both"):
        Operation(test_pointer, "r", "POST", body=ThingInput, multipart=PhotoForm)
