"""What comes in about accounts, with forms and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mealshare.api import PathParam
from mealshare.core.clock import now
from mealshare.core.i18n import LOCALES
from mealshare.core.security.passwords import MAX_LENGTH, MIN_LENGTH
from mealshare.core.validation import Input, IsoMoment, Line, Lines, SnowflakeId, coded
from mealshare.features.accounts import checks
from mealshare.features.accounts.rules import Scope
from mealshare.features.accounts.usernames import MAX_USERNAME, MIN_USERNAME

MAX_BIO = 500
#: Longer than any program runs unseen; and far from the end of the calendar, behind which no database goes.
LONGEST_TOKEN = timedelta(days=3653)
#: No name and no address is longer.
_MAX_LOGIN = 254


def _checked(check: Callable[..., str], value: str, **known: str) -> str:
    """What ``check`` makes of ``value``, its refusal as a validation error."""
    try:
        return check(value, **known)
    except checks.Refused as refused:
        raise coded(refused.code, **refused.params) from None


def _by(check: Callable[..., str]) -> AfterValidator:
    return AfterValidator(lambda value: _checked(check, value))


Username = Annotated[
    Line,
    _by(checks.check_username),
    Field(
        description="3 to 30 of the letters a to z, digits and underscores; case does not make another name of it.",
        json_schema_extra={
            "minLength": MIN_USERNAME,
            "maxLength": MAX_USERNAME,
            "pattern": "^(?:[0-9]+_)*[0-9]*[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*$",
        },
        examples=["mei_lin"],
    ),
]
Email = Annotated[
    Line,
    _by(checks.check_email),
    Field(
        description="An e-mail address; nobody else sees it.",
        json_schema_extra={"format": "email"},
        examples=["mei@example.org"],
    ),
]
DisplayName = Annotated[
    Line, _by(checks.check_display_name), Field(description="The name that others see.", examples=["Mei Lin 🥟"])
]
LocaleName = Annotated[
    str,
    _by(checks.check_locale),
    Field(
        description="The language of pages and messages.", json_schema_extra={"enum": list(LOCALES)}, examples=["en"]
    ),
]
TimeZone = Annotated[
    str,
    _by(checks.check_time_zone),
    Field(description="An IANA time zone.", json_schema_extra={"format": "time-zone"}, examples=["Asia/Shanghai"]),
]
Bio = Annotated[
    Lines,
    StringConstraints(max_length=MAX_BIO),
    Field(
        description="About oneself; links, #hashtags and @mentions work.", examples=["I eat my way through Chengdu."]
    ),
]
#: Never shown in a message, not even in a traceback.
Secret = Annotated[str, Field(repr=False, json_schema_extra={"format": "password"})]


class RegisterInput(Input):
    """Who wants an account."""

    # The password is compared with the name and the address, so it comes after them.
    username: Username
    email: Email
    password: Secret = Field(
        description="12 to 256 characters, and none of the passwords that are tried first.",
        json_schema_extra={"minLength": MIN_LENGTH, "maxLength": MAX_LENGTH},
        examples=["sesame noodles at midnight"],
    )
    locale: LocaleName | None = Field(None, description="The language of pages and mails; null: the browser's.")
    time_zone: TimeZone = Field("UTC", description="An IANA time zone: where the day ends.", examples=["Asia/Shanghai"])

    @field_validator("password")
    @classmethod
    def _password(cls, value: str, info: ValidationInfo) -> str:
        known = info.data
        return _checked(
            checks.check_new_password, value, username=known.get("username", ""), email=known.get("email", "")
        )


def _scope_words(value: str) -> str:
    """Scopes with spaces between (RFC 6749, 3.3), each of them one that there is, at least one."""
    words = value.split(" ")
    if not set(words) <= set(Scope):
        raise coded("not_a_choice", choices=", ".join(Scope))
    return value


def _distinct(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _ahead(value: datetime) -> datetime:
    if not now() < value <= now() + LONGEST_TOKEN:
        raise coded("expiry_range")
    return value


ScopeWords = Annotated[
    str,
    StringConstraints(max_length=300),
    AfterValidator(_scope_words),
    Field(json_schema_extra={"pattern": "^(?:{0})(?: (?:{0}))*$".format("|".join(Scope))}),
]
TokenName = Annotated[
    Line, StringConstraints(min_length=1, max_length=100), Field(description="What it is for.", examples=["My scale"])
]
Scopes = Annotated[
    list[Scope],
    Field(min_length=1, max_length=20, description="What it may be used for.", examples=[["write", "media"]]),
    AfterValidator(_distinct),
]


class LoginForm(Input):
    """Signing in with the browser: one field takes username or e-mail address."""

    login: Annotated[Line, StringConstraints(max_length=_MAX_LOGIN)]
    password: Secret


class LoginInput(Input):
    """Name and password: either `username` or `email`."""

    username: Annotated[Line, StringConstraints(min_length=1, max_length=_MAX_LOGIN)] | None = Field(
        None, description="The username, or the e-mail address.", examples=["mei_lin"]
    )
    email: Annotated[Line, StringConstraints(min_length=1, max_length=_MAX_LOGIN)] | None = Field(
        None, description="The e-mail address, in place of the username.", json_schema_extra={"format": "email"}
    )
    password: Secret = Field(description="The password.", examples=["sesame noodles at midnight"])
    scope: ScopeWords | None = Field(
        None,
        description="The scopes that the tokens should have, with spaces between; all that you may have, if absent.",
        examples=["read write"],
    )

    @model_validator(mode="after")
    def _one_name(self) -> LoginInput:
        if (self.username is None) == (self.email is None):
            raise coded("one_login")
        return self

    @property
    def login(self) -> str:
        """The one name that was given."""
        return self.username or self.email or ""


class RefreshInput(Input):
    """The refresh token that came with the last access token."""

    refresh_token: Secret = Field(
        description="The latest one; it is used up by this.", examples=["0wkJkjQL8Bs6RvihNnCBbmMejLd9eRkte5MKLHr3f9E"]
    )


class ProfilePatch(Input):
    """Changes of one's own profile (RFC 7396): what is absent stays, null puts back what a new account has."""

    display_name: DisplayName | None = Field(
        None, description="The name that others see; null: the username.", examples=["Mei Lin 🥟"]
    )
    bio: Bio | None = Field(None, description="About yourself.", examples=["I eat my way through Chengdu."])
    locale: LocaleName | None = Field(None, description="The language of pages and mails; null: the browser's.")
    time_zone: TimeZone | None = Field(None, description="An IANA time zone: where your day ends; null: UTC.")
    locked: bool | None = Field(
        None, description="Whether following takes your agreement.  Requests that wait do so until you answer."
    )


