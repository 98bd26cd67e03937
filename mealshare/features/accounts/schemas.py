"""What comes in about accounts, and what goes out as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from mealshare.core.i18n import LOCALES
from mealshare.core.security.identity import Role
from mealshare.core.validation import Input, Line, Lines, SnowflakeId, coded
from mealshare.features.accounts import checks

MAX_BIO = 500
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
    Field(description="3 to 30 letters, digits and underscores.", examples=["mei_lin"]),
]
Email = Annotated[
    Line, _by(checks.check_email), Field(json_schema_extra={"format": "email"}, examples=["mei@example.org"])
]
DisplayName = Annotated[Line, _by(checks.check_display_name), Field(examples=["Mei Lin 🥟"])]
LocaleName = Annotated[str, _by(checks.check_locale), Field(json_schema_extra={"enum": list(LOCALES)})]
TimeZone = Annotated[
    str, _by(checks.check_time_zone), Field(description="An IANA time zone.", examples=["Asia/Shanghai"])
]
Bio = Annotated[Lines, StringConstraints(max_length=MAX_BIO)]
#: Never shown in a message, not even in a traceback.
Secret = Annotated[str, Field(repr=False, json_schema_extra={"format": "password"})]


class RegisterInput(Input):
    """A new account."""

    # The password is compared with the name and the address, so it comes after them.
    username: Username
    email: Email
    password: Secret = Field(examples=["sesame noodles at midnight"])
    locale: LocaleName | None = None
    time_zone: TimeZone = "UTC"

    @field_validator("password")
    @classmethod
    def _password(cls, value: str, info: ValidationInfo) -> str:
        known = info.data
        return _checked(
            checks.check_new_password, value, username=known.get("username", ""), email=known.get("email", "")
        )


class LoginForm(Input):
    """Signing in with the browser: one field takes username or e-mail address."""

    login: Annotated[Line, StringConstraints(max_length=_MAX_LOGIN)]
    password: Secret


class LoginInput(Input):
    """Signing in over the API, by either name."""

    username: Annotated[Line, StringConstraints(min_length=1, max_length=_MAX_LOGIN)] | None = Field(
        None, description="The username, or the e-mail address.", examples=["mei_lin"]
    )
    email: Annotated[Line, StringConstraints(min_length=1, max_length=_MAX_LOGIN)] | None = Field(
        None, description="The e-mail address, in place of the username."
    )
    password: Secret

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

    refresh_token: Secret


class ProfilePatch(Input):
    """Changes of one's own profile (RFC 7396): what is absent stays, null puts back what a new account has."""

    display_name: DisplayName | None = None
    bio: Bio | None = None
    locale: LocaleName | None = None
    time_zone: TimeZone | None = None


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


class ForgotForm(Input):
    """Asking for a link to set a new password."""

    email: Email


class EndForm(Input):
    """Which browser or program to sign out."""

    kind: Literal["session", "grant"]
    id: SnowflakeId


@dataclass
class UserOut:
    """A person in a few words, as beside everything that they publish."""

    username: str
    display_name: str
    avatar_url: str | None
    url: str


@dataclass
class PersonOut:
    """The public profile of a person."""

    username: str
    display_name: str
    bio: str
    bio_html: str
    avatar_url: str | None
    url: str
    uri: str
    created_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    meals_count: int
    locked: bool


@dataclass
class ProfileOut(PersonOut):
    """One's own profile: the public one, and what only oneself sees."""

    email: str
    role: Role
    locale: str | None
    time_zone: str


@dataclass
class TokensOut:
    """A pair of tokens (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Field(description="Seconds for which the access token is good.")]
    refresh_token: Annotated[
        str, Field(description="Good once: each use gives a new pair, a second one ends them all.")
    ]
    scope: str


@dataclass
class LoginOut(TokensOut):
    """The first pair of tokens, and whom they are for."""

    user: UserOut
