"""Validation: whatever is wrong has a code of ours, in words that exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, Field, StringConstraints

from mealshare.core import errors
from mealshare.core.errors import DomainError, FieldError, InputInvalid, TooMany
from mealshare.core.messages import FIELDS, PROBLEMS
from mealshare.core.validation import _CODES, Input, Line, Lines, SnowflakeId, coded, validate, validate_json
from mealshare.web.errors import CODES


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Part(Input):
    n: int = 0


class Dish(Input):
    """A field of every kind."""

    name: Annotated[Line, Field(min_length=2, max_length=5)] = "soup"
    note: Lines = ""
    count: Annotated[int, Field(ge=1, le=9)] = 1
    price: Annotated[float, Field(gt=0, lt=100)] = 1.0
    hot: bool = False
    size: Size = Size.SMALL
    taste: Literal["sweet", "sour"] = "sweet"
    tags: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(default=["x"])
    code: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] = "FR"
    on: date | None = None
    at: AwareDatetime | None = None
    meal: SnowflakeId | None = None
    part: Part | None = None
    parts: list[Part] = Field(default=[])


WRONG = [
    ('{"no": 1}', "no", "unknown"), ('{"name": 1}', "name", "not_text"), ('{"name": null}', "name", "not_text"),
    ('{"name": "a"}', "name", "too_short"), ('{"name": "abcdef"}', "name", "too_long"),
    ('{"name": "a\\u0000b"}', "name", "control_characters"), ('{"note": "a\\u0000b"}', "note", "control_characters"),
    ('{"count": "1"}', "count", "not_integer"), ('{"count": 1.5}', "count", "not_integer"),
    ('{"count": true}', "count", "not_integer"), ('{"count": 0}', "count", "too_small"),
    ('{"count": 10}', "count", "too_big"), ('{"count": ' + "9" * 30 + "}", "count", "too_big"),
    ('{"price": "1"}', "price", "not_number"), ('{"price": 0}', "price", "too_small"),
    ('{"price": 100}', "price", "too_big"), ('{"price": NaN}', "price", "not_number"),
    ('{"hot": 1}', "hot", "not_boolean"), ('{"hot": "true"}', "hot", "not_boolean"),
    ('{"size": "huge"}', "size", "not_a_choice"), ('{"taste": "salty"}', "taste", "not_a_choice"),
    ('{"tags": "x"}', "tags", "not_list"), ('{"tags": []}', "tags", "too_few"),
    ('{"tags": ["a", "b", "c"]}', "tags", "too_many"), ('{"tags": ["a", 2]}', "tags/1", "not_text"),
    ('{"code": "fr"}', "code", "bad_format"), ('{"on": "2024-02-30"}', "on", "bad_date"), ('{"on": 5}', "on", "bad_date"),
    ('{"at": "2024-02-03T10:00:00"}', "at", "bad_datetime"), ('{"at": "noon"}', "at", "bad_datetime"),
    ('{"at": 5}', "at", "bad_datetime"), ('{"meal": 5}', "meal", "bad_id"), ('{"meal": "05"}', "meal", "bad_id"),
    ('{"meal": "' + str(2**63) + '"}', "meal", "bad_id"), ('{"part": 5}', "part", "not_object"),
    ('{"parts": [{"n": 1}, {"n": "x"}]}', "parts/1/n", "not_integer"), ("[]", "", "not_object"), ("5", "", "not_object"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field", "code"), WRONG)
def test_each_mistake_has_its_code_and_all_that_its_words_need(body: str, field: str, code: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        validate_json(Dish, body.encode())
    (error,) = caught.value.errors
    assert (error.field, error.code) == (field, code)
    wanted = set(re.findall(r"\$\{(\w+)\}", str(FIELDS[code].default)))
    assert wanted <= set(error.params)


def test_what_is_right_is_cleaned_and_frozen() -> None:
    body = '{"name": "  pi\\u0301 ", "at": "2024-02-03T10:00:00+09:00", "meal": "12", "on": "2024-02-29"}'
    dish = validate_json(Dish, body.encode())
    assert (dish.name, dish.meal, dish.on) == ("p\u00ed", 12, date(2024, 2, 29))
    assert isinstance(dish.at, datetime)
    with pytest.raises(Exception, match="frozen"):
        dish.count = 2


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputInvalid) as caught:
        validate(Dish, {"name": "a", "count": 0, "no": 1})
    assert [error.code for error in caught.value.errors] == ["too_short", "too_small", "unknown"]
    assert caught.value.__suppress_context__


def test_a_code_of_a_validator_comes_through() -> None:
    def refuse(value: Any) -> Any:
        raise coded("duplicate", name="x")

    from pydantic import AfterValidator

    class Odd(Input):
        a: Annotated[int, AfterValidator(refuse)]

    with pytest.raises(InputInvalid) as caught:
        validate(Odd, {"a": 1})
    assert caught.value.errors == (FieldError("a", "duplicate", {"name": "x"}),)
    with pytest.raises(InputInvalid) as caught:
        validate(Odd, {})
    assert caught.value.errors[0].code == "missing"


def test_every_code_has_words() -> None:
    assert set(_CODES.values()) | {"wrong_type", "bad_id", "control_characters"} <= set(FIELDS)
    assert set(CODES.values()) <= set(PROBLEMS)
    assert not set(FIELDS) & set(PROBLEMS)
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, DomainError):
            assert cls.code in PROBLEMS
            assert 400 <= cls.status < 600


def test_errors_say_what_they_are() -> None:
    assert str(DomainError("odd", n=1)) == "odd"
    assert (TooMany(30, 10).retry_after, TooMany(30, 10).limit, TooMany(30).params) == (30, 10, {"retry_after": 30})
    assert InputInvalid.of("food", "too_long", max=5).errors == (FieldError("food", "too_long", {"max": 5}),)


def test_the_words_of_two_features_stand_side_by_side() -> None:
    from pyramid.config import Configurator

    config = Configurator(settings={})
    config.include("mealshare.core.messages")
    add: Callable[..., None] = config.add_messages
    add({"burnt": "Too hot."})
    assert config.registry["messages"]["burnt"] == "Too hot."
    assert config.registry["messages"]["not_found"] == PROBLEMS["not_found"]
