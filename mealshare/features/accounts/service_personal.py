"""Personal access tokens: made, listed, ended.

Somebody makes one by hand for a program of their own: a script, a gadget, a bot.  It is opaque and good until it expires
or is revoked, so there is nothing for the program to refresh.  What is stored is its hash.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select, update

from mealshare.core import clock
from mealshare.core.errors import Conflict, Forbidden, InputInvalid
from mealshare.core.ids import new_id
from mealshare.core.security.tokens import hash_token, new_personal_token
from mealshare.core.work import Work
from mealshare.features.accounts.models import Grant, PersonalToken, Session
from mealshare.features.accounts.queries_access import TokenRow
from mealshare.features.accounts.rules import in_order
from mealshare.features.accounts.service_sessions import changed_rows, lock_generation

#: So many programs nobody has; a list that ends is read as a whole.
MOST_TOKENS = 50
CREATED = "accounts.token_created"
REVOKED = "accounts.token_revoked"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A token that somebody wants: each value has been checked by itself."""

    name: str
    scopes: Collection[str]
    #: None: it has no end of its own.
    expires_at: datetime | None


@dataclass(frozen=True)
class NewToken:
    """A token that was just made; ``secret`` is shown to its owner now, and is kept nowhere."""

    row: TokenRow
    secret: str


class PersonalTokenService:
    """Writes personal tokens in the transaction of ``work``."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def create(self, account_id: int, wanted: Wanted, *, allowed: Collection[str], by: int) -> NewToken:
        """Make a token.

        ``allowed`` are the scopes that the one who asks has: nobody hands on more than that.  ``by`` is the session or
        grant that asks.  Raises InputInvalid ``scope_not_held``, Conflict ``too_many_tokens``, and Forbidden when the
        sign-in has ended in the meantime.
        """
        if not set(wanted.scopes) <= set(allowed):
            raise InputInvalid.of("scopes", "scope_not_held")
        # Locked, so that two at once are counted one after the other, and a change of the password ends this one too.
        lock_generation(self.work, account_id)
        if not self._stands(by):
            raise Forbidden
        count = self.work.session.scalar(
            select(func.count()).select_from(PersonalToken).where(PersonalToken.user_id == account_id)
        )
        if count is not None and count >= MOST_TOKENS:
            raise Conflict("too_many_tokens", max=MOST_TOKENS)
        secret, scopes = new_personal_token(), " ".join(in_order(wanted.scopes))
        row = TokenRow(new_id(), wanted.name, scopes, clock.now(), wanted.expires_at, None)
        self.work.session.execute(
            insert(PersonalToken).values(
                id=row.id, user_id=account_id, name=row.name, token_hash=hash_token(secret), scopes=scopes,
                created_at=row.created_at, expires_at=row.expires_at,
            )
        )  # fmt: skip
        log.info(CREATED, extra={"account_id": account_id, "token_id": row.id, "scopes": scopes})
        return NewToken(row, secret)

    def touch(self, token_id: int, used_before: datetime) -> None:
        """Write down that the token is in use, unless somebody did so after ``used_before``."""
        used = update(PersonalToken).where(
            PersonalToken.id == token_id,
            or_(PersonalToken.last_used_at.is_(None), PersonalToken.last_used_at < used_before),
        )
        self.work.session.execute(used.values(last_used_at=clock.now()))

    def revoke(self, account_id: int, token_id: int) -> bool:
        """End a token of that account, at once; False when it has none with that id."""
        mine = delete(PersonalToken).where(PersonalToken.id == token_id, PersonalToken.user_id == account_id)
        if not changed_rows(self.work, mine):
            return False
        log.info(REVOKED, extra={"account_id": account_id, "token_id": token_id})
        return True

    def revoke_all(self, account_id: int) -> int:
        """End all of them; how many there were."""
        count = changed_rows(self.work, delete(PersonalToken).where(PersonalToken.user_id == account_id))
        log.info(REVOKED, extra={"account_id": account_id, "tokens": count})
        return count

    def _stands(self, by: int) -> bool:
        session = select(Session.id).where(Session.id == by)
        grant = select(Grant.id).where(Grant.id == by, Grant.revoked_at.is_(None))
        return self.work.session.execute(session.union_all(grant)).first() is not None
