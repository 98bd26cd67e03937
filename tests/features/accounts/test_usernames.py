from __future__ import annotations

import random
import string
import unicodedata

import pytest

from mealshare.features.accounts.usernames import (
    MAX_DISPLAY_CODE_POINTS,
    RESERVED,
    clean_display_name,
    display_length,
    display_name_problem,
    is_reserved,
    normalise_username,
    username_problem,
)

ZWJ, ZWNJ = "\u200d", "\u200c"


@pytest.mark.parametrize(
    "name", ["ana", "Ana", "a_b", "x2y", "a" * 30, "LiLei_2026", "99bottles", "adminton", "mealshar"]
)
def test_good_usernames(name: str) -> None:
    assert username_problem(name) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "too_short"),
        ("ab", "too_short"),
        ("a" * 31, "too_long"),
        ("a" * 100_000, "too_long"),
        ("_ana", "misplaced_underscore"),
        ("ana_", "misplaced_underscore"),
        ("a__b", "misplaced_underscore"),
        ("___", "misplaced_underscore"),
        ("123", "needs_letter"),
        ("1_2_3", "needs_letter"),
        ("ana lee", "invalid_characters"),
        ("ana-lee", "invalid_characters"),
        ("ana.lee", "invalid_characters"),
        ("ana@lee", "invalid_characters"),
        ("ana/lee", "invalid_characters"),
        ("ana\n", "invalid_characters"),
        ("ana\0", "invalid_characters"),
        ("аna", "invalid_characters"),  # Cyrillic a
        ("ａｎａ", "invalid_characters"),  # full width
        ("ana٣", "invalid_characters"),  # Arabic-Indic digit
        ("anaſ", "invalid_characters"),  # long s, which lower-cases oddly
        ("K\u212ang", "invalid_characters"),  # Kelvin sign
        ("ana\u200b", "invalid_characters"),
        ("ana\u202e", "invalid_characters"),
        ("İpek", "invalid_characters"),
        ("\ud800ana", "invalid_characters"),
        ("é", "invalid_characters"),
    ],
)
def test_bad_usernames(name: str, code: str) -> None:
    assert username_problem(name) == code


@pytest.mark.parametrize(
    "name",
    [
        "admin",
        "ADMIN",
        "Admin",
        "ad_min",
        "adm1n",
        "r00t",
        "supp0rt",
        "1ogin",
        "he1p",
        "api",
        "well_known",
        "wellknown",
        "follow_requests",
        "mealshare",
        "MealShare",
        "mealshare_team",
        "the_meal_share",
        "mea1share",
        "m34lsh4r3",
        "official",
        "null",
        "me_me_mealshare",
        "webmaster",
    ],
)
def test_reserved_usernames(name: str) -> None:
    assert username_problem(name) == "reserved"


ADDRESSES = (
    "home explore tags search new share random feed notifications want follow-requests settings register login logout "
    "password email invite report admin about privacy terms docs openapi health manifest sw robots sitemap oembed "
    "well-known api users user meals media token tokens feed places exports reports diary followers following edit "
    "delete"
)


def test_every_top_level_address_is_reserved() -> None:
    assert [word for word in ADDRESSES.split() if not is_reserved(word.replace("-", "_"))] == []
    assert len(RESERVED) >= 120


def test_normalising() -> None:
    assert normalise_username("  @Ana \n") == "Ana"
    assert normalise_username("Ana") == "Ana"
    assert username_problem(normalise_username("@@Ana")) == "invalid_characters"


def test_any_accepted_name_is_lower_cased_one_to_one() -> None:
    rng = random.Random(3)
    alphabet = string.ascii_letters + string.digits + "_"
    accepted = 0
    for _ in range(2000):
        name = "".join(rng.choices(alphabet, k=rng.randint(3, 30)))
        if username_problem(name) is None:
            accepted += 1
            # In lower case a name has to be unique, and is looked up.
            assert len(name.lower()) == len(name)
            assert username_problem(name.lower()) is None
    assert accepted > 500


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Ana", "Ana"),
        ("  Ana \t\n Lee\u3000李 ", "Ana Lee 李"),
        ("e\u0301", "é"),
        ("Ana\0\x07\x1b[31m", "Ana[31m"),
        ("Ana\x1cLee\x85\u2028\u2029x", "Ana Lee x"),
        ("\u202eana\u202c \u2066x\u2069\u200e\u200f\u061c", "ana x"),
        ("a\u200bd\u2060m\ufeffin\u00ad", "admin"),
        ("a\u180eb\u034fc\u2061d\ufff9e", "abcde"),
        ("\u3164\u115f\u1160\uffa0\u2800x", "x"),
        ("a\ud800b\ue000c\U000f0000d\ufdd0e\uffffg", "abcdeg"),
        ("hi\U000e0041\U000e0042\U000e007f", "hi"),
        ("ﬁsh ①", "ﬁsh ①"),
        ("محمد", "محمد"),
        ("שָׁלוֹם", "שָׁלוֹם"),
    ],
)
def test_display_names_are_cleaned(typed: str, shown: str) -> None:
    assert clean_display_name(typed) == unicodedata.normalize("NFC", shown)


