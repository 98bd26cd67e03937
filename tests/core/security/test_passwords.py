from __future__ import annotations

import random
import secrets
import string
import subprocess
import sys
import time
from statistics import median

import pytest
from argon2 import PasswordHasher, extract_parameters

from mealshare.core.security.passwords import (
    hash_password,
    is_common,
    needs_rehash,
    password_problem,
    verify_password,
)

GOOD = "correct horse battery staple"


def test_a_hash_is_argon2id_with_the_chosen_parameters() -> None:
    hashed = hash_password(GOOD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    parameters = extract_parameters(hashed)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)
    assert hash_password(GOOD) != hashed


def test_verify_takes_the_right_password_only() -> None:
    hashed = hash_password(GOOD)
    assert verify_password(hashed, GOOD)
    assert not verify_password(hashed, GOOD + " ")
    assert not verify_password(hashed, GOOD.upper())
    assert not verify_password(hashed, "")


def test_the_whole_of_a_long_password_counts() -> None:
    long = secrets.token_hex(128)
    assert len(long) == 256
    assert verify_password(hash_password(long), long)
    assert not verify_password(hash_password(long), long[:-1] + "!")


@pytest.mark.parametrize(
    ("set_as", "typed_as"),
    [
        ("caf\u00e9 caf\u00e9 au lait", "cafe\u0301 cafe\u0301 au lait"),
        ("ｐａｓｓ ｗｉｔｈ ｗｉｄｅ １", "pass with wide 1"),
        ("水\u3000と 米と野菜の味噌汁", "水 と 米と野菜の味噌汁"),
    ],
)
def test_two_keyboards_of_the_same_words_give_the_same_password(set_as: str, typed_as: str) -> None:
    assert set_as != typed_as
    assert verify_password(hash_password(set_as), typed_as)


@pytest.mark.parametrize("hashed", [None, "", "!", "$2b$12$abc", "not a hash"])
def test_no_account_and_no_usable_hash_are_false(hashed: str | None) -> None:
    assert not verify_password(hashed, GOOD)


@pytest.mark.parametrize("password", ["", "\0", "a\0b", "\ud800", "x" * 257, "x" * 1_000_000, "\r\n" * 10])
def test_impossible_passwords_are_false_and_never_an_error(password: str) -> None:
    assert not verify_password(None, password)
    assert not verify_password(hash_password(GOOD), password)


@pytest.mark.parametrize("password", ["x" * 257, "a\0bcdefghijkl", "\ud800" * 12])
def test_impossible_passwords_are_not_hashed(password: str) -> None:
    with pytest.raises(ValueError, match="256 characters"):
        hash_password(password)


def test_an_unknown_account_takes_the_same_time() -> None:
    hashed = hash_password(GOOD)
    verify_password(None, GOOD)

    def took(value: str | None) -> float:
        start = time.thread_time()
        verify_password(value, "some other password")
        return time.thread_time() - start

    pairs = [(took(hashed), took(None), took("!")) for _ in range(15)]
    known, unknown, unusable = (median(column) for column in zip(*pairs, strict=True))
    # Without the dummy hash the ratio is below 0.001.
    assert 0.6 < unknown / known < 1.6
    assert 0.6 < unusable / known < 1.6


def test_old_parameters_ask_for_a_new_hash() -> None:
    assert not needs_rehash(hash_password(GOOD))
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    assert needs_rehash(weaker)
    assert verify_password(weaker, GOOD)


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "correcthorsebatterystaple",
        "kX9#vLq2!mZp",
        "tacos at midnight",
        "ich esse gerne pizza",
        "我喜欢吃麻婆豆腐和米饭喝汤",
        "Ужин в семь часов",
        "🍕🍜🍣🥗🍔🌮🥟🍱🍛🍝🥘🍲",
        "    padded  with spaces tonight  ",
    ],
)
def test_good_passwords(password: str) -> None:
    assert password_problem(password, username="ana", email="ana@meals.example") is None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "too_short"),
        ("kX9#vLq2!mZ", "too_short"),
        ("\ufdfa", "too_short"),  # one character that NFKC makes eighteen
        ("e\u0301" * 6, "too_short"),  # twelve code points that NFKC makes six
        ("x1" * 129, "too_long"),
        ("a" * 1_000_000, "too_long"),
        ("kX9#vLq2\0mZpQ", "invalid_characters"),
        ("kX9#vLq2\nmZpQ", "invalid_characters"),
        ("kX9#vLq2\ud800mZpQ", "invalid_characters"),
    ],
)
def test_length_and_characters(password: str, code: str) -> None:
    assert password_problem(password) == code


