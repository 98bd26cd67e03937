"""Grants: a program that is signed in over the API, its access tokens and its refresh tokens.

RFC 9700, 4.14.2: a refresh token is good once.  When one comes a second time, either its owner or a thief used it
before, and nobody can tell which; so the whole grant ends, whatever the two have by then.  That holds for two uses at
the same moment as well: one of them wins, and what it won ends with the grant.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, update

from mealshare.core import clock
from mealshare.core.db import fetch_one
from mealshare.core.errors import InputInvalid
from mealshare.core.ids import new_id
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.jwt import AccessClaims, AccessTokens
from mealshare.core.security.tokens import hash_token, new_token
from mealshare.core.work import Work
from mealshare.features.accounts import queries_access
from mealshare.features.accounts.events import SignedIn
from mealshare.features.accounts.models import Grant, RefreshToken
from mealshare.features.accounts.rules import in_order, scopes_for
from mealshare.features.accounts.service_login import BadCredentials
from mealshare.features.accounts.service_sessions import Client, changed_rows, end_grants, lock_generation
from mealshare.features.accounts.settings import AuthSettings


@dataclass(frozen=True)
class TokenPair:
    """What a program needs; ``expires_in`` is in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    scope: str


@dataclass(frozen=True)
class RefreshRefused:
    """Why there are no new tokens: a problem code.

    Given back and not raised: ending a grant must be committed although the answer is an error.
    """

    code: str


class TokenService:
    """Writes grants in the transaction of ``work`` and signs access tokens with ``access``."""

    def __init__(self, work: Work, settings: AuthSettings, access: AccessTokens) -> None:
        self.work = work
        self.settings = settings
        self.access = access

    def grant(
        self, person: queries_access.Credentials, client: Client, scopes: Collection[str] | None = None
    ) -> TokenPair:
        """Sign a program in, with ``scopes`` or with all that the person may have.

        Raises InputInvalid ``scope_not_held`` for one that the person may not have, and BadCredentials when the
        password is another one by now: checking it took longer than changing it does.
        """
        allowed = scopes_for(person.role)
        wanted = in_order(allowed if scopes is None else scopes)
        if not set(wanted) <= set(allowed):
            raise InputInvalid.of("scope", "scope_not_held")
        if lock_generation(self.work, person.account_id) != person.generation:
            raise BadCredentials
        moment = clock.now()
        grant_id, scope = new_id(), " ".join(wanted)
        expires_at = moment + self.settings.refresh_life
        self.work.session.execute(
            insert(Grant).values(
                id=grant_id, user_id=person.account_id, scopes=scope, created_at=moment, last_used_at=moment,
                expires_at=expires_at, address=client.address, user_agent=client.user_agent,
            )
        )  # fmt: skip
        self.work.publish(SignedIn(person.account_id, AuthMethod.BEARER))
        return self._pair(person, grant_id, scope, expires_at, moment)

    def refresh(self, refresh_token: str) -> TokenPair | RefreshRefused:
        """A new pair for a refresh token that was not used yet; commit also when it is refused."""
        moment = clock.now()
        row = fetch_one(self.work.connection, queries_access.REFRESH_TOKEN, {"token_hash": hash_token(refresh_token)})
        if row is None:
            return RefreshRefused("refresh_token_invalid")
        if row.used_at is None:
            if (refused := _refusal(row, moment)) is not None:
                return refused
            use = update(RefreshToken).where(RefreshToken.id == row.token_id, RefreshToken.used_at.is_(None))
            won = changed_rows(self.work, use.values(used_at=moment)) == 1
        if row.used_at is not None or not won:
            self._revoke(row.grant_id)
            return RefreshRefused("refresh_token_reused")
        self.work.session.execute(update(Grant).where(Grant.id == row.grant_id).values(last_used_at=moment))
        return self._pair(queries_access.read_credentials(row), row.grant_id, row.scopes, row.grant_expires_at, moment)

    def revoke(self, account_id: int, grant_id: int) -> bool:
        """End a grant of that account: its access tokens count no more.  False when it has none with that id."""
        mine = update(Grant).where(Grant.id == grant_id, Grant.user_id == account_id, Grant.revoked_at.is_(None))
        return end_grants(self.work, mine) > 0

    def _revoke(self, grant_id: int) -> None:
        end_grants(self.work, update(Grant).where(Grant.id == grant_id, Grant.revoked_at.is_(None)))

    def _pair(
        self,
        person: queries_access.Credentials,
        grant_id: int,
        scope: str,
        grant_expires_at: datetime,
        moment: datetime,
    ) -> TokenPair:
        token = new_token()
        self.work.session.execute(
            insert(RefreshToken).values(
                id=new_id(), grant_id=grant_id, token_hash=hash_token(token), created_at=moment,
                expires_at=min(moment + self.settings.refresh_idle, grant_expires_at),
            )
        )  # fmt: skip
        claims = AccessClaims(
            str(person.account_id), person.username, str(person.role), scope, str(grant_id), person.generation
        )
        return TokenPair(self.access.issue(claims), token, self.access.access_seconds, scope)


def _refusal(row: Row[Any], moment: datetime) -> RefreshRefused | None:
    """Why a token that was not used counts for nothing, or None."""
    if row.revoked_at is not None or row.suspended_at is not None:
        return RefreshRefused("refresh_token_invalid")
    if row.expires_at <= moment or row.grant_expires_at <= moment:
        return RefreshRefused("refresh_token_expired")
    return None