@pytest.mark.parametrize(
    "name",
    [
        f"👩{ZWJ}🍳",
        f"👩🏽{ZWJ}🍳 Ana",
        f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦",
        f"🏳\ufe0f{ZWJ}🌈",
        f"🤷🏻{ZWJ}♀\ufe0f",
        "❤\ufe0f",
        "🇩🇪 🇨🇳",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "\U0001fae8",  # an emoji of Unicode 15, newer than the tables of Python 3.11
        f"می{ZWNJ}خواهم",  # Persian: without the non-joiner it is spelled wrongly
        f"क्{ZWJ}ष",  # Devanagari half form
        f"ന്{ZWNJ}മ",  # Malayalam
        "葛\U000e0100城",  # an ideographic variation as in Japanese names
    ],
)
def test_what_is_invisible_but_belongs_to_the_writing_is_kept(name: str) -> None:
    assert clean_display_name(name) == unicodedata.normalize("NFC", name)
    assert display_name_problem(clean_display_name(name)) is None


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (f"ad{ZWJ}min", "admin"),
        (f"ad{ZWNJ}min", "admin"),
        (f"{ZWJ}ana{ZWJ}", "ana"),
        (f"{ZWNJ}{ZWNJ}", ""),
        (f"李{ZWJ}雷", "李雷"),
        (f"👩{ZWJ}{ZWJ}{ZWJ}🍳", f"👩{ZWJ}🍳"),
        (f"👩{ZWJ}ana", "👩ana"),
        (f"م{ZWNJ}{ZWNJ}م", f"م{ZWNJ}م"),
        (f"م{ZWNJ}a", "مa"),
        (f"a{ZWNJ}م", "aم"),
        ("a\ufe0f\ufe0f\ufe0e", "a\ufe0f"),
        ("\ufe0f", ""),
        ("🏴\U000e0067\U000e0062", "🏴"),
        ("🏴\U000e0061\U000e0062\U000e0063\U000e0064\U000e0065\U000e007f", "🏴"),
    ],
)
def test_joiners_selectors_and_tags_elsewhere_are_taken_out(typed: str, shown: str) -> None:
    assert clean_display_name(typed) == shown


def test_stacked_marks_are_cut() -> None:
    cleaned = clean_display_name("x" + "\u0335\u0489\u0336" * 30 + "y")
    assert cleaned[0] == "x"
    assert cleaned[-1] == "y"
    assert len(cleaned) == 7


def test_cleaning_twice_changes_nothing_and_leaves_no_control() -> None:
    bidi_controls = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    rng = random.Random(5)
    parts = [
        ZWJ,
        ZWNJ,
        "👩",
        "🏽",
        "♀",
        "\ufe0f",
        "\U000e0100",
        "a",
        "é",
        "e",
        "\u0301",
        "م",
        "\u064b",
        "्",
        "क",
        " ",
        "\t",
        "\u202e",
        "\u034f",
        "\uffff",
        "\U000e0067",
        "\U000e007f",
        "🏴",
        "\u0378",
        "\u1160",
        "가",
        "\u11a8",
    ]
    for _ in range(20_000):
        once = clean_display_name("".join(rng.choices(parts, k=rng.randint(1, 12))))
        assert clean_display_name(once) == once
        assert once == once.strip()
        assert not bidi_controls & {unicodedata.bidirectional(char) for char in once}
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Zl", "Zp") for char in once)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "empty"),
        (" \t\u200b\u2800\u3164 ", "empty"),
        ("\u0301", "empty"),
        ("x", None),
        ("a" * 50, None),
        ("a" * 51, "too_long"),
        ("李" * 50, None),
        ("李" * 51, "too_long"),
        (f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦" * 20, None),
        (f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦" * 51, "too_long"),
        (("a" + "\u0335" * 5) * 33, None),
        (("a" + "\u0335" * 5) * 34, "too_long"),
    ],
)
def test_display_name_problems(name: str, code: str | None) -> None:
    assert display_name_problem(clean_display_name(name)) == code


def test_display_length_counts_what_is_seen() -> None:
    assert display_length("") == 0
    assert display_length(f"👩🏽{ZWJ}🍳!") == 2
    assert display_length("s\u0335\u0336") == 1
    assert display_length("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f") == 1
    assert MAX_DISPLAY_CODE_POINTS == 200