def test_the_limits_are_inclusive() -> None:
    rng = random.Random(1)
    letters = "".join(rng.choices(string.ascii_letters, k=256))
    assert password_problem(letters) is None
    assert password_problem(letters[:12]) is None
    assert password_problem(letters[:11]) == "too_short"


COMMON = [
    "passwordpassword",
    "password1234",
    "Password2024!",
    "PASSWORD12345",
    "P@ssw0rd1234",
    "P4$$w0rd!!!!",
    "123456789012",
    "012345678901",
    "098765432109",
    "111222333444",
    "aaaaaaaaaaaa",
    "a" * 256,
    "abababababab",
    "abcdefghijkl",
    "zyxwvutsrqpo",
    "qwertyuiop12",
    "qwertyqwerty",
    "poiuytrewq99",
    "1qaz2wsx3edc",
    "1q2w3e4r5t6y",
    "azertyuiop12",
    "asdfghjkl;'asdf",
    "iloveyou1234",
    "iloveyouiloveyouiloveyou",
    "monkeydragon123",
    "Liverpool1892",
    "summersummer99",
    "letmeinletmein1",
    "abcdefgabcdefgh",
    "xkcd9xkcd9xkcd9",
    "construction",
    "international",
    "manchesterunited",
    "woaini1314520",
    "пароль123456",
    "mealshare2026!",
    "MealShareMealShare",
    "密码密码密码密码密码密码",
    "ｐａｓｓｗｏｒｄ１２３４",
]


@pytest.mark.parametrize("password", COMMON)
def test_common_passwords_are_refused(password: str) -> None:
    assert password_problem(password) == "common"


def test_every_listed_word_of_twelve_letters_is_refused() -> None:
    import gzip
    from importlib.resources import files

    packed = files("mealshare.core.security").joinpath("common_passwords.txt.gz").read_bytes()
    words = gzip.decompress(packed).decode().splitlines()
    assert len(words) > 60_000
    assert words == sorted(set(words))
    long = [word for word in words if len(word) >= 12]
    assert len(long) > 4_000
    assert [word for word in long[::10] if not is_common(word)] == []
    assert [word for word in long[::40] if password_problem(word.title()) != "common"] == []


def test_random_passwords_are_never_called_common() -> None:
    rng = random.Random(11)
    alphabets = [string.ascii_lowercase, string.ascii_letters + string.digits, string.printable[:94], string.hexdigits]
    for alphabet in alphabets:
        for _ in range(100):
            assert not is_common("".join(rng.choices(alphabet, k=12)))


@pytest.mark.parametrize(
    ("password", "username", "email"),
    [
        ("zbrxkowalczyk", "zbrxkowalczyk", ""),
        ("ZbrxKowalczyk1", "zbrxkowalczyk", ""),
        ("zbrxkowalczyk2026!", "Zbrx_Kowalczyk", ""),
        ("zbrx.kowalczyk@posteo.example", "other", "zbrx.kowalczyk@posteo.example"),
        ("kowalczyk-zbrx", "", "zbrx.kowalczyk@posteo.example"),
        ("zbrx+kowalczyk", "", "zbrx+kowalczyk@posteo.example"),
        ("Zbrxqwvtjk12!", "", "a@zbrxqwvtjk.example"),
        ("q" * 3 + "vwjxz" * 20, "", "q" * 3 + "vwjxz" * 20),
    ],
)
def test_a_password_made_of_the_persons_names_is_refused(password: str, username: str, email: str) -> None:
    assert password_problem(password) is None or len(password) > 64
    assert password_problem(password, username=username, email=email) == "same_as_name"


def test_a_password_that_only_mentions_a_name_is_fine() -> None:
    assert password_problem("ana likes noodles at noon", username="ana", email="ana@meals.example") is None
    assert password_problem("kX9#vLq2!mZp", username="k", email="v@x.y") is None


def test_hostile_input_costs_little() -> None:
    rng = random.Random(2)
    texts = ["".join(rng.choices(string.ascii_lowercase, k=256)), "aaab" * 64, "password" * 32, "ab1" * 85]
    is_common("warm up")
    for text in texts:
        start = time.thread_time()
        password_problem(text, username="x" * 30, email="a.b.c@" + "y" * 240 + ".example")
        assert time.thread_time() - start < 0.5


def test_the_list_is_read_at_the_first_use_only() -> None:
    program = (
        "import mealshare.core.security.passwords as p\n"
        "assert p._listed.cache_info().currsize == 0 and p._dummy_hash.cache_info().currsize == 0\n"
        "p.is_common('some password'); p.is_common('some other')\n"
        "assert p._listed.cache_info().misses == 1\n"
        "size = p._listed().itemsize * len(p._listed())\n"
        "assert size < 600_000, size\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
