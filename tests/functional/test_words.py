"""Every code that can reach a person has words, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.i18n import TranslationString

from mealshare.api.problems import STATUSES
from mealshare.core import validation
from mealshare.core.errors import DomainError
from mealshare.core.i18n import translate
from mealshare.core.security.jwt import TokenError
from mealshare.core.security.permissions import Denial
from mealshare.features.media.checks import PREFIX
from mealshare.web.errors import CODES

PACKAGE = Path(__file__).resolve().parents[2] / "mealshare"
#: Calls that carry a code to a face: which argument it is, and what is put in front of it on the way.
CARRIERS: dict[str, tuple[int, str]] = {
    "coded": (0, ""),
    "FieldError": (1, ""),
    "InputInvalid.of": (1, ""),
    "Refused": (0, ""),
    "RefreshRefused": (0, ""),
    "AuthenticationFailed": (0, ""),
    "ImageRefused": (0, PREFIX),
}


def domain_errors(kind: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from domain_errors(narrower)


def codes_in(source: str, carriers: dict[str, tuple[int, str]]) -> Iterator[str]:
    """The literal codes that the module gives to ``carriers``."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and (known := carriers.get(ast.unparse(call.func))):
            index, prefix = known
            argument = call.args[index] if index < len(call.args) else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield prefix + argument.value


def wordless(messages: dict[str, str]) -> list[str]:
    """The codes whose words do not exist in both languages."""
    return [
        code
        for code, message in messages.items()
        if not isinstance(message, TranslationString)
        or not re.search("[A-Za-z]{2}", translate(message, "en"))
        or not re.search("[\u4e00-\u9fff]", translate(message, "zh_CN"))
    ]


def test_every_registered_code_has_both_languages(registry: Any) -> None:
    assert len(registry["messages"]) > 80
    assert wordless(registry["messages"]) == []
    assert set(registry["problems"]) <= set(registry["messages"])


def test_every_code_that_is_used_is_registered(registry: Any) -> None:
    raised = CARRIERS | {kind.__name__: (0, "") for kind in domain_errors() if kind.__name__ != "InputInvalid"}
    used = {code for path in PACKAGE.rglob("*.py") for code in codes_in(path.read_text(encoding="utf-8"), raised)}
    assert len(used) > 30
    used |= {kind.code for kind in domain_errors() if kind.__module__.startswith("mealshare.")}
    used |= {kind.code for kind in TokenError.__subclasses__()}
    used |= {str(reason) for reason in Denial} | set(STATUSES) | set(CODES.values())
    used |= {*validation._CODES.values(), "wrong_type"}
    assert used - set(registry["messages"]) == set()


def test_a_problem_that_is_a_status_of_ours_is_a_problem_type(registry: Any) -> None:
    assert {kind.code for kind in domain_errors() if kind.__module__.startswith("mealshare.")} <= set(
        registry["problems"]
    )


def test_the_guard_itself() -> None:
    source = (
        'raise coded("a")\nFieldError("name", "b")\nInputInvalid.of("name", "c", max=1)\nImageRefused("d")\ncoded(e)\n'
    )
    assert sorted(codes_in(source, CARRIERS)) == ["a", "b", "c", f"{PREFIX}d"]
    no_message = TranslationString("There is no such text at all", domain="mealshare")
    known = TranslationString("This is required.", domain="mealshare")
    assert wordless({"new": no_message, "plain": "This is required.", "good": known}) == ["new", "plain"]


@pytest.mark.parametrize("kind", sorted({kind.__name__ for kind in TokenError.__subclasses__()}))
def test_a_broken_token_has_a_code_of_its_own(kind: str) -> None:
    classes = {found.__name__: found for found in TokenError.__subclasses__()}
    assert [other for other, found in classes.items() if found.code == classes[kind].code] == [kind]
