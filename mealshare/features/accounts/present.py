"""People as JSON."""

from __future__ import annotations

from datetime import datetime

from mealshare.core.dates import rfc3339
from mealshare.features.accounts.queries import PersonContext, Profile
from mealshare.features.accounts.queries_access import Credentials, DeviceRow, TokenRow
from mealshare.features.accounts.rules import in_order
from mealshare.features.accounts.schemas_out import (
    DeviceOut,
    LoginOut,
    NewPersonalTokenOut,
    PersonalTokenOut,
    PersonOut,
    ProfileOut,
    RelationOut,
    TokensOut,
    UserOut,
)
from mealshare.features.accounts.service_personal import NewToken
from mealshare.features.accounts.service_tokens import TokenPair
from mealshare.features.accounts.visibility import ANONYMOUS


def avatar_url(base_url: str, avatar_key: str | None) -> str | None:
    """The address of the picture; None where there is none."""
    return None if avatar_key is None else f"{base_url}/avatars/{avatar_key}.webp"


def person_out(person: PersonContext, base_url: str, viewer: int = ANONYMOUS) -> PersonOut:
    """The public profile, and how the account ``viewer`` stands to the person."""
    mine = person.relation
    relation = RelationOut(
        viewer == person.account_id, mine.following == "accepted", mine.following == "requested", mine.followed_by,
        mine.requested_by, mine.muting,
    )  # fmt: skip
    return PersonOut(
        person.username, person.display_name, person.bio, person.bio_html, avatar_url(base_url, person.avatar_key),
        person.url, person.uri, rfc3339(person.created_at), person.meals_count, person.followers_count,
        person.following_count, person.locked, relation,
    )  # fmt: skip


def profile_out(profile: Profile, base_url: str) -> ProfileOut:
    """One's own profile."""
    public = person_out(profile.person, base_url, profile.person.account_id)
    return ProfileOut(
        **vars(public), email=profile.email, role=profile.role, locale=profile.locale, time_zone=profile.time_zone
    )


def tokens_out(pair: TokenPair) -> TokensOut:
    """A pair of tokens."""
    return TokensOut(pair.access_token, "bearer", pair.expires_in, pair.refresh_token, pair.scope)


def login_out(pair: TokenPair, person: Credentials, base_url: str) -> LoginOut:
    """The first pair of tokens, and whom they are for."""
    user = UserOut(person.username, person.display_name, avatar_url(base_url, person.avatar_key), person.url)
    return LoginOut(**vars(tokens_out(pair)), user=user)


def personal_token_out(token: TokenRow) -> PersonalTokenOut:
    """A personal token, without the token itself."""
    return PersonalTokenOut(
        str(token.id), token.name, list(in_order(token.scopes.split())), rfc3339(token.created_at),
        _moment(token.expires_at), _moment(token.last_used_at),
    )  # fmt: skip


def new_token_out(new: NewToken) -> NewPersonalTokenOut:
    """One that was just made, with it."""
    return NewPersonalTokenOut(**vars(personal_token_out(new.row)), token=new.secret)


def device_out(device: DeviceRow, description: str, current: int) -> DeviceOut:
    """A browser or program that is signed in; ``current`` is the session or grant that asks."""
    return DeviceOut(
        str(device.id), "browser" if device.kind == "browser" else "program", description, device.address,
        rfc3339(device.created_at), rfc3339(device.used_at), device.id == current,
    )  # fmt: skip


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
