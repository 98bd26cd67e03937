"""The demo data keeps to the product's vocabulary and limits; every picture is used, described and credited."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from PIL import Image

import mealshare.cli

DEMO = Path(mealshare.cli.__file__).parent / "demo"
PICTURES = DEMO / "pictures"

# Written out, not imported: the data must agree with the product, and this test must notice when the code drifts.
MEAL_TYPES = {"breakfast", "brunch", "lunch", "snack", "dinner", "late_night", "drink"}
VISIBILITIES = {"public", "unlisted", "followers", "only_me"}
SOURCES = {"home", "restaurant", "takeaway", "canteen", "street", "packaged", "other"}
DIETS = {"vegan", "vegetarian", "halal", "kosher", "hindu", "gluten_free", "low_lactose", "low_salt", "diabetic"}
ALLERGENS = {
    "gluten",
    "crustaceans",
    "eggs",
    "fish",
    "peanuts",
    "soybeans",
    "milk",
    "nuts",
    "celery",
    "mustard",
    "sesame",
    "sulphites",
    "lupin",
    "molluscs",
}
MEAL_KEYS = {
    "user",
    "food",
    "note",
    "meal_type",
    "days_ago",
    "local_time",
    "visibility",
    "sensitive",
    "spoiler_text",
    "language",
    "place",
    "source",
    "tags",
    "diets",
    "allergens",
    "recipe_url",
    "pictures",
    "likes",
    "edited",
}
PERSON_KEYS = {"username", "display_name", "bio", "locale", "time_zone", "language", "avatar", "role"}
# The hours (first, last) in which a meal of this type is believable; late_night wraps over midnight.
HOURS = {
    "breakfast": (4, 11),
    "brunch": (9, 14),
    "lunch": (11, 15),
    "snack": (9, 20),
    "dinner": (16, 22),
    "late_night": (20, 5),
    "drink": (5, 22),
}
# What an eater who declares the diet cannot also declare as contained.
CONTRADICTIONS = {
    "vegan": {"crustaceans", "eggs", "fish", "milk", "molluscs"},
    "vegetarian": {"crustaceans", "fish", "molluscs"},
    "gluten_free": {"gluten"},
    "kosher": {"crustaceans", "molluscs"},
}


def load(name: str) -> list[dict[str, Any]]:
    """Give the JSON array in the named file of the demo folder."""
    data: list[dict[str, Any]] = json.loads((DEMO / name).read_text(encoding="utf-8"))
    return data


PEOPLE = load("people.json")
MEALS = load("meals.json")
LABELS = [f"{meal['user']}-{number}" for number, meal in enumerate(MEALS)]
every_meal = pytest.mark.parametrize("meal", MEALS, ids=LABELS)


def clean(text: str) -> bool:
    """Whether a text is trimmed and holds no control character."""
    return text == text.strip() and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person["username"])
def test_person(person: dict[str, Any]) -> None:
    assert set(person) == PERSON_KEYS
    assert re.fullmatch(r"[a-z0-9_]{3,30}", person["username"])
    assert person["display_name"]
    assert clean(person["display_name"])
    assert clean(person["bio"])
    assert person["locale"] in {"en", "zh_CN"}
    assert person["time_zone"] in available_timezones()
    assert ZoneInfo(person["time_zone"]).key == person["time_zone"]
    assert person["avatar"] is None or (PICTURES / person["avatar"]).is_file()
    assert sum(meal["user"] == person["username"] for meal in MEALS) >= 4


def test_people_together() -> None:
    names = [person["username"] for person in PEOPLE]
    assert len(set(names)) == len(names) == 40
    roles = Counter(person["role"] for person in PEOPLE)
    assert roles == {"admin": 1, "moderator": 1, "user": 38}
    assert [person["username"] for person in PEOPLE if person["role"] == "admin"] == ["ada"]
    regions = {person["time_zone"].split("/")[0] for person in PEOPLE}
    assert {"Africa", "America", "Asia", "Australia", "Europe", "Pacific"} <= regions


@every_meal
def test_meal_words(meal: dict[str, Any]) -> None:
    assert set(meal) == MEAL_KEYS
    assert meal["user"] in {person["username"] for person in PEOPLE}
    assert 1 <= len(meal["food"]) <= 140
    assert len(meal["note"]) <= 2000
    assert all(clean(meal[key]) for key in ("food", "note", "spoiler_text"))
    assert re.fullmatch(r"[a-z]{2}(-[A-Z][A-Za-z]{1,3})?", meal["language"])
    assert meal["sensitive"] == bool(meal["spoiler_text"])
    assert len(meal["tags"]) == len(set(meal["tags"])) <= 20
    assert all(re.fullmatch(r"[^\s#.,;:!?/]{1,50}", tag) and not tag.isdigit() for tag in meal["tags"])
    assert meal["recipe_url"] is None or re.match(r"https://example\.(org|com)/", meal["recipe_url"])
    assert "safe" not in re.findall(r"[a-z]+", f"{meal['food']} {meal['note']}".lower())


@every_meal
def test_meal_vocabulary(meal: dict[str, Any]) -> None:
    assert meal["meal_type"] in MEAL_TYPES
    assert meal["visibility"] in VISIBILITIES
    assert meal["source"] is None or meal["source"] in SOURCES
    contains, free_from = meal["allergens"]["contains"], meal["allergens"]["free_from"]
    for chosen, allowed in ((meal["diets"], DIETS), (contains, ALLERGENS), (free_from, ALLERGENS)):
        assert len(set(chosen)) == len(chosen)
        assert set(chosen) <= allowed
    assert not set(contains) & set(free_from)
    for diet in meal["diets"]:
        assert not set(contains) & CONTRADICTIONS.get(diet, set()), diet


@every_meal
def test_meal_time_and_place(meal: dict[str, Any]) -> None:
    assert type(meal["days_ago"]) is int
    assert 0 <= meal["days_ago"] <= 364
    assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", meal["local_time"])
    hour = int(meal["local_time"][:2])
    first, last = HOURS[meal["meal_type"]]
    assert first <= hour <= last if first <= last else hour >= first or hour <= last
    if meal["place"] is not None:
        place = meal["place"]
        assert set(place) == {"name", "city", "country_code", "latitude", "longitude"}
        assert place["name"]
        assert place["city"]
        assert re.fullmatch(r"[A-Z]{2}", place["country_code"])
        assert -90 <= place["latitude"] <= 90
        assert -180 <= place["longitude"] <= 180
        assert all(round(place[axis], 2) == place[axis] for axis in ("latitude", "longitude"))


@every_meal
def test_meal_pictures_and_counters(meal: dict[str, Any]) -> None:
    assert len(meal["pictures"]) <= 4
    for picture in meal["pictures"]:
        assert set(picture) == {"file", "description"}
        assert (PICTURES / picture["file"]).is_file()
        assert 10 <= len(picture["description"]) <= 1500
        if meal["language"] in {"ar", "hi", "ja", "ko", "zh-Hans"}:
            assert not picture["description"].isascii(), "the description is in the language of the meal"
    assert type(meal["likes"]) is int
    assert 0 <= meal["likes"] <= 12
    assert type(meal["edited"]) is bool
    assert meal["visibility"] != "only_me" or meal["likes"] == 0, "nobody can like what nobody sees"


def test_every_word_of_the_vocabulary_is_used() -> None:
    assert {meal["meal_type"] for meal in MEALS} == MEAL_TYPES
    assert {meal["visibility"] for meal in MEALS} == VISIBILITIES
    assert {meal["source"] for meal in MEALS} == SOURCES | {None}
    assert {diet for meal in MEALS for diet in meal["diets"]} == DIETS
    assert {allergen for meal in MEALS for allergen in meal["allergens"]["contains"]} == ALLERGENS
    assert any(meal["allergens"]["free_from"] for meal in MEALS)
    assert any(meal["sensitive"] for meal in MEALS)
    assert any(meal["recipe_url"] for meal in MEALS)
    assert sum(meal["edited"] for meal in MEALS) >= 10
    assert sum(bool(re.search(r"(^|\s|\W)#\w", meal["note"])) for meal in MEALS) >= 20


def test_meals_together() -> None:
    assert len(MEALS) == 500
    assert len({meal["food"] for meal in MEALS}) >= 450
    assert len({meal["note"] for meal in MEALS if meal["note"]}) >= 200
    assert sum(not meal["note"] for meal in MEALS) >= 100
    assert [meal["days_ago"] for meal in MEALS] == sorted(meal["days_ago"] for meal in MEALS)
    months = {meal["days_ago"] // 31 for meal in MEALS}
    assert months == set(range(12)), "no month of the year is empty"
    assert sum(count >= 40 for count in Counter(meal["user"] for meal in MEALS).values()) >= 3


def test_languages() -> None:
    languages = Counter(meal["language"] for meal in MEALS)
    assert 0.40 <= languages["en"] / len(MEALS) <= 0.50
    assert 0.27 <= languages["zh-Hans"] / len(MEALS) <= 0.33
    assert {"es", "fr", "de", "ja", "ar", "hi", "pt-BR", "ko", "tr"} <= set(languages)
    not_ascii = sum(not f"{meal['food']}{meal['note']}".isascii() for meal in MEALS)
    assert not_ascii / len(MEALS) >= 0.45


def test_the_front_page() -> None:
    newest = MEALS[:30]
    assert len({meal["language"] for meal in newest}) >= 8
    assert sum(bool(meal["pictures"]) for meal in newest) >= 20
    assert len({meal["user"] for meal in newest}) >= 20
    assert all(meal["visibility"] == "public" and not meal["sensitive"] for meal in newest)


@pytest.mark.parametrize("path", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_picture(path: Path) -> None:
    assert path.suffix == ".jpg"
    assert path.stat().st_size <= 130_000
    with Image.open(path) as image:
        assert image.format == "JPEG"
        assert not image.getexif()
        least = 300 if path.name.startswith("avatar-") else 800
        assert min(image.size) >= least
        image.load()


def test_pictures_together() -> None:
    files = {path.name for path in PICTURES.iterdir()}
    scenes = {name for name in files if not name.startswith("avatar-")}
    assert 60 <= len(scenes) <= 80
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) <= 7_000_000
    shown = {picture["file"] for meal in MEALS for picture in meal["pictures"]}
    avatars = {person["avatar"] for person in PEOPLE if person["avatar"]}
    assert shown | avatars == files, "every file is used and every used file exists"


def test_every_picture_is_credited() -> None:
    text = (DEMO / "CREDITS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert sorted(row[0] for row in rows) == sorted(path.name for path in PICTURES.iterdir())
    assert all(cell.strip() for row in rows for cell in row)
    assert "Permission is hereby granted, free of charge" in text
    assert "Copyright (c) Microsoft Corporation" in text
