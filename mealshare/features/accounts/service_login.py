"""Checking name and password: the same answer and the same time whether there is such an account or not."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from mealshare.core.errors import DomainError, Forbidden, TooMany
from mealshare.core.ratelimit import RateLimiter, address_key
from mealshare.core.security.passwords import hash_password, needs_rehash, verify_password
from mealshare.features.accounts.queries_access import Credentials, credentials
from mealshare.features.accounts.usernames import normalise_username


class BadCredentials(DomainError):
    """The name or the password is wrong (401); which of the two is not told."""

    status = 401
    code = "bad_credentials"


@dataclass(frozen=True)
class Verified:
    """Somebody who gave the right password; ``new_hash`` is to be stored where the old one was made in an older way."""

    person: Credentials
    new_hash: str | None = None


class PasswordCheck:
    """Reads with ``connection`` and writes nothing: hashing takes longer than a write transaction may."""

    def __init__(self, connection: Connection, limiter: RateLimiter) -> None:
        self.connection = connection
        self.limiter = limiter

    def login(self, login: str, password: str, address: str) -> Verified:
        """Who signs in as ``login`` (username or e-mail address) from ``address``.

        Raises TooMany, BadCredentials, or Forbidden ``account_suspended`` to one who knows the password.
        """
        name = normalise_username(login).lower()
        spend_attempt(self.limiter, name, address)
        person = credentials(self.connection, name)
        verified = self.verify(person, password)
        # Of what was typed, not of the account: a shared count would tell which name and address belong together.
        self.limiter.clear("login_account", name, address_key(address))
        if verified.person.suspended:
            raise Forbidden("account_suspended")
        return verified

    def verify(self, person: Credentials | None, password: str) -> Verified:
        """``person``, if that is their password; raises BadCredentials, after the same work for nobody."""
        if not verify_password(person.password_hash if person else None, password) or person is None:
            raise BadCredentials
        return Verified(person, hash_password(password) if needs_rehash(person.password_hash) else None)


def spend_attempt(limiter: RateLimiter, name: str, address: str) -> None:
    """Count an attempt to guess a password; raises TooMany when there were enough.

    Attempts are counted before the password is looked at, so that many at once do not slip through together.  The
    narrow limit comes first: what it refuses does not use up the limit that all share.
    """
    client = address_key(address)
    for limit, keys in (("login_account", (name, client)), ("login_address", (client,)), ("login_all", ())):
        decision = limiter.hit(limit, *keys)
        if not decision.allowed:
            raise TooMany(decision.retry_after, decision.limit)
