"""Changing a password, and getting back in without it."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from mealshare.core import clock
from mealshare.core.errors import InputInvalid, NotFound
from mealshare.core.ids import new_id
from mealshare.core.ratelimit import RateLimiter
from mealshare.core.security.passwords import hash_password
from mealshare.core.security.tokens import hash_token, new_token
from mealshare.core.work import Work
from mealshare.features.accounts import checks, queries_access
from mealshare.features.accounts.events import PasswordChanged
from mealshare.features.accounts.mails import Letters
from mealshare.features.accounts.models import PasswordReset, User
from mealshare.features.accounts.service_login import BadCredentials, PasswordCheck, spend_attempt
from mealshare.features.accounts.service_sessions import changed_rows, end_all_access
from mealshare.features.accounts.settings import AuthSettings


class NewPasswords:
    """Makes the hash of a new password for somebody who may set one; reads only."""

    def __init__(self, connection: Connection, limiter: RateLimiter) -> None:
        self.connection = connection
        self.limiter = limiter

    def for_owner(
        self, account_id: int, current: str, new: str, address: str
    ) -> tuple[queries_access.Credentials, str]:
        """Who it is, and the hash of ``new``, for somebody signed in who knows the ``current`` password.

        Raises InputInvalid, or TooMany: whoever found an open browser must not guess the password in it.
        """
        person = queries_access.credentials_of(self.connection, account_id)
        if person is None:
            raise NotFound
        spend_attempt(self.limiter, f"account:{account_id}", address)
        try:
            PasswordCheck(self.connection, self.limiter).verify(person, current)
        except BadCredentials:
            raise InputInvalid.of("current_password", "password_wrong") from None
        return person, _hash_for(person, new)

    def for_reset(self, token: str, new: str) -> tuple[int, queries_access.Credentials, str]:
        """The id of the link, whom it is for, and the hash of ``new`` for them; raises NotFound or InputInvalid."""
        found = self.reset(token)
        if found is None:
            raise NotFound("reset_invalid")
        return *found, _hash_for(found[1], new)

    def reset(self, token: str) -> tuple[int, queries_access.Credentials] | None:
        """The id of the link with that token and whom it is for; None if it is unknown, used or too old."""
        return queries_access.reset_credentials(self.connection, hash_token(token), clock.now())


class PasswordService:
    """Writes passwords in the transaction of ``work``."""

    def __init__(self, work: Work, letters: Letters) -> None:
        self.work = work
        self.letters = letters

    def change(self, person: queries_access.Credentials, password_hash: str) -> None:
        """Set the new password; sessions, grants and reset links end, and a mail tells the owner."""
        values = {"password_hash": password_hash, "generation": User.generation + 1}
        self.work.session.execute(update(User).where(User.id == person.account_id).values(values))
        end_all_access(self.work, person.account_id)
        self.letters.password_changed(self.work, person)
        self.work.publish(PasswordChanged(person.account_id))

    def use_reset(self, reset_id: int, person: queries_access.Credentials, password_hash: str) -> None:
        """The same by a link, which is good once; raises NotFound when another request used it in the meantime."""
        moment = clock.now()
        use = update(PasswordReset).where(
            PasswordReset.id == reset_id, PasswordReset.used_at.is_(None), PasswordReset.expires_at > moment
        )
        if changed_rows(self.work, use.values(used_at=moment)) != 1:
            raise NotFound("reset_invalid")
        self.change(person, password_hash)

    def rehash(self, person: queries_access.Credentials, password_hash: str) -> None:
        """Store the same password hashed in today's way, unless it has been changed in the meantime."""
        self.work.session.execute(
            update(User)
            .where(User.id == person.account_id, User.password_hash == person.password_hash)
            .values(password_hash=password_hash)
        )


def make_reset(work: Work, settings: AuthSettings, account_id: int) -> str:
    """A new reset link for the account: its token, of which only the hash is stored."""
    token, moment = new_token(), clock.now()
    work.session.execute(
        insert(PasswordReset).values(
            id=new_id(), user_id=account_id, token_hash=hash_token(token), created_at=moment,
            expires_at=moment + settings.reset_life,
        )
    )  # fmt: skip
    return token


def _hash_for(person: queries_access.Credentials, new: str) -> str:
    try:
        checks.check_new_password(new, username=person.username, email=person.email)
    except checks.Refused as refused:
        raise InputInvalid.of("new_password", refused.code, **refused.params) from None
    return hash_password(new)
