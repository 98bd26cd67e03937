"""The committed document of the API: it is what the code says, it is complete, and every change of it is told of.

``docs/openapi.json`` is written by ``make docs``.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from mealshare.cli.documents import as_json, reference_document
from scripts import contract
from tests.nodejs import npm_ci, run_node

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tests/tools"
METHODS = ("get", "post", "put", "patch", "delete")


@cache
def document() -> dict[str, Any]:
    """The document as the code makes it now."""
    return reference_document()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation with its method and path."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    if "$ref" not in node:
        return node
    _, kind, name = node["$ref"].removeprefix("#/").split("/")
    found: dict[str, Any] = document()["components"][kind][name]
    return found


def parts() -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
    """Everything with a schema: where it is, the schema, its examples."""
    for place, operation in operations():
        for parameter in map(resolved, operation.get("parameters", ())):
            given = [parameter["example"]] if "example" in parameter else []
            yield f"{place} {parameter['name']}", parameter["schema"], given + parameter["schema"].get("examples", [])
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{place} {kind}", content["schema"], examples_of(content)
        for status, answer in operation["responses"].items():
            for content in resolved(answer).get("content", {}).values():
                yield f"{place} {status}", content["schema"], examples_of(content)


def examples_of(content: dict[str, Any]) -> list[Any]:
    given = [content["example"]] if "example" in content else []
    return given + [example["value"] for example in content.get("examples", {}).values()]


def members() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each member of each named schema."""
    for name, schema in document()["components"]["schemas"].items():
        for member, part in schema.get("properties", {}).items():
            yield f"{name}.{member}", part


def test_the_committed_document_is_that_of_the_code() -> None:
    committed = (ROOT / "docs/openapi.json").read_text(encoding="utf-8")
    assert committed == as_json(document()), "docs/openapi.json is out of date: make docs"


def test_the_changelog_tells_of_it() -> None:
    line = contract.missing_line((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), document())
    assert line is None, f'make docs CHANGE="what is different"; the line in CHANGELOG.md, under "API", will be: {line}'


def test_valid() -> None:
    validate(document(), cls=OpenAPIV31SpecValidator)


def test_redocly_finds_nothing(node: str, tmp_path: Path) -> None:
    redocly = npm_ci(TOOLS) / ".bin" / "redocly"
    file = tmp_path / "openapi.json"
    file.write_text(as_json(document()), encoding="utf-8")
    done = run_node([str(redocly), "lint", str(file), "--config", "redocly.yaml", "--format", "json"], TOOLS, 120)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    problems = [(one["ruleId"], one["message"], one["location"][0].get("pointer")) for one in found["problems"]]
    assert problems == [], done.stderr
    assert done.returncode == 0, done.stderr


def test_every_example_is_one() -> None:
    wrong = []
    components = document()["components"]
    for place, schema, examples in parts():
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": components}, validate_formats=True)
        wrong += [(place, error.message[:200]) for example in examples for error in validator.iter_errors(example)]
    assert wrong == []


def test_everything_is_said() -> None:
    """What somebody reads at /docs: nothing without words, and a body without a field that looks like "string"."""
    untold = [f"{place}: the operation" for place, one in operations() if not one["summary"] or len(one["tags"]) != 1]
    untold += [f"{place}: {one['summary']!r} is no order" for place, one in operations() if one["summary"][-1] in "?.!"]
    described = {tag["name"] for tag in document()["tags"] if tag.get("description")}
    untold += [f"{place}: the tag" for place, one in operations() if not described.issuperset(one["tags"])]
    untold += [
        f"{place}: {parameter['name']}"
        for place, one in operations()
        for parameter in map(resolved, one.get("parameters", ()))
        if not parameter.get("description")
    ]
    untold += [
        f"{name}: the schema" for name, one in document()["components"]["schemas"].items() if not one.get("description")
    ]
    untold += [name for name, part in members() if not part.get("description")]
    untold += [place for place, _, examples in parts() if examples and '"string"' in json.dumps(examples)]
    assert untold == []


def test_bodies_and_answers_have_examples() -> None:
    lacking = [
        place
        for place, schema, examples in parts()
        if not examples and not place.endswith(("multipart/form-data", "text/event-stream")) and place[-3:].isdigit()
    ]
    assert lacking == []


