"""What a name, an address, a password may be: one place for the schemas of both faces and for the command line."""

from __future__ import annotations

from typing import Any

from mealshare.core.dates import valid_zone
from mealshare.core.i18n import LOCALES
from mealshare.core.mail.message import MailRefused, ascii_domain, check_address
from mealshare.core.security.passwords import MAX_LENGTH, MIN_LENGTH, password_problem
from mealshare.features.accounts.usernames import (
    MAX_DISPLAY_NAME,
    MAX_USERNAME,
    MIN_USERNAME,
    clean_display_name,
    display_name_problem,
    normalise_username,
    username_problem,
)

_USERNAME_CODES = {
    "invalid_characters": "username_characters",
    "misplaced_underscore": "username_underscore",
    "needs_letter": "username_needs_letter",
    "reserved": "username_reserved",
}
_PASSWORD_CODES = {
    "invalid_characters": "control_characters",
    "common": "password_common",
    "same_as_name": "password_same_as_name",
}


class Refused(ValueError):
    """A value cannot be taken: the code of the message, and the numbers in it."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


def check_username(value: str) -> str:
    """``value`` as a username of this site is stored; raises Refused."""
    name = normalise_username(value)
    problem = username_problem(name)
    if problem is not None:
        raise _refused(_USERNAME_CODES.get(problem, problem), MIN_USERNAME, MAX_USERNAME)
    return name


def check_email(value: str) -> str:
    """``value`` with its host in lower-case ASCII (IDNA); raises Refused.

    The part before the @ must be ASCII too, so that "the same address" means the same to every database: each folds the
    case of other letters in its own way.
    """
    user, _at, host = value.strip().rpartition("@")
    try:
        address = check_address(f"{user}@{ascii_domain(host).lower()}")
    except MailRefused:
        raise Refused("bad_email") from None
    if not address.isascii() or not address.isprintable() or "." not in address.rpartition("@")[2]:
        raise Refused("bad_email")
    return address


def check_new_password(value: str, *, username: str = "", email: str = "") -> str:
    """``value``, if whoever has that name and address may take it as a new password; raises Refused."""
    problem = password_problem(value, username=username, email=email)
    if problem is not None:
        raise _refused(_PASSWORD_CODES.get(problem, problem), MIN_LENGTH, MAX_LENGTH)
    return value


def check_display_name(value: str) -> str:
    """``value`` cleaned; "" where nothing can be seen of it, and the username then stands in its place."""
    name = clean_display_name(value)
    problem = display_name_problem(name)
    if problem == "too_long":
        raise Refused("too_long", max=MAX_DISPLAY_NAME)
    return "" if problem else name


def check_locale(value: str) -> str:
    """``value``, if the site speaks that language; raises Refused."""
    if value not in LOCALES:
        raise Refused("not_a_choice", choices=", ".join(LOCALES))
    return value


def check_time_zone(value: str) -> str:
    """``value``, if it is an IANA time zone; raises Refused."""
    if not valid_zone(value):
        raise Refused("bad_time_zone")
    return value


def _refused(code: str, minimum: int, maximum: int) -> Refused:
    """The refusal with the number that belongs to its code."""
    if code == "too_short":
        return Refused(code, min=minimum)
    return Refused(code, max=maximum) if code == "too_long" else Refused(code)
