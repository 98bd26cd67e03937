"""What goes out about accounts as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mealshare.api.values import Address, Id, Moment
from mealshare.core.security.identity import Role
from mealshare.features.accounts.rules import Scope

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