class NewPassword(Input):
    """A new password, typed twice."""

    new_password: Secret
    again: Secret

    @field_validator("again")
    @classmethod
    def _same(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("new_password", value):
            raise coded("passwords_differ")
        return value


class PasswordForm(NewPassword):
    """Changing the password."""

    current_password: Secret


class PasswordInput(Input):
    """Changing the password over the API."""

    current_password: Secret = Field(description="The one that still counts.", examples=["sesame noodles at midnight"])
    new_password: Secret = Field(
        description="12 to 256 characters; the one to come.", examples=["four dumplings before noon"]
    )


class TokenInput(Input):
    """A personal token that somebody wants."""

    name: TokenName
    scopes: Scopes
    expires_at: Annotated[IsoMoment, AfterValidator(_ahead)] | None = Field(
        description="When it ends by itself, at most ten years from now; null: never.",
        examples=["2030-01-31T00:00:00Z"],
    )


class TokenForm(Input):
    """The same as a form."""

    name: TokenName
    scopes: Scopes
    days: Literal["7", "30", "90", "365", "never"]

    def expires_at(self) -> datetime | None:
        """When the token ends, counted from now."""
        return None if self.days == "never" else now() + timedelta(days=int(self.days))


class ForgotForm(Input):
    """Asking for a link to set a new password."""

    email: Email


class EndForm(Input):
    """Which browser or program to sign out."""

    kind: Literal["session", "grant"]
    id: SnowflakeId


#: The part of an address that is a username.
USERNAME_PARAM = PathParam("The username, in whatever case.", "mei_lin", "^[A-Za-z0-9_]{1,100}$")
