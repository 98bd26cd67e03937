from __future__ import annotations

import hashlib
import re

import pytest

from mealshare.core.security.tokens import Signer, hash_token, new_token, require_strong_secret, same_token
from mealshare.core.settings import SettingsError

SECRET = new_token(48)


def test_a_token_has_256_bits_in_base64url_and_never_comes_twice() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert len(new_token(16)) == 22


@pytest.mark.parametrize("nbytes", [0, 1, 15, -1])
def test_a_short_token_is_refused(nbytes: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        new_token(nbytes)


def test_the_hash_is_sha256_and_takes_any_string() -> None:
    assert hash_token("abc") == hashlib.sha256(b"abc").digest()
    assert len(hash_token("")) == 32
    assert hash_token("\ud800") != hash_token("?")
    assert hash_token("é") != hash_token("e\u0301")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("a", "a", True),
        ("a", b"a", True),
        ("é", "é".encode(), True),
        ("a", "b", False),
        ("a", "aa", False),
        ("", "", True),
        ("\ud800", "\ud800", True),
        ("\ud800", "a", False),
    ],
)
def test_same_token(left: str | bytes, right: str | bytes, same: bool) -> None:
    assert same_token(left, right) is same


def test_a_signature_does_not_show_the_value_and_depends_on_value_secret_and_purpose() -> None:
    signer = Signer(SECRET, "csrf")
    signature = signer.sign("session-id")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", signature)
    assert "session-id" not in signature
    assert signer.verify("session-id", signature)
    assert Signer(SECRET, "csrf").verify("session-id", signature)
    assert not signer.verify("session-id2", signature)
    assert not Signer(SECRET, "cookie").verify("session-id", signature)
    assert not Signer(SECRET + "x", "csrf").verify("session-id", signature)


@pytest.mark.parametrize("forged", ["", "x", "é", "\ud800", "\0", "A" * 43, "A" * 10_000])
def test_a_forged_signature_is_refused_and_never_an_error(forged: str) -> None:
    assert not Signer(SECRET, "csrf").verify("value", forged)


def test_a_wrapped_value_comes_back() -> None:
    signer = Signer(SECRET, "draft")
    for value in ("", "abc", "a.b.c", "A-Z_0~9", "x" * 3072):
        assert signer.unwrap(signer.wrap(value)) == value


def test_an_altered_wrapped_value_is_refused_at_every_place() -> None:
    signer = Signer(SECRET, "draft")
    wrapped = signer.wrap("user-17")
    for index, char in enumerate(wrapped):
        other = "A" if char != "A" else "B"
        assert signer.unwrap(wrapped[:index] + other + wrapped[index + 1 :]) is None
        assert signer.unwrap(wrapped[:index]) is None
    assert Signer(SECRET, "other").unwrap(wrapped) is None


@pytest.mark.parametrize("value", [None, "", ".", "abc", "abc.", "é.é", "\ud800.x", "x" * 100_000])
def test_garbage_unwraps_to_none(value: str | None) -> None:
    assert Signer(SECRET, "draft").unwrap(value) is None


@pytest.mark.parametrize("value", ["a b", "a;b", "a\r\nSet-Cookie: x=y", "é", "a\n", '"', "x" * 3073])
def test_what_does_not_fit_into_a_cookie_is_not_wrapped(value: str) -> None:
    with pytest.raises(ValueError, match="unreserved"):
        Signer(SECRET, "draft").wrap(value)


@pytest.mark.parametrize(("secret", "purpose"), [("", "csrf"), ("secret", "")])
def test_a_signer_without_secret_or_purpose_is_refused(secret: str, purpose: str) -> None:
    with pytest.raises(ValueError, match="secret and a purpose"):
        Signer(secret, purpose)


def test_strong_secrets_pass() -> None:
    for _ in range(200):
        require_strong_secret("x.secret", new_token(32))
        require_strong_secret("x.secret", hashlib.sha256(new_token().encode()).hexdigest())


@pytest.mark.parametrize(
    ("secret", "word"),
    [
        ("", "missing"),
        ("changeme", "weak"),
        ("a" * 64, "weak"),
        ("changeme-" * 8, "weak"),
        (hashlib.md5(b"x").hexdigest(), "weak"),
        ("0123456789" * 4, "weak"),
        (new_token(31)[:42], "weak"),
        (new_token(24) + " " + new_token(24), "spaces"),
        (new_token(24) + "," + new_token(24), "spaces"),
        (new_token(48) + "é", "ASCII"),
        (new_token(48) + "\n", "ASCII"),
    ],
    # Some are random, and processes that share the tests must agree on their names.
    ids=map(str, range(99)),
)
def test_a_weak_secret_stops_the_boot_with_its_name_and_without_itself(secret: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        require_strong_secret("x.secret", secret)
    assert "x.secret" in str(caught.value)
    assert not secret or secret not in str(caught.value)
