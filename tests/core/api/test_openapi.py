"""The OpenAPI document: valid, complete, the same every time; and the page that shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from webtest import TestApp

from mealshare.api import Link, api_view
from mealshare.api.openapi import build_document, split_pattern
from mealshare.api.view import Operation, add_operation
from mealshare.core.security.permissions import CorePermission
from tests.core.api.conftest import BASE, Configured, Make
from tests.core.api.small import Thing


@pytest.fixture
def document(app: TestApp) -> dict[str, Any]:
    return app.get("/openapi.json").json


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_valid(document: dict[str, Any]) -> None:
    validate(document, cls=OpenAPIV31SpecValidator)


def test_every_reference_is_there_and_every_component_is_used(document: dict[str, Any]) -> None:
    found = {
        f"#/components/{kind}/{name}"
        for kind, members in document["components"].items()
        if kind != "securitySchemes"
        for name in members
    }
    assert references(document) == found


def test_deterministic(make: Make) -> None:
    first, second = make().get("/openapi.json"), make().get("/openapi.json")
    assert first.body == second.body
    assert first.headers["ETag"] == second.headers["ETag"]


def test_conditional(app: TestApp) -> None:
    etag = app.get("/openapi.json").headers["ETag"]
    assert app.get("/openapi.json", headers={"If-None-Match": etag}, status=304).body == b""
    app.get("/openapi.json?x=1", status=400)
    assert app.post("/openapi.json", status=405).headers["Allow"] == "GET, HEAD, OPTIONS"


def test_general(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "MealShare API"
    assert document["info"]["license"]["identifier"] == "AGPL-3.0-or-later"
    assert document["info"]["contact"]["url"] == BASE
    assert document["externalDocs"]["url"] == f"{BASE}/developers"
    assert document["servers"] == [{"url": BASE, "description": "This site"}]
    # As they were described, not by name; and only those that something has.
    assert [tag["name"] for tag in document["tags"]] == ["instance", "batch", "things"]
    assert document["tags"][-1] == {"name": "things", "description": "What there is."}
    assert document["components"]["securitySchemes"]["sessionCookie"]["name"] == "__Host-session"
    assert "/openapi.json" not in document["paths"]
    assert "/api/odd/{kind}" not in document["paths"]


def test_operation_ids(document: dict[str, Any]) -> None:
    names = {
        f"{method} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert names["get /api/things"] == "things"
    assert names["post /api/photos"] == "createPhoto"
    assert names["post /api/guarded"] == "withSession"
    assert len(set(names.values())) == len(names)


def test_a_list(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/things"]["get"]
    *own, condition = operation["parameters"]
    assert condition == {"$ref": "#/components/parameters/If-None-Match"}
    parameters = {parameter["name"]: parameter for parameter in own}
    assert list(parameters) == ["max_id", "min_id", "limit", "skip", "q", "tag", "on", "fresh", "fields"]
    assert parameters["limit"]["schema"] == {"default": 20, "maximum": 100, "minimum": 1, "type": "integer"}
    assert parameters["max_id"]["schema"] == {
        "type": "string", "pattern": "^[1-9][0-9]{0,18}$", "examples": ["117653444094112991"],
    }  # fmt: skip
    assert parameters["max_id"]["description"] == "Only what is older than this id."
    assert parameters["tag"]["schema"]["type"] == "array"
    assert parameters["fields"]["schema"]["items"] == {"$ref": "#/components/schemas/ThingField"}
    assert document["components"]["schemas"]["ThingField"]["enum"] == ["id", "name", "maker", "maker.name"]
    assert not any(parameter.get("required") for parameter in parameters.values())
    success = operation["responses"]["200"]
    content = success["content"]["application/json"]
    assert content["schema"] == {"items": {"$ref": "#/components/schemas/Thing"}, "type": "array"}
    assert content["example"] == [{"id": "7", "name": "string", "maker": {"name": "string"}}]
    assert {"Link", "ETag", "X-RateLimit-Remaining", "X-Request-Id"} <= set(success["headers"])
    assert operation["security"] == [{}, {"bearerAuth": []}, {"sessionCookie": []}]
    assert set(operation["responses"]) == {"200", "304", "400", "401", "429", "500", "503"}


def test_a_required_parameter(document: dict[str, Any]) -> None:
    (word, _) = document["paths"]["/api/search"]["get"]["parameters"]
    assert word == {"name": "word", "in": "query", "required": True, "schema": {"type": "string"}}


def test_a_creation(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/things"]["post"]
    content = operation["requestBody"]["content"]
    schema = {"$ref": "#/components/schemas/ThingInput"}
    assert content == {"application/json": {"schema": schema, "example": {"name": "soup"}}}
    schema = document["components"]["schemas"]["ThingInput"]
    assert schema["title"] == "Thing input"
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["name"]["examples"] == ["soup"]
    created = operation["responses"]["201"]
    assert created["content"]["application/json"]["example"] == {"id": "7", "name": "string", "maker": {"name": "食"}}
    assert "Location" in created["headers"]
    assert document["components"]["headers"]["Location"]["required"] is True
    assert "304" not in operation["responses"]
    conflict = document["components"]["responses"]["409_thing_exists"]
    assert "- `thing_exists`: There is a soup already." in conflict["description"]
    content = conflict["content"]["application/problem+json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert content["examples"]["thing_exists"]["value"]["type"] == f"{BASE}/problems/thing_exists"
    assert {"409", "413", "415", "422"} <= set(operation["responses"])


def test_links_of_a_creation(document: dict[str, Any]) -> None:
    links = document["paths"]["/api/things"]["post"]["responses"]["201"]["links"]
    assert list(links) == ["thing", "change", "remove", "search"]
    assert links["change"]["operationId"] == "change"
    assert links["change"]["parameters"] == {"id": "$response.body#/id"}
    assert links["search"]["parameters"] == {"word": "$request.body#/name"}


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        (Link("api.no-such"), "api.no-such , which is no operation"),
        (Link("api.thing", "PUT", id="$response.body#/id"), "api.thing PUT, which is no operation"),
        (Link("api.thing", "GET"), "not with id"),
        (Link("api.thing", "GET", id="$response.body#/id", colour="$response.body#/id"), "not with colour"),
        (Link("api.thing", id="$response.body#/maker/id"), "maker/id, which does not exist"),
        (Link("api.thing", id="$response.body#/0/id"), "0/id, which does not exist"),
        (Link("api.thing", id="$request.body#/id"), "which does not exist"),
    ],
)
def test_a_link_that_leads_nowhere(configured: Configured, link: Link, complaint: str) -> None:
    config = configured()
    config.add_api_route("api.x", "/api/x")
    add_operation(config, Operation(things, "api.x", "GET", CorePermission.PUBLIC, returns=Thing, links=(link,)))
    with pytest.raises(ValueError, match=complaint):
        build_document(config.make_wsgi_app().registry)


@pytest.mark.parametrize(
    "expression", ["id", "$response.body#id", "$response.body", "{$response.body#/id}", "$env.HOME"]
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ValueError, match="no runtime expression"):
        Link("api.thing", id=expression)


def test_output_has_all_of_its_fields_and_no_others(document: dict[str, Any]) -> None:
    thing = document["components"]["schemas"]["Thing"]
    assert thing["required"] == ["id", "name", "maker"]
    assert thing["additionalProperties"] is False
    assert thing["title"] == "Thing"
    assert thing["properties"]["id"] == {"description": "Its id.", "examples": ["7"], "type": "string"}
    made = document["components"]["schemas"]["ThingInput"]["properties"]["made"]
    assert made == {"format": "date", "type": ["string", "null"], "default": None}


def test_one_thing(document: dict[str, Any]) -> None:
    item = document["paths"]["/api/things/{id}"]
    assert item["get"]["summary"] == "Thing"
    assert item["get"]["description"] == "Read a thing.\n\nWorks without signing in."
    assert item["get"]["parameters"][0] == {
        "name": "id", "in": "path", "required": True, "description": "Which.", "example": "7",
        "schema": {"type": "string", "pattern": r"^(?:\d+)$"},
    }  # fmt: skip
    assert set(item["patch"]["requestBody"]["content"]) == {"application/json", "application/merge-patch+json"}
    assert "ETag" in item["patch"]["responses"]["200"]["headers"]
    assert {"404", "412"} <= set(item["delete"]["responses"])
    assert "content" not in item["delete"]["responses"]["204"]
    for method in ("patch", "delete"):
        assert {"$ref": "#/components/parameters/If-Match"} in item[method]["parameters"]
        assert {"$ref": "#/components/parameters/Idempotency-Key"} in item[method]["parameters"]


def test_who_may(document: dict[str, Any]) -> None:
    guarded = document["paths"]["/api/guarded"]
    cookie = {"sessionCookie": [], "csrfToken": []}
    assert guarded["get"]["security"] == [{"bearerAuth": ["things:do"]}, {"sessionCookie": []}]
    assert guarded["get"]["description"].endswith("Needs the scope `things:do`.")
    assert guarded["post"]["security"] == [cookie]
    assert guarded["put"]["security"] == [{"bearerAuth": []}, cookie]
    # What only some hear: who lacks the scope, signed in with a program, has another role, or sent no form token.
    heard = {
        method: {code for code in _codes(document, operation) if code in DENIALS}
        for method, operation in guarded.items()
    }
    assert heard["get"] == {"login_required", "scope_missing"}
    assert heard["post"] == {"login_required", "session_required", "csrf"}
    assert heard["put"] == {"login_required", "role_too_low", "csrf"}
    public = document["paths"]["/api/things"]["post"]
    assert {code for code in _codes(document, public) if code in DENIALS} == {"csrf"}


DENIALS = {"login_required", "scope_missing", "session_required", "role_too_low", "csrf", "not_yours", "forbidden"}


def _codes(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """The problems of all answers of an operation."""
    answers = [answer["$ref"].rpartition("/")[2] for answer in operation["responses"].values() if "$ref" in answer]
    found = [document["components"]["responses"][name]["content"]["application/problem+json"] for name in answers]
    return {code for content in found for code in content["examples"]}


def test_an_upload(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/photos"]["post"]
    reference = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert schema["properties"]["file"] == {"format": "binary", "type": "string"}
    assert next(iter(operation["responses"])) == "202"


def test_query_models_are_no_components(document: dict[str, Any]) -> None:
    assert "ThingQuery" not in document["components"]["schemas"]


def test_examples_of_inputs_hold(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert '"pointer": "#/tags/0"' in text
    assert '"parameter": "limit"' in text
    assert "${" not in text.replace("${name}", "")


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("/a", "/a", []),
        ("/a/{id}", "/a/{id}", [("id", None)]),
        (r"/a/{id:\d{1,19}}/{b}.json", "/a/{id}/{b}.json", [("id", r"\d{1,19}"), ("b", None)]),
        ("/a/*rest", "/a/{rest}", [("rest", None)]),
        ("a/{x}", "/a/{x}", [("x", None)]),
    ],
)
def test_patterns(pattern: str, path: str, parts: list[tuple[str, str | None]]) -> None:
    assert split_pattern(pattern) == (path, parts)


def things(context: Any, request: Any) -> None:
    """Another function of the same name."""


def test_shared_function_names_take_the_route(configured: Configured) -> None:
    config = configured()
    config.add_api_route("api.other-things", "/api/other")
    add_operation(config, Operation(things, "api.other-things", "GET", CorePermission.PUBLIC))
    paths = build_document(config.make_wsgi_app().registry)["paths"]
    assert paths["/api/other"]["get"]["operationId"] == "thingsOtherThings"
    assert paths["/api/things"]["get"]["operationId"] == "thingsThings"


def test_names_that_cannot_be_told_apart(configured: Configured) -> None:
    config = configured()
    config.add_api_route("api.x", "/api/x")
    for method in ("GET", "POST"):
        add_operation(config, Operation(things, "api.x", method, CorePermission.PUBLIC))
    with pytest.raises(ValueError, match="thingsX"):
        build_document(config.make_wsgi_app().registry)


def test_a_problem_that_nobody_registered(configured: Configured) -> None:
    config = configured()
    config.add_api_route("api.x", "/api/x")
    add_operation(config, Operation(things, "api.x", "GET", CorePermission.PUBLIC, errors=("no_such_code",)))
    with pytest.raises(ValueError, match=r"things names problems .*no_such_code"):
        build_document(config.make_wsgi_app().registry)


@dataclass
class AlsoThing:
    name: str


AlsoThing.__name__ = AlsoThing.__qualname__ = "ThingOut"


def test_two_schemas_of_one_name(configured: Configured) -> None:
    config = configured()
    config.add_api_route("api.x", "/api/x")
    add_operation(config, Operation(things, "api.x", "GET", CorePermission.PUBLIC, returns=AlsoThing))
    with pytest.raises(ValueError, match="would be called Thing: Thing, ThingOut"):
        build_document(config.make_wsgi_app().registry)


def test_said_to_be_anonymous(configured: Configured) -> None:
    config = configured()
    config.add_api_route("api.x", "/api/x")
    add_operation(config, Operation(things, "api.x", "GET", "thing:scoped", anonymous=True))
    operation = build_document(config.make_wsgi_app().registry)["paths"]["/api/x"]["get"]
    assert operation["security"][0] == {}


def test_the_decorator_leaves_the_function_alone() -> None:
    def view(context: Any, request: Any) -> None:
        """Stays what it is."""

    assert api_view(route_name="r")(view) is view


def test_docs_page(make: Make) -> None:
    answer = make(**{"site.name": "<Tisch>"}).get("/docs")
    assert answer.content_type == "text/html"
    assert 'data-url="/openapi.json"' in answer.text
    assert "<Tisch>" not in answer.text
    assert "&lt;Tisch&gt;" in answer.text
    # Who only looks gets neither a cookie nor a form token.
    assert "Set-Cookie" not in answer.headers
    assert "data-csrf" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "img-src 'self' blob: data:;" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