def test_operations_that_change_something_can_be_reached_by_links() -> None:
    """Whoever walks the document from answer to answer comes by what is made: it can be read, changed and removed."""
    led_to = {
        link["operationId"]
        for _, operation in operations()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    }
    assert {
        "readMeal", "replaceMeal", "patchMeal", "deleteMeal", "likeMeal", "createComment", "readComment", "patchComment",
        "deleteComment", "readMedia", "describeMedia", "removeMedia", "showPerson", "refresh", "revokeToken",
    } <= led_to  # fmt: skip


def test_scopes_are_printed() -> None:
    """In words and for machines, and the two agree; what works without signing in needs none."""
    for place, operation in operations():
        ways = operation["security"]
        asked = {scope for way in ways for scope in way.get("bearerAuth", ())}
        if {} in ways:
            assert "Works without signing in." in operation["description"], place
            assert not asked, place
        for scope in asked:
            assert re.search(rf"^Needs .*the scope `{scope}`", operation["description"], re.MULTILINE), place
    scoped = {place: op["security"][0].get("bearerAuth") for place, op in operations()}
    assert scoped["POST /api/meals"] == ["write"]
    assert scoped["POST /api/media"] == ["media"]
    assert scoped["DELETE /api/media/{id}"] == ["media"]
    assert scoped["PUT /api/users/{username}/follow"] == ["follow"]
    assert scoped["GET /api/user/profile"] == ["read"]


class TestChangelog:
    """scripts/contract.py: what counts as told, and how it is written."""

    LOG = (
        "# Changelog\n\n## [Unreleased]\n\nWords.\n\n### API\n\n- One. (contract `11111111`)\n\n### Changed\n\n- Two.\n\n"
        "## [0.1.0]\n\n### API\n\n- Old. (contract `00000000`)\n"
    )

    def test_the_mark(self) -> None:
        changed = copy.deepcopy(document())
        changed["paths"]["/api/meals"]["get"]["summary"] += " again"
        newer = {**document(), "info": {**document()["info"], "version": "99.0.0"}}
        assert contract.mark_of(newer) == contract.mark_of(document()) != contract.mark_of(changed)

    def test_what_is_told(self) -> None:
        assert contract.told_mark(self.LOG) == "11111111"
        assert contract.told_mark("# Changelog\n") is None
        # After a release, until something changes, the line of the release counts.
        released = self.LOG.replace("## [Unreleased]", "## [Unreleased]\n\n## [0.2.0]")
        assert contract.told_mark(released) == "11111111"

    def test_a_line_is_written(self) -> None:
        mark = contract.mark_of(document())
        assert contract.missing_line(self.LOG, document()) == f"- ... (contract `{mark}`)"
        told = contract.with_line(self.LOG, "Three things " + "and more " * 20, mark)
        assert contract.missing_line(told, document()) is None
        assert told.index("11111111") < told.index("- Three things") < told.index("### Changed")
        assert max(map(len, told.splitlines())) < 120
        assert told.endswith("- Old. (contract `00000000`)\n")

    def test_a_section_is_made(self) -> None:
        told = contract.with_line(
            "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- X.\n\n## [0.1.0]\n", "New.", "22222222"
        )
        assert "- X.\n\n### API\n\n- New. (contract `22222222`)\n\n## [0.1.0]" in told

    def test_the_same_change_goes_on(self) -> None:
        assert contract.told_mark(contract.with_mark(self.LOG, "22222222")) == "22222222"
        with pytest.raises(SystemExit, match="say what has changed"):
            contract.with_mark(self.LOG.replace("11111111", "no").replace("(contract `no`)", ""), "22222222")

    def test_the_program(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(contract, "CHANGELOG", tmp_path / "CHANGELOG.md")
        monkeypatch.setattr(contract, "DOCUMENT", tmp_path / "openapi.json")
        contract.DOCUMENT.write_text(as_json(document()), encoding="utf-8")
        contract.CHANGELOG.write_text(self.LOG, encoding="utf-8")
        mark = contract.mark_of(document())
        with pytest.raises(SystemExit, match=f"contract `{mark}`"):
            contract.main("")
        contract.main("`sort` of feeds.")
        assert f"- `sort` of feeds. (contract `{mark}`)" in contract.CHANGELOG.read_text(encoding="utf-8")
        contract.main("")
        contract.CHANGELOG.write_text(self.LOG, encoding="utf-8")
        contract.main("same")
        contract.main("")
        assert "One. (contract" in contract.CHANGELOG.read_text(encoding="utf-8")
