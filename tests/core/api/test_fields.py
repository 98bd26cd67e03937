"""Sparse fields: what is asked for goes out and nothing else, whatever the view returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import Field
from pyramid.request import Request
from webtest import TestApp

from mealshare.api import Query, RawJson, Reply, api_view, check_not_modified, page_headers
from mealshare.api.fields import MAX_PATHS, paths_of, shape_of
from mealshare.api.view import Operation, add_operation
from mealshare.core.db import Page
from mealshare.core.security.permissions import CorePermission
from tests.core.api.conftest import BASE, Configured


@dataclass
class Cook:
    name: str
    address: dict[str, str]


@dataclass
class Part:
    id: str
    maker: Cook


@dataclass
class Whole:
    id: Annotated[str, Field(examples=["7"])]
    maker: Annotated[Cook | None, Field(description="Who made it.")]
    parts: list[Part]
    numbers: tuple[int, ...] = ()


MAKER = Cook("食", {"city": "Paris"})
WHOLE = Whole("7", MAKER, [Part("1", MAKER), Part("2", MAKER)], (1, 2))
WRITTEN = {"name": "食", "address": {"city": "Paris"}}
LISTED = {"id": "7", "maker": WRITTEN, "parts": [], "numbers": []}


class PlainQuery(Query):
    q: str = ""


def whole(context: Any, request: Request) -> Any:
    """One, as a dataclass, whose tag the view knows before it makes it."""
    return check_not_modified(request, '"v1"') or Reply(WHOLE, etag='"v1"')


def wholes(context: Any, request: Request, query: PlainQuery) -> Any:
    """A list, as text that is JSON already, with links."""
    headers = page_headers(request, Page([], 5, 9))
    return Reply(
        RawJson(b'[{"id":  "7","maker":null,"parts":[],"numbers":[]}, {"id":"8","maker":{"name":"a"}}]'),
        headers=headers,
    )


def listed(context: Any, request: Request) -> Any:
    """A list with a tag from its bytes."""
    return [LISTED]


def free(context: Any, request: Request) -> Any:
    """An object whose members nobody declared."""
    return {"a": 1}


@pytest.fixture
def app(configured: Configured) -> TestApp:
    config = configured()
    for view, returns, query in (
        (whole, Whole, None), (wholes, list[Whole], PlainQuery), (listed, list[Whole], None), (free, dict[str, int], None),
    ):  # fmt: skip
        name = view.__name__
        config.add_api_route(f"api.{name}", f"/api/{name}")
        add_operation(
            config,
            Operation(view, f"api.{name}", "GET", permission=CorePermission.PUBLIC, returns=returns, query=query),
        )
    return TestApp(config.make_wsgi_app())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("id", {"id": "7"}),
        ("parts,id", {"id": "7", "parts": [{"id": "1", "maker": WRITTEN}, {"id": "2", "maker": WRITTEN}]}),
        ("parts.id", {"parts": [{"id": "1"}, {"id": "2"}]}),
        (
            "parts.maker.name,parts.id",
            {"parts": [{"id": "1", "maker": {"name": "食"}}, {"id": "2", "maker": {"name": "食"}}]},
        ),
        ("maker.name,maker", {"maker": WRITTEN}),
        ("maker,maker.name", {"maker": WRITTEN}),
        ("maker.address", {"maker": {"address": {"city": "Paris"}}}),
        ("id,id,numbers", {"id": "7", "numbers": [1, 2]}),
        ("id%2Cnumbers", {"id": "7", "numbers": [1, 2]}),
    ],
)
def test_one(app: TestApp, fields: str, expected: dict[str, Any]) -> None:
    assert app.get(f"/api/whole?fields={fields}").json == expected


def test_a_list_of_text_with_links(app: TestApp) -> None:
    answer = app.get("/api/wholes?q=a&fields=id,maker.name&max_id=3", status=400)
    assert answer.json["errors"] == [{"parameter": "max_id", "code": "unknown", "detail": "There is no such field."}]
    answer = app.get("/api/wholes?q=%E9%A3%9F&fields=id,maker.name")
    assert answer.body == b'[{"id":"7","maker":null},{"id":"8","maker":{"name":"a"}}]'
    kept = f"{BASE}/api/wholes?q=%E9%A3%9F&fields=id%2Cmaker.name"
    assert answer.headers["Link"] == f'<{kept}&max_id=5>; rel="next", <{kept}&min_id=9>; rel="prev"'


@pytest.mark.parametrize(
    ("query", "code", "detail"),
    [
        ("fields=nothing", "no_such_member", "fields: The answer has no member nothing."),
        ("fields=id,", "no_such_member", "fields: The answer has no member ."),
        ("fields=maker.nothing", "no_such_member", "fields: The answer has no member maker.nothing."),
        ("fields=nothing.id", "no_such_member", "fields: The answer has no member nothing.id."),
        ("fields=id.id", "no_such_member", "fields: The answer has no member id.id."),
        ("fields=maker.", "no_such_member", "fields: The answer has no member maker.."),
        ("fields=maker.address.city", "no_such_member", "fields: The answer has no member maker.address.city."),
        ("fields=" + "x" * 3000, "no_such_member", f"fields: The answer has no member {'x' * 100}."),
        ("fields=__class__", "no_such_member", "fields: The answer has no member __class__."),
        ("fields=", "missing", "fields: This is required."),
        ("fields", "missing", "fields: This is required."),
        ("fields=id&fields=maker", "duplicate", "fields: This appears twice."),
        ("fields=" + ",".join(["id"] * (MAX_PATHS + 1)), "too_many", f"fields: At most {MAX_PATHS} are allowed."),
    ],
)
@pytest.mark.parametrize("path", ["whole", "wholes"])
def test_bad_names(app: TestApp, path: str, query: str, code: str, detail: str) -> None:
    for method in ("GET", "HEAD"):
        app.request(f"/api/{path}?{query}", method=method, status=400)
    problem = app.get(f"/api/{path}?{query}", status=400).json
    assert problem["type"].endswith("/bad_parameter")
    assert (problem["errors"][0]["parameter"], problem["errors"][0]["code"], problem["detail"]) == (
        "fields",
        code,
        detail,
    )


@pytest.mark.parametrize("query", ["fields=%ff", "fields=id&x=%ff"])
def test_bytes_that_are_no_text(app: TestApp, query: str) -> None:
    assert app.get(f"/api/whole?{query}", status=400).json["type"].endswith("/bad_encoding")


@pytest.mark.parametrize(
    ("path", "name"),
    [("/api/free?fields=a", "fields"), ("/api/whole?myfields=a", "myfields"), ("/api/whole?fields=id&a=1", "a")],
)
def test_unknown_parameters_stay_unknown(app: TestApp, path: str, name: str) -> None:
    problem = app.get(path, status=400).json
    assert problem["type"].endswith("/unknown_parameter")
    assert [error["parameter"] for error in problem["errors"]] == [name]


def test_only_a_get_takes_it(app: TestApp) -> None:
    assert (
        app.post_json("/api/things?fields=id", {"name": "soup"}, status=400).json["type"].endswith("/unknown_parameter")
    )


def test_entity_tags(app: TestApp) -> None:
    """Each address has its own: of the bytes, or of the thing where the view says so."""
    one = app.get("/api/whole?fields=id").headers["ETag"]
    assert one == '"v1"'
    app.get("/api/whole?fields=id", headers={"If-None-Match": one}, status=304)
    few, all_ = app.get("/api/listed?fields=id").headers["ETag"], app.get("/api/listed").headers["ETag"]
    assert few != all_
    app.get("/api/listed?fields=id", headers={"If-None-Match": few}, status=304)
    assert app.get("/api/listed?fields=id", headers={"If-None-Match": all_}).json == [{"id": "7"}]
    head = app.head("/api/listed?fields=id").headers
    assert (head["ETag"], head["Content-Length"]) == (few, str(len(b'[{"id":"7"}]')))


def test_shapes() -> None:
    assert shape_of(list[str]) is shape_of(dict[str, int]) is shape_of(Any) is shape_of(None) is None
    shape = shape_of(list[Whole])
    assert shape == shape_of(Whole) == shape_of(Whole | None)
    assert shape is not None
    assert list(paths_of(shape)) == [
        "id", "maker", "maker.name", "maker.address", "parts", "parts.id", "parts.maker", "parts.maker.name",
        "parts.maker.address", "numbers",
    ]  # fmt: skip


def test_the_document_names_them(app: TestApp) -> None:
    document = app.get("/openapi.json").json
    paths = document["paths"]
    (fields,) = [item for item in paths["/api/whole"]["get"]["parameters"] if item.get("name") == "fields"]
    assert (fields["style"], fields["explode"]) == ("form", False)
    named = document["components"]["schemas"][fields["schema"]["items"]["$ref"].rpartition("/")[2]]
    assert named["enum"][:3] == ["id", "maker", "maker.name"]
    for path in ("/api/free", "/api/photos"):
        for operation in paths.get(path, {}).values():
            assert "fields" not in [item.get("name") for item in operation.get("parameters", ())]


def test_without_it_nothing_is_looked_at(app: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mealshare.api.view.take_fields", None)
    monkeypatch.setattr("mealshare.api.reply.pick", None)
    app.get("/api/whole")
    app.get("/api/wholes?q=a")


def test_the_name_is_taken(configured: Configured) -> None:
    """A query schema may not have the name for something else."""

    class Clashing(Query):
        fields: str = ""

    with pytest.raises(ValueError, match="fields"):
        Operation(api_view, "api.clash", "GET", query=Clashing, returns=Whole)
