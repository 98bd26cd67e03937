"""People as JSON."""

from __future__ import annotations

from mealshare.core.dates import rfc3339
from mealshare.features.accounts.queries import Credentials, PersonContext, Profile
from mealshare.features.accounts.schemas import LoginOut, PersonOut, ProfileOut, TokensOut, UserOut
from mealshare.features.accounts.service_tokens import TokenPair


def avatar_url(base_url: str, avatar_key: str | None) -> str | None:
    """The address of the picture; None where there is none."""
    return None if avatar_key is None else f"{base_url}/avatars/{avatar_key}.webp"


def person_out(person: PersonContext, base_url: str) -> PersonOut:
    """The public profile."""
    return PersonOut(
        person.username, person.display_name, person.bio, person.bio_html, avatar_url(base_url, person.avatar_key),
        person.url, person.uri, rfc3339(person.created_at), person.meals_count, person.locked,
    )  # fmt: skip


def profile_out(profile: Profile, base_url: str) -> ProfileOut:
    """One's own profile."""
    public = person_out(profile.person, base_url)
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
