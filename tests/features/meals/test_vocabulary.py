"""The closed lists of words: the values, which must never change, and their labels in every language."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError
from pyramid.i18n import TranslationString

import mealshare
from mealshare.core.i18n import translate
from mealshare.features.meals.vocabulary import Allergen, Diet, MealType, Source, Visibility, Word

VALUES: list[tuple[type[Word], str]] = [
    (MealType, "breakfast brunch lunch snack dinner late_night drink"),
    (Visibility, "public unlisted followers only_me"),
    (Source, "home restaurant takeaway canteen street packaged other"),
    (Diet, "vegan vegetarian halal kosher hindu gluten_free low_lactose low_salt diabetic"),
    (
        Allergen,
        "gluten crustaceans eggs fish peanuts soybeans milk nuts celery mustard sesame sulphites lupin molluscs",
    ),
]
WORDS = [word for kind, _values in VALUES for word in kind]


@pytest.mark.parametrize(("kind", "values"), VALUES)
def test_the_values_and_their_order(kind: type[Word], values: str) -> None:
    assert [word.value for word in kind] == values.split()
    assert [kind(value) for value in values.split()] == list(kind)


@pytest.mark.parametrize("word", WORDS)
def test_every_label_is_a_message_with_words_in_both_languages(word: Word) -> None:
    assert isinstance(word.label, TranslationString)
    assert word.label.domain == "mealshare"
    assert translate(word.label, "en") == str(word.label)
    chinese = translate(word.label, "zh_CN")
    assert chinese != str(word.label)
    assert not chinese.isascii()


def test_labels_within_a_list_differ() -> None:
    for kind, _values in VALUES:
        for locale in ("en", "zh_CN"):
            assert len({translate(word.label, locale) for word in kind}) == len(kind)


def test_the_agreed_labels() -> None:
    assert Visibility.UNLISTED.label == "Quiet public"
    assert [translate(word.label, "zh_CN") for word in MealType] == [
        "早餐",
        "早午餐",
        "午餐",
        "加餐",
        "晚餐",
        "夜宵",
        "饮品",
    ]


def test_a_word_is_its_value_wherever_it_goes() -> None:
    assert Diet.VEGAN == "vegan"
    assert f"{MealType.LATE_NIGHT}" == "late_night"
    assert json.dumps([Visibility.ONLY_ME]) == '["only_me"]'
    assert pickle.loads(pickle.dumps(Source.HOME)) is Source.HOME
    assert TypeAdapter(Allergen).validate_python("nuts") is Allergen.NUTS
    with pytest.raises(ValidationError):
        TypeAdapter(Visibility).validate_python("private")


def test_every_meal_type_has_an_icon_of_its_own_in_the_sprite() -> None:
    icons = [meal_type.icon for meal_type in MealType]
    assert len(set(icons)) == len(icons)
    sprite = (Path(mealshare.__file__).parent / "web" / "static" / "icons.svg").read_text(encoding="utf-8")
    assert [icon for icon in icons if f'id="i-{icon}"' not in sprite] == []
