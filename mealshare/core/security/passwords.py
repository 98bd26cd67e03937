"""Passwords: hashing, checking, and refusing those that are guessed first.

Argon2id with two passes over 19 MiB (OWASP Password Storage Cheat Sheet).  No composition rules, a minimum length, a
list of common ones, Unicode normalised to NFKC before anything else, and each code point counted as one character:
NIST SP 800-63B-4, 3.1.1.2.  Control characters are refused as in RFC 8265 (OpaqueString), whose mapping of other
spaces to the ASCII space is part of NFKC.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import unicodedata
from array import array
from bisect import bisect_left
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from mealshare.core.security.tokens import new_token

MIN_LENGTH = 12
MAX_LENGTH = 256
#: Fewer independent parts than this and a password is guessed early; three words of a list (2 each) are just enough.
MIN_STRENGTH = 6
#: Words that everybody here would think of first (NIST: "context-specific words, such as the name of the service").
SITE_WORDS = frozenset({"mealshare"})

_WORD_COST = 2
#: The longest word of the list, and the longest name that is looked for inside a password.
_MAX_WORD, _MAX_NAME = 24, 64
_YEAR = re.compile(r"(?:19|20)\d\d")
_LEET = str.maketrans("01345$7@!", "oieasstai")
#: What fingers do without thinking; each is tried in both directions.
_TRACKS = (
    "01234567890", "abcdefghijklmnopqrstuvwxyz", "!@#$%^&*()",
    "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "azertyuiop",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "qazwsxedcrfvtgbyhnujm", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0",
)  # fmt: skip
_BOTH_WAYS = _TRACKS + tuple(track[::-1] for track in _TRACKS)
_MIN_RUN = 3

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)


def hash_password(password: str) -> str:
    """The Argon2id hash of ``password`` in PHC string form, about 97 ASCII characters.

    Raises ValueError for a password that no account can have: longer than 256 characters, or with control characters.
    """
    secret = _secret(password)
    if secret is None:
        raise ValueError("a password has at most 256 characters and no control characters")
    return _hasher.hash(secret)


def verify_password(hashed: str | None, password: str) -> bool:
    """Whether ``password`` is the one that ``hashed`` was made of.

    With None (no such account) or a hash that cannot be matched (an account that only signs in elsewhere) the answer
    is False after the same work, so that the time does not tell whether the account exists.  Never raises for a
    password, whatever it holds; one that no account can have is refused at once, for all accounts alike.
    """
    secret = _secret(password)
    if secret is None:
        return False
    try:
        _hasher.verify(hashed or _dummy_hash(), secret)
    except VerifyMismatchError:
        return False
    except InvalidHashError:
        return verify_password(None, password)
    return bool(hashed)


def needs_rehash(hashed: str) -> bool:
    """Whether ``hashed`` was made with other parameters than today's and should be made anew at the next login."""
    return _hasher.check_needs_rehash(hashed)


def password_problem(password: str, *, username: str = "", email: str = "") -> str | None:
    """What is wrong with ``password`` as a new one, or None if nothing is.

    A code: ``invalid_characters``, ``too_short`` (below 12), ``too_long`` (above 256), ``same_as_name`` (easy for one
    who knows the username or the e-mail address), ``common`` (easy for everyone: see `is_common`).
    """
    if len(password) > MAX_LENGTH:
        return "too_long"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in password):
        return "invalid_characters"
    normal = _normalise(password)
    # A single ligature may stand for eighteen letters (U+FDFA): it is still one thing to guess.
    if min(len(normal), len(password)) < MIN_LENGTH:
        return "too_short"
    if is_common(normal):
        return "common"
    folded = normal.casefold()
    names = _names(username, email)
    if folded in names or _strength(folded, names) < MIN_STRENGTH:
        return "same_as_name"
    return None


def is_common(password: str) -> bool:
    """Whether ``password`` is among the first guesses of anybody who guesses.

    Such a password is a repetition of something shorter than a password has to be (``passwordpassword``), or it falls
    apart into too few parts: a listed word counts 2, a run on the keyboard, a sequence, a repeated character and a year
    count 1, like any other single character.  So ``Password2024!`` (2 + 1 + 1) is refused, as is every listed word of
    twelve characters and more, while twelve random letters count 12 and four words 8.
    """
    folded = _normalise(password).casefold()
    return _repeats_less_than(MIN_LENGTH, folded) or _strength(folded, SITE_WORDS) < MIN_STRENGTH


def _normalise(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _secret(password: str) -> bytes | None:
    """The bytes that are hashed, or None for what no account can have."""
    if len(password) > MAX_LENGTH or any(unicodedata.category(char) in ("Cc", "Cs") for char in password):
        return None
    return _normalise(password).encode()


@cache
def _dummy_hash() -> str:
    return _hasher.hash(new_token())


def _names(username: str, email: str) -> frozenset[str]:
    """The names by which the person is known; those under three letters are found in every other password."""
    local, _, domain = email.partition("@")
    names = (
        username,
        username.replace("_", ""),
        email,
        local,
        *re.split(r"[._+-]", local),
        domain,
        domain.split(".")[0],
    )
    return SITE_WORDS | {_normalise(name).casefold() for name in names if len(name) >= 3}


def _repeats_less_than(length: int, text: str) -> bool:
    """Whether ``text`` is a part shorter than ``length``, said twice or more (the last time maybe not to its end)."""
    return any(text[size:] == text[:-size] for size in range(1, min(length - 1, len(text) // 2) + 1))


def _strength(text: str, extra: frozenset[str]) -> int:
    """The least number of parts into which ``text`` falls, counted as `is_common` says; ``extra`` are further words.

    Stops counting where the answer can no longer be less than `MIN_STRENGTH`, so that 256 characters cost no more
    than 40 do.
    """
    extra = frozenset(word for word in extra if len(word) <= _MAX_NAME)
    longest = max(_MAX_WORD, *(len(word) for word in extra))
    costs = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        costs[end] = costs[end - 1] + 1
        for start in range(max(0, end - longest), end - _MIN_RUN + 1):
            # A word is at least as dear as a run, so nothing is asked about a part that could not make it cheaper.
            if costs[start] + 1 < costs[end]:
                costs[end] = min(costs[end], costs[start] + _part_cost(text[start:end], extra))
        # Whatever follows starts behind one of these places.
        if min(costs[max(0, end - longest + 1) : end + 1]) >= MIN_STRENGTH:
            return MIN_STRENGTH
    return costs[-1]


def _part_cost(part: str, extra: frozenset[str]) -> int:
    if _is_run(part) or _YEAR.fullmatch(part):
        return 1
    if part in extra or _is_listed(part):
        return _WORD_COST
    plain = part.translate(_LEET)
    known = plain != part and not part.isdigit() and (plain in extra or _is_listed(plain))
    return _WORD_COST if known else len(part)


def _is_run(part: str) -> bool:
    return part == part[0] * len(part) or any(part in track for track in _BOTH_WAYS)


def _is_listed(word: str) -> bool:
    digests = _listed()
    digest = _digest(word)
    place = bisect_left(digests, digest)
    return place < len(digests) and digests[place] == digest


@cache
def _listed() -> array[int]:
    """The list as sorted 64-bit digests: 0.5 MB instead of the 7 MB that a set of strings takes in each process.

    The chance that a part is taken for one of the 67,000 words by accident is 4e-15.  Read at the first use.
    """
    packed = files(__package__).joinpath("common_passwords.txt.gz").read_bytes()
    words = gzip.decompress(packed).decode().splitlines()
    return array("Q", sorted(_digest(word) for word in words))


def _digest(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
