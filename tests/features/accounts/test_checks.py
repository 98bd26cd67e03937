"""What names, addresses and passwords may be, apart from what has tests of its own."""

from __future__ import annotations

import pytest

from mealshare.features.accounts import checks
from mealshare.features.accounts.checks import Refused


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada.Lovelace+meals@Example.ORG ", "Ada.Lovelace+meals@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_stored_in_one_form(typed: str, stored: str) -> None:
    assert checks.check_email(typed) == stored
    assert checks.check_email(stored) == stored


@pytest.mark.parametrize(
    "typed",
    ["", "ada", "@example.org", "ada@", "ada@@example.org", "ada@localhost", "小@example.org", "a b@example.org",
     "a,b@example.org", '"ada"@example.org', "ada@example.org\nBcc: eve@example.org", "a\0@example.org",
     "x" * 65 + "@example.org", "a@" + "x." * 130 + "org", "ada@exam ple.org", "<ada@example.org>", "ada@.org",
     "ada@example..org"],
)  # fmt: skip
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(Refused) as refused:
        checks.check_email(typed)
    assert refused.value.code == "bad_email"


@pytest.mark.parametrize(
    ("typed", "code", "params"),
    [
        ("ab", "too_short", {"min": 3}),
        ("a" * 31, "too_long", {"max": 30}),
        ("a-b", "username_characters", {}),
        ("a__b", "username_underscore", {}),
        ("123", "username_needs_letter", {}),
        ("settings", "username_reserved", {}),
    ],
)
def test_a_refused_username_says_why(typed: str, code: str, params: dict[str, int]) -> None:
    with pytest.raises(Refused) as refused:
        checks.check_username(typed)
    assert (refused.value.code, refused.value.params) == (code, params)


def test_a_username_is_stored_as_it_was_typed() -> None:
    assert checks.check_username(" @Mei_Lin ") == "Mei_Lin"


def test_a_password_is_compared_with_its_owner() -> None:
    password = "qorvaxil-2024"
    assert checks.check_new_password(password) == password
    for known in ({"username": "Qorvaxil"}, {"email": "qorvaxil@example.org"}):
        with pytest.raises(Refused, match="password_same_as_name"):
            checks.check_new_password(password, **known)


@pytest.mark.parametrize("typed", ["", "   ", "\u200b", "\u3164"])
def test_a_name_in_which_nothing_can_be_seen_is_none(typed: str) -> None:
    assert checks.check_display_name(typed) == ""
