"""What comes in about accounts, and what goes out as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from mealshare.api.values import Address, Id, Moment
from mealshare.core.clock import now
from mealshare.core.i18n import LOCALES
from mealshare.core.security.identity import Role
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
PublicName = Annotated[str, Field(description="The username.", examples=["mei_lin"])]
ShownName = Annotated[str, Field(description="The name that others see.", examples=["Mei Lin 🥟"])]
AvatarUrl = Annotated[
    Address | None,
    Field(
        description="The picture of the person, a square; null where there is none.",
        examples=["https://meals.example/avatars/d0ce686400685a2a37922669983070e2.webp"],
    ),
]
PersonUrl = Annotated[Address, Field(description="The person's page.", examples=["https://meals.example/@mei_lin"])]


@dataclass
class UserOut:
    """A person in a few words, as beside everything that they publish."""

    username: PublicName
    display_name: ShownName
    avatar_url: AvatarUrl
    url: PersonUrl


@dataclass
class RelationOut:
    """How the one who asks stands to the person; for a visitor, all is false."""

    own: Annotated[bool, Field(description="It is you.")]
    following: Annotated[bool, Field(description="You follow the person.")]
    requested: Annotated[bool, Field(description="You have asked to follow, and there is no answer yet.")]
    followed_by: Annotated[bool, Field(description="The person follows you.")]
    requested_by: Annotated[bool, Field(description="The person asks to follow you.")]
    muting: Annotated[bool, Field(description="You have muted the person.")]


@dataclass
class PersonOut:
    """The public profile of a person."""

    username: PublicName
    display_name: ShownName
    bio: Annotated[str, Field(description="About the person, as typed.", examples=["I eat my way through Chengdu."])]
    bio_html: Annotated[
        str, Field(description="The same as safe HTML.", examples=["<p>I eat my way through Chengdu.</p>"])
    ]
    avatar_url: AvatarUrl
    url: PersonUrl
    uri: Annotated[
        Address,
        Field(description="The address that never changes.", examples=["https://meals.example/users/mei_lin"]),
    ]
    created_at: Annotated[Moment, Field(description="When the account was made.", examples=["2026-11-19T08:18:03Z"])]
    meals_count: Annotated[int, Field(ge=0, description="How many meals they have posted.", examples=[12])]
    followers_count: Annotated[int, Field(ge=0, description="How many follow them.", examples=[3])]
    following_count: Annotated[int, Field(ge=0, description="How many they follow.", examples=[5])]
    locked: Annotated[bool, Field(description="Whether following takes the person's agreement.")]
    viewer: Annotated[RelationOut, Field(description="How you stand to them.")]


@dataclass
class ProfileOut(PersonOut):
    """Your own profile: the public one, and what only you see."""

    email: Annotated[
        str,
        Field(description="Your e-mail address.", json_schema_extra={"format": "email"}, examples=["mei@example.org"]),
    ]
    role: Annotated[Role, Field(description="What you may do on this site.", examples=["user"])]
    locale: Annotated[
        str | None, Field(description="The language that you chose; null: the browser's.", examples=["en"])
    ]
    time_zone: Annotated[
        str, Field(description="The IANA time zone in which your days end.", examples=["Asia/Shanghai"])
    ]


@dataclass
class TokensOut:
    """A pair of tokens (RFC 6749, 5.1)."""

    access_token: Annotated[
        str,
        Field(
            description="For `Authorization: Bearer`. What stands in it is for the site.",
            examples=["eyJhbGciOiJIUzI1NiIsImtpZCI6InVxS2I4b2sifQ.eyJzdWIiOiIxMTc2NTMifQ.3Yj3ZqkT5y9WmP"],
        ),
    ]
    token_type: Annotated[Literal["bearer"], Field(description="How to send it.")]
    expires_in: Annotated[int, Field(ge=1, description="Seconds for which the access token is good.", examples=[900])]
    refresh_token: Annotated[
        str,
        Field(
            description="Good once: each use gives a new pair, a second one ends them all.",
            examples=["0wkJkjQL8Bs6RvihNnCBbmMejLd9eRkte5MKLHr3f9E"],
        ),
    ]
    scope: Annotated[
        str,
        Field(description="What it may be used for, with spaces between.", examples=["read write follow media"]),
    ]


@dataclass
class LoginOut(TokensOut):
    """The first pair of tokens, and whom they are for."""

    user: Annotated[UserOut, Field(description="Who has signed in.")]


@dataclass
class PasswordChangedOut:
    """What goes on after the password was changed."""

    tokens: Annotated[
        TokensOut | None,
        Field(description="A new pair for the program that asked; null for a browser, which gets a new cookie."),
    ]


@dataclass
class PersonalTokenOut:
    """A personal token, without the token itself."""

    id: Annotated[Id, Field(description="Its id.")]
    name: Annotated[str, Field(description="What it is for.", examples=["My scale"])]
    scopes: Annotated[list[Scope], Field(description="What it may be used for.", examples=[["write", "media"]])]
    created_at: Annotated[Moment, Field(description="When it was made.")]
    expires_at: Annotated[
        Moment | None,
        Field(description="When it ends by itself, or has; null: never.", examples=["2030-01-31T00:00:00Z"]),
    ]
    last_used_at: Annotated[
        Moment | None, Field(description="Exact to some minutes; null: not yet.", examples=["2026-11-21T09:00:00Z"])
    ]


@dataclass
class NewPersonalTokenOut(PersonalTokenOut):
    """A personal token that was just made, shown this once."""

    token: Annotated[
        str,
        Field(
            description="For `Authorization: Bearer`. It cannot be shown again.",
            examples=["msp_0wkJkjQL8Bs6RvihNnCBbmMejLd9eRkte5MKLHr3f9E"],
        ),
    ]


@dataclass
class DeviceOut:
    """A browser or a program that is signed in."""

    id: Annotated[Id, Field(description="Its id.")]
    kind: Annotated[Literal["browser", "program"], Field(description="How it signed in.")]
    description: Annotated[
        str, Field(description="What it seems to be, in the reader's language.", examples=["Firefox on Android"])
    ]
    address: Annotated[str, Field(description="The address that it signed in from.", examples=["192.0.2.7"])]
    created_at: Annotated[Moment, Field(description="When it signed in.")]
    last_used_at: Annotated[Moment, Field(description="Exact to some minutes.", examples=["2026-11-21T09:00:00Z"])]
    current: Annotated[bool, Field(description="Whether it is the one that asks.")]
